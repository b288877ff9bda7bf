"""Checks of fields that recipes share."""

import math
from typing import Any

from locenc._names import check_count


def check(
    recipe: Any,
    *,
    counts: tuple[str, ...] = (),
    from_zero: tuple[str, ...] = (),
    rates: tuple[str, ...] = (),
    weights: tuple[str, ...] = (),
) -> None:
    """Check fields: whole numbers from 1, from 0, positive finite numbers, finite ones from 0. None is left alone.

    Raises
    ------
    ValueError
        For the first field that is out of range.
    """
    for names, least in ((counts, 1), (from_zero, 0)):
        for name in names:
            if getattr(recipe, name) is not None:
                check_count(name, getattr(recipe, name), least=least)
    for name in rates:
        values = getattr(recipe, name)
        for value in values if isinstance(values, tuple) else (values,):
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {value!r}")
    for name in weights:
        value = getattr(recipe, name)
        if value is not None and not 0 <= value < math.inf:
            raise ValueError(f"{name} must be 0 or more and finite, got {value!r}")
