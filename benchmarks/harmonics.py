"""Spherical harmonics beside their peers: SatCLIP's code, as packaged in rangegeo, and sphericart.

Each peer is timed in float64 and in float32, on the coordinates that it wants, made beforehand: sphericart gets points
of the unit sphere, and gives gradients by them. Ours makes float32 features of degrees in float64. "Warm": the result
goes to memory in use (``out=``; for code without it, memory that the C library kept). "Fresh": to new memory.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cache, partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

import locenc
from benchmarks import allocation, exact_harmonics, threads
from benchmarks.cases import FILL, OURS, coordinates
from benchmarks.command import options
from benchmarks.correct import check
from benchmarks.peer_harmonics import PeerHarmonics, peers
from benchmarks.report import Report
from benchmarks.timing import Call, Timings, interleave

GIGA = 1e9
SATCLIP, SPHERICART = ("SatCLIP float64", "SatCLIP float32"), ("sphericart float64", "sphericart float32")
PEERS = (*SATCLIP, *SPHERICART)
#: To reach: times the faster of SatCLIP's, and times sphericart in float64.
TARGETS = {10: (12, 0.9), 20: (40, 1.1), 40: (80, 1.6)}
#: Up to this number of degrees SatCLIP's polynomials, in float64, lose few digits: beyond, its error is only shown.
SATCLIP_RIGHT = 20
CHECKED = 20  # points
EDGES = [(0.0, 90.0), (33.0, -90.0), (-120.0, 89.9999), (180.0, 12.5), (-180.0, -45.0), (0.0, 0.0), (90.0, 45.0)]


class Effort(NamedTuple):
    """How much is measured."""

    degrees: tuple[int, ...]
    points: int
    points_backward: int
    seconds: float
    rounds: int
    sizes: tuple[int, ...]
    most_numbers: int
    exact: tuple[int, ...]


FULL = Effort((10, 20, 40), 65_536, 4_096, 1.0, 3, (1, 5, 10, 20, 40, 100, 200, 1000), 2**27, (10, 20, 40, 200))
QUICK = Effort((10, 20), 50, 50, 0.0, 1, (1, 10), 2**14, (10, 20))


def main(arguments: Sequence[str] | None = None) -> Report:
    """Run the command; see ``--help``."""
    given = options("harmonics", __doc__, arguments)
    effort = QUICK if given.quick else FULL
    report = Report("harmonics", "Spherical harmonics on the CPU", {"threads": given.threads, "quick": given.quick})
    for warm in (True, False):
        forward(report, effort, warm=warm)
    backward(report, effort)
    sizes(report, effort)
    cases = (threads.Case(f"L = {n}", (n,), build(n), coordinates(effort.points)) for n in effort.degrees)
    threads.table(report, cases, ("L",), seconds=effort.seconds / 2, usual=given.threads)
    errors(report, effort)
    report.finish(path=given.json, save=given.save)
    return report


def build(num_degrees: int, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Our encoder."""
    return locenc.position_encoder("spherical-harmonics", num_degrees=num_degrees, dtype=dtype)


def forward(report: Report, effort: Effort, *, warm: bool) -> None:
    """Everything against everything."""
    rows = []
    title, timed = ("warm", PEERS) if warm else ("fresh", SPHERICART)
    for num_degrees in effort.degrees:
        lonlat = coordinates(effort.points)
        encoder, numbers = build(num_degrees), len(lonlat) * num_degrees**2
        out = encoder(lonlat)
        expected = first_values(num_degrees, len(lonlat))
        check(f"L = {num_degrees}, {OURS}", out[:CHECKED], expected, tolerance=1e-6)
        ours: dict[str, Call] = {OURS: partial(encoder, lonlat, out=out) if warm else partial(encoder, lonlat)}
        if warm:
            ours[FILL] = partial(out.fill_, 1.0)
        quick, slow = dict(ours), dict(ours)
        for other in peers(num_degrees):
            if other.name in timed:
                check_peer(other, num_degrees, lonlat)
                (slow if other.name in SATCLIP else quick)[other.name] = partial(other.encode, other.prepare(lonlat))
        with allocation.kept() if warm else nullcontext():
            timings = interleave(quick, seconds=effort.seconds)
            slower = interleave(slow, rounds=effort.rounds) if warm else timings
        report.keep(f"L = {num_degrees}, {title}", [timings.data(), slower.data()])
        faster = {name: ratio(slower if name in SATCLIP else timings, name) for name in timed}
        share = [100 * timings.times_faster(OURS, than=FILL).median] if warm else []
        rate = timings.rate(OURS, numbers).text(GIGA)
        rows.append((num_degrees, num_degrees**2, len(lonlat), rate, *share, *faster.values()))
        if warm and num_degrees in TARGETS:
            aim(report, num_degrees, faster)
    heads = ("L", "columns", "points", "G features/s", *(["% of a fill"] if warm else []), *(f"× {p}" for p in timed))
    note = "Rates: median (quartiles) over rounds; ratios: median over rounds of how many times as fast ours is. "
    note += (
        "Where float32 peers are wrong, the last table tells."
        if warm
        else "SatCLIP's takes seconds a call: warm alone."
    )
    report.table(f"Encoding, {title}", heads, rows, note=note)


def aim(report: Report, num_degrees: int, faster: dict[str, float | None]) -> None:
    """Add the numbers to reach, where they were measured."""
    of_satclip, of_sphericart = TARGETS[num_degrees]
    measured = [found for name in SATCLIP if (found := faster[name]) is not None]
    if measured:
        what = f"L = {num_degrees}: against SatCLIP's code, the faster of its dtypes, warm"
        report.target(what, min(measured), least=of_satclip)
    if (found := faster[SPHERICART[0]]) is not None:
        report.target(f"L = {num_degrees}: against {SPHERICART[0]}, warm", found, least=of_sphericart)


