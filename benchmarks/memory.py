"""Peak memory of a piece of code, in a process of its own."""

import json
import subprocess
import sys
import threading
import time
from typing import NamedTuple, Self

from benchmarks import machine

_AROUND = """
import json, resource, sys, time
def _peak():
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) * 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
exec(compile({setup!r}, "setup", "exec"))
try:
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
except OSError:
    pass
_before, _start = _peak(), time.perf_counter()
exec(compile({code!r}, "code", "exec"))
_seconds = time.perf_counter() - _start
print(json.dumps([_peak() - _before, _seconds]))
"""


def available() -> int | None:
    """Bytes that new processes can have, where the system tells."""
    kib = machine.field("/proc/meminfo", "MemAvailable").removesuffix(" kB")
    return int(kib) * 1024 if kib.isdigit() else None


def peak(code: str, *, setup: str) -> tuple[int, float]:
    """Run code in a new process.

    Parameters
    ----------
    code, setup : str
        Python statements; those of ``setup`` run first, and what they need does not count. Outputs are not kept.

    Returns
    -------
    bytes : int
        By how much the resident memory grew at most while ``code`` ran.
    seconds : float
        How long it ran.

    Raises
    ------
    subprocess.CalledProcessError
        If the code fails; what it wrote to the error stream is passed on.
    """
    command = [sys.executable, "-c", _AROUND.format(setup=setup, code=code)]
    result = subprocess.run(command, cwd=machine.ROOT, stdout=subprocess.PIPE, text=True, check=True)
    grown, seconds = json.loads(result.stdout.splitlines()[-1])
    return int(grown), float(seconds)


class Found(NamedTuple):
    """What a process took: bytes of anonymous memory before and at most, all resident bytes at most, seconds."""

    before: int
    anonymous: int
    resident: int
    seconds: float


class Watch:
    """Watch the memory of this process within a ``with`` block, every two milliseconds; ``found`` says what it took.

    Anonymous memory is what a process must have: pages of mapped files are not in it. Linux alone tells.
    """

    found: Found

    def __enter__(self) -> Self:
        self._before = self._most = status("RssAnon")
        self._start, self._over = time.perf_counter(), threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        seconds = time.perf_counter() - self._start
        self._over.set()
        self._thread.join()
        self.look()
        self.found = Found(self._before, self._most, status("VmHWM"), seconds)

    def look(self) -> None:
        """Look once more, now."""
        self._most = max(self._most, status("RssAnon"))

    def _look(self) -> None:
        while not self._over.wait(0.002):
            self.look()


def status(name: str) -> int:
    """Bytes that the system notes for this process under a name of ``/proc/self/status``."""
    return int(machine.field("/proc/self/status", name).removesuffix(" kB")) * 1024
