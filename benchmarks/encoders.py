"""Position encoders beside their peers: speed, error and memory of every sinusoidal encoder.

Peers are TorchSpatial and GeoCLIP, where they are installed, and each encoder as one would write it in torch, eager and
compiled, in float32 and in float64. "Warm": the result goes to memory in use (``out=``; for code without it, memory
that the C library kept). "Fresh": to new memory.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from benchmarks import allocation, errors, memory, threads
from benchmarks.cases import (
    COMPILED32,
    COMPILED64,
    EAGER32,
    EAGER64,
    FILL,
    GEOCLIP,
    OURS,
    TORCHSPATIAL,
    Cases,
    coordinates,
)
from benchmarks.command import options
from benchmarks.naive import FORMS, Naive
from benchmarks.report import Report
from benchmarks.timing import Timings, interleave

GIGA = 1e9
NAIVE = (EAGER32, EAGER64, COMPILED32, COMPILED64)
HEADS = tuple(f"× {other}" for other in NAIVE)
NUMBERS = (1, 32, 1_000, 65_536, 1_000_000)
#: Encoders whose memory at 10^7 points is measured: size of each.
LARGE = {"sphereC": 64, "grid": 16}


class Effort(NamedTuple):
    """How much is measured."""

    points: int
    fresh_bytes: int
    seconds: float
    compiled: bool
    most_points: int
    most_numbers: int
    error_points: int


FULL = Effort(65_536, 10**8, 1.0, True, 1_000_000, 2**29, 2_000)
QUICK = Effort(100, 10**5, 0.0, False, 1_000, 2**18, 5)


def main(arguments: Sequence[str] | None = None) -> Report:
    """Run the command; see ``--help``."""
    given = options("encoders", __doc__, arguments, parts=list(FORMS))
    effort = QUICK if given.quick else FULL
    report = Report("encoders", "Position encoders on the CPU", {"threads": given.threads, "quick": given.quick})
    forms = [FORMS[name] for name in given.only]
    fresh(report, forms, effort)  # before the process keeps what it frees
    warm(report, forms, effort)
    backward(report, forms, effort)
    sizes(report, forms, effort)
    numbers(report, forms, effort)
    cases = (threads.Case(f.name, (f.name, f.main), f.build(f.main), coordinates(points(f, effort))) for f in forms)
    threads.table(report, cases, ("encoder", "S"), seconds=effort.seconds / 2, usual=given.threads)
    errors.table(report, effort.error_points)
    if not given.quick:
        large(report, [name for name in LARGE if name in given.only])
    report.finish(path=given.json, save=given.save)
    return report


def warm(report: Report, forms: Sequence[Naive], effort: Effort) -> None:
    """Everything against everything, with memory reused."""
    rows = []
    for form in forms:
        cases = Cases(form, form.main, points(form, effort), compiled=effort.compiled)
        with allocation.kept():
            timings = interleave(cases.forward(warm=True, peers=True), seconds=effort.seconds)
        report.keep(f"{form.name}, warm", timings.data())
        share = 100 * timings.times_faster(OURS, than=FILL).median
        peer = GEOCLIP if form.name == "geoclip" else TORCHSPATIAL
        others = [faster(timings, other) for other in (peer, *NAIVE)]
        rate = timings.rate(OURS, cases.numbers).text(GIGA)
        rows.append((form.name, form.main, cases.columns, len(cases.lonlat), rate, share, *others))
        twice = form.blocks >= 2 * form.waves
        report.target(f"{form.name}: share of a memory fill, warm", share, least=60 if twice else 45, unit="%")
        numpy = form.name not in ("rff", "geoclip")  # whose peers compute in torch
        for other, least in (*(((peer, 60),) if numpy else ()), (COMPILED64, 15), (COMPILED32, 1.5)):
            aim(report, f"{form.name}: against {other}, warm", faster(timings, other), least)
    report.table(
        "Encoding, warm",
        ("encoder", "S", "columns", "points", "G features/s", "% of a fill", "× TorchSpatial or GeoCLIP", *HEADS),
        rows,
        note="Rates: median (quartiles) over rounds; ratios: median over rounds of how many times as fast ours is. "
        "TorchSpatial computes in NumPy (but rff in torch), GeoCLIP in torch, float32. Float64 is rounded to float32 "
        "at the end, to be as right as ours; naive float32 is off by 1e-4 to 1e-2 here.",
    )


def fresh(report: Report, forms: Sequence[Naive], effort: Effort) -> None:
    """Against the naive forms, with new memory for each call."""
    rows = []
    for form in forms:
        columns = int(form.build(form.main).out_dim)  # type: ignore[arg-type]
        count = max(points(form, effort), -(-effort.fresh_bytes // (4 * columns)))
        cases = Cases(form, form.main, count, compiled=effort.compiled)
        every = cases.forward(warm=False)
        del every[EAGER64]  # its memory, and its time
        touch = partial(allocation.touch, 8 * cases.numbers)
        timings = interleave(every, seconds=effort.seconds, before=touch)
        report.keep(f"{form.name}, fresh", timings.data())
        share = 100 * timings.times_faster(OURS, than=FILL).median
        others = [faster(timings, other) for other in NAIVE if other != EAGER64]
        rate = timings.rate(OURS, cases.numbers).text(GIGA)
        rows.append((form.name, form.main, count, f"{4e-6 * cases.numbers:,.0f}", rate, share, *others))
        aim(report, f"{form.name}: against {COMPILED32}, fresh", faster(timings, COMPILED32), 3)
    heads = (
        "encoder",
        "S",
        "points",
        "MB",
        "G features/s",
        "% of a fill",
        *(head for head in HEADS if EAGER64 not in head),
    )
    note = (
        "The fill is one of new memory too, from torch.empty; ours asks the system for huge pages. As much memory "
        "was in use shortly before each call."
    )
    report.table("Encoding, fresh", heads, rows, note=note)


def backward(report: Report, forms: Sequence[Naive], effort: Effort) -> None:
    """Encoding and the gradient by coordinates."""
    rows = []
    for form in forms:
        cases = Cases(form, form.main, points(form, effort), compiled=effort.compiled)
        with allocation.kept():
            timings = interleave(cases.backward(), seconds=effort.seconds)
        report.keep(f"{form.name}, forward and backward", timings.data())
        others = [faster(timings, other) for other in (EAGER32, COMPILED32)]
        rate = timings.rate(OURS, cases.numbers).text(GIGA)
        rows.append((form.name, form.main, len(cases.lonlat), rate, *others))
        for other, least in ((EAGER32, 12), (COMPILED32, 1.5)):
            aim(report, f"{form.name}: forward and backward against {other}", faster(timings, other), least)
    heads = ("encoder", "S", "points", "G features/s", f"× {EAGER32}", f"× {COMPILED32}")
    report.table("Encoding and gradient by coordinates", heads, rows, note="Memory of the features is reused.")


def sizes(report: Report, forms: Sequence[Naive], effort: Effort) -> None:
    """Ours at each number of scales."""
    every = sorted({size for form in FORMS.values() for size in form.sizes if form.size})
    rows = []
    for form in forms:
        if form.size:
            found = {size: ours(form, size, points(form, effort), effort) for size in form.sizes}
            report.keep(f"{form.name}, sizes", {size: timings.data() for size, (timings, _) in found.items()})
            rates = [
                found[size][0].rate(OURS, found[size][1]).median / GIGA if size in found else None for size in every
            ]
            rows.append((form.name, *rates))
    note = f"Ours, warm; fewer than the usual points where the result would exceed {effort.most_numbers:,} numbers."
    report.table("G features/s by number of scales", ("encoder", *(f"S = {size}" for size in every)), rows, note=note)


def numbers(report: Report, forms: Sequence[Naive], effort: Effort) -> None:
    """Ours at each number of points."""
    every = [number for number in NUMBERS if number <= effort.most_points]
    rows = []
    for form in forms:
        found = {number: ours(form, form.main, number, effort) for number in every}
        report.keep(f"{form.name}, points", {number: timings.data() for number, (timings, _) in found.items()})
        single = 1e6 * found[1][0].time(OURS).median
        rates = [timings.rate(OURS, made).median / GIGA for timings, made in found.values()]
        rows.append((form.name, form.main, single, *rates))
    heads = ("encoder", "S", "µs a call, N = 1", *(f"N = {number:,}" for number in every))
    report.table("G features/s by number of points", heads, rows, note="Ours, warm.")


def large(report: Report, names: Sequence[str]) -> None:
    """Memory that 10^7 points need besides the result."""
    rows: list[tuple[object, ...]] = []
    for name in names:
        form, count = FORMS[name], 10**7
        columns = int(form.build(LARGE[name]).out_dim)  # type: ignore[arg-type]
        needed = 4 * count * columns
        free = memory.available()
        if free is not None and needed * 1.2 > free:
            rows.append((name, LARGE[name], columns, f"{needed / 1e9:.2f}", f"only {free / 1e9:.1f} GB are free", None))
            continue
        setup = (
            "import torch, benchmarks.cases, benchmarks.naive; torch.set_num_threads(1)\n"
            f"encoder = benchmarks.naive.FORMS[{name!r}].build({LARGE[name]})\n"
            f"lonlat = benchmarks.cases.coordinates({count}); encoder(lonlat[:9])"
        )
        grown, seconds = memory.peak("features = encoder(lonlat)", setup=setup)
        extra = (grown - needed) / 1e6
        rows.append((name, LARGE[name], columns, f"{needed / 1e9:.2f}", f"{extra:.1f}", seconds))
        report.target(f"{name}: memory of 10^7 points besides the result", extra, most=8, unit="MB")
    heads = ("encoder", "S", "columns", "result, GB", "peak besides it, MB", "seconds, fresh")
    report.table("Memory at 10⁷ points", heads, rows, note="Growth of the resident memory, in a process of its own.")


def ours(form: Naive, size: int, count: int, effort: Effort) -> tuple[Timings, int]:
    """Time ours alone, warm, after a check; and how many numbers a call makes."""
    columns = int(form.build(size).out_dim)  # type: ignore[arg-type]
    cases = Cases(form, size, min(count, effort.most_numbers // columns), compiled=False)
    every = cases.forward(warm=True, naive=False)
    return interleave({OURS: every[OURS]}, seconds=effort.seconds / 5), cases.numbers


def points(form: Naive, effort: Effort) -> int:
    """How many points: more for encoders of few columns, whose results would lie in the caches."""
    return effort.points if form.size else 16 * effort.points


def faster(timings: Timings, other: str) -> float | None:
    """How many times as fast ours is, where the other was timed."""
    return timings.times_faster(OURS, than=other).median if other in timings.seconds else None


def aim(report: Report, what: str, measured: float | None, least: float) -> None:
    """Add a number to reach, where it was measured."""
    if measured is not None:
        report.target(what, measured, least=least)


if __name__ == "__main__":
    main()
