"""The table of public functions: what generates a call of each, and how often."""

from collections.abc import Callable
from typing import NamedTuple

from scripts.fuzz.calls import Door


class Entry(NamedTuple):
    """What generates calls of a public function, and its share among all inputs."""

    door: Door
    share: float


DOORS: dict[str, Entry] = {}


def door(name: str, share: float = 1.0) -> Callable[[Door], Door]:
    """Put what generates calls into the table, under the public name."""

    def add(function: Door) -> Door:
        if name in DOORS:
            raise ValueError(f"two doors for {name}")
        DOORS[name] = Entry(function, share)
        return function

    return add
