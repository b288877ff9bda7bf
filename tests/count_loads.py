"""An encoder that says in a file which process unpickled it."""

import os
from typing import Any

import locenc


class Counted(locenc.LocationEncoder):
    """Its attribute ``log`` is the file."""

    log: str

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        with open(self.log, "a", encoding="utf-8") as file:
            file.write(f"{os.getpid()}\n")