def backward(report: Report, effort: Effort) -> None:
    """Encoding and the gradient by coordinates, or by points of the sphere."""
    rows = []
    for num_degrees in effort.degrees:
        lonlat, columns = coordinates(effort.points_backward), num_degrees**2
        gradient = torch.randn(len(lonlat), columns, generator=torch.Generator().manual_seed(1))
        ours = back(build(num_degrees), lonlat, gradient)
        few = slice(0, 8)
        expected = exact_harmonics.slopes(lonlat[few], num_degrees, gradient[few])
        check(f"L = {num_degrees}, gradient", ours()[few], expected, tolerance=1e-5 * float(expected.abs().max()))
        cases = {OURS: ours}
        for other in peers(num_degrees):
            points = other.prepare(lonlat)
            cases[other.name] = back(other.encode, points, gradient.to(points.dtype))
        with allocation.kept():
            timings = interleave(cases, rounds=effort.rounds)
        report.keep(f"L = {num_degrees}, forward and backward", timings.data())
        rate = timings.rate(OURS, gradient.numel()).text(GIGA)
        rows.append((num_degrees, len(lonlat), rate, *(ratio(timings, name) for name in PEERS)))
    note = "Memory is reused. Fewer points, since autograd keeps the steps of all of SatCLIP's polynomials."
    heads = ("L", "points", "G features/s", *(f"× {name}" for name in PEERS))
    report.table("Encoding and gradient by coordinates", heads, rows, note=note)


def back(encode: Callable[[Tensor], Tensor], points: Tensor, gradient: Tensor) -> Callable[[], Tensor]:
    """Encoding and the gradient by the points."""
    leaf = points.clone().requires_grad_()
    return lambda: torch.autograd.grad(encode(leaf), leaf, gradient)[0]


def sizes(report: Report, effort: Effort) -> None:
    """Ours at each number of degrees: many points, and one."""
    rows = []
    for num_degrees in effort.sizes:
        encoder = build(num_degrees)
        lonlat = coordinates(max(1, min(effort.points, effort.most_numbers // num_degrees**2)))
        out = encoder(lonlat)
        one = encoder(lonlat[:1])
        cases: dict[str, Call] = {
            "many": partial(encoder, lonlat, out=out),
            "one": partial(encoder, lonlat[:1], out=one),
        }
        timings = interleave(cases, seconds=effort.seconds / 2)
        report.keep(f"L = {num_degrees}, sizes", timings.data())
        rate, single = timings.rate("many", out.numel()).median / GIGA, 1e6 * timings.time("one").median
        rows.append((num_degrees, num_degrees**2, len(lonlat), rate, single))
    heads = ("L", "columns", "points", "G features/s", "µs a call, N = 1")
    report.table("By number of degrees", heads, rows, note="Ours, warm, float32 features.")


def errors(report: Report, effort: Effort) -> None:
    """How far everything is from exact values, the poles included."""
    rows = []
    lonlat = torch.cat([torch.tensor(EDGES, dtype=torch.float64), coordinates(13)])
    for num_degrees in effort.exact:
        expected = exact_harmonics.values(lonlat, num_degrees)
        degrees = torch.arange(num_degrees).repeat_interleave(2 * torch.arange(num_degrees) + 1)
        largest = ((2 * degrees + 1) / (4 * torch.pi)).sqrt().double()
        dtypes = {"ours float32": torch.float32, "ours float64": torch.float64}
        found = {name: error(build(num_degrees, dtype)(lonlat), expected, largest) for name, dtype in dtypes.items()}
        for other in peers(num_degrees):
            features = other.encode(other.prepare(lonlat)).double() / other.factors
            found[other.name] = error(features, expected, largest)
        report.keep(f"errors, L = {num_degrees}", found)
        rows.append((num_degrees, *(f"{found[name]:.2g}" if name in found else None for name in (*dtypes, *PEERS))))
        for dtype, most in (("float32", 5e-7), ("float64", 2e-12)):
            what = f"L = {num_degrees}: error of {dtype} features"
            report.target(what, found[f"ours {dtype}"], most=most, unit="")
    note = "Of a degree's largest value, at 20 places, among them the poles, against 50 digits; nan: not a number."
    report.table("Largest error", ("L", *dtypes, *PEERS), rows, note=note)


def error(features: Tensor, expected: Tensor, largest: Tensor) -> float:
    """Largest error relative to the degree's largest value."""
    return float(((features.double() - expected) / largest).abs().max())


def check_peer(other: PeerHarmonics, num_degrees: int, lonlat: Tensor) -> None:
    """Check what a peer gets right: float64, up to where it has the digits; for the rest the error is only shown."""
    if "float64" in other.name and (other.name not in SATCLIP or num_degrees <= SATCLIP_RIGHT):
        features = other.encode(other.prepare(lonlat[:CHECKED])) / other.factors
        check(f"L = {num_degrees}, {other.name}", features, first_values(num_degrees, len(lonlat)), tolerance=1e-6)


@cache
def first_values(num_degrees: int, points: int) -> Tensor:
    """What features of the first points are."""
    return exact_harmonics.values(coordinates(points)[:CHECKED], num_degrees)


def ratio(timings: Timings, other: str) -> float | None:
    """How many times as fast ours is, where the other was timed."""
    return timings.times_faster(OURS, than=other).median if other in timings.seconds else None


if __name__ == "__main__":
    main()
