"""Ours with two threads against one; they must give the same bytes."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.correct import check
from benchmarks.report import Report
from benchmarks.timing import interleave

GIGA = 1e9


class Case(NamedTuple):
    """An encoder and its coordinates: what it is called, and what its row of the table begins with."""

    name: str
    row: tuple[object, ...]
    encoder: nn.Module
    lonlat: Tensor


def table(report: Report, cases: Iterable[Case], heads: Sequence[str], *, seconds: float, usual: int) -> None:
    """Time the cases one after the other, and add the table to a report.

    Parameters
    ----------
    report : Report
        Gets the table.
    cases : iterable of Case
        Each is made when its turn comes.
    heads : sequence of str
        Names of the columns that rows begin with.
    seconds : float
        Time for each case.
    usual : int
        Threads that torch has afterwards.
    """
    rows = []
    for case in cases:
        out = case.encoder(case.lonlat)
        expected = out.clone()
        calls = {str(count): partial(_encode, case, out, count) for count in (1, 2)}
        check(f"{case.name}, two threads", calls["2"](), expected, tolerance=0.0)
        timings = interleave(calls, seconds=seconds)
        torch.set_num_threads(usual)
        report.keep(f"{case.name}, threads", timings.data())
        rates = [timings.rate(count, out.numel()).median / GIGA for count in ("1", "2")]
        rows.append((*case.row, len(case.lonlat), *rates, timings.times_faster("2", than="1").median))
    columns = (*heads, "points", "G features/s, one thread", "two threads", "×")
    report.table("Two threads against one", columns, rows, note="Ours, warm; the same bytes.")


def _encode(case: Case, out: Tensor, count: int) -> Tensor:
    torch.set_num_threads(count)
    result: Tensor = case.encoder(case.lonlat, out=out)
    return result
