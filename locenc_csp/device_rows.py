"""What a step reads, where it is computed: rows of the image features by one index, without a trip to the host."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from locenc_csp.features import FeatureMatrix

ROWS_PER_COPY = 16_384
#: Of a device's free memory, what image features may take.
SHARE = 0.7


def image_rows(
    features: FeatureMatrix, device: torch.device, *, image_of: NDArray[np.int64] | None = None
) -> Callable[[Tensor], Tensor]:
    """Make a function from rows of the table, ``(B,)`` int64 on the device, to the features of their images there.

    Parameters
    ----------
    features : FeatureMatrix
        On the CPU they are read from their file as they are needed; another device gets all of them now.
    device : torch.device
        Where the model is.
    image_of : ndarray (N,), optional
        Row of the features for each row of the table; the same row unless given.

    Raises
    ------
    ValueError
        If they do not fit into the device's memory.
    """
    if device.type == "cpu":
        return lambda rows: features.rows(rows.numpy() if image_of is None else image_of[rows.numpy()])
    values = _copied(features.values, device)
    if image_of is None:
        return lambda rows: values[rows]
    of = torch.from_numpy(image_of).to(device)
    return lambda rows: values[of[rows]]


def _copied(values: NDArray[np.float32], device: torch.device) -> Tensor:
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        if values.nbytes > SHARE * free:
            raise ValueError(
                f"the image features take {values.nbytes / 1e9:.1f} GB, but {device} has {free / 1e9:.1f} GB free: "
                "train on the CPU (--device cpu), where they are read from their file"
            )
    copied = torch.empty(values.shape, dtype=torch.float32, device=device)
    for start in range(0, len(values), ROWS_PER_COPY):
        chunk = np.array(values[start : start + ROWS_PER_COPY])
        copied[start : start + len(chunk)] = torch.from_numpy(chunk)
    return copied
