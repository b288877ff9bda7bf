"""Cells run side by side in processes of one thread each: the same numbers come out on one core or on many."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from multiprocessing import connection
from multiprocessing.connection import Connection

from tqdm import tqdm

from locenc_csp.study.cells import Cell, Workplace


def run_cells(
    run: Callable[[Workplace, Cell], None],
    place: Workplace,
    cells: Sequence[Cell],
    *,
    label: str,
    workers: int | None = None,
) -> None:
    """Run cells, in processes of one thread each.

    Parameters
    ----------
    run : callable
        `run_cell` or `run_baselines`.
    place : Workplace
        Where the study reads and writes.
    cells : sequence of Cell
        Begun in this order.
    label : str
        Text before the progress bar.
    workers : int, optional
        Number of processes; the number of cores unless given.

    Raises
    ------
    Exception
        The first error of a cell; cells that have not begun are dropped.
    KeyboardInterrupt
        If this process alone is interrupted, its workers end at once; what they have saved is gone on with next time.
    """
    count = max(1, min(workers or os.cpu_count() or 1, len(cells)))
    context = multiprocessing.get_context("spawn")
    line, held = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_begin_worker, initargs=(line,))
    waiting: set[Future[None]] = set()
    with line, held, pool:
        try:
            waiting.update(pool.submit(run, place, cell) for cell in cells)
            with tqdm(total=len(cells), desc=label, unit="cell", disable=None) as bar:
                while waiting:
                    done, waiting = wait(waiting, timeout=1, return_when=FIRST_EXCEPTION)
                    for future in done:
                        future.result()
                    bar.update(len(done))
        except BaseException as error:
            for future in waiting:  # those that no worker has been handed yet
                future.cancel()
            if not isinstance(error, Exception):
                held.close()
            raise


def _begin_worker(line: Connection) -> None:
    """Hold a process to one thread, before NumPy and torch are imported in it; it ends with its parent."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    import torch

    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, args=(line,), daemon=True).start()


def _end_with_parent(line: Connection) -> None:
    """Wait for the parent's end, or its hanging up; a parent that was killed cannot stop its workers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel, line])
        os._exit(1)
