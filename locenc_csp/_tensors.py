"""Tensors and arrays that users give, looked at before anything is asked of them."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def check_tensors(**given: Any) -> None:
    """Check that all of these are plain tensors.

    Raises
    ------
    TypeError
        For the first that is none; arrays and lists become one by `torch.as_tensor`.
    ValueError
        For the first that is sparse.
    """
    for name, value in given.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"{name} must be a tensor, got {type(value).__name__}; torch.as_tensor makes one")
        if value.layout is not torch.strided:
            raise ValueError(f"{name} must be a dense tensor, got a sparse one: {name}.to_dense()")


def as_array(name: str, values: Any) -> NDArray[Any]:
    """What NumPy makes of values.

    Raises
    ------
    ValueError
        If rows differ in length, or they are no values at all.
    """
    try:
        return np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values)
    except (ValueError, TypeError, RuntimeError) as error:  # of NumPy and of torch
        raise ValueError(f"{name} must be numbers in rows of one length, got {values!r:.60}: {error}") from error
