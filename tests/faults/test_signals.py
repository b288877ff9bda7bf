"""SIGTERM and SIGINT in the middle of a command: one line, its exit status, and a resume to the same bits."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from small_jobs import JOBS, prepare

import locenc
from locenc._signals import Terminated, terminable
from locenc.parquet import source
from scripts.faults.files import broken, contents, differences, left_over

TESTS = Path(__file__).resolve().parent.parent
#: The command lines with a job of their own, slowed down; each write of a file says so.
CODE = """
import os, signal, sys, time
from pathlib import Path
sys.path[:0] = [sys.argv[1]]
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
import torch
torch.set_num_threads(1)
from locenc.parquet import source
name, given, out = sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])
source.MOST, sync, slow = 512, os.fsync, iter([0, 0, 5])

def fsync(handle):
    sync(handle)
    print("written", flush=True)
    time.sleep(next(slow, 0))

os.fsync = fsync
if name == "embed_parquet":
    from locenc.cli import main
    arguments = ["embed", given / "in.parquet", out / "out.parquet", "--encoder", given / "encoder", "--overwrite"]
    sys.exit(main([str(one) for one in arguments]))
import small_jobs
from locenc_csp import cli
cli._RUN[cli.Pretrain] = lambda recipe: small_jobs.run_pretrain(given, out)
sys.exit(cli.main(["pretrain", "--table", "t", "--features", "f", "--out", "o"]))
"""


@pytest.mark.parametrize(
    ("name", "number", "status", "said"),
    [
        ("embed_parquet", signal.SIGTERM, 143, "terminated\n"),
        ("embed_parquet", signal.SIGINT, 130, "interrupted\n"),
        ("pretrain", signal.SIGTERM, 143, "terminated; the same command continues where it stopped\n"),
    ],
)
def test_in_the_middle(
    name: str, number: signal.Signals, status: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "MOST", 512)
    job, given, out = JOBS[name], tmp_path / "given", tmp_path / "out"
    prepare(given)
    job(given, out)
    whole = contents(out)
    out.rename(tmp_path / "undisturbed")
    command = [sys.executable, "-c", CODE, str(TESTS), name, str(given), str(out)]
    environment = {**os.environ, "PYTHONPATH": str(Path(locenc.__file__).parent.parent)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        for _ in range(3):
            assert process.stdout.readline() == "written\n"
        process.send_signal(number)
        _, error = process.communicate(timeout=60)
    assert error.endswith(said)
    assert process.returncode == status
    assert broken(out) == []
    job(given, out)
    assert (differences(whole, contents(out)), left_over(out)) == ([], {})


def test_a_handler_of_the_caller_stays() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with terminable(), pytest.raises(Terminated):
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before
    seen: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    try:
        with terminable():
            os.kill(os.getpid(), signal.SIGTERM)
        assert seen == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_in_another_thread_nothing_changes() -> None:
    found: list[object] = []

    def work() -> None:
        with terminable():
            found.append(signal.getsignal(signal.SIGTERM))

    other = threading.Thread(target=work)
    other.start()
    other.join()
    assert found == [signal.getsignal(signal.SIGTERM)]
