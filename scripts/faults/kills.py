"""A job's processes: started from one that has imported the library, killed at a moment, and looked at."""

import contextlib
import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from scripts.faults import files
from scripts.faults.jobs import JOBS, Job

LONG = 600  # seconds that a run may take


class Kill(NamedTuple):
    """A kill, and what it left.

    Attributes
    ----------
    after : float
        Seconds behind the start of the process.
    reached : str
        How far the job was.
    broken : list of str
        Files under final names that are not whole.
    left : dict
        Temporary files and their bytes.
    """

    after: float
    reached: str
    broken: list[str]
    left: dict[str, int]


class Trial(NamedTuple):
    """A job that was killed, once or again and again, and then finished.

    Attributes
    ----------
    kind : str
        ``"once"`` or ``"chain"``.
    kills : list of Kill
        In order.
    failure : str
        What the run said that should have finished; empty where it did.
    differs : list of str
        Files that are not those of the undisturbed run.
    left : dict
        Temporary files at the end.
    seconds : float
        Of the last run.
    """

    kind: str
    kills: list[Kill]
    failure: str
    differs: list[str]
    left: dict[str, int]
    seconds: float


def trials(name: str, folder: Path, kills: int, seed: int) -> Iterator[float | Trial]:
    """Kill a job so many times at least, half of them in chains: the undisturbed seconds, then the trials.

    Parameters
    ----------
    name : str
        Of the job.
    folder : Path
        To work in. The output has the same place in every run, since files name it.
    kills : int
        How many.
    seed : int
        Of the moments, uniform over the undisturbed run.
    """
    job, given, out = JOBS[name], folder / "given", folder / "out"
    given.mkdir(parents=True)
    job.prepare(given)
    seconds = min(_finish(name, given, out) for _ in range(2))  # the first may compile kernels
    whole, moments, made = files.contents(out), Random(f"{name} {seed}"), 0
    yield seconds
    while made < kills:
        kind = "once" if made < kills // 2 else "chain"
        shutil.rmtree(out)
        trial = _trial(job, name, given, out, kind, seconds, moments, whole)
        made += len(trial.kills)
        if trial.kills:
            yield trial
        else:  # an undisturbed run, on a machine that is quicker or slower now
            seconds = trial.seconds


def _finish(name: str, given: Path, out: Path) -> float:
    """Run a job undisturbed, from the start."""
    if out.exists():
        shutil.rmtree(out)
    start = time.perf_counter()
    process = _start(name, given, out)
    process.join(LONG)
    if process.exitcode != 0:
        raise RuntimeError(f"the undisturbed run of {name} failed: {_said(out)}")
    return time.perf_counter() - start


def _trial(
    job: Job, name: str, given: Path, out: Path, kind: str, seconds: float, moments: Random, whole: dict[str, Any]
) -> Trial:
    kills: list[Kill] = []
    while True:
        after = moments.uniform(0, seconds) if kind == "chain" or not kills else LONG
        start = time.perf_counter()
        process = _start(name, given, out)
        process.join(after)
        if process.exitcode is not None:
            break
        process.kill()
        process.join()
        if after == LONG:  # it hangs
            break
        _wait_for_session(process.pid)
        kills.append(Kill(after, job.reached(out), files.broken(out), files.left_over(out)))
    took = time.perf_counter() - start
    _wait_for_session(process.pid)
    failure = "" if process.exitcode == 0 else f"exit status {process.exitcode}: {_said(out)}"
    differs = files.differences(whole, files.contents(out)) if out.exists() else ["all"]
    return Trial(kind, kills, failure, differs, files.left_over(out), took)


def _start(name: str, given: Path, out: Path) -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["scripts.faults.warm"])
    process = context.Process(target=_work, args=(name, given, out))
    process.start()
    return process


def _work(name: str, given: Path, out: Path) -> None:
    """In the process of its own: what it says goes to a file, and those it starts are of its session."""
    import torch

    os.setsid()
    with open(_log(out), "wb", buffering=0) as log:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(log.fileno(), stream.fileno())
    torch.set_num_threads(1)
    JOBS[name].run(given, out)


def _log(out: Path) -> Path:
    return out.with_name("log")


def _said(out: Path) -> str:
    return _log(out).read_text(errors="replace")[-2000:]


def _wait_for_session(leader: int, patience: float = 60) -> None:
    """Wait until processes that a killed one had started have noticed it; kill what stays."""
    deadline = time.monotonic() + patience
    while (running := _session(leader)) and time.monotonic() < deadline:
        time.sleep(0.01)
    if running:
        for number in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        raise RuntimeError(f"processes {running} outlived the one that had started them by {patience:g} s")


def _session(leader: int) -> list[int]:
    """Processes of a session that run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            state, session, threads = fields[0], int(fields[3]), int(fields[17])
            # The first thread may be a zombie while others still hold files, and a lock.
            if session == leader and (state != "Z" or threads > 1):
                found.append(int(path.parent.name))
    return found
