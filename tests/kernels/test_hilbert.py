"""The curve along which places are sorted."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from locenc.kernels.choice import missing
from locenc.kernels.layout import XYZ

if missing("numba"):
    pytest.skip(str(missing("numba")), allow_module_level=True)

from locenc.kernels import numba_hilbert
from locenc.kernels.numba_coordinates import coordinates


def globe(count: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(0)
    return np.stack([rng.uniform(-180, 180, count), np.rad2deg(np.arcsin(rng.uniform(-1, 1, count)))], 1)


def test_neighbours_stand_together() -> None:
    """Groups of 16 of many places spread over little more than their share of the sphere, with no far jumps."""
    points = coordinates(XYZ, globe(16_000))
    ordered = torch.from_numpy(points[numba_hilbert.neighbours(points)]).reshape(-1, 16, 3)
    radius = (ordered - ordered.mean(1, keepdim=True)).norm(dim=2).amax(1)
    even = 2 / math.sqrt(1000)  # of a cap with a thousandth of the sphere
    assert radius.median() < 2 * even
    assert radius.max() < 6 * even


def test_every_cell_of_the_curve_has_its_place() -> None:
    levels = numba_hilbert.LEVELS
    cells = 2**levels
    hilbert = numba_hilbert._hilbert
    codes = np.array([[hilbert(x, y) for y in range(cells)] for x in range(cells)])
    places = np.argwhere(np.ones_like(codes))[np.argsort(codes.reshape(-1))]
    assert sorted(codes.reshape(-1)) == list(range(cells**2))
    assert (np.abs(np.diff(places, axis=0)).sum(1) == 1).all()
