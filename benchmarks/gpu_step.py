"""Steps of pre-training, profiled: what the host waits for between two lines of the log. There should be nothing.

Counted by torch's profiler: waits of the host for the device, copies from the device to the host, copies from pageable
memory of the host, which waits for them too, and reads of single numbers from tensors (``tensor.item()``). What the
optimiser reads on the CPU is left out: its kernel there looks at its own counters, on CUDA it does not.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.profiler_util import DeviceType  # type: ignore[attr-defined]
from torch.profiler import ProfilerActivity, profile, record_function

import locenc
from benchmarks.cases import coordinates
from benchmarks.command import options
from benchmarks.report import Report
from locenc._devices import resolve
from locenc_csp import DualEncoder, Objective
from locenc_csp.criterion import Criterion
from locenc_csp.loop import Step, fit
from locenc_csp.negatives import sphere
from locenc_csp.pretraining import make_step
from locenc_csp.recipes import Schedule

READS, WAITS, TO_HOST, FROM_HOST = "reads of a number", "waits", "copies to the host", "copies from pageable memory"
KINDS = (READS, WAITS, TO_HOST, FROM_HOST)
WARM, STEPS = 3, 8
FIRST, LAST = "first step", "last step"
ENCODERS = {
    "space2vec-grid, ffn": {"name": "space2vec-grid", "network": "ffn", "num_scales": 32},
    "sphere2vec-sphereM+, residual": {"name": "sphere2vec-sphereM+", "network": "residual", "num_scales": 32},
    "spherical-harmonics, siren": {"name": "spherical-harmonics", "network": "siren", "num_degrees": 20},
}


def main(arguments: Sequence[str] | None = None) -> Report:
    """Run the command; see ``--help``."""
    given = options("gpu_step", __doc__, arguments)
    device = resolve("auto")
    size, columns = (64, 32) if given.quick else (4096, 2048)
    report = Report("gpu_step", f"Steps of CSP on {device.type}, profiled", {"device": _name(device), "batch": size})
    rows = []
    for encoder, settings in ENCODERS.items():
        for bfloat16 in (False, True):
            found = trips(*_training(settings, size, columns, device, bfloat16=bfloat16), size=size)
            case = f"{encoder}, bfloat16" if bfloat16 else encoder
            rows.append((case, *(found[kind] for kind in KINDS), _few(found)))
            report.target(
                f"{case}: trips to the host in {STEPS} steps", sum(found[kind] for kind in KINDS), most=0, unit=""
            )
    heads = ("step of MC-BLD", *KINDS, "kernels by name, the most frequent")
    report.table(f"{STEPS} steps between two lines of the log", heads, rows, note="Counted, not timed.")
    report.finish(path=given.json, save=given.save)
    return report


def trips(step: Step, model: nn.Module, *, size: int) -> Counter[str]:
    """Count the trips to the host in some steps of `locenc_csp.loop.fit`; kernels of the device by name too."""
    device = next(model.parameters()).device
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
    profiler, number = profile(activities=activities), iter(range(WARM + STEPS + 2))

    def watched(rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Any]:
        now = next(number)
        if now == WARM:
            profiler.start()
            mark(FIRST)
        if now == WARM + STEPS:
            mark(LAST)
            profiler.stop()
        return step(rows, generator)

    many = WARM + STEPS + 2
    schedule = Schedule(steps=many, batch_size=size, log_every=many, save_every=many)
    fit(watched, model, torch.arange(many * size), schedule, progress=False)
    return _counted(list(profiler.events() or []))  # type: ignore[no-untyped-call]


def mark(name: str) -> None:
    """Put a name into the profile."""
    with record_function(name):
        pass


def _counted(events: Sequence[Any]) -> Counter[str]:
    found: Counter[str] = Counter()
    first, last = (
        next(event.time_range.start for event in events if event.name == name and event.device_type == DeviceType.CPU)
        for name in (FIRST, LAST)
    )
    for event in events:
        name = str(event.name)
        if name == "aten::_local_scalar_dense":
            found[READS] += not _within(event, "Optimizer.step")
        elif name in ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize"):
            found[WAITS] += first < event.time_range.start < last  # the profiler waits too, before and behind
        elif name.startswith("Memcpy DtoH"):
            found[TO_HOST] += 1
        elif name.startswith("Memcpy HtoD") and "Pageable" in name:
            found[FROM_HOST] += 1
        elif event.device_type == DeviceType.CUDA and not name.startswith(("Mem", "Activity")):
            found[f"kernel {name}"] += 1
    return found


def _within(event: Any, prefix: str) -> bool:
    while event is not None:
        if event.name.startswith(prefix):
            return True
        event = event.cpu_parent
    return False


def _training(
    settings: dict[str, Any], size: int, columns: int, device: torch.device, *, bfloat16: bool
) -> tuple[Step, nn.Module]:
    """A step as pre-training makes it, of numbers that mean nothing, and its model."""
    torch.manual_seed(0)
    encoder = locenc.create(dim=256, **settings)
    model = DualEncoder(encoder, nn.Linear(columns, 256)).to(device)
    count = (WARM + STEPS + 2) * size
    lonlat, images = coordinates(count).to(device), torch.randn(size, columns, device=device)
    images_of: Callable[[Tensor], Tensor] = lambda rows: images[rows % size]  # noqa: E731
    criterion = Criterion(Objective("MC-BLD")).to(device)
    return make_step(model, criterion, lonlat, images_of, sampler=sphere(), bfloat16=bfloat16), model


def _few(found: Counter[str], most: int = 3) -> str:
    kernels = Counter(
        {name.removeprefix("kernel "): count for name, count in found.items() if name.startswith("kernel")}
    )
    return ", ".join(f"{count} {name[:40]}" for name, count in kernels.most_common(most)) or "none"


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


if __name__ == "__main__":
    main()
