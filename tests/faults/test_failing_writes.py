"""A full disk, a read-only folder or an interrupt at each single write: a clear error, whole files, an exact resume."""

import errno
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from failing_writes import GROWING, MAKING, REMOVING, Writes
from small_jobs import JOBS, prepare

from locenc.parquet import source
from scripts.faults.files import broken, contents, differences, left_over

FAULTS: dict[str, tuple[Callable[[], BaseException], bool, set[str]]] = {
    "full disk": (lambda: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), True, GROWING),
    "read-only folder": (lambda: OSError(errno.EROFS, os.strerror(errno.EROFS)), True, MAKING | REMOVING),
    "one refusal": (lambda: PermissionError(errno.EACCES, os.strerror(errno.EACCES)), False, MAKING),
    "Ctrl-C": (KeyboardInterrupt, False, MAKING),
}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MOST", 512)


def clear(error: BaseException, out: Path) -> bool:
    """Whether an error says what could not be written, why, what became of the rest, and what to do."""
    text = str(error)
    reasons = ("No space left on device", "Read-only file system", "Permission denied")
    return f"cannot write {out}" in text and any(one in text for one in reasons) and "then run again" in text


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", JOBS)
def test_at_each_write(name: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job, given, out = JOBS[name], tmp_path / "given", tmp_path / "out"
    error, lasting, kinds = FAULTS[fault]
    prepare(given)
    writes = Writes(out, monkeypatch)

    def fail(first: int) -> bool:
        """Run the job until a write fails; whether one did."""
        try:
            with writes.failing(error, first, lasting=lasting, kinds=kinds):
                job(given, out)
        except KeyboardInterrupt:
            return True
        except OSError as refused:
            assert clear(refused, out), first  # noqa: PT017
            return True
        return False

    assert not fail(10**9)
    whole, count = contents(out), writes.count
    assert count > 10
    for first in range(list(FAULTS).index(fault), count, len(FAULTS)):  # the faults together try each
        assert fail(first) or first >= writes.count  # over an earlier result, with fewer writes
        assert differences(whole, contents(out)) == [], first
        shutil.rmtree(out)
        assert fail(first), first
        if out.exists():
            assert broken(out) == [], first
        job(given, out)
        assert (differences(whole, contents(out)), left_over(out)) == ([], {}), first


@pytest.mark.parametrize("size", [1, 300, 3000, 5000])
@pytest.mark.parametrize("name", JOBS)
def test_in_the_middle_of_a_write(
    name: str, size: int, tmp_path: Path, file_size_limit: Callable[[int], AbstractContextManager[None]]
) -> None:
    """Files cannot grow beyond a size: the system takes a part of what is written, and refuses the rest."""
    job, given, out = JOBS[name], tmp_path / "given", tmp_path / "out"
    prepare(given)
    job(given, out)
    whole = contents(out)
    shutil.rmtree(out)
    with (
        pytest.raises(OSError, match=rf"cannot write {out}.*: File too large\..*then run again"),
        file_size_limit(size),
    ):
        job(given, out)
    assert broken(out) == []
    job(given, out)
    assert (differences(whole, contents(out)), left_over(out)) == ([], {})
