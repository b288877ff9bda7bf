"""What a folder of other people's files should hold and what it does hold, gathered into one error."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locenc_csp._chunks import NO_ARRAY

__all__ = ["Inspection"]

SHOWN = 12  # names of a folder's content that a message lists


class Inspection:
    """Notes on the files of a folder: found in order, missing, or wrong.

    Reading goes on past a fault, so that `check` can list all of them at once.

    Parameters
    ----------
    folder : Path
        Where the files should be.
    title : str
        What they are, for the message: "iNat2018".

    Attributes
    ----------
    files : list of Path
        Those that were found, in the order of the questions.
    """

    def __init__(self, folder: Path, title: str) -> None:
        self.folder, self.title = folder, title
        self.files: list[Path] = []
        self._missing: list[str] = []
        self._wrong: list[tuple[Path, str]] = []
        self._notes: dict[Path, str] = {}

    def find(self, *names: str, what: str) -> Path | None:
        """Path of the first of some names that is a file; None if there is none, which is noted with ``what``."""
        for name in names:
            path = self.folder / name
            if path.is_file():
                if path not in self.files:
                    self.files.append(path)
                return path
        self._missing.append(f"{' or '.join(names)}: {what}")
        return None

    def note(self, path: Path, text: str) -> None:
        """Say what a file holds."""
        self._notes[path] = f"{self._notes[path]}, {text}" if path in self._notes else text

    def wrong(self, path: Path, *, expected: str, found: str) -> None:
        """Note a fault of a file."""
        self._wrong.append((path, f"expected {expected}; found {found}"))

    def json(self, *names: str, what: str, kind: type) -> tuple[Path, Any] | None:
        """Path and content of a JSON file whose top is a ``kind`` (list or dict); None where a fault was noted."""
        path = self.find(*names, what=what)
        if path is None:
            return None
        try:
            content = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            self.wrong(path, expected=what, found=f"a file that is damaged or cut short ({error})")
            return None
        if not isinstance(content, kind):
            self.wrong(path, expected=what, found=f"a {type(content).__name__}")
            return None
        return path, content

    def array(self, *names: str, rows: int, what: str) -> tuple[Path, NDArray[Any]] | None:
        """Path and content, memory-mapped, of a ``.npy`` matrix with ``rows`` rows; None where a fault was noted."""
        expected = f"({rows}, …) numbers, {what}"
        path = self.find(*names, what=expected)
        if path is None:
            return None
        try:
            values: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except NO_ARRAY as error:
            self.wrong(path, expected=expected, found=f"a file that is damaged or cut short ({error})")
            return None
        if not isinstance(values, np.ndarray):
            self.wrong(path, expected=expected, found="an archive of several arrays")
            return None
        if values.ndim != 2 or len(values) != rows or values.dtype.kind not in "fiu":
            self.wrong(path, expected=expected, found=f"{values.shape} {values.dtype}")
            return None
        self.note(path, f"{values.shape} {values.dtype}")
        return path, values

    @property
    def in_order(self) -> bool:
        """Whether no fault was noted so far."""
        return not (self._missing or self._wrong)

    def check(self) -> None:
        """Raise one error that lists every fault, what was expected, and what was found.

        Raises
        ------
        FileNotFoundError
            If the folder or a file is missing.
        ValueError
            If files are damaged or do not fit together.
        """
        if self.in_order:
            return
        if not self.folder.is_dir():
            raise FileNotFoundError(
                f"no folder {self.folder}: expected {self.title} in it (docs/data.md lists its files)"
            )
        lines = [f"{self.folder} does not hold {self.title} as it is published:"]
        lines += [f"  missing: {text}" for text in self._missing]
        lines += [f"  wrong: {self._name(path)}: {text}" for path, text in self._wrong]
        wrong = {path for path, _ in self._wrong}
        lines += [f"  found: {self._name(path)}: {text}" for path, text in self._notes.items() if path not in wrong]
        if self._missing:
            lines.append(f"  the folder holds: {_content(self.folder)}")
        lines.append("docs/data.md lists the files and where they come from")
        raise (FileNotFoundError if self._missing else ValueError)("\n".join(lines))

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.folder)) if path.is_relative_to(self.folder) else str(path)


def _content(folder: Path) -> str:
    names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (", ".join(names[:SHOWN]) or "nothing") + more
