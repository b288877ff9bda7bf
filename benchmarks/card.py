"""The card that a benchmark runs on: its clock, its memory, what it is. Or the CPU, to try a command out."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import NamedTuple

import torch

from benchmarks import memory
from benchmarks.timing import Call, on_the_host

GIGA = 1e9


class Card(NamedTuple):
    """A device: a CUDA device is measured with its own events, the CPU by the host's clock."""

    device: torch.device

    @property
    def cuda(self) -> bool:
        """Whether it is a card."""
        return self.device.type == "cuda"

    def measure(self, call: Call, calls: int) -> float:
        """Seconds a call, over so many in a row, from the first one's start on the device to the last one's end."""
        if not self.cuda:
            return on_the_host(call, calls)
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()
        for _ in range(calls):
            call()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)) * 1e-3 / calls

    def peak(self, call: Call) -> int | None:
        """By how many bytes torch's memory grew at most during a call, its result included; None on the CPU."""
        if not self.cuda:
            return None
        torch.cuda.synchronize(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        before = torch.cuda.memory_allocated(self.device)
        call()
        torch.cuda.synchronize(self.device)
        return torch.cuda.max_memory_allocated(self.device) - before

    def free(self) -> int:
        """Bytes that can be had, those included that torch keeps at hand."""
        if not self.cuda:
            return memory.available() or 2**32
        kept = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return torch.cuda.mem_get_info(self.device)[0] + kept

    def most(self, count: int, size: float) -> int:
        """So many rows of a size in bytes, or as many as nine tenths of the free memory hold: a multiple of 1,024."""
        fits = int(0.9 * self.free() / size)
        return count if count <= fits else max(1024, fits // 1024 * 1024)

    def empty_cache(self) -> None:
        """Give back memory that torch keeps at hand."""
        if self.cuda:
            torch.cuda.empty_cache()

    @property
    def name(self) -> str:
        """As a file's name has it: ``nvidia_h100_80gb_hbm3``."""
        name = torch.cuda.get_device_name(self.device) if self.cuda else "cpu"
        return "_".join("".join(letter if letter.isalnum() else " " for letter in name.lower()).split())

    def describe(self) -> dict[str, str]:
        """Card, capability, memory, driver, versions."""
        found = {"triton": _version("triton")}
        if self.cuda:
            own = torch.cuda.get_device_properties(self.device)
            found |= {
                "card": own.name,
                "capability": f"{own.major}.{own.minor}",
                "multiprocessors": str(own.multi_processor_count),
                "card's memory": f"{own.total_memory / 2**30:.0f} GiB",
                "driver": _driver(),
                "CUDA": str(torch.version.cuda),
            }
        return found


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Whether torch, and our kernels as it, take TF32 for products of float32 matrices."""
    matmul = torch.backends.cuda.matmul
    before = matmul.allow_tf32
    matmul.allow_tf32 = allowed
    try:
        yield
    finally:
        matmul.allow_tf32 = before


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[0].strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
