"""Rows through a device: coordinates go there by chunks, and results come back while the next chunk is computed.

On CUDA the host waits for nothing within a chunk: both copies go through pinned memory, the one back on a stream of its
own. There are two chunks under way at a time; what the host does is to copy the older one to where it belongs.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from locenc.kernels import chunks

UNDER_WAY = 2


def fill(
    encode: Callable[[Tensor], Tensor],
    lonlat: Tensor,
    out: Tensor,
    device: torch.device,
    rows: int,
    done: Callable[[int], object],
) -> None:
    """Fill the rows of a result.

    Parameters
    ----------
    encode : callable
        Maps ``(rows, 2)`` on the device to ``(rows, dim)`` there: always so many, so that matrix products round a row
        in one way whatever stands beside it; zeros behind the last.
    lonlat : Tensor
        ``(N, 2)`` float64 on the CPU.
    out : Tensor
        ``(N, dim)`` float32 on the CPU.
    device : torch.device
        Where ``encode`` works.
    rows : int
        Of a chunk.
    done : callable
        Is told how many rows more are under way, chunk by chunk.
    """
    slots = [_Slot(rows, out.shape[1], device) for _ in range(UNDER_WAY)]
    parts = chunks.slices(len(lonlat), rows)
    for number, part in enumerate(parts):
        slot = slots[number % UNDER_WAY]
        if number >= UNDER_WAY:
            slot.finish(out[parts[number - UNDER_WAY]])
        slot.start(encode, lonlat[part])
        done(part.stop - part.start)
    for number in range(max(0, len(parts) - UNDER_WAY), len(parts)):
        slots[number % UNDER_WAY].finish(out[parts[number]])


class _Slot:
    """Memory of a chunk that is under way."""

    def __init__(self, rows: int, dim: int, device: torch.device) -> None:
        pinned = device.type == "cuda"
        self.device = device
        self.given = torch.zeros((rows, 2), dtype=torch.float64, device="cpu", pin_memory=pinned)
        self.made = torch.empty((rows, dim), dtype=torch.float32, device="cpu", pin_memory=pinned)
        self.back = torch.cuda.Stream(device) if pinned else None  # type: ignore[no-untyped-call]
        self.done = torch.cuda.Event() if pinned else None  # type: ignore[no-untyped-call]

    def start(self, encode: Callable[[Tensor], Tensor], lonlat: Tensor) -> None:
        """Send coordinates, and ask for what comes back."""
        self.given[: len(lonlat)] = lonlat
        self.given[len(lonlat) :] = 0
        if self.back is None or self.done is None:
            self.made.copy_(encode(self.given.to(self.device)))
            return
        with torch.cuda.device(self.device):
            result = encode(self.given.to(self.device, non_blocking=True)).to(torch.float32)
            self.back.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.back):
                self.made.copy_(result, non_blocking=True)
                result.record_stream(self.back)
                self.done.record()

    def finish(self, out: Tensor) -> None:
        """Wait for the chunk, and copy its rows."""
        if self.done is not None:
            self.done.synchronize()
        out.copy_(self.made[: len(out)])
