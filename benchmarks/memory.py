"""Peak memory of a piece of code, in a process of its own."""

import json
import subprocess
import sys

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
