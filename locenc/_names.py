"""Names and options that users spell: one text for each that does not exist."""

import difflib
import inspect
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, SupportsIndex


def unknown(kind: str, name: object, known: Iterable[str], *, hint: str = "") -> str:
    """Say that a name is unknown, what it was probably meant to be, and what there is."""
    names = list(known)
    close = difflib.get_close_matches(str(name), names, n=1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    there = hint or f"There are: {', '.join(names)}." if names else "There are none."
    return f"unknown {kind} {name!r}.{guess} {there}"


def settings(owner: str, build: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """All keyword-only options of ``build``: its defaults, overridden by ``options``.

    Raises
    ------
    TypeError
        For an option that ``build`` does not have.
    """
    parameters = inspect.signature(build).parameters.values()
    defaults = {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY}
    for option in options:
        if option not in defaults:
            raise TypeError(unknown(f"option of {owner}:", option, defaults))
    return {**defaults, **options}


def check_count(name: str, value: Any, *, least: int = 1) -> int:
    """Return a whole number of at least ``least`` as an int.

    Raises
    ------
    ValueError
        For anything else; booleans are no counts.
    """
    if isinstance(value, bool) or not isinstance(value, SupportsIndex) or operator.index(value) < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return operator.index(value)
