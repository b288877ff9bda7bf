"""Files that are whole or absent, and folders that one process holds."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from locenc._files import atomic_write, make_folder, only_one, read_json, write_array, write_text

WRITE = """
import sys, time
from locenc._files import atomic_write
def write(temporary):
    temporary.write_text("half")
    print("half", flush=True)
    time.sleep(60)
atomic_write(sys.argv[1], write)
"""
HOLD = """
import sys, time
from locenc._files import only_one
with only_one(sys.argv[1], "waiting"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError(28, os.strerror(28))

    with pytest.raises(
        OSError, match=r"cannot write .*file: No space left on device\. A file that was there is untouched"
    ):
        atomic_write(tmp_path / "file", fail)
    assert (tmp_path / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    write_text(tmp_path / "a[b].json", "old")
    command = [sys.executable, "-c", WRITE, str(tmp_path / "a[b].json")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for process in started:
        with process.stdout:  # type: ignore[union-attr]
            assert process.stdout.readline() == "half\n"  # type: ignore[union-attr]
    for process in started[:2]:
        process.kill()
        process.wait()
    assert len(list(tmp_path.iterdir())) == 4
    write_text(tmp_path / "other", "new")
    assert len(list(tmp_path.iterdir())) == 5  # of another file
    write_text(tmp_path / "a[b].json", "new")
    assert sorted(path.is_dir() for path in tmp_path.iterdir()) == [False, False, True]
    assert [path.read_text() for path in tmp_path.glob(".*/*")] == ["half"]
    started[2].kill()
    started[2].wait()
    write_text(tmp_path / "a[b].json", "newer")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a[b].json", "other"]
    assert (tmp_path / "a[b].json").read_text() == "newer"


def test_a_folder_that_was_taken_for_left_over_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, mkdtemp = [], tempfile.mkdtemp

    def lost(**options: Any) -> str:
        made.append(mkdtemp(**options))
        if len(made) == 1:
            os.rmdir(made[0])
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", lost)
    write_text(tmp_path / "file", "new")
    assert len(made) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "usual").write_text("")
    write_text(tmp_path / "ours", "")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_arrays(tmp_path: Path) -> None:
    write_array(tmp_path / "a.npy", np.arange(5))
    assert np.array_equal(np.load(tmp_path / "a.npy"), np.arange(5))


@pytest.mark.parametrize("text", ["", "{", "[1]", '"text"', "[" * 100_000])
def test_json_that_is_no_object_names_the_file_and_the_remedy(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=r"a\.json is damaged.*; write it again$"):
        read_json(tmp_path / "a.json", remedy="write it again")


def test_a_held_folder_is_refused_and_free_after_a_kill(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with (
            pytest.raises(BlockingIOError, match=r"another process is working in .*; wait for it"),
            only_one(tmp_path, "working"),
        ):
            pass
        process.kill()
    with only_one(tmp_path, "working"):
        pass


def test_folders_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for use in (make_folder, lambda folder: only_one(folder, "working").__enter__()):
        with pytest.raises(OSError, match=r"cannot write .*file/inner: .*Nothing was changed; free space or choose"):
            use(tmp_path / "file" / "inner")
