"""Whole encoders beside their own networks on ready features; training by tiles beside training in one piece; memory.

In an ordinary process a plain network pays for the pages of every large tensor between its layers, which tiles do not
have; "memory kept" times both where the C library keeps freed memory, so that only arithmetic and caches count.
"""

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

import locenc
from benchmarks import allocation, memory
from benchmarks.cases import coordinates
from benchmarks.command import options
from benchmarks.correct import check
from benchmarks.report import Report
from benchmarks.timing import Call, Timings, interleave

NETWORK, OURS, OUT = "network on ready features", "ours", "ours, out="
WHOLE, TILES = "in one piece", "by tiles"
POINTS, CHECKED = 65_536, 500
MB = 1e6
#: Bytes for each point that are in use shortly before a call, so that the machine has them at hand.
WIDEST = 6 * 1024
PARTS = ("inference", "training", "memory")
#: Of the time of the network alone; bytes of extra memory; of the time in one piece.
MOST, MOST_EXTRA, MOST_TRAINING = 0.85, 8 * MB, 1.0


class Case(NamedTuple):
    """An encoder: id, network and options; a share of the points where the network is slow."""

    name: str
    network: str
    options: dict[str, int]
    share: int = 1

    def build(self) -> locenc.LocationEncoder:
        """The encoder, in evaluation mode."""
        torch.manual_seed(0)
        return locenc.create(self.name, network=self.network, **self.options).eval()

    def text(self) -> str:
        """For a table."""
        return ", ".join([self.name, *(f"{key}={value}" for key, value in self.options.items())])


MAIN = [
    Case(name, "ffn", {"num_scales": num_scales})
    for name in ("sphere2vec-sphereC+", "sphere2vec-sphereM+", "space2vec-grid")
    for num_scales in (64, 32, 16)
]
OTHERS = [
    *(Case("sphere2vec-sphereM+", network, {"num_scales": 32}) for network in ("residual", "residual-mlp", "siren")),
    Case("sphere2vec-sphereM+", "linear", {"num_scales": 32}),
    Case("spherical-harmonics", "siren", {"num_degrees": 20}),
    Case("wrap", "residual", {}),
    Case("geoclip", "geoclip", {}, share=8),
]
TRAINED = [Case("sphere2vec-sphereM+", "ffn", {"num_scales": num_scales}) for num_scales in (64, 32)]


def main(arguments: Sequence[str] | None = None) -> Report:
    """Run the command; see ``--help``."""
    given = options("encoder_forward", __doc__, arguments, parts=PARTS)
    settings = {"threads": given.threads, "quick": given.quick}
    report = Report("encoder_forward", "Whole encoders on the CPU", settings)
    points = 2_048 if given.quick else POINTS
    seconds = 0.0 if given.quick else 2.0
    if "inference" in given.only:
        inference(report, [MAIN[0], OTHERS[-1]] if given.quick else MAIN + OTHERS, points, seconds)
    if "training" in given.only:
        training(report, TRAINED[:1] if given.quick else TRAINED, points, 2 * seconds, given.threads)
    if "memory" in given.only:
        memories(report, points, 50_000 if given.quick else 10_000_000, given.threads)
    report.finish(path=given.json, save=given.save)
    return report


