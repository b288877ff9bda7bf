"""The machine that a result was computed on, for reports."""

import os
import platform
from pathlib import Path

import torch


def machine() -> dict[str, str | int]:
    """Processor, cores, threads of torch, system, and the card where there is one."""
    found: dict[str, str | int] = {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.release()}",
    }
    if torch.cuda.is_available():
        found["card"] = torch.cuda.get_device_name()
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), "") or platform.processor() or platform.machine()
