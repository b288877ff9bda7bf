"""Ranks of the true classes by every branch, a block of rows at a time: no matrix of all rows and classes is held."""

import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from locenc_csp._matrices import blocks
from locenc_csp.calibration import Outcomes, fit_temperature, outcomes, temper
from locenc_csp.datasets.table import PlaceTable
from locenc_csp.evaluation import TOLERANCE, Weights, best_weights, multiply_prior, ranks_by_weights
from locenc_csp.finetuning import Task
from locenc_csp.ranking import ranks

__all__ = ["Calibration", "Comparison", "Predict", "compare"]

Probabilities = NDArray[np.floating[Any]]
Rows = NDArray[np.int64]
Predict = Callable[[Rows], Probabilities]


class Calibration(NamedTuple):
    """Temperature of the location's probabilities, and the test rows without it and with it."""

    temperature: float
    before: Outcomes
    after: Outcomes


class Comparison(NamedTuple):
    """What the branches make of the test rows.

    Attributes
    ----------
    ranks : dict of str to ndarray
        By branch, int64 (test rows,): rank of the true class; 0 where the branch has no prediction.
    weights : Weights or None
        Exponents of the branch ``weighted``; None without it.
    calibration : Calibration or None
        None without val rows, or where no test row has a location.
    """

    ranks: dict[str, Rows]
    weights: Weights | None
    calibration: Calibration | None


def compare(location: Predict, image: Predict | None, task: Task, table: PlaceTable) -> Comparison:
    """Rank the true classes of the test rows by every branch.

    Parameters
    ----------
    location : callable
        From rows of the table with a location, int64 (B,), to probabilities (B, K).
    image : callable, optional
        From positions in the val rows followed by the test rows, int64 (B,), to probabilities (B, K). Val rows that
        hold NaN are left out where weights are chosen.
    task : Task
        Labels and rows.
    table : PlaceTable
        Says which rows have a location.

    Returns
    -------
    Comparison
        With the branches that there are.

    Raises
    ------
    ValueError
        For values of ``image`` that are no probabilities; names the first row.
    """
    weights, temperature = _choose(location, image, task, table)
    parts: dict[str, list[Rows]] = {}
    before, after = [], []
    for part in _blocks(task.test, task):
        rows = task.test[part]
        codes, placed = task.labels.codes[rows], table.has_location[rows]
        places = np.full((len(rows), len(task.labels.classes)), np.nan, np.float32)
        places[placed] = location(rows[placed])
        images = None if image is None else _checked(image(len(task.val) + np.arange(part.start, part.stop)), rows)
        for name, found in _ranked(places, images, codes, placed, weights, temperature):
            parts.setdefault(name, []).append(found)
        possible, known = _likely(places[placed], codes[placed])
        if temperature is not None and len(known):
            before.append(outcomes(possible, known))
            after.append(outcomes(temper(possible, temperature), known))
    ranked = {name: np.concatenate(found) for name, found in parts.items()}
    if not (ranked["location"] > 0).any():
        del ranked["location"]
    calibration = None
    if temperature is not None and before:
        calibration = Calibration(temperature, Outcomes.join(before), Outcomes.join(after))
    return Comparison(ranked, weights, calibration)


def _ranked(
    places: Probabilities,
    images: Probabilities | None,
    codes: Rows,
    placed: NDArray[np.bool_],
    weights: Weights | None,
    temperature: float | None,
) -> Iterator[tuple[str, Rows]]:
    """Ranks of a block of test rows by each branch."""
    alone = np.zeros(len(codes), np.int64)
    if placed.any():
        alone[placed] = ranks(places[placed], codes[placed])
    yield "location", alone
    if images is None:
        return
    yield "image", ranks(images, codes)
    ways = {"product": {}, "weighted": weights._asdict() if weights is not None else None}
    ways["calibrated"] = None if temperature is None else {"location_weight": 1 / temperature}
    for name, way in ways.items():
        if way is not None:
            yield name, ranks(multiply_prior(images, places, has_location=placed, **way), codes)


def _choose(
    location: Predict, image: Predict | None, task: Task, table: PlaceTable
) -> tuple[Weights | None, float | None]:
    """Weights and temperature, from the val rows; None where there are none that tell.

    The temperature needs all of their location probabilities several times: they wait in a temporary file.
    """
    if not len(task.val):
        return None, None
    shape = (len(task.val), len(task.labels.classes))
    kept: list[Rows] = []
    tried: list[Rows] = []
    with tempfile.TemporaryFile() as file:
        likely = np.memmap(file, np.float32, "w+", shape=shape)
        end = 0
        for part in _blocks(task.val, task):
            rows = task.val[part]
            places, codes = location(rows), task.labels.codes[rows]
            possible, known = _likely(places, codes)
            likely[end : end + len(known)] = possible
            end += len(known)
            kept.append(known)
            if image is not None:
                images = image(np.arange(part.start, part.stop))
                seen = ~np.isnan(images).any(axis=1)  # others' classifiers may lack val rows
                if seen.any():
                    tried.append(ranks_by_weights(_checked(images[seen], rows[seen]), places[seen], codes[seen]))
        temperature = fit_temperature(likely[:end], np.concatenate(kept))
    return best_weights(np.concatenate(tried, axis=1)) if tried else None, temperature


def _blocks(rows: Rows, task: Task) -> Iterator[slice]:
    return blocks(len(rows), len(task.labels.classes))


def _likely(location: Probabilities, codes: Rows) -> tuple[Probabilities, Rows]:
    """Rows in which some class is possible: a presence head may rule all of them out."""
    possible = location.any(1)
    return location[possible], codes[possible]


def _checked(images: Probabilities, rows: Rows) -> Probabilities:
    """The image's probabilities of some rows of the table, if they are such."""
    with np.errstate(invalid="ignore"):
        fine = ((images >= 0) & (images <= 1 + TOLERANCE)).all(1) & images.any(1)
    if not fine.all():
        place = int((~fine).argmax())
        shown = np.array2string(images[place], threshold=6, precision=3)
        raise ValueError(
            f"P(y | image) must lie in [0, 1] and not be 0 for every class, but that of row {rows[place]} of the table "
            f"is {shown}"
        )
    return images
