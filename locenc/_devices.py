"""Devices by name: what a user asks for, checked before anything is moved there."""

from itertools import chain

import torch
from torch import nn

AUTO = "auto"


def resolve(device: str | torch.device) -> torch.device:
    """A device that coordinates and encoders can be on, with its index.

    Parameters
    ----------
    device : str or torch.device
        As torch names them; ``"auto"`` is CUDA where torch finds such a device, else the CPU.

    Raises
    ------
    ValueError
        For a name that torch does not know, for devices that are not here, and for those without float64, which
        coordinates need.
    """
    if isinstance(device, str) and device == AUTO:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"device must be 'auto', 'cpu', 'cuda' or 'cuda:0', got {device!r}") from error
    if found.type == "meta":
        raise ValueError("tensors on the device 'meta' hold no numbers: nothing can be computed there")
    if found.type == "mps":
        raise ValueError("mps has no float64, which coordinates need: use the CPU, and move embeddings there")
    if found.type != "cuda":
        return found
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        raise ValueError(f"device {str(found)!r} was asked for, but torch finds no CUDA device")
    if found.index is not None and found.index >= count:
        raise ValueError(f"device {str(found)!r} was asked for, but torch finds {count}: cuda:0 to cuda:{count - 1}")
    return torch.device("cuda", torch.cuda.current_device() if found.index is None else found.index)


def home(module: nn.Module) -> torch.device:
    """Where a module's tensors are; the CPU for one that has none."""
    tensor = next(chain(module.parameters(), module.buffers()), None)
    return torch.device("cpu") if tensor is None else tensor.device
