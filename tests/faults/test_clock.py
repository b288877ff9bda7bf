"""A clock that is set back: nothing looks at times of files but for being the same, and nothing waits for a time."""

import io
import os
import sys
import time
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import small_jobs
from failing_writes import MAKING, Writes
from small_jobs import JOBS, prepare

import locenc
from locenc.parquet import source
from scripts.faults.files import contents, differences, left_over


class Terminal(io.StringIO):
    """What a progress bar is drawn on."""

    def isatty(self) -> bool:
        return True


def set_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clock go backwards, an hour a look, and all that is in a folder be of the year 2100."""
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (4.1e9, 4.1e9))
    times = count(1.7e9, -3600)
    monkeypatch.setattr(time, "time", lambda: next(times))
    monkeypatch.setattr(time, "time_ns", lambda: int(1e9 * next(times)))


@pytest.mark.parametrize("name", JOBS)
def test_between_a_run_that_stopped_and_the_next(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MOST", 512)
    job, given, out = JOBS[name], tmp_path / "given", tmp_path / "out"
    prepare(given)
    writes = Writes(out, monkeypatch)
    with writes.failing(KeyboardInterrupt, 10**9, lasting=False, kinds=MAKING):
        job(given, out)
    whole, middle = contents(out), writes.count // 2
    out.rename(tmp_path / "undisturbed")
    with (
        pytest.raises(KeyboardInterrupt),
        writes.failing(KeyboardInterrupt, middle, lasting=False, kinds=MAKING),
    ):
        job(given, out)
    set_back(out, monkeypatch)
    job(given, out)
    assert (differences(whole, contents(out)), left_over(out)) == ([], {})


def test_progress_bars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, shown = tmp_path / "given", Terminal()
    prepare(given)
    monkeypatch.setattr("tqdm.std.tqdm.monitor_interval", 0)  # no thread that outlives the test
    monkeypatch.setattr(sys, "stderr", shown)
    set_back(tmp_path, monkeypatch)
    lonlat, encoder = np.zeros((50_000, 2)), locenc.from_pretrained(given / "encoder")
    embedded = locenc.embed(lonlat, encoder, progress=True)
    assert np.array_equal(embedded, locenc.embed(lonlat, encoder, progress=False))
    pretrain = small_jobs.pretrain
    monkeypatch.setattr(small_jobs, "pretrain", lambda recipe, progress: pretrain(recipe, progress=True))
    small_jobs.run_pretrain(given, tmp_path / "shown")
    assert "pre-training MC-BLD" in shown.getvalue()
