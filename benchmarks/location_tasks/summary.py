"""Numbers of a table from the scores of cells: means, spreads, ranks, and paired differences to the best."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from benchmarks.location_tasks.candidates import CONTROLS
from benchmarks.location_tasks.results import Results
from benchmarks.location_tasks.tasks import SPLITS


class Row(NamedTuple):
    """A candidate on one split.

    Attributes
    ----------
    mean : tuple of float
        The mean score over the tasks, of each seed.
    rank : float
        Mean rank among the encoders, over tasks and seeds; 1 is the best. NaN for a control.
    to_best : tuple of float
        ``mean`` less that of the best candidate, of each seed.
    """

    label: str
    mean: tuple[float, ...]
    rank: float
    to_best: tuple[float, ...]


def summarise(found: Results) -> dict[str, list[Row]]:
    """Rows of controls, then candidates, by split.

    The best candidate is the encoder with the highest mean score over tasks and seeds. Ties share their mean rank.
    """
    return {split: _of_split(found, split) for split in SPLITS}


def _of_split(found: Results, split: str) -> list[Row]:
    encoders = [candidate.label for candidate in found.candidates]
    labels = [*CONTROLS, *encoders]
    scores = {label: [found.of_seeds(label, split, task) for task in found.tasks] for label in labels}
    means = {label: tuple(map(statistics.mean, zip(*scores[label], strict=True))) for label in labels}
    best = means[max(encoders, key=lambda label: statistics.mean(means[label]))]
    ranks: dict[str, list[float]] = {label: [] for label in labels}
    for task in range(len(found.tasks)):
        for seed in range(len(found.seeds)):
            for label, rank in _ranks({label: scores[label][task][seed] for label in encoders}).items():
                ranks[label].append(rank)
    return [
        Row(
            label,
            means[label],
            statistics.mean(ranks[label]) if ranks[label] else math.nan,
            tuple(own - top for own, top in zip(means[label], best, strict=True)),
        )
        for label in labels
    ]


def _ranks(values: Mapping[str, float]) -> dict[str, float]:
    """Rank of each, 1 for the highest; equal values share the mean of their ranks."""
    ordered = list(values.values())
    return {
        label: 1 + sum(other > own for other in ordered) + (sum(other == own for other in ordered) - 1) / 2
        for label, own in values.items()
    }


def spread(values: Sequence[float], *, sign: str = "") -> str:
    """Mean ± standard deviation (of the sample), three decimals; the mean alone of one value."""
    mean = f"{statistics.mean(values):{sign}.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean
