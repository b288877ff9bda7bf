"""What a small call costs: position encoders and whole encoders, beside the naive form; imports and first uses."""

import copy
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

import locenc
from benchmarks import machine
from benchmarks.cases import coordinates
from benchmarks.command import options
from benchmarks.correct import check
from benchmarks.naive import FORMS
from benchmarks.report import Report
from benchmarks.timing import Call, interleave

Encode = Callable[[Tensor], Tensor]
Row = tuple[Any, ...]

MICRO = 1e-6
NAMES = ("sphereC", "sphereM+", "dfs", "grid", "theory", "nerf", "rff", "geoclip", "wrap")
WHOLE = ("sphereC+", "grid", "wrap")
NUMBERS = (1, 32)
OURS, EAGER = "ours", "eager float32"
HEADS = ("encoder", "points", "what", OURS, EAGER, "×")
#: What is timed, and the most µs that one point may take.
PLAIN, RECORDED, BACK = "call", "call that records a gradient", "call and gradient of the coordinates"
MOST = {PLAIN: 20.0, RECORDED: 40.0, BACK: 40.0}

FIRST = """
import json, sys, time
import torch
started = time.perf_counter()
import locenc
imported = time.perf_counter() - started
started = time.perf_counter()
encoder = locenc.position_encoder("sphere2vec-sphereC", num_scales=64)
built = time.perf_counter() - started
lonlat = torch.tensor([[2.35, 48.86]], dtype=torch.float64).requires_grad_()
times = []
for gradient in (False, True, False):
    started = time.perf_counter()
    features = encoder(lonlat if gradient else lonlat.detach())
    if gradient:
        features.sum().backward()
    times.append(time.perf_counter() - started)
print(json.dumps([imported, built, *times]))
"""


def main(arguments: Sequence[str] | None = None) -> Report:
    """Run the command; see ``--help``."""
    given = options("latency", __doc__, arguments)
    report = Report("latency", "Small calls and first uses", {"threads": given.threads, "quick": given.quick})
    seconds = 0.0 if given.quick else 0.5
    encoding(report, NAMES[:1] if given.quick else NAMES, seconds)
    whole(report, WHOLE[:1] if given.quick else WHOLE, seconds)
    first_use(report, runs=1 if given.quick else 5)
    report.finish(path=given.json, save=given.save)
    return report


def encoding(report: Report, names: Sequence[str], seconds: float) -> None:
    """Position encoders."""
    rows = []
    for name in names:
        form = FORMS[name]
        position = form.build(form.main)
        naive, exact = (form.bind(position, dtype) for dtype in (torch.float32, torch.float64))
        rows += measure(report, name, position, naive, exact, seconds)
        for what, most in MOST.items():
            found = report.numbers[_key(name, 1, what)][OURS]["median"] / MICRO
            report.target(f"{name}, one point: {what}", found, most=most, unit="µs")
    report.table("Position encoders, µs a call", HEADS, rows, note="Median (quartiles).")


def whole(report: Report, names: Sequence[str], seconds: float) -> None:
    """Encoders with their usual networks, 256 columns, in inference; the naive form goes through the same network."""
    rows = []
    for name in names:
        form = FORMS[name]
        encoder = locenc.create(form.encoder, **form.sized(32)).eval().requires_grad_(False)
        network = copy.deepcopy(encoder.network).double()
        naive, exact = (form.bind(encoder.position, dtype) for dtype in (torch.float32, torch.float64))
        rows += measure(
            report, f"{name}, whole", encoder, chain(naive, encoder.network), chain(exact, network), seconds
        )
    report.table("Whole encoders, µs a call", HEADS, rows, note="S = 32, 256 columns, weights without gradient.")


def measure(report: Report, name: str, encoder: Encode, naive: Encode, exact: Encode, seconds: float) -> list[Row]:
    """Check and time an encoder and its naive form in float32; rows of a table."""
    rows = []
    for number in NUMBERS:
        lonlat = coordinates(number)
        rounded = lonlat.float()
        check(name, encoder(lonlat), exact(lonlat), tolerance=1e-4)
        check(f"{name}, {EAGER}", naive(rounded), exact(lonlat), tolerance=0.1)
        leaves = {OURS: lonlat.clone().requires_grad_(), EAGER: rounded.clone().requires_grad_()}
        cases: dict[str, dict[str, Call]] = {
            PLAIN: {OURS: partial(encoder, lonlat), EAGER: partial(naive, rounded)},
            RECORDED: {OURS: partial(encoder, leaves[OURS]), EAGER: partial(naive, leaves[EAGER])},
            BACK: {OURS: gradient(encoder, leaves[OURS]), EAGER: gradient(naive, leaves[EAGER])},
        }
        for what, pair in cases.items():
            timings = interleave(pair, seconds=seconds)
            report.keep(_key(name, number, what), timings.data())
            times = [timings.time(case).text(MICRO) for case in (OURS, EAGER)]
            rows.append((name, number, what, *times, timings.times_faster(OURS, than=EAGER).median))
    return rows


def gradient(encode: Encode, leaf: Tensor) -> Call:
    """A call and the gradient of the coordinates."""
    ones = torch.ones_like(encode(leaf))
    return lambda: torch.autograd.grad(encode(leaf), leaf, ones)


def chain(features: Encode, network: Encode) -> Encode:
    """One after the other."""
    return lambda lonlat: network(features(lonlat))


def first_use(report: Report, *, runs: int) -> None:
    """Import, and first calls of new processes, without code in numba's cache and with it."""
    found: dict[str, list[list[float]]] = {"cold": [], "cached": []}
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            for times in found.values():
                times.append(_process(folder))
    report.keep("first uses", found)
    cold, cached = (list(map(statistics.median, zip(*times, strict=True))) for times in found.values())
    steps = ("import locenc, after torch", "build an encoder", "first call", "first gradient", "second call")
    rows = [(step, *pair) for step, *pair in zip(steps, cold, cached, strict=True)]
    heads = ("what", "seconds, nothing cached", "seconds, cached")
    report.table(
        "First use of sphereC", heads, rows, note=f"New processes; medians of {runs}. numba's import is in them."
    )
    report.target("import locenc and build an encoder, after torch", cached[0] + cached[1], most=0.1, unit="s")
    report.target("first call, nothing cached", cold[2], most=1.5, unit="s")
    report.target("first call, cached", cached[2], most=0.5, unit="s")


def _process(folder: str) -> list[float]:
    environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
    command = [sys.executable, "-c", FIRST]
    result = subprocess.run(command, cwd=machine.ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return [float(value) for value in json.loads(result.stdout)]


def _key(name: str, number: int, what: str) -> str:
    return f"{name}, {number} points, {what}"


if __name__ == "__main__":
    main()
