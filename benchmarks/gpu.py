"""Encoders on a CUDA card: encoding beside the memory's write rate, the first layer beside cuBLAS, training.

One run measures all: a fill and a copy of memory; encoding, with each encoder as one would write it in torch (eager,
compiled) and the library's reference; features and the first layer, a chunk at a time; a training step. Results are
checked against the float64 reference before they are timed; cases are timed in turn, by the card's own clock. Without a
card it says so and exits with status 2; ``--device cpu`` tries it out, by Triton's interpreter (TRITON_INTERPRET=1), at
toy sizes.
"""

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

import locenc
from benchmarks.card import GIGA, Card, tf32
from benchmarks.cases import coordinates
from benchmarks.correct import check
from benchmarks.naive import FORMS, Naive
from benchmarks.report import Report
from benchmarks.timing import Call, Timings, interleave
from locenc.kernels.choice import missing
from locenc.position import Layer

FILL, COPY, OURS, REFERENCE, EAGER, COMPILED = "fill", "copy", "ours", "reference", "eager", "compiled"
CUBLAS, APART = "cuBLAS on ready features", "ours, then cuBLAS"
PARTS = ("memory", "encode", "layer", "training")
#: Encoders without a naive form here: id and options.
OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "harmonics 10": ("spherical-harmonics", {"num_degrees": 10}),
    "harmonics 40": ("spherical-harmonics", {"num_degrees": 40}),
    "rbf 200": ("rbf", {}),
    "voronoi": ("spherical-voronoi", {}),
}
#: How products are made, with the dtype of weights, the share of cuBLAS to reach in %, and the error allowed.
PRECISIONS = {
    "float32": (torch.float32, 85, 1e-5),
    "tf32": (torch.float32, 70, 2e-3),
    "bfloat16": (torch.bfloat16, 60, 2e-2),
}
#: Errors allowed of float32 features, those of narrower dtypes, and naive ones.
RIGHT, ROUGH = {torch.float32: 3e-7, torch.bfloat16: 2**-8}, 0.1
CHECKED = 500
#: MB that features may take besides the result, however many points there are.
EXTRA = 300
FEWER = "Fewer than 10,000,000 points are as many as the memory holds."


class Effort(NamedTuple):
    """How much is measured. All ``widths`` are for the first of ``layers``, the first of them for the others."""

    counts: tuple[int, ...]
    seconds: float
    rounds: int | None
    compiled: bool
    forms: tuple[str, ...]
    others: tuple[str, ...]
    layers: tuple[str, ...]
    widths: tuple[int, ...]
    precisions: tuple[str, ...]
    training: tuple[int, ...]
    network: dict[str, Any]
    dim: int


FULL = Effort(
    counts=(10**4, 10**6, 10**7),
    seconds=0.3,
    rounds=None,
    compiled=True,
    forms=("sphereC", "sphereC+", "sphereM", "sphereM+", "dfs", "grid", "theory", "nerf", "rff", "geoclip"),
    others=tuple(OTHERS),
    layers=("sphereM+", "sphereC", "theory"),
    widths=(512, 256, 1024),
    precisions=tuple(PRECISIONS),
    training=(10**4, 10**6),
    network={"name": "ffn", "dropout": 0.0, "hidden_dim": 512},
    dim=256,
)
QUICK = FULL._replace(
    counts=(10**4, 10**6), seconds=0.05, forms=("sphereC", "theory"), others=(), layers=("sphereC",), widths=(512,)
)
TOY = QUICK._replace(counts=(40,), rounds=1, compiled=False, forms=("sphereC",), others=("rbf 200",), training=(40,))
TOY = TOY._replace(widths=(32,), precisions=("float32",), network={**FULL.network, "hidden_dim": 32}, dim=16)


Rows = list[tuple[object, ...]]


