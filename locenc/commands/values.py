"""What users write behind options: numbers with a unit, and ``name=value``."""

import argparse
import ast
from typing import Any

SUFFIXES = {"k": 10**3, "m": 10**6, "g": 10**9}
WORDS = {"true": True, "false": False, "none": None, "null": None}


def count(text: str) -> int:
    """A whole number of at least 1, such as ``1000000``, ``1_000_000``, ``1e6``, ``1M`` or ``250k``."""
    digits, factor = (text[:-1], SUFFIXES[text[-1].lower()]) if text[-1:].lower() in SUFFIXES else (text, 1)
    try:
        number = float(digits) * factor
        whole = round(number)
    except (ValueError, OverflowError):
        number, whole = 0.0, 0
    if whole < 1 or whole != number:
        raise argparse.ArgumentTypeError(f"expected a whole number such as 250000, 250k or 1M, got {text!r}")
    return whole


def setting(text: str) -> tuple[str, Any]:
    """``name=value``: numbers, true and false, lists such as ``[1,16]``; anything else is text."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"expected name=value, such as num_scales=32, got {text!r}")
    if value.lower() in WORDS:
        return name, WORDS[value.lower()]
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return name, value
