"""Cases timed in turn, round after round, in one process: what disturbs the machine disturbs them all."""

import gc
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from benchmarks.report import shown

Call = Callable[[], object]
#: Seconds a call takes, over so many in a row.
Measure = Callable[[Call, int], float]

#: A sample is as many calls in a row as take this long: clocks are coarse.
SAMPLE = 1e-3
FEWEST, MOST = 5, 1000  # rounds


class Spread(NamedTuple):
    """Median and quartiles of one number per round."""

    median: float
    low: float
    high: float

    def text(self, unit: float = 1.0) -> str:
        """For a table, in some unit: ``median (low to high)``."""
        median, low, high = (shown(value / unit) for value in self)
        return f"{median} ({low} to {high})"


class Timings:
    """Seconds a call of each case, in each round.

    Parameters
    ----------
    seconds : mapping of str to list of float
        One number per round.
    """

    def __init__(self, seconds: Mapping[str, list[float]]) -> None:
        self.seconds = dict(seconds)

    def data(self) -> dict[str, dict[str, float]]:
        """Median and quartiles of the seconds of a call, and the number of rounds, for each case."""
        return {case: {**self.time(case)._asdict(), "rounds": len(rounds)} for case, rounds in self.seconds.items()}

    def time(self, case: str) -> Spread:
        """Seconds a call."""
        return _spread(np.array(self.seconds[case]))

    def rate(self, case: str, numbers: int) -> Spread:
        """Numbers made in a second."""
        return _spread(numbers / np.array(self.seconds[case]))

    def times_faster(self, case: str, than: str) -> Spread:
        """How many times as fast a case is as another: the ratio in each round, then the median."""
        return _spread(np.array(self.seconds[than]) / np.array(self.seconds[case]))


def on_the_host(call: Call, calls: int) -> float:
    """Measure calls that end when their work has ended."""
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls


def interleave(
    cases: Mapping[str, Call],
    *,
    seconds: float = 1.0,
    rounds: int | None = None,
    sample: float = SAMPLE,
    before: Call | None = None,
    measure: Measure = on_the_host,
) -> Timings:
    """Time cases in turn.

    Parameters
    ----------
    cases : mapping of str to callable
        What is timed, by name. Memory that a call returns is released within its time.
    seconds : float
        Rounds go on until they have taken this long together; at least 5, at most 1,000.
    rounds : int, optional
        Exactly so many instead.
    sample : float
        A call that is shorter (seconds) is repeated within its turn, and the mean counts.
    before : callable, optional
        Is called before each turn; its time does not count.
    measure : callable
        How calls are timed.

    Returns
    -------
    Timings
        The first round, which warms up, is left out.
    """
    calls = {name: _warm_up(call, sample, measure) for name, call in cases.items()}
    found: dict[str, list[float]] = {name: [] for name in cases}
    enabled = gc.isenabled()
    gc.disable()
    try:
        start, done = time.perf_counter(), 0
        while done < (FEWEST if rounds is None else rounds) or (
            rounds is None and done < MOST and time.perf_counter() - start < seconds
        ):
            for name, call in cases.items():
                if before is not None:
                    before()
                found[name].append(measure(call, calls[name]))
            done += 1
    finally:
        if enabled:
            gc.enable()
    return Timings(found)


def _warm_up(call: Call, sample: float, measure: Measure) -> int:
    """How many calls in a row take that long."""
    call()  # may compile
    calls = 1
    while calls * measure(call, calls) < sample:
        calls *= 2
    return calls


def _spread(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> Spread:
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    return Spread(float(median), float(low), float(high))
