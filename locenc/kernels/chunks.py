"""Chunks of points on several threads: our own small pool, as many threads as torch may use.

Kernels hold no interpreter lock, so plain threads suffice. numba's own threading would bring a second OpenMP runtime,
which spins against torch's. Within a thread of the pool torch uses no further threads: what runs there is serial, calls
of this module too.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

import torch

from locenc.kernels.thread_state import carried

#: Numbers that a chunk makes at least and at most (a millisecond), and a call must make before a second thread pays.
CHUNK, LARGEST, SERIAL = 2**19, 2**22, 2**21

Worker = Callable[[Iterator[slice]], None]

_lock = threading.Lock()
_starting = threading.Lock()
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

    def worker(own: Iterator[slice]) -> None:
        for part in own:
            work(part)

    threads = torch.get_num_threads() if points * numbers >= SERIAL else 1
    made = min(max(points * numbers // (4 * threads), CHUNK), LARGEST)
    parts = slices(points, max(1, made // numbers))
    helpers = min(threads, len(parts)) - 1
    _share(worker, parts, helpers, joins=True)


def spread(worker: Worker, parts: Sequence[slice], *, threads: int | None = None) -> None:
    """Let several threads share out parts, torch using one thread within each of them.

    Parameters
    ----------
    worker : callable
        Called once in each thread, with an iterator over the parts that are that thread's: what it prepares before it
        begins (buffers) is its own. It finds the caller's grad mode, autocast and backend.
    parts : sequence of slice
        Handed out one at a time, in order.
    threads : int, optional
        How many; as many as torch may use unless given.

    Notes
    -----
    The caller waits, unless torch may use one thread alone: then it works itself. Exceptions as in `run`.
    """
    own = torch.get_num_threads()
    if own == 1:
        _share(worker, parts, 0, joins=True)
    else:
        _share(worker, parts, min(own if threads is None else threads, len(parts)), joins=False)


def slices(stop: int, size: int, *, start: int = 0) -> list[slice]:
    """The points from ``start`` to ``stop``, so many at a time; the last slice may be shorter."""
    return [slice(first, min(first + size, stop)) for first in range(start, stop, size)]


def _share(worker: Worker, parts: Sequence[slice], helpers: int, *, joins: bool) -> None:
    """Let threads of the pool, and the caller if it joins them, share out the parts."""
    shared = _Parts(parts)
    if helpers < 1:
        shared.hand_to(worker)
        return
    within = carried()

    def helper() -> None:
        with within():
            shared.hand_to(worker)

    futures: list[Future[None]] = []
    try:
        for _ in range(helpers):
            try:
                futures.append(_executor().submit(helper))
            except RuntimeError:  # the interpreter ends, or the system gives no more threads
                break
        if joins or not futures:
            shared.hand_to(worker)
        wait(futures)
    finally:
        shared.stop()
        for future in futures:
            future.cancel()
        wait(futures)
    for future in futures:
        if not future.cancelled():
            future.result()


class _Parts:
    """Slices that are handed out one at a time to whoever asks."""

    def __init__(self, parts: Sequence[slice]) -> None:
        self._left = iter(parts)
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[slice]:
        return self

    def __next__(self) -> slice:
        with self._lock:
            return next(self._left)

    def stop(self) -> None:
        with self._lock:
            self._left = iter(())

    def hand_to(self, worker: Worker) -> None:
        try:
            worker(self)
        except BaseException:
            self.stop()
            raise


def _executor() -> ThreadPoolExecutor:
    """The pool; it starts threads as they are needed."""
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="locenc", initializer=_one_thread)
        return _pool


def _one_thread() -> None:
    """Let torch use one thread within the calling one, for good.

    ``set_num_threads`` also decides what threads get that use torch for the first time later: another thread sets that
    back at once.
    """
    ready = threading.Event()
    with _starting:
        before = torch.get_num_threads()

        def restore() -> None:
            ready.wait()
            torch.set_num_threads(before)

        restoring = threading.Thread(target=restore)
        restoring.start()
        torch.set_num_threads(1)
        ready.set()
        restoring.join()


def _forget() -> None:
    """A forked child has none of the parent's threads, and a lock may have been held by one of them."""
    global _pool, _lock, _starting
    _pool, _lock, _starting = None, threading.Lock(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
