"""What a module gives at places: in eval mode, without gradients, by chunks, and checked."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

CHUNK = 16_384


def run(
    encoder: nn.Module,
    lonlat: NDArray[np.float64],
    then: Callable[[Tensor], Tensor] | None = None,
    *,
    beside: nn.Module | None = None,
) -> NDArray[np.float32]:
    """Embedding of places, or what is made of it.

    Parameters
    ----------
    encoder : Module
        Maps (N, 2) float64 degrees to (N, d). Runs on its own device; the mode of each of its parts is restored.
    lonlat : ndarray
        (N, 2) degrees.
    then : callable, optional
        What is made of float32 rows on the CPU, chunk by chunk, so that no more is kept.
    beside : Module, optional
        Another module that ``then`` calls: it is in eval mode too.

    Returns
    -------
    ndarray
        float32 (N, ...).

    Raises
    ------
    TypeError
        If the encoder is no module.
    ValueError
        If its output is not (N, d), or not finite.
    """
    if not isinstance(encoder, nn.Module):
        raise TypeError(f"encoder must be a torch module, got {type(encoder).__name__}")
    weights = next(chain(encoder.parameters(), encoder.buffers()), None)
    device = torch.device("cpu") if weights is None else weights.device
    with _evaluating(encoder), _evaluating(beside or nn.Identity()), torch.no_grad():
        parts = []
        for places in torch.split(torch.from_numpy(lonlat), CHUNK):
            rows = _checked(encoder(places.to(device)), places)
            parts.append(rows if then is None else then(rows))
    found: NDArray[np.float32] = torch.cat(parts).numpy()
    return found


def _checked(output: Any, lonlat: Tensor) -> Tensor:
    if output.ndim != 2 or len(output) != len(lonlat):
        raise ValueError(
            f"the encoder must map ({len(lonlat)}, 2) degrees to ({len(lonlat)}, d), but gave {tuple(output.shape)}"
        )
    rows: Tensor = output.to("cpu", torch.float32)
    bad = ~rows.isfinite().all(1)
    if bad.any():
        lon, lat = lonlat[bad][0].tolist()
        raise ValueError(
            f"the encoder's output is NaN or infinite at {int(bad.sum())} of {len(rows)} places, the first at "
            f"longitude {lon:g}, latitude {lat:g}"
        )
    return rows


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
