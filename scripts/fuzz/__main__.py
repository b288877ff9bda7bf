"""Generated inputs into every public function: what comes of them, counted; no error may be an unplanned one.

python -m scripts.fuzz --inputs 100000 [--seed 0] [--only locenc.embed] [--number 17] [--save]
"""

import argparse
import contextlib
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.report import Report
from scripts.fuzz import drawing, embedding, encoders, files, objectives  # noqa: F401 (they fill the table)
from scripts.fuzz.calls import outcome
from scripts.fuzz.table import DOORS

FAULT = (
    "A fault is an error of an unplanned type, one that another library raised or that says nothing, a changed "
    "argument, or a result of another shape or type than promised, or with numbers that are not finite "
    "where the arguments are."
)


def chosen(seed: int, number: int, names: list[str]) -> tuple[str, random.Random]:
    """The function of an input, and the random numbers that make its arguments."""
    rng = random.Random(f"{seed} {number}")
    name = rng.choices(names, [DOORS[one].share for one in names])[0]
    return name, rng


def run(seed: int, numbers: range, names: list[str]) -> Iterator[tuple[int, str, str, str | None, str, float]]:
    """Number, function, outcome, fault, the call, and seconds of each input."""
    folder = Path(tempfile.mkdtemp(prefix="locenc-fuzz-"))
    try:
        with contextlib.chdir(folder):  # a wrong path may name a file there
            yield from _run(seed, numbers, names, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(
    seed: int, numbers: range, names: list[str], folder: Path
) -> Iterator[tuple[int, str, str, str | None, str, float]]:
    for number in numbers:
        name, rng = chosen(seed, number, names)
        start = time.perf_counter()
        torch.manual_seed(number)
        call = DOORS[name].door(rng, folder)
        found = outcome(call)
        yield number, name, found.kind, found.fault, str(call) if found.fault else "", time.perf_counter() - start
        if number % 200 == 199:
            for path in folder.iterdir():
                if path.name != "small":
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def main() -> None:
    """Run, print, and keep what was found."""
    parser = argparse.ArgumentParser(prog="python -m scripts.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=sorted(DOORS), default=list(DOORS), metavar="FUNCTION")
    parser.add_argument("--number", type=int, help="replay this input alone (with the same --seed and --only)")
    parser.add_argument("--save", action="store_true", help="keep the counts in docs/benchmarks")
    given = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    counts: dict[str, Counter[str]] = {name: Counter() for name in sorted(given.only)}
    seconds: Counter[str] = Counter()
    faults: list[dict[str, Any]] = []
    shown: set[tuple[str, str, str]] = set()
    numbers = range(given.inputs) if given.number is None else range(given.number, given.number + 1)
    for number, name, kind, fault, call, spent in run(given.seed, numbers, given.only):
        counts[name][kind] += 1
        seconds[name] += spent
        if fault is not None:
            faults.append({"number": number, "function": name, "fault": fault, "call": call})
            if (name, kind, fault[:60]) not in shown:  # the first of each kind
                shown.add((name, kind, fault[:60]))
                print(f"input {number} (--seed {given.seed} --number {number}): {call}\n    {fault}", flush=True)
    spent = time.perf_counter() - start
    total = sum(sum(one.values()) for one in counts.values())
    kinds = sum(counts.values(), Counter())
    print(f"{total:,} inputs into {len(counts)} functions in {spent:.0f} s: {len(faults)} faults; {dict(kinds)}")
    print("slowest:", ", ".join(f"{name} {time:.0f} s" for name, time in seconds.most_common(8)))
    report(given, counts, faults, spent).finish(path=None, save=given.save)
    raise SystemExit(1 if faults else 0)


def report(
    given: argparse.Namespace, counts: dict[str, Counter[str]], faults: list[dict[str, Any]], spent: float
) -> Report:
    """What was found: a row for each function, a column for each type of error."""
    total = sum(counts.values(), Counter())
    kinds = sorted(total, key=lambda kind: (kind != "a result", kind))
    made = Report(
        "fuzz",
        "Generated input for every public function",
        {"inputs": total.total(), "seed": given.seed, "seconds": round(spent), "threads": 1},
        counted=True,
        command=f"python -m scripts.fuzz --inputs {given.inputs} --seed {given.seed} --save",
    )
    made.target("calls that ended in a fault", len(faults), most=0, unit="")
    rows = [(f"`{name}`", *(one.get(kind, 0) for kind in kinds)) for name, one in counts.items()]
    made.table("Outcomes", ("function", *kinds), [("**all**", *(total[kind] for kind in kinds)), *rows], note=FAULT)
    if faults:
        made.table(
            "Faults",
            ("input", "function", "fault"),
            [(one["number"], f"`{one['function']}`", one["fault"].replace("|", "¦")[:200]) for one in faults],
            note="`--number` with the number of an input makes it again.",
        )
    made.keep("faults", faults)
    return made


if __name__ == "__main__":
    main()