class Bench:
    """What all parts share.

    Parameters
    ----------
    report : Report
        Where numbers go.
    card : Card
        What is measured.
    effort : Effort
        How much.
    """

    def __init__(self, report: Report, card: Card, effort: Effort) -> None:
        self.report, self.card, self.effort = report, card, effort
        self.written = 0.0  # bytes a second that a kernel can write
        self.failed: list[str] = []

    def attempt(self, what: str, measure: Callable[..., Rows], *arguments: Any) -> Rows:
        """Rows of a table; none where something fails, which is noted: the others may stand."""
        try:
            return measure(self, *arguments)
        except Exception as error:
            traceback.print_exc()
            self.failed.append(what)
            self.report.keep(f"{what} failed", f"{type(error).__name__}: {error}")
            self.card.empty_cache()
            return []

    def time(self, key: str, cases: dict[str, Call]) -> Timings:
        """Time cases in turn, and keep their numbers."""
        sample = 2e-3 if self.card.cuda else 0.0
        how: dict[str, Any] = {"seconds": self.effort.seconds, "rounds": self.effort.rounds, "sample": sample}
        timings = interleave(cases, **how, measure=self.card.measure)
        self.report.keep(key, timings.data())
        return timings

    def points(self, count: int) -> Tensor:
        """Coordinates on the device."""
        return coordinates(count).to(self.card.device)

    def form(self, name: str) -> tuple[Naive, Any, Callable[[Tensor], Tensor]]:
        """A naive form, our encoder on the device, and the form in float32 as a function of coordinates."""
        form = FORMS[name]
        position = form.build(form.main)
        constants = [value.to(self.card.device) for value in form.constants(position, torch.float32)]
        return form, position.to(self.card.device), lambda lonlat: form.features(lonlat, *constants)

    def check(self, case: str, result: Tensor, expected: Tensor, tolerance: float) -> None:
        """Refuse to time what is wrong, at both ends."""
        check(case, ends(result.detach()).double().cpu(), expected.cpu(), tolerance=tolerance)


def ends(rows: Tensor) -> Tensor:
    """Those that are checked."""
    return torch.cat([rows[:CHECKED], rows[-CHECKED:]])


def write_rate(bench: Bench) -> None:
    """What the card's memory takes."""
    rows: Rows = []
    for count in bench.effort.counts:
        rows += bench.attempt(f"memory, {count}", write_one, count)
    bench.report.table(
        "Memory",
        ("MB", "fill, GB/s", "zeros, GB/s", "copy, GB/s written"),
        rows,
        note="Small ones lie in the card's cache. The better of fill and zeros at the largest size is the write rate "
        "below; a copy reads as much as it writes.",
    )


def write_one(bench: Bench, count: int) -> Rows:
    """A row of one size: fills of memory, and a copy."""
    card = bench.card
    numbers = card.most(256 * count, 8)
    out, other = (torch.zeros(numbers, device=card.device) for _ in range(2))
    cases: dict[str, Call] = {FILL: partial(out.fill_, 1.0), "zero": out.zero_, COPY: partial(out.copy_, other)}
    timings = bench.time(f"memory, {count}", cases)
    rates = {case: 4 * timings.rate(case, numbers).median for case in cases}
    bench.written = max(rates[FILL], rates["zero"])  # of the largest
    return [(4e-6 * numbers, *(rates[case] / GIGA for case in cases))]


def encode(bench: Bench) -> None:
    """Position encoders: features in memory."""
    effort = bench.effort
    rows: Rows = []
    for name in effort.forms:
        for dtype in RIGHT:
            for count in effort.counts:
                rows += bench.attempt(f"encode, {name}, {short(dtype)}, {count}", encode_one, name, dtype, count)
    heads = ("encoder", "dtype", "points", "columns", "ms", "GB/s", "% of the write rate")
    bench.report.table(
        "Encoding",
        (*heads, "× eager", "× compiled", "× reference"),
        rows,
        note="Ours writes to memory in use (out=). Eager and compiled: the naive form in float32; reference: plain "
        f"torch, right to the last digit. The ratio says how many times as fast ours is. {FEWER}",
    )
    rows = []
    for name in effort.others:
        for count in effort.counts:
            rows += bench.attempt(f"encode, {name}, {count}", encode_other, name, count)
    bench.report.table("Encoding, other encoders", (heads[0], *heads[2:], "× reference"), rows, note=FEWER)


