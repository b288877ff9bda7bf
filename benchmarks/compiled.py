"""Every Triton kernel compiled for cards that are not here: registers, spills, shared memory, instructions.

Needs neither a card nor a driver. "Instructions a feature" are those of the innermost loop, or of the whole code where
there is none, for each number that a thread stores there. From them follows a bound on the speed; nothing is measured.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import torch
import triton

from benchmarks.kernel_cases import BUDGETS, SHARED, Case, every, few
from benchmarks.machine_code import Code, arithmetic, compile_all, compiled, count, key
from benchmarks.report import Report
from benchmarks.roofline import CHIPS, TENSOR, Chip, product_share, write_share
from locenc.kernels.triton_launch import Launch

__all__ = ["compiled", "key", "main"]

#: Shares of the write rate to reach, in %, by bytes of a feature.
SHARES = {4: 85, 2: 65}
#: Shares of cuBLAS's speed to reach, in %.
PEAKS = {"float32": 85, "tf32": 70, "bfloat16": 60}


def main(arguments: Sequence[str] | None = None) -> Report:
    """Run the command; see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compiled", description=__doc__)
    parser.add_argument("--arch", type=int, nargs="+", choices=list(SHARED), default=list(SHARED))
    parser.add_argument("--quick", action="store_true", help="the cases of the tests alone")
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
    for arch, chip in CHIPS.items():
        if arch in found:
            encoding(report, chip, arch, found[arch])
            layers(report, chip, arch, found[arch])
    for arch, rows in found.items():
        table(report, arch, rows)
    report.settings["seconds"] = time.perf_counter() - begin
    report.finish(path=given.json, save=given.save)
    return report


def kernels(cases: Sequence[Case], arch: int) -> list[tuple[Case, Launch, Code]]:
    """Distinct code, with the first case that needs it."""
    launches = [(case, launch) for case in cases for launch in case.launches(arch)]
    codes = compile_all([launch for _, launch in launches], arch)
    first = {key(launch): (case, launch) for case, launch in reversed(launches)}
    return [(*first[own], code) for own, code in codes.items()]


def limits(report: Report, arch: int, codes: Sequence[Code]) -> None:
    """What must hold of all code."""
    label = f"{arch / 10:.1f}"
    spills = sum(code.stack > 0 for code in codes)
    report.target(f"{label}: kernels that spill", spills, most=0, unit=f"of {len(codes)}")
    largest = max(code.shared for code in codes)
    report.target(f"{label}: largest shared memory", largest / 1024, most=SHARED[arch] / 1024, unit="KB")


def encoding(report: Report, chip: Chip, arch: int, rows: Sequence[tuple[Case, Launch, Code]]) -> None:
    """Instructions of what writes features, and how fast these could be written."""
    lines = []
    for case, launch, code in rows:
        dtype = getattr(torch, case.precision, torch.float32)
        size, kernel = dtype.itemsize, name(launch)
        share = write_share(code, size, chip)
        if case.what != "encode" or kernel.partition(".")[0] in ("coordinates", "legendre") or share is None:
            continue
        each, calculating = code.body.total() / code.stored(size), arithmetic(code.body) / code.stored(size)
        lines.append((case.encoder, case.precision, kernel, each, calculating, 100 * share))
        encoder, _, scales = case.encoder.partition(" ")
        if encoder in BUDGETS and scales == "64":
            what = f"{arch / 10:.1f}: {case.encoder}, {case.precision}, {kernel}"
            if size == 4:
                report.target(f"{what}: arithmetic instructions a feature", calculating, most=BUDGETS[encoder], unit="")
            report.target(f"{what}: bound on the write rate's share", 100 * share, least=SHARES[size], unit="%")
    report.table(
        f"Encoding on {arch / 10:.1f}",
        (
            "encoder",
            "features",
            "kernel",
            "instructions a feature",
            "arithmetic ones",
            f"% of the write rate, {chip.name}",
        ),
        lines,
        note="Code that other sizes share is listed once. The last column is a bound, for "
        f"{chip.multiprocessors} multiprocessors at {chip.clock / 1e9:.4g} GHz and {chip.bandwidth / 1e12:.4g} TB/s: "
        "writing takes as long as the memory needs, or as the instructions do.",
    )


def layers(report: Report, chip: Chip, arch: int, rows: Sequence[tuple[Case, Launch, Code]]) -> None:
    """How near to the peak of matrix products the kernels with a layer could come."""
    lines = []
    for case, launch, code in rows:
        if "PRECISION" in launch.constants:
            share, kernel = 100 * product_share(code, chip), name(launch)
            tensor, total = count(code.body, TENSOR), code.body.total()
            lines.append((case.encoder, case.precision, case.width or None, kernel, total, tensor or None, share))
            if case.what == "layer":
                what = f"{arch / 10:.1f}: {case.encoder} and a layer of {case.width}, {case.precision}"
                report.target(f"{what}: bound on the peak's share", share, least=PEAKS[case.precision], unit="%")
    report.table(
        f"Products with features on {arch / 10:.1f}",
        (
            "encoder",
            "numbers",
            "H",
            "kernel",
            "instructions in the loop",
            "of the tensor cores",
            f"% of the peak, {chip.name}",
        ),
        lines,
        note="The peak is that of the tensor cores for these numbers, of multiply-adds for float32. The last column is "
        "a bound: it leaves out shared memory and all waiting; cuBLAS itself stays below the peak.",
    )


def table(report: Report, arch: int, rows: Sequence[tuple[Case, Launch, Code]]) -> None:
    """Everything."""
    heads = ("first needed by", "kernel", "registers", "stack", "shared", "instructions", "in the loop", "tensor")
    lines = []
    for case, launch, code in rows:
        widest = max(code.stores, default=0)
        numbers = (code.registers, code.stack, code.shared, code.instructions.total())
        loop = code.body.total() if code.loops else None
        lines.append((case.name, name(launch), *numbers, loop, code.count(TENSOR) or None, widest, launch.warps))
    report.table(
        f"All code on {arch / 10:.1f}",
        (*heads, "widest store", "warps"),
        lines,
        note="Registers of a thread; bytes of stack of a thread and of shared memory of a program; the loop is the "
        "longest of the innermost ones; tensor: HMMA and HGMMA instructions; widest store to memory in bytes.",
    )


def name(launch: Launch) -> str:
    """A kernel's module and name, in short: ``sinusoids.encode``."""
    module = launch.kernel.fn.__module__.rpartition("triton_")[2]
    return f"{module}.{launch.kernel.__name__.removesuffix('_kernel')}"


if __name__ == "__main__":
    main()
