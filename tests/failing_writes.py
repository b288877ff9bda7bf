"""Calls that change a folder, counted; from one of them on they fail, as on a full disk or in a read-only folder."""

import builtins
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

GROWING = {"open", "mkdir", "fsync"}  # what a full disk refuses; names can still be moved and removed
MAKING = {*GROWING, "replace"}
REMOVING = {"unlink", "rmdir"}  # they fail where others have failed, and are not counted


class Writes:
    """Watches a folder as long as the test runs.

    Attributes
    ----------
    count : int
        Calls so far that made something in it, or tried.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.count = str(folder), 0
        self._error: Callable[[], BaseException] | None = None
        self._first, self._lasting, self._kinds = 0, False, MAKING
        opened = self._opening(builtins.open)
        monkeypatch.setattr(builtins, "open", opened)
        monkeypatch.setattr(io, "open", opened)  # what pathlib calls
        for name in (MAKING | REMOVING) - {"open"}:
            monkeypatch.setattr(os, name, self._changing(name, getattr(os, name)))

    @contextmanager
    def failing(
        self, error: Callable[[], BaseException], first: int, *, lasting: bool, kinds: set[str] = MAKING
    ) -> Iterator[None]:
        """Within, the call number ``first`` of some kinds fails, and if it is lasting, all behind it."""
        self.count, self._error, self._first, self._lasting, self._kinds = 0, error, first, lasting, kinds
        try:
            yield
        finally:
            self._error = None

    def _look(self, kind: str, path: Any) -> None:
        if kind not in self._kinds or not (kind == "fsync" or os.fsdecode(path).startswith(self.folder)):
            return
        number = self.count
        if kind in REMOVING:
            number -= 1
        else:
            self.count += 1
        if self._error is not None and (number == self._first or (self._lasting and number > self._first)):
            raise self._error()

    def _opening(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def opened(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            if not isinstance(file, int) and set(mode) & set("wax+"):
                self._look("open", file)
            return call(file, mode, *arguments, **options)

        return opened

    def _changing(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def changed(path: Any, *arguments: Any, **options: Any) -> Any:
            if not (name == "mkdir" and os.path.isdir(path)):  # refused anyway, as there
                self._look(name, path)
            return call(path, *arguments, **options)

        return changed
