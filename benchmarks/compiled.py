"""Every Triton kernel compiled for cards that are not here: registers, spills, shared memory, instructions.

Needs neither a card nor a driver. "Instructions a feature" are those of the innermost loop, or of the whole code where
there is none, for each number that a thread stores there. From them follows a bound on the speed; nothing is measured.
"""

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import triton

from benchmarks.kernel_cases import BUDGETS, SHARED, Case, every, few
from benchmarks.machine_code import TENSOR, Code, arithmetic, compile_all, key
from benchmarks.report import Report, shown
from benchmarks.roofline import CHIPS, write_share
from locenc.kernels.triton_launch import Launch

#: Shares of the write rate to reach, in %, by bytes of a feature.
SHARES = {4: 85, 2: 65}
Found = dict[int, list[tuple[Case, Launch, Code]]]


def main(arguments: Sequence[str] | None = None) -> Report:
    """Run the command; see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compiled", description=__doc__)
    parser.add_argument("--arch", type=int, nargs="+", choices=list(SHARED), default=list(SHARED))
    parser.add_argument("--quick", action="store_true", help="the cases of the tests alone")
    parser.add_argument("--all", action="store_true", help="list all code, not one case of each kernel")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write every number to this file")
    parser.add_argument("--save", action="store_true", help="keep the tables in docs/benchmarks")
    given = parser.parse_args(arguments)
    cases = few() if given.quick else every()
    settings = {"triton": triton.__version__, "cases": len(cases), "quick": given.quick}
    report = Report("compiled", "Machine code of the Triton kernels", settings, counted=True)
    begin = time.perf_counter()
    found = {arch: kernels(cases, arch) for arch in given.arch}
    for arch, rows in found.items():
        limits(report, arch, [code for _, _, code in rows])
    reached = Reached()
    for arch, rows in found.items():
        if arch in CHIPS:
            judge(reached, arch, rows)
    reached.into(report)
    encoding(report, found)
    summary(report, found, every_case=given.all)
    report.settings["seconds"] = time.perf_counter() - begin
    report.finish(path=given.json, save=given.save)
    return report


def kernels(cases: Sequence[Case], arch: int) -> list[tuple[Case, Launch, Code]]:
    """Distinct code, with the first case that needs it."""
    launches = [(case, launch) for case in cases for launch in case.launches(arch)]
    codes = compile_all([launch for _, launch in launches], arch)
    first = {key(launch): (case, launch) for case, launch in reversed(launches)}
    return [(*first[own], code) for own, code in codes.items()]


class Reached:
    """Numbers to reach by what is counted: the worst is a target, and those that miss it are listed."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[str, bool, float, str], list[tuple[float, str]]] = defaultdict(list)

    def add(self, what: str, number: float, case: str, *, bound: float, least: bool, unit: str) -> None:
        """Add a case's number."""
        self.numbers[what, least, bound, unit].append((number, case))

    def into(self, report: Report) -> None:
        """Report the targets, and a table of cases that miss theirs."""
        missed = []
        for (what, least, bound, unit), found in self.numbers.items():
            worst = min(found) if least else max(found)
            off = [(what, case, number) for number, case in found if (number < bound if least else number > bound)]
            note = f"{worst[1]}; {len(found) - len(off)} of {len(found)} cases reach it"
            bounds = {"least": bound} if least else {"most": bound}
            report.target(what, worst[0], **bounds, unit=unit, note=note)
            missed += off
        report.table("Cases that miss a target", ("target", "case", "counted"), missed)


def limits(report: Report, arch: int, codes: Sequence[Code]) -> None:
    """What must hold of all code."""
    label = f"{arch / 10:.1f}"
    spills = sum(code.stack > 0 for code in codes)
    report.target(f"{label}: kernels that spill", spills, most=0, unit=f"of {len(codes)}")
    largest = max(code.shared for code in codes)
    report.target(f"{label}: largest shared memory", largest / 1024, most=SHARED[arch] / 1024, unit="KB")


