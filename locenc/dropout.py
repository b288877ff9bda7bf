"""Dropout whose random numbers cost little on the CPU."""

import torch
from torch import Tensor, nn

from locenc.kernels.operator import concrete

_BITS = 16


class Dropout(nn.Dropout):
    """`torch.nn.Dropout`; on the CPU about ten times as fast.

    There torch draws a random number of 53 bits for each entry; this draws 16, four entries from one number of its
    generator. The share that is dropped is rounded to a multiple of 2⁻¹⁶, and what is kept is scaled by that.
    Other devices, compiled and transformed calls take torch's own.

    Notes
    -----
    Masks are those of torch's generator after `torch.manual_seed`, but other ones than torch's own dropout makes of it.
    """

    rowwise = True

    def forward(self, input: Tensor) -> Tensor:
        """Drop entries of any shape in training; otherwise the input itself."""
        dropped = round(self.p * 2**_BITS)
        if not self.training or self.inplace or not 0 < dropped < 2**_BITS or not _plain(input):
            return super().forward(input)
        mask = _random(input.numel()).view(input.shape).to(torch.promote_types(input.dtype, torch.float32))
        mask.ge_(dropped - 2 ** (_BITS - 1)).mul_(2**_BITS / (2**_BITS - dropped))
        return input * mask.to(input.dtype)


def _plain(input: Tensor) -> bool:
    return input.is_cpu and input.is_floating_point() and concrete(input)


def _random(count: int) -> Tensor:
    """So many int16, all values equally likely."""
    drawn = torch.empty(-(-count // 4), dtype=torch.int64, device="cpu").random_(-(2**63), None)
    return drawn.view(torch.int16)[:count]