def encode_one(bench: Bench, name: str, dtype: torch.dtype, count: int) -> Rows:
    """A row of a sinusoidal encoder."""
    card, largest = bench.card, count == max(bench.effort.counts)
    _, position, naive = bench.form(name)
    columns = int(position.out_dim)
    count = card.most(count, 1.1 * columns * dtype.itemsize)
    lonlat = bench.points(count)
    expected = position(ends(lonlat), dtype=torch.float64, backend="reference")
    out = torch.full((count, columns), torch.nan, dtype=dtype, device=card.device)
    cases: dict[str, Call] = {OURS: partial(position, lonlat, dtype=dtype, out=out)}
    bench.check(f"{name}, {dtype}", position(lonlat, dtype=dtype, out=out), expected, RIGHT[dtype])
    single = lonlat.float()
    if count <= 10**6 and dtype == torch.float32:
        check(f"{name}, {EAGER}", naive(ends(single)).cpu(), expected.cpu(), tolerance=ROUGH)
        if 12 * out.nbytes < card.free():
            cases[EAGER] = partial(naive, single)
        if 20 * out.nbytes < card.free():
            cases[REFERENCE] = partial(position, lonlat, backend="reference")
        if bench.effort.compiled and count == 10**6 and name in ("sphereC", "sphereM+", "theory"):
            torch._dynamo.reset()
            cases[COMPILED] = partial(torch.compile(naive, dynamic=False), single)
    timings = bench.time(f"encode, {name}, {short(dtype)}, {count}", cases)
    rate = timings.rate(OURS, out.nbytes).median
    share = 100 * rate / bench.written if bench.written else None
    if largest and share is not None:
        least = 85 if dtype == torch.float32 else 65
        bench.report.target(f"{name}, {short(dtype)}: share of the write rate", share, least=least, unit="%")
    if EAGER in cases and count == 10**6:
        bench.report.target(f"{name}: against {EAGER}", times(timings, EAGER) or 0, least=5)
    others = [times(timings, other) for other in (EAGER, COMPILED, REFERENCE)]
    return [(name, short(dtype), count, columns, timings.time(OURS).text(1e-3), rate / GIGA, share, *others)]


def encode_other(bench: Bench, name: str, count: int) -> Rows:
    """A row of another encoder, beside its reference."""
    card = bench.card
    encoder, options = OTHERS[name]
    position: Any = locenc.position_encoder(encoder, **options).to(card.device).requires_grad_(False)
    columns = int(position.out_dim)
    count = card.most(count, 40 * columns)
    lonlat = bench.points(count)
    expected = position(ends(lonlat), dtype=torch.float64, backend="reference")
    features = position(lonlat)
    bench.check(name, features, expected, 1e-5 * float(expected.abs().max()))
    cases: dict[str, Call] = {OURS: partial(position, lonlat)}
    if count <= 10**5:  # harmonics of degree 40 take 1,600 columns by float64 tables
        cases[REFERENCE] = partial(position, lonlat, backend="reference")
    timings = bench.time(f"encode, {name}, {count}", cases)
    rate = timings.rate(OURS, features.nbytes).median
    share = 100 * rate / bench.written if bench.written else None
    return [(name, count, columns, timings.time(OURS).text(1e-3), rate / GIGA, share, times(timings, REFERENCE))]


def layer(bench: Bench) -> None:
    """Features and the first layer, a chunk at a time, beside cuBLAS on ready features."""
    rows: Rows = []
    for name in bench.effort.layers:
        widths = sorted(bench.effort.widths) if name == bench.effort.layers[0] else bench.effort.widths[:1]
        for precision in bench.effort.precisions:
            for width in widths:
                for count in bench.effort.counts:
                    what = f"layer, {name}, {precision}, H = {width}, {count}"
                    rows += bench.attempt(what, layer_one, name, precision, width, count)
    heads = ("encoder", "numbers", "points", "columns", "H", "ms", f"{CUBLAS}, ms", "% of its speed")
    bench.report.table(
        "Features and first layer",
        (*heads, "× apart", f"× {EAGER}", "MB besides the result", "features, MB"),
        rows,
        note=f"Apart: {APART}, features in memory between them; eager: the naive form, then cuBLAS. No gradients. "
        f"{FEWER}",
    )


