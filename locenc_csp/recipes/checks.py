"""Checks of fields that recipes share."""

import dataclasses
import math
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from locenc._files import as_path
from locenc._names import check_count, check_number


def check(
    recipe: Any,
    *,
    counts: tuple[str, ...] = (),
    from_zero: tuple[str, ...] = (),
    rates: tuple[str, ...] = (),
    weights: tuple[str, ...] = (),
) -> None:
    """Check fields: their types, where texts are taken for paths; their ranges.

    Parameters
    ----------
    recipe : dataclass
        A recipe.
    counts, from_zero : tuple of str
        Fields that are whole numbers from 1, and from 0. None is left alone, here and below.
    rates, weights : tuple of str
        Fields that are positive finite numbers, and finite ones from 0.

    Raises
    ------
    TypeError, ValueError
        For the first field of another type, or out of range.
    """
    for one in dataclasses.fields(recipe):
        value = getattr(recipe, one.name)
        if isinstance(value, str) and one.type in (Path, Path | None):
            object.__setattr__(recipe, one.name, as_path(value, one.name))
        elif isinstance(value, list) and get_origin(one.type) is tuple:
            object.__setattr__(recipe, one.name, tuple(value))
        elif not _fits(value, one.type):
            kind = str(one.type).replace("typing.", "").replace("pathlib._local.", "").replace("pathlib.", "")
            raise TypeError(f"{one.name} must be {getattr(one.type, '__name__', kind)}, got {value!r:.80}")
    for names, least in ((counts, 1), (from_zero, 0)):
        for name in names:
            if getattr(recipe, name) is not None:
                check_count(name, getattr(recipe, name), least=least)
    for name in rates:
        values = getattr(recipe, name)
        for value in values if isinstance(values, tuple) else (values,):
            if value is not None and not 0 < check_number(name, value) < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {value!r}")
    for name in weights:
        value = getattr(recipe, name)
        if value is not None and not 0 <= check_number(name, value) < math.inf:
            raise ValueError(f"{name} must be 0 or more and finite, got {value!r}")


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a type, as far as recipes name types; ranges of numbers are looked at elsewhere."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is Literal:
        return isinstance(value, str) and value in inner
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(one, inner[0]) for one in value)
    if kind in (int, float):
        return isinstance(value, Real) and not isinstance(value, bool)
    if origin in (dict, Mapping):
        return isinstance(value, Mapping)
    return isinstance(value, kind)
