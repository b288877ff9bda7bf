"""Finished cells, one JSON line each: a run that was stopped goes on from them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import locenc
from benchmarks.location_tasks.protocol import Protocol
from benchmarks.location_tasks.training import Score
from locenc._files import make_folder


class Cell(NamedTuple):
    """Which number: the candidate's label, split, task and seed."""

    label: str
    split: str
    task: str
    seed: int


class Cells:
    """Scores by cell, kept in a file. Lines of another protocol, other settings or another version do not count.

    Parameters
    ----------
    path : Path
        The file; a line that was cut short by a kill does not count.
    protocol : Protocol
        Sizes.
    """

    def __init__(self, path: Path, protocol: Protocol) -> None:
        self.path, self.protocol = path, protocol
        self._scores = {json.dumps(line["cell"]): Score(line["score"], line["seconds"]) for line in _lines(path)}

    def find(self, cell: Cell, settings: Mapping[str, Any]) -> Score | None:
        """The score of a cell with these settings, if it is finished."""
        return self._scores.get(json.dumps(self._made(cell, settings)))

    def keep(self, cell: Cell, settings: Mapping[str, Any], score: Score) -> None:
        """Write a finished cell."""
        made = self._made(cell, settings)
        make_folder(self.path.parent)
        with self.path.open("ab") as file:
            text = json.dumps({"cell": made, **score._asdict()}, ensure_ascii=False)
            file.write(b"" if _ends_well(self.path) else b"\n")
            file.write(text.encode() + b"\n")
        self._scores[json.dumps(made)] = score

    def _made(self, cell: Cell, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Everything that the score depends on."""
        made_with = {"protocol": self.protocol._asdict(), "settings": settings, "locenc": locenc.__version__}
        return {**cell._asdict(), **made_with}


def _ends_well(path: Path) -> bool:
    return path.read_bytes()[-1:] in (b"", b"\n")


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        return
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            yield json.loads(text)
        except ValueError:
            continue
