"""The machine and the versions that numbers were measured with."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import torch

import locenc
from locenc.kernels.choice import missing

ROOT = Path(__file__).resolve().parent.parent


def describe() -> dict[str, str]:
    """What the numbers depend on: processor, cores, memory, system, versions, commit, date, load."""
    found = {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": _version("numpy"),
        "numba": _version("numba"),
        "locenc": locenc.__version__,
        "kernels": f"numba does not run: {reason}" if (reason := missing("numba")) else "numba",
        "commit": _commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "load": load(),
    }
    return {name: value for name, value in found.items() if value}


def load() -> str:
    """Average load of the last minute, where the system tells."""
    return f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else ""


def _processor() -> str:
    """The processor as the system names it, and as LLVM does: hypervisors hide the first."""
    name = field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()
    if missing("numba"):
        return name
    from locenc.kernels.processor import processor

    known = processor()
    return f"{name} (LLVM: {known.name}, {known.vector_bits}-bit vectors)"


def _memory() -> str:
    kib = field("/proc/meminfo", "MemTotal").removesuffix(" kB")
    return f"{int(kib) / 2**20:.0f} GiB" if kib.isdigit() else ""


def field(path: str, name: str) -> str:
    """Value of the first line ``name : value`` of a file, or nothing."""
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), "")


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    """The commit checked out here, if this is a repository; with a note if tracked files differ from it."""
    try:
        commit, status = (
            subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
            for command in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{commit}, with changes" if status else commit
