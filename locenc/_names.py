"""Names, options and numbers that users spell: one text for each way to be wrong."""

import difflib
import inspect
import json
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, SupportsFloat, SupportsIndex, TypeGuard

LARGEST_COUNT = 2**63 - 1
"""What torch counts with."""


def unknown(kind: str, name: object, known: Iterable[str], *, hint: str = "") -> str:
    """Say that a name is unknown, what it was probably meant to be, and what there is."""
    names = list(known)
    close = difflib.get_close_matches(str(name), names, n=1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    there = hint or f"There are: {', '.join(names)}." if names else "There are none."
    return f"unknown {kind} {name!r}.{guess} {there}"


def among(value: object, known: Iterable[str]) -> TypeGuard[str]:
    """Whether a value is one of some names; what is no text is none."""
    return isinstance(value, str) and value in known


def settings(owner: str, build: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """All keyword-only options of ``build``: its defaults, overridden by ``options``.

    Raises
    ------
    TypeError
        For an option that ``build`` does not have.
    """
    parameters = inspect.signature(build).parameters.values()
    defaults = {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY}
    for option, value in options.items():
        if option not in defaults:
            raise TypeError(unknown(f"option of {owner}:", option, defaults))
        if isinstance(defaults[option], bool) and not isinstance(value, bool):
            raise TypeError(f"{option} of {owner} must be True or False, got {value!r}")
    return {**defaults, **options}


def check_text(name: str, value: Any) -> str:
    """Return a text.

    Raises
    ------
    TypeError
        For anything else.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text, got {value!r:.80}")
    return value


def check_count(name: str, value: Any, *, least: int = 1, most: int | None = None) -> int:
    """Return a whole number from ``least`` to ``most`` as an int.

    Raises
    ------
    ValueError
        For anything else; booleans are no counts.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except (TypeError, ValueError):  # an array of one number has the method, too, but no index
        number = None
    if number is None or number < least or number > (LARGEST_COUNT if most is None else most):
        told = most is None and (number is None or number < least)
        bound = f"of at least {least}" if told else f"from {least} to {LARGEST_COUNT if most is None else most:,}"
        raise ValueError(f"{name} must be a whole number {bound}, got {value!r:.80}")
    return number


def check_number(name: str, value: Any) -> float:
    """Return a number as a float.

    Raises
    ------
    TypeError
        For anything else; text and booleans are no numbers.
    """
    if isinstance(value, (bool, str)) or not isinstance(value, (SupportsFloat, SupportsIndex)):
        raise TypeError(f"{name} must be a number, got {value!r:.80}")
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError) as error:  # arrays and tensors of other than one
        raise TypeError(f"{name} must be a number, got {value!r:.80}") from error
    except OverflowError:
        return math.inf if operator.index(value) > 0 else -math.inf  # type: ignore[arg-type]


def check_dropout(value: Any) -> float:
    """Return a share of entries to drop, at least 0 and below 1, as a float.

    Raises
    ------
    TypeError
        If it is no number.
    ValueError
        If it is out of range.
    """
    share = check_number("dropout", value)
    if not 0 <= share < 1:
        raise ValueError(f"dropout must be at least 0 and below 1, got {value!r}")
    return share


def and_more(count: int) -> str:
    """How many of ``count`` wrong rows remain when the first is named: ", and 2 more rows", or nothing."""
    return f", and {count - 1} more row{'s' * (count > 2)}" if count > 1 else ""


def named_row(row: int | tuple[int, ...], index: Any = None) -> str:
    """A row by its position and, where an index of pandas says something else, its label: "row 3 (index 'x')".

    An index that is a `range` holds the rows' numbers in a longer table.
    """
    if index is None or isinstance(row, tuple):
        return f"row {row}"
    if isinstance(index, range):
        return f"row {index[row]}"
    label = index[row]
    label = label.item() if hasattr(label, "item") else label
    return f"row {row}" if isinstance(label, int | float) and label == row else f"row {row} (index {label!r})"


def plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as a file will hold them: plain numbers, text and lists, NumPy's and PyTorch's included.

    Raises
    ------
    TypeError
        For a value that no file holds.
    """

    def plain_value(value: Any) -> Any:
        if not hasattr(value, "tolist"):
            raise TypeError(f"options must be numbers, text or lists of them, got {value!r}")
        return value.tolist()

    content: dict[str, Any] = json.loads(json.dumps(options, default=plain_value))
    return content
