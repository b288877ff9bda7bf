"""metrics.jsonl: what a training logs, a line of numbers each."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from locenc._files import explained, parse_json, write_text

METRICS = "metrics.jsonl"


class MetricsLog:
    """One line of numbers each; lines past the checkpoint are dropped when a run is continued."""

    def __init__(self, folder: Path | None, start: int) -> None:
        self.path = None if folder is None else folder / METRICS
        self.clock, self.step = time.perf_counter(), start
        if self.path is not None:
            kept = [line for line in self._lines() if line["step"] <= start]
            write_text(self.path, "".join(json.dumps(line) + "\n" for line in kept))

    def _lines(self) -> Iterator[dict[str, Any]]:
        if self.path is None or not self.path.exists():
            return
        for text in self.path.read_text(encoding="utf-8").splitlines():
            try:
                line = parse_json(text)
            except ValueError:  # a line that a kill cut short
                return
            if not isinstance(line, dict) or not isinstance(line.get("step"), int):
                return
            yield line

    def rate(self, step: int, batch_size: int) -> float:
        """Rows per second since the last call."""
        now = time.perf_counter()
        seconds, steps = now - self.clock, step - self.step
        self.clock, self.step = now, step
        return round(steps * batch_size / max(seconds, 1e-9), 1)

    def write(self, step: int, **values: float) -> None:
        """Append a line, all of it or nothing."""
        if self.path is not None:
            size = self.path.stat().st_size if self.path.exists() else 0
            try:
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"step": step, **values}) + "\n")
            except OSError as error:
                with suppress(OSError):
                    os.truncate(self.path, size)
                raise explained(error, self.path, "The last checkpoint is whole") from error
