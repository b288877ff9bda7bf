"""Files that are whole or absent, and folders that one process holds."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from locenc._files import atomic_write, make_folder, only_one, read_json, write_array, write_text

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
