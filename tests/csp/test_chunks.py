"""Arrays that are filled by chunks: interrupted, resumed, on a full disk."""

import errno
import os

import numpy as np
import pytest

from locenc_csp import _chunks
from locenc_csp._chunks import fill_array

ARRAY = np.random.default_rng(0).normal(size=(23, 3)).astype(np.float32)


def fill(path, *, stop_at=None, key="a", calls=None, array=ARRAY):
    def make(start, stop):
        if stop_at is not None and start >= stop_at:
            raise KeyboardInterrupt
        if calls is not None:
            calls.append((start, stop))
        return array[start:stop]

    fill_array(path, make, shape=array.shape, dtype=array.dtype, key=key, rows_per_chunk=5, description="test")


@pytest.mark.parametrize("stop_at", [0, 5, 15, 20])
def test_a_run_goes_on_behind_its_last_whole_chunk(tmp_path, stop_at):
    path, calls = tmp_path / "array.npy", []
    with pytest.raises(KeyboardInterrupt):
        fill(path, stop_at=stop_at)
    assert not path.exists()
    fill(path, calls=calls)
    assert calls[0] == (stop_at, min(stop_at + 5, 23))
    assert np.array_equal(np.load(path), ARRAY)
    assert os.listdir(tmp_path) == ["array.npy"]


@pytest.mark.parametrize("lost", [1, 12, 59, 61, 190, 307])
def test_a_torn_chunk_is_made_again(tmp_path, lost):
    path = tmp_path / "array.npy"
    with pytest.raises(KeyboardInterrupt):
        fill(path, stop_at=15)
    (partial,) = tmp_path.iterdir()
    os.truncate(partial, partial.stat().st_size - lost)
    fill(path)
    assert np.array_equal(np.load(path), ARRAY)


def test_a_finished_partial_file_needs_no_work(tmp_path, monkeypatch):
    path, calls = tmp_path / "array.npy", []
    with monkeypatch.context() as patch:
        patch.setattr(_chunks.os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            fill(path)
    fill(path, calls=calls)
    assert calls == []
    assert np.array_equal(np.load(path), ARRAY)


def test_a_partial_file_of_other_settings_is_not_taken_up(tmp_path):
    path, calls = tmp_path / "array.npy", []
    with pytest.raises(KeyboardInterrupt):
        fill(path, stop_at=10, key="a")
    fill(path, key="b", calls=calls, array=ARRAY + 1)
    assert calls[0] == (0, 5)
    assert np.array_equal(np.load(path), ARRAY + 1)
    assert os.listdir(tmp_path) == ["array.npy"]


def test_a_full_disk_is_reported_and_nothing_finished_is_lost(tmp_path, monkeypatch):
    path, calls = tmp_path / "array.npy", []
    synced = []

    def full(handle):
        synced.append(handle)
        if len(synced) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(_chunks.os, "fsync", full)
        with pytest.raises(
            OSError, match=r"cannot write .*array\.npy: No space left on device\. Finished rows are kept"
        ):
            fill(path)
    assert not path.exists()
    fill(path, calls=calls)
    assert calls[0][0] >= 10
    assert np.array_equal(np.load(path), ARRAY)


def test_a_second_writer_is_noticed_before_the_array_is_taken_for_whole(tmp_path):
    path, calls = tmp_path / "array.npy", []

    def disturbed(start, stop):
        if start == 10:
            (partial,) = tmp_path.glob("*.partial")
            with open(partial, "ab") as second:
                second.write(ARRAY[:5].tobytes())
        return ARRAY[start:stop]

    with pytest.raises(
        ValueError, match=r"array\.npy\..*\.partial has 464 bytes, not 404: another process wrote into it.*run again"
    ):
        fill_array(path, disturbed, shape=ARRAY.shape, dtype=ARRAY.dtype, key="a", rows_per_chunk=5, description="test")
    assert os.listdir(tmp_path) == []
    fill(path, calls=calls)
    assert calls[0] == (0, 5)
    assert np.array_equal(np.load(path), ARRAY)


def test_a_partial_file_that_is_too_long_is_not_taken_up(tmp_path):
    path, calls = tmp_path / "array.npy", []
    with pytest.raises(KeyboardInterrupt):
        fill(path, stop_at=20)
    (partial,) = tmp_path.iterdir()
    with open(partial, "ab") as file:
        file.write(bytes(200))
    fill(path, calls=calls)
    assert calls[0] == (0, 5)
    assert np.array_equal(np.load(path), ARRAY)


def test_no_rows(tmp_path):
    fill(tmp_path / "array.npy", array=ARRAY[:0])
    assert np.load(tmp_path / "array.npy").shape == (0, 3)
