"""Pre-training in two processes beside one: what differs in losses and weights, and the time of a step.

The same batches in both, with dropout and random locations; processes talk by gloo, over the loopback interface. Adam
makes rounding visible: it takes full steps along gradients that are nearly 0. Float64 shows what is left of the
arithmetic; one process on another number of threads, which rounds otherwise too, shows what float32 does.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

import locenc
from benchmarks import machine
from benchmarks.cases import coordinates
from benchmarks.command import options
from benchmarks.report import Report
from locenc_csp import CoordinateQueue, DualEncoder, LearnedTemperature, Objective, Schedule
from locenc_csp.criterion import Criterion
from locenc_csp.joining import end_if_several, joined
from locenc_csp.loop import fit
from locenc_csp.negatives import sphere
from locenc_csp.pretraining import make_step

OBJECTIVES: dict[str, dict[str, Any]] = {
    "MC-BLD": {"temperature": 0.1},
    "NCE-BLD": {"temperature": 0.1},
    "CLIP-B": {},
    "SIGLIP-B": {"same_place_km": 50.0},
    "GEOCLIP-B": {},
    "MSE": {},
}
LEARN = ("CLIP-B", "SIGLIP-B", "GEOCLIP-B")
DIM, FEATURES, SIZE, MOST = 256, 512, 2, 1e-6


class Found(NamedTuple):
    """What a run has ended in."""

    losses: list[float]
    weights: dict[str, Tensor]
    seconds: float
    """Of a step, the median."""


def main(arguments: Sequence[str] | None = None) -> Report:
    """Run the command; see ``--help``."""
    given = options("processes", __doc__, arguments)
    batch, steps = (65, 4) if given.quick else (1025, 20)
    cases = ["MC-BLD", "CLIP-B"] if given.quick else list(OBJECTIVES)
    settings = {"threads of each process": given.threads, "quick": given.quick, "batch": batch, "steps": steps}
    report = Report("processes", "Pre-training in two processes", settings)
    with tempfile.TemporaryDirectory() as name:
        one = run(Path(name) / "one", 1, cases, batch=batch, steps=steps, threads=given.threads)
        two = run(Path(name) / "two", SIZE, cases, batch=batch, steps=steps, threads=given.threads)
        other = run(Path(name) / "other", 1, cases, batch=batch, steps=steps, threads=given.threads + 1)
    rows = []
    for case in cases:
        double, single = (f"{case} {dtype}" for dtype in ("float64", "float32"))
        exact = differences(one[double], two[double])
        report.target(f"{case}, losses", exact[0], most=MOST, unit="", note="float64")
        report.target(f"{case}, weights", exact[1], most=MOST, unit="", note="float64")
        rounded, threads = (differences(one[single], runs[single]) for runs in (two, other))
        times = (1e3 * runs[single].seconds for runs in (one, two))
        rows.append((case, *exact, *rounded, *threads, *times))
    kinds = ("float64", "float32", "threads")
    heads = ("objective", *(f"{what}, {kind}" for kind in kinds for what in ("losses", "weights")))
    report.table(
        f"{steps} steps with batches of {batch:,}",
        (*heads, "one process, ms a step", "two, ms a step"),
        rows,
        note="Losses: the largest relative difference of a step. Weights: the largest difference, beside the largest "
        "weight of the tensor. Threads: one process in float32 beside one with another number of threads. "
        "Times are those of float32.",
    )
    report.finish(path=given.json, save=given.save)
    return report


def differences(one: Found, other: Found) -> tuple[float, float]:
    """Of losses and of weights, relative."""
    losses = max(abs(b - a) / abs(a) for a, b in zip(one.losses, other.losses, strict=True))
    pairs = [(value, other.weights[name]) for name, value in one.weights.items()]
    return losses, max(float((b - a).abs().max() / a.abs().max()) for a, b in pairs)


def run(folder: Path, size: int, cases: Sequence[str], **settings: int) -> Mapping[str, Found]:
    """Train cases in so many processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = {"WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    folder.mkdir()
    code = f"from benchmarks.processes import train\ntrain({str(folder)!r}, {cases!r}, **{settings!r})"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, **{name: str(value) for name, value in said.items()}, "RANK": rank, "LOCAL_RANK": rank},
            cwd=machine.ROOT,
        )
        for rank in map(str, range(size))
    ]
    if any([process.wait() for process in processes]):  # noqa: C419 (wait for all)
        raise RuntimeError(f"a run of {size} processes failed: see above")
    found: dict[str, list[Any]] = torch.load(folder / "found.pt")
    return {case: Found(*values) for case, values in found.items()}


def train(folder: str, cases: Sequence[str], *, batch: int, steps: int, threads: int) -> None:
    """One process of a run."""
    torch.set_num_threads(threads)
    with joined("cpu") as ranks:
        found = {
            f"{case} {str(dtype).removeprefix('torch.')}": tuple(trained(case, dtype, batch, steps, ranks))
            for case in cases
            for dtype in (torch.float64, torch.float32)
        }
        if ranks.is_first:
            torch.save(found, Path(folder) / "found.pt")
    end_if_several()


def trained(case: str, dtype: torch.dtype, batch: int, steps: int, ranks: Any) -> Found:
    """Losses and weights of a case."""
    torch.manual_seed(0)
    objective = Objective(case, **OBJECTIVES[case])
    encoder = locenc.create("space2vec-grid", dim=DIM, network="ffn", num_scales=32)
    linear = nn.Linear(DIM, FEATURES) if objective.needs_decoder else nn.Linear(FEATURES, DIM)
    model = DualEncoder(encoder, **{"decoder" if objective.needs_decoder else "image": linear}).to(dtype)
    criterion = Criterion(
        objective,
        learned=LearnedTemperature(objective, "B").to(dtype) if case in LEARN else None,
        queue=CoordinateQueue(1024) if objective.takes_queue else None,
    )
    lonlat = coordinates(6 * batch)
    images = torch.randn(len(lonlat), FEATURES, generator=torch.Generator().manual_seed(1)).to(dtype)
    step = make_step(model, criterion, lonlat, lambda rows: images[rows], sampler=sphere(), ranks=ranks)
    losses, clock = [], []

    def noted(rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Mapping[str, Tensor]]:
        clock.append(time.perf_counter())
        loss, terms = step(rows, generator)
        losses.append(float(loss.detach()))
        return loss, terms

    schedule = Schedule(steps=steps, batch_size=batch)
    fit(noted, nn.ModuleList([model, criterion]), torch.arange(len(lonlat)), schedule, progress=False, ranks=ranks)
    state = {name: value.detach() for part in (model, criterion) for name, value in part.named_parameters()}
    return Found(losses, state, float(np.median(np.diff(clock))))


if __name__ == "__main__":
    main()
