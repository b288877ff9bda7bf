"""Where Triton's kernels run: on a CUDA device, or on the CPU by Triton's interpreter if TRITON_INTERPRET=1 is set."""

import pytest
import torch
from torch import Tensor

from locenc.kernels.choice import interpreted, missing


def triton_device() -> torch.device:
    """The device for tensors; skips where there is none."""
    if reason := missing("triton"):
        pytest.skip(f"{reason}; TRITON_INTERPRET=1 runs Triton's kernels on the CPU", allow_module_level=True)
    return torch.device("cpu" if interpreted() else "cuda")


def assert_same_sums(found: Tensor, expected: Tensor) -> None:
    """Of numbers that lie otherwise in memory: a card's threads then hold others of them, and add in another order."""
    if interpreted():
        assert torch.equal(found, expected)
    else:
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6 * float(expected.abs().max()))