def judge(reached: Reached, arch: int, rows: Sequence[tuple[Case, Launch, Code]]) -> None:
    """What encoders with all scales should reach on a chip that is known."""
    chip, label = CHIPS[arch], f"{arch / 10:.1f}"
    for case, launch, code in rows:
        encoder, _, scales = case.encoder.partition(" ")
        if case.what == "encode" and encoder in BUDGETS and scales == "64" and writes(launch):
            size, own = case.dtype.itemsize, f"{case.name}, {name(launch)}"
            share = 100 * (write_share(code, size, chip) or 0.0)
            if size == 4:
                each, budget = arithmetic(code.body) / code.stored(size), BUDGETS[encoder]
                what = f"{label}: arithmetic instructions a feature"
                reached.add(what, each, own, bound=budget, least=False, unit="")
            what = f"{label}: bound on the write rate's share, {size} bytes a feature"
            reached.add(what, share, own, bound=SHARES[size], least=True, unit="%")


def encoding(report: Report, found: Found) -> None:
    """Instructions of what writes features, and how fast these could be written, side by side."""
    lines: dict[tuple[str, str, str], dict[int, tuple[str, str]]] = defaultdict(dict)
    archs = [arch for arch in found if arch in CHIPS]
    for arch in archs:
        for case, launch, code in found[arch]:
            size = case.dtype.itemsize
            share = write_share(code, size, CHIPS[arch])
            if case.what == "encode" and writes(launch) and share is not None:
                each = code.body.total() / code.stored(size)
                numbers = f"{shown(each)} ({shown(arithmetic(code.body) / code.stored(size))})"
                lines[case.encoder, case.precision, name(launch)].setdefault(arch, (numbers, shown(100 * share)))
    heads = [f"{what}, {CHIPS[arch].name}" for arch in archs for what in ("instructions", "% of the write rate")]
    rows = [(*own, *(cell for arch in archs for cell in by.get(arch, ("–", "–")))) for own, by in lines.items()]
    note = "Instructions a feature, and of these the arithmetic ones. Code that other sizes share is listed once. The "
    note += "share is a bound: writing takes as long as the memory needs, or as the instructions do."
    report.table("Encoding", ("encoder", "features", "kernel", *heads), rows, note=note)


def summary(report: Report, found: Found, *, every_case: bool) -> None:
    """Registers, memory and instructions on each architecture: of the first case of each kernel, or of all."""
    lines: dict[tuple[str, str, int], dict[int, tuple[str, ...]]] = defaultdict(dict)
    seen: Counter[tuple[int, Case, str]] = Counter()
    first: dict[tuple[str, str], str] = {}
    for arch, rows in found.items():
        for case, launch, code in rows:
            kernel, precision = name(launch), launch.constants.get("PRECISION")
            seen[arch, case, kernel] += 1
            number = seen[arch, case, kernel]
            if not every_case and (number > 1 or first.setdefault((kernel, str(precision)), case.name) != case.name):
                continue
            loop = code.body.total() if code.loops else code.instructions.total()
            numbers = (code.registers, code.shared, loop, code.count(TENSOR), max(code.stores, default=0))
            lines[case.name, kernel, number][arch] = tuple(map(shown, numbers))
    cells = []
    for (first_case, kernel, _), by in lines.items():
        columns = [" / ".join(by[arch][k] if arch in by else "–" for arch in found) for k in range(5)]
        cells.append((first_case, kernel, *columns))
    heads = ("first needed by", "kernel", "registers", "shared", "instructions", "tensor", "widest store")
    note = f"On {', '.join(f'{arch / 10:.1f}' for arch in found)}. Registers of a thread; bytes of shared memory of a "
    note += "program; instructions of the longest innermost loop, or of all code where there is none; HMMA and HGMMA "
    note += "instructions; bytes of the widest store to memory. –: code that stands elsewhere in the list."
    report.table("All code" if every_case else "Kernels", heads, cells, note=note)


def writes(launch: Launch) -> bool:
    """Whether a launch of an encoder makes its features, not what these are made of."""
    return name(launch).partition(".")[0] not in ("coordinates", "legendre", "scores")


def name(launch: Launch) -> str:
    """A kernel's module and name, in short: ``sinusoids.encode``."""
    module = launch.kernel.fn.__module__.rpartition("triton_")[2]
    return f"{module}.{launch.kernel.__name__.removesuffix('_kernel')}"


if __name__ == "__main__":
    main()
