"""Nothing is timed before its result is right."""

from typing import Any

import numpy as np


class WrongResultError(Exception):
    """A case gives another result than the independent value: its time would mean nothing."""


def check(case: str, result: Any, expected: Any, *, tolerance: float) -> float:
    """Compare a result with an independent value.

    Parameters
    ----------
    case : str
        What made it, for the message.
    result, expected : array_like or Tensor
        Of the same shape; compared in float64.
    tolerance : float
        Largest difference allowed.

    Returns
    -------
    float
        Largest difference found.

    Raises
    ------
    WrongResultError
        If it is larger than allowed, or not a number, or the shapes differ.
    """
    found, wanted = (_array(value) for value in (result, expected))
    if found.shape != wanted.shape:
        raise WrongResultError(f"{case}: result of shape {found.shape}, expected {wanted.shape}; nothing was timed")
    error = float(np.abs(found - wanted).max(initial=0.0))
    if not error <= tolerance:
        raise WrongResultError(f"{case}: off by {error:.3g}, at most {tolerance:.3g} is allowed; nothing was timed")
    return error


def _array(value: Any) -> Any:
    if hasattr(value, "detach"):
        value = value.detach().double().numpy()
    return np.asarray(value, np.float64)