def layer_one(bench: Bench, name: str, precision: str, width: int, count: int) -> Rows:
    """A row of an encoder with a layer."""
    card, (dtype, least, tolerance) = bench.card, PRECISIONS[precision]
    _, position, naive = bench.form(name)
    columns = int(position.out_dim)
    count = card.most(count, (columns + 2.2 * width) * dtype.itemsize)
    lonlat = bench.points(count)
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(width, columns, generator=generator).to(card.device, dtype) / columns**0.5
    bias = torch.randn(width, generator=generator).to(card.device, dtype)
    exact = position(ends(lonlat), dtype=torch.float64, backend="reference")
    expected = linear(exact, weight.double(), bias.double())
    with tf32(precision == "tf32"), torch.no_grad():
        fused: Call = partial(position.linear, lonlat, Layer(weight, bias))
        result: Any = fused()
        bench.check(f"{name}, {precision}, H = {width}", result, expected, tolerance * float(expected.abs().max()))
        del result
        features = position(lonlat, dtype=dtype)
        cases: dict[str, Call] = {OURS: fused, CUBLAS: partial(linear, features, weight, bias)}
        if count <= 10**6:
            single = lonlat.float()
            cases[APART] = lambda: linear(position(lonlat, dtype=dtype), weight, bias)
            if 12 * count * columns * 4 < card.free():
                cases[EAGER] = lambda: linear(naive(single).to(dtype), weight, bias)
        timings = bench.time(f"layer, {name}, {precision}, H = {width}, {count}", cases)
        peak = card.peak(fused)
    share = 100 * timings.times_faster(OURS, than=CUBLAS).median
    extra = None if peak is None else (peak - count * width * dtype.itemsize) / 1e6
    if count >= 10**6:
        what = f"{name} and a layer of {width}, {precision}, {count:,} points"
        bench.report.target(f"{what}: share of cuBLAS on ready features", share, least=least, unit="%")
        if extra is not None:
            bench.report.target(f"{what}: memory besides the result", extra, most=EXTRA, unit="MB")
    spans = [timings.time(case).text(1e-3) for case in (OURS, CUBLAS)]
    ratios = (share, times(timings, APART), times(timings, EAGER))
    return [(name, precision, count, columns, width, *spans, *ratios, extra, features.nbytes / 1e6)]


def training(bench: Bench) -> None:
    """A step of a whole encoder: forward, and backward to weights and coordinates."""
    rows: Rows = []
    for precision in bench.effort.precisions:
        for count in bench.effort.training:
            name = bench.effort.layers[0]
            rows += bench.attempt(f"training, {name}, {precision}, {count}", training_one, name, precision, count)
    bench.report.table(
        "Training: forward and backward of a whole encoder",
        ("encoder", "numbers", "points", "gradients by", "way", "ms", "× ours", "peak, MB"),
        rows,
        note="FFN with a hidden layer of 512, 256 outputs, no dropout. Apart: our features in memory, then the "
        f"network; {EAGER}: the naive form, then the network; {COMPILED}: both, compiled. bfloat16 is autocast. "
        "10⁷ points are left out: what the network itself keeps of them does not fit.",
    )


