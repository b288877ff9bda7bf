"""A job that may be killed at any moment: what it is about, and which chunks are finished, in a folder of its own.

``job.json`` says what the result depends on, ``data.parquet`` grows by a chunk at a time, and a line is added to
``finished.jsonl`` when a chunk is on the disk. What stands behind the last finished chunk is cut off by the next run.
"""

import base64
import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from locenc._files import explained, only_one, parse_json, read_json, write_text
from locenc.parquet import thrift

AFRESH = "delete that folder, or start afresh with restart=True (locenc embed --restart)"


class Finished(NamedTuple):
    """A chunk that is written.

    Attributes
    ----------
    end : int
        Bytes of the data file behind it.
    error : float
        Largest error of its numbers.
    group : bytes
        Its description for the footer.
    """

    end: int
    error: float
    group: bytes


class Job:
    """An open job.

    Parameters
    ----------
    folder : Path
        Of its own.

    Attributes
    ----------
    finished : list of Finished
        Chunks, in order.
    begun : bool
        Whether what is there is this job.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "data.parquet"
        self._about, self._journal = folder / "job.json", folder / "finished.jsonl"
        self.finished: list[Finished] = []
        self.begun = False

    def begin(self, about: Mapping[str, Any], *, restart: bool) -> None:
        """Start afresh, or take up what is there.

        Raises
        ------
        ValueError
            If what is there was begun with something else.
        """
        if restart or not self.exists:
            self._journal.unlink(missing_ok=True)
            self.data.unlink(missing_ok=True)
            write_text(self._about, json.dumps(about, indent=1) + "\n")
        began = read_json(self._about, remedy=AFRESH)
        if changed := [name for name in about if began.get(name) != about[name]]:
            differences = "; ".join(
                f"the {name} was {_short(began.get(name))}, is {_short(about[name])}" for name in changed
            )
            raise ValueError(
                f"the unfinished job in {self.folder} was begun with something else: {differences}. Give the same "
                f"again to go on; or {AFRESH}"
            )
        self.finished = _read_journal(self._journal, self.data.stat().st_size if self.data.exists() else 0)
        with open(self.data, "ab") as data:
            data.truncate(self.end)
        self.begun = True

    @property
    def exists(self) -> bool:
        """Whether a run has begun it."""
        return self._about.exists()

    @property
    def end(self) -> int:
        """Bytes of the data file behind the last finished chunk."""
        return self.finished[-1].end if self.finished else 0

    def add(self, chunk: Finished) -> None:
        """Note a chunk; its bytes are on the disk."""
        entry = {"end": chunk.end, "error": chunk.error, "group": base64.b64encode(chunk.group).decode()}
        with open(self._journal, "ab") as file:
            file.write(json.dumps(entry).encode() + b"\n")
        self.finished.append(chunk)

    def publish(self, target: Path) -> None:
        """Move the data file, whole now, to its place, and remove the folder."""
        os.replace(self.data, target)
        self.remove()

    def forget_published(self) -> None:
        """Remove what a run left that was killed behind the moment when its data file became the target."""
        if self.exists and not self.data.exists():
            self._journal.unlink(missing_ok=True)
            self._about.unlink()

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def open_job(target: Path) -> Iterator[Job]:
    """The job of a target: its folder, held for this process.

    A folder in which no chunk was finished, by no run, is removed when an error ends the run.

    Raises
    ------
    BlockingIOError
        If another process holds it.
    OSError
        If something cannot be written: where, why, what became of the finished rows, and what to do.
    """
    job = Job(target.with_name(f".{target.name}.partial"))
    with only_one(job.folder, "embedding"):
        job.forget_published()
        try:
            yield job
        except OSError as error:
            if error.errno is None or isinstance(error, FileNotFoundError | FileExistsError):
                raise
            kept = f"What is finished is kept in {job.folder}" if job.finished else "Nothing was changed"
            raise explained(error, target, kept) from error
        finally:
            if not job.finished and (job.begun or not job.exists):
                job.remove()


def _read_journal(path: Path, size: int) -> list[Finished]:
    """Chunks that are noted and in the data file; the journal is cut behind them."""
    finished: list[Finished] = []
    if not path.exists():
        return finished
    good = last = 0
    with open(path, "rb+") as file:
        for line in file:
            try:
                entry = parse_json(line) if line.endswith(b"\n") else {}
                chunk = Finished(int(entry["end"]), float(entry["error"]), base64.b64decode(entry["group"]))
                thrift.read(chunk.group)
            except (ValueError, KeyError, TypeError, OverflowError):  # torn
                break
            if not last < chunk.end <= size or not chunk.error >= 0:
                break
            last = chunk.end
            finished.append(chunk)
            good += len(line)
        file.truncate(good)
    return finished


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
