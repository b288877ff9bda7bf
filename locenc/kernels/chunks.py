"""Chunks of points on several threads: our own small pool, as many threads as torch may use.

Kernels hold no interpreter lock, so plain threads suffice. numba's own threading would bring a second OpenMP runtime,
which spins against torch's.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

import torch

#: Numbers that a chunk makes at least, and a call must make before a second thread pays.
CHUNK, SERIAL = 2**19, 2**21

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None


def run(work: Callable[[slice], None], points: int, numbers: int) -> None:
    """Call ``work`` once for each chunk of the points, each made by one thread.

    Parameters
    ----------
    work : callable
        Takes a slice of points; it must release the interpreter's lock to gain from threads.
    points : int
        How many there are.
    numbers : int
        How many numbers a point makes: decides the chunks' size, and whether threads pay.

    Notes
    -----
    An exception, a keyboard interrupt too, ends the call once the chunks under way are finished, so that nothing writes
    to the result after it.
    """
    if points * numbers <= CHUNK:
        work(slice(0, points))
        return
    size = max(1, CHUNK // max(numbers, 1))
    chunks = _Chunks(points, size)
    workers = min(torch.get_num_threads(), len(chunks)) - 1
    if workers < 1 or points * numbers < SERIAL:
        chunks.work(work)
        return
    futures = [_executor().submit(chunks.work, work) for _ in range(workers)]
    try:
        chunks.work(work)
    finally:
        chunks.stop()
        for future in futures:
            future.cancel()
        wait(futures)
    for future in futures:
        if not future.cancelled():
            future.result()


class _Chunks:
    """Slices of the points, handed out one at a time to whoever asks."""

    def __init__(self, points: int, size: int) -> None:
        self._slices = iter([slice(start, min(start + size, points)) for start in range(0, points, size)])
        self._count = -(-points // size)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._count

    def _next(self) -> slice | None:
        with self._lock:
            return next(self._slices, None)

    def stop(self) -> None:
        with self._lock:
            self._slices = iter(())

    def work(self, work: Callable[[slice], None]) -> None:
        try:
            while (part := self._next()) is not None:
                work(part)
        except BaseException:
            self.stop()
            raise


def _executor() -> ThreadPoolExecutor:
    """The pool; it starts threads as they are needed."""
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="locenc")
        return _pool


def _forget() -> None:
    """A forked child has none of the parent's threads, and a lock may have been held by one of them."""
    global _pool, _lock
    _pool, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
