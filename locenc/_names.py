"""One text for every name that does not exist."""

import difflib
from collections.abc import Iterable


def unknown(kind: str, name: object, known: Iterable[str], *, hint: str = "") -> str:
    """Say that a name is unknown, what it was probably meant to be, and what there is."""
    names = list(known)
    close = difflib.get_close_matches(str(name), names, n=1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    there = hint or f"There are: {', '.join(names)}." if names else "There are none."
    return f"unknown {kind} {name!r}.{guess} {there}"
