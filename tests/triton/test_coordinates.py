"""Points of the sphere and of Equal Earth on CUDA, in float64: to its last digits, poles and seams included."""

import formulas
import numpy as np
import pytest
import torch
from arithmetic import mp
from devices import triton_device
from points import globe

from locenc.kernels.layout import EQUAL_EARTH, LONLAT, XYZ
from locenc.kernels.triton_coordinates import coordinates

DEVICE = triton_device()
pytestmark = pytest.mark.cuda

EDGES = [
    (lon, lat) for lon in (-180.0, -135.0, -90.0, -45.0, -0.0, 1e-300, 45.0, 180.0) for lat in (-90.0, 0.0, 45.0, 90.0)
]
EDGES += [
    (44.99999999999999, 89.99999999999999),
    (135.00000000000003, -45.00000000000001),
    (-179.99999999999997, 1e-12),
]
FORMULAS = {XYZ: formulas.sphere_point, EQUAL_EARTH: formulas.equal_earth_point}


@pytest.mark.parametrize("kind", FORMULAS)
def test_every_digit(kind: int) -> None:
    lonlat = torch.cat([torch.tensor(EDGES, dtype=torch.float64), globe(60)])
    found = coordinates(lonlat.to(DEVICE), kind, True).cpu().numpy()
    points = [FORMULAS[kind](mp.mpf(lon), mp.mpf(lat)) for lon, lat in lonlat.tolist()]
    expected = np.array([[float(value) for value in point] for point in points]).T
    np.testing.assert_allclose(found, expected, rtol=0, atol=4e-16 if kind == XYZ else 2e-15)


def test_exact_at_right_angles() -> None:
    lonlat = torch.tensor([[0, 90], [0, -90], [90, 0], [-90, 0], [180, 0], [-180, 0], [540, 0]], dtype=torch.float64)
    found = coordinates(lonlat.to(DEVICE), XYZ, True).cpu().T
    assert found.tolist() == [[0, 0, 1], [0, 0, -1], [0, 1, 0], [0, -1, 0], [-1, 0, 0], [-1, 0, 0], [-1, 0, 0]]


@pytest.mark.parametrize("kind", [LONLAT, XYZ, EQUAL_EARTH])
def test_pairs_are_the_float64_numbers(kind: int) -> None:
    lonlat = globe(50).to(DEVICE)
    wide, pairs = (coordinates(lonlat, kind, own).double() for own in (True, False))
    rest = (pairs[::2] + pairs[1::2] - wide).abs()
    assert (rest <= wide.abs() * 2.0**-47).all()