def training_one(bench: Bench, name: str, precision: str, count: int) -> Rows:
    """Rows of one size."""
    card, (dtype, _, tolerance) = bench.card, PRECISIONS[precision]
    form, _, naive = bench.form(name)
    torch.manual_seed(0)
    options: dict[str, Any] = form.sized(form.main)
    effort = bench.effort
    encoder: Any = locenc.create(form.encoder, network=effort.network, dim=effort.dim, **options).to(card.device)
    lonlat = bench.points(card.most(count, 4 * 6 * (512 + int(encoder.position.out_dim))))
    single = lonlat.float()

    def compiled(points: Tensor) -> Tensor:
        result: Tensor = encoder.network(naive(points))
        return result

    ways: dict[str, tuple[Callable[[Tensor], Tensor], Tensor]] = {
        OURS: (encoder, lonlat),
        "apart": (lambda points: encoder.network(encoder.position(points)), lonlat),
        EAGER: (compiled, single),
    }
    if effort.compiled and precision == "float32" and count == max(effort.training):
        torch._dynamo.reset()
        ways[COMPILED] = (torch.compile(compiled, dynamic=False), single)
    weights = [value for value in encoder.parameters() if value.requires_grad]

    def step(way: Callable[[Tensor], Tensor], points: Tensor, by_points: bool) -> tuple[Tensor, ...]:
        leaf = points.detach().requires_grad_(by_points)
        with torch.autocast(card.device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
            loss = way(leaf).float().square().mean()
        return torch.autograd.grad(loss, [*weights, leaf] if by_points else weights)

    rows: Rows = []
    with tf32(precision == "tf32"):
        some = lonlat[:CHECKED]
        found = step(encoder, some, True)
        with locenc.backend("reference"), tf32(False):
            expected = double(encoder, some)
        for slope, wanted in zip(found, expected, strict=True):
            most = 20 * tolerance * float(wanted.abs().max())
            check(f"{name}, {precision}, gradient", slope.double().cpu(), wanted.cpu(), tolerance=most)
        del found, expected
        for by_points in (False, True):
            cases: dict[str, Call] = {way: partial(step, *both, by_points) for way, both in ways.items()}
            what = "weights, coordinates" if by_points else "weights"
            timings = bench.time(f"training, {name}, {precision}, {len(lonlat)}, {what}", cases)
            for way, call in cases.items():
                peak = card.peak(call)
                span, ratio = timings.time(way).text(1e-3), timings.times_faster(OURS, than=way).median
                own = (way, span, ratio, None if peak is None else peak / 1e6)
                rows.append((name, precision, len(lonlat), what, *own))
    return rows


def double(encoder: Any, lonlat: Tensor) -> tuple[Tensor, ...]:
    """Gradients of a step in float64."""
    encoder = encoder.double()
    weights = [value for value in encoder.parameters() if value.requires_grad]
    leaf = lonlat.detach().requires_grad_()
    found = torch.autograd.grad(encoder(leaf).square().mean(), [*weights, leaf])
    encoder.float()
    return found


def short(dtype: torch.dtype) -> str:
    """A dtype's name."""
    return str(dtype).removeprefix("torch.")


def times(timings: Timings, other: str) -> float | None:
    """How many times as fast ours is, where the other was timed."""
    return timings.times_faster(OURS, than=other).median if other in timings.seconds else None


def main(arguments: Sequence[str] | None = None) -> Report | None:
    """Run the command; see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1 and so on (default: cuda)")
    parser.add_argument("--quick", action="store_true", help="few encoders, sizes and rounds: does it run?")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write every number to this file")
    parser.add_argument("--save", action="store_true", help="keep tables and numbers in docs/benchmarks")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="these alone")
    given = parser.parse_args(arguments)
    card = Card(torch.device(given.device))
    if reason := missing("triton"):
        print(f"nothing was measured: {reason}")
        return None
    if card.cuda and card.device.index is not None:
        torch.cuda.set_device(card.device)
    effort = (QUICK if given.quick else FULL) if card.cuda else TOY
    settings = {**card.describe(), "quick": given.quick or not card.cuda}
    report = Report("gpu", f"Encoders on {settings.get('card', 'the CPU, by an interpreter')}", settings)
    bench, begin = Bench(report, card, effort), time.perf_counter()
    parts: dict[str, Callable[[Bench], None]] = dict(zip(PARTS, (write_rate, encode, layer, training), strict=True))
    for name in given.only:
        with locenc.backend("triton"):
            parts[name](bench)
        card.empty_cache()
        print(f"{name}: done after {time.perf_counter() - begin:.0f} s", file=sys.stderr, flush=True)
    report.settings["seconds"] = time.perf_counter() - begin
    report.settings["failed"] = "; ".join(bench.failed) or "nothing"
    report.finish(path=given.json, save=given.save, stem=f"gpu_{card.name}")
    return report


def status(report: Report | None) -> int:
    """Exit status: 2 where nothing was measured, 1 where a part failed."""
    return 2 if report is None else int(report.settings["failed"] != "nothing")


if __name__ == "__main__":
    sys.exit(status(main()))