def inference(report: Report, cases: Sequence[Case], points: int, seconds: float) -> None:
    """The encoder from coordinates, its network from features that are ready."""
    rows = []
    for case in cases:
        encoder, lonlat = case.build(), coordinates(points // case.share)
        out = torch.zeros(len(lonlat), encoder.dim)
        with torch.inference_mode():
            features = encoder.position(lonlat)
            right(case, encoder, lonlat)
            calls: dict[str, Call] = {
                NETWORK: partial(encoder.network, features),
                OURS: partial(encoder, lonlat),
                OUT: partial(encoder, lonlat, out=out),
            }
            timings, kept = ordinary_and_kept(calls, seconds, len(lonlat))
        report.keep(f"inference, {case.text()}, {case.network}", timings.data())
        if kept is not None:
            report.keep(f"inference, {case.text()}, {case.network}, memory kept", kept.data())
        times = [timings.time(call).text(1e-3) for call in calls]
        ours, into = share(timings, OURS), share(timings, OUT)
        shares = (ours, into, None if kept is None else share(kept, OUT))
        rows.append((case.text(), case.network, len(lonlat), features.shape[1], *times, *shares))
        report.target(f"{case.text()}, {case.network}: share of the time of its network", ours, most=MOST, unit="")
    heads = ("encoder", "network", "points", "features", *(f"{call}, ms" for call in (NETWORK, OURS, OUT)))
    report.table(
        "Inference",
        (*heads, "share", "share, out=", "share, out=, memory kept"),
        rows,
        note="Median (quartiles); shares of the time of the network alone on features that are ready.",
    )


def ordinary_and_kept(calls: Mapping[str, Call], seconds: float, points: int) -> tuple[Timings, Timings | None]:
    """Times where large tensors come from the system and go back, and, if it can be had, where memory is kept."""
    timings = interleave(calls, seconds=seconds, before=partial(allocation.touch, WIDEST * points))
    with allocation.kept() as keeps:
        return timings, interleave(calls, seconds=seconds) if keeps else None


def share(timings: Timings, case: str) -> float:
    """Time of a case as a share of the network's, round by round."""
    return timings.times_faster(NETWORK, than=case).median


def right(case: Case, encoder: locenc.LocationEncoder, lonlat: Tensor) -> None:
    """Both ends agree with float64, and rows do not depend on the tile that they are in."""
    exact = copy.deepcopy(encoder).double()
    rows = torch.cat([lonlat[:CHECKED], lonlat[-CHECKED:]])
    expected = exact.network(exact.position(rows, dtype=torch.float64))
    found = encoder(lonlat)
    check(case.text(), torch.cat([found[:CHECKED], found[-CHECKED:]]), expected, tolerance=1e-4)


def training(report: Report, cases: Sequence[Case], points: int, seconds: float, threads: int) -> None:
    """Forward and backward, with dropout; the encoder keeps coordinates, the modules one after the other features."""
    rows = []
    lonlat = coordinates(points)
    for case in cases:
        encoder = case.build()
        same_gradients(case, encoder, lonlat[:2_000])
        encoder.train()
        for of_lonlat in (False, True):
            calls = {
                WHOLE: partial(whole, encoder, lonlat, of_lonlat),
                TILES: partial(tiles, encoder, lonlat, of_lonlat),
            }
            timings, kept = ordinary_and_kept(calls, seconds, points)
            peaks = [training_memory(case, call, points, of_lonlat, threads) for call in ("whole", "tiles")]
            wanted = "weights and coordinates" if of_lonlat else "weights"
            report.keep(f"training, {case.text()}, {wanted}", {**timings.data(), "peak bytes": peaks})
            if kept is not None:
                report.keep(f"training, {case.text()}, {wanted}, memory kept", kept.data())
            ratio = timings.times_faster(WHOLE, than=TILES).median
            times = [timings.time(call).text(1e-3) for call in calls]
            ratios = ratio, None if kept is None else kept.times_faster(WHOLE, than=TILES).median
            rows.append((case.text(), points, wanted, *times, *ratios, *(peak / MB for peak in peaks)))
            report.target(
                f"training {case.text()}, gradients of {wanted}: share of the time in one piece",
                ratio,
                most=MOST_TRAINING,
                unit="",
            )
    heads = ("encoder", "points", "gradients of", f"{WHOLE}, ms", f"{TILES}, ms", "share", "share, memory kept")
    report.table(
        "Training, FFN of 512 hidden units",
        (*heads, f"{WHOLE}, MB", f"{TILES}, MB"),
        rows,
        note="Forward and backward; peak memory in processes of their own.",
    )


def whole(encoder: locenc.LocationEncoder, lonlat: Tensor, of_lonlat: bool) -> list[Tensor]:
    """Gradients, the modules called one after the other."""
    points = lonlat.clone().requires_grad_(of_lonlat)
    return gradients(encoder, points, encoder.network(encoder.position(points, dtype=encoder.feature_dtype)))


def tiles(encoder: locenc.LocationEncoder, lonlat: Tensor, of_lonlat: bool) -> list[Tensor]:
    """Gradients, the encoder called."""
    points = lonlat.clone().requires_grad_(of_lonlat)
    return gradients(encoder, points, encoder(points))


def gradients(encoder: locenc.LocationEncoder, points: Tensor, embedding: Tensor) -> list[Tensor]:
    """Of a sum."""
    wanted = [*encoder.parameters(), *([points] if points.requires_grad else [])]
    return list(torch.autograd.grad(embedding.sum(), wanted))


def same_gradients(case: Case, encoder: locenc.LocationEncoder, lonlat: Tensor) -> None:
    """Both ways give the same gradients; each is compared with its largest number."""
    for found, expected in zip(tiles(encoder, lonlat, True), whole(encoder, lonlat, True), strict=True):
        scale = expected.abs().max()
        check(f"gradients of {case.text()}", found / scale, expected / scale, tolerance=1e-4)


def training_memory(case: Case, call: str, points: int, of_lonlat: bool, threads: int) -> int:
    """Growth of the memory in one step."""
    setup = f"""
import torch
from benchmarks import encoder_forward
from benchmarks.cases import coordinates
torch.set_num_threads({threads})
encoder = encoder_forward.Case({case.name!r}, {case.network!r}, {case.options!r}).build().train()
lonlat = coordinates({points})
encoder_forward.{call}(encoder, lonlat[:8], {of_lonlat})
"""
    return memory.peak(f"encoder_forward.{call}(encoder, lonlat, {of_lonlat})", setup=setup)[0]


def memories(report: Report, points: int, many: int, threads: int) -> None:
    """What inference takes besides the result, and what `locenc.embed` does."""
    setup = """
import numpy as np, torch, locenc
from benchmarks.cases import coordinates
torch.set_num_threads({threads})
torch.set_grad_enabled(False)
encoder = locenc.{build}
lonlat = coordinates({points})
out = torch.zeros(*{shape})
encoder(lonlat[:8])
locenc.embed(lonlat[:8], encoder)
"""
    position = "position_encoder('sphere2vec-sphereC', num_scales=64)"
    network = "create('sphere2vec-sphereM+', num_scales=64).eval()"
    free = memory.available()
    if free is not None:
        many = min(many, free // (192 * 4 * 3 // 2))
    rows = []
    for build, code, number, columns, given in (
        (network, "encoder(lonlat, out=out)", points, 256, True),
        (network, "embedding = locenc.embed(lonlat, encoder)", points, 256, False),
        (position, "features = locenc.embed(lonlat, encoder)", many, 192, False),
    ):
        shape = (number, columns) if given else (0, 0)
        made = setup.format(threads=threads, build=build, points=number, shape=shape)
        grown, seconds = memory.peak(code, setup=made)
        result = number * columns * 4
        extra = grown - (0 if given else result)
        rows.append((f"`{code.rpartition(' = ')[2]}`", f"`{build}`", number, result / MB, extra / MB, seconds))
        what = f"extra memory of {code.rpartition(' = ')[2]}, {number:,} points"
        if number == points:
            report.target(what, extra / MB, most=MOST_EXTRA / MB, unit="MB")
        else:
            report.target(f"{what}, share of the result", extra / result, most=0.05, unit="")
    heads = ("call", "encoder", "points", "result, MB", "extra, MB", "seconds")
    report.table(
        "Memory of inference",
        heads,
        rows,
        note="Growth of the resident memory in a process of its own, "
        "the result left out; `embed` also holds its coordinates in float64.",
    )


if __name__ == "__main__":
    main()
