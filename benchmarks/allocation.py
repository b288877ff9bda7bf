"""Memory that a process frees: given back to the system, or kept for the next call.

A call that returns a large new array pays for its pages, which costs several times the arithmetic. Code with an
argument ``out=`` need not; code without one is spared it by the C library, if that keeps what was freed. So "warm"
timings are fair to both.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # of glibc's malloc.h


@contextmanager
def kept() -> Iterator[bool]:
    """Within a ``with`` block, freed memory stays with the process; yields whether this C library can do that.

    Afterwards large blocks come from the system again, as glibc has it, unless what was kept has room for them: time
    calls with new memory before.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt") or not hasattr(library, "malloc_trim"):
        yield False
        return
    library.mallopt(_MMAP_MAX, 0)
    library.mallopt(_TRIM_THRESHOLD, -1)  # as an unsigned number: never
    try:
        yield True
    finally:
        library.mallopt(_MMAP_MAX, 65_536)
        library.mallopt(_MMAP_THRESHOLD, 2**25)
        library.mallopt(_TRIM_THRESHOLD, 2**26)
        library.malloc_trim(0)


def touch(size: int) -> None:
    """Write to so many bytes of new memory and free it: virtual machines lend free memory to others within seconds.

    A call right afterwards finds memory that is the machine's own again, as it is elsewhere.
    """
    np.empty(size, np.uint8)[::4096] = 1
