"""Radial basis functions: exact distances at any range, gradients at the hard places, anchors in the weights."""

from pathlib import Path

import formulas
import numpy as np
import pytest
import torch

import locenc
from locenc.coords import unit_sphere

ANCHORS = [(10.0, 20.0), (180.0, -5.0), (0.0, 90.0), (-60.5, -33.25)]
ANTIPODES = [(-170.0, -20.0), (0.0, 5.0), (0.0, -90.0), (119.5, 33.25)]


def rbf(**options: object) -> torch.nn.Module:
    return locenc.position_encoder("rbf", **{"anchors": ANCHORS, "dtype": torch.float64, **options})


def points(*pairs: tuple[float, float]) -> torch.Tensor:
    return torch.tensor(pairs, dtype=torch.float64)


@pytest.mark.parametrize("distance", ["great-circle", "planar"])
@pytest.mark.parametrize("kernel_size", [1e-6, 0.5, 40.0, 1000.0])
def test_agrees_with_fifty_digits(distance: str, kernel_size: float) -> None:
    # Places from 10 cm to half the globe away from each anchor and from its antipode.
    rng = np.random.default_rng(0)
    far = [(rng.uniform(-180, 180), rng.uniform(-90, 90)) for _ in range(10)]
    near = [
        (lon + scale * rng.uniform(-1, 1), min(90.0, max(-90.0, lat + scale * rng.uniform(-1, 1))))
        for lon, lat in ANCHORS + ANTIPODES
        for scale in (0.0, 1e-6, 1e-3, 1.0, 5.0, 12.0)
    ]
    lonlat = np.array([*far, *near])
    encoder = rbf(distance=distance, kernel_size=kernel_size)
    weights = {"anchors": np.array(ANCHORS)}
    expected = formulas.exact("rbf", lonlat, weights=weights, distance=distance, kernel_size=kernel_size)
    ours = encoder(torch.from_numpy(lonlat))
    # An angle of 180 degrees in float64 is good to 3e-14: in units of the kernel that is what features may be off by.
    atol = 1e-15 + 3e-14 / kernel_size
    torch.testing.assert_close(ours, torch.from_numpy(expected.astype(np.float64)), rtol=0, atol=atol)


@pytest.mark.parametrize("metres", [1e-3, 1.0, 1e3, 1e5, 7e5, 1e6])
def test_small_distances_keep_their_digits(metres: float) -> None:
    degrees = metres / 111_194.9
    encoder = rbf(anchors=[(0.0, 0.0)], kernel_size=degrees)
    east, north = encoder(points((degrees, 0.0), (0.0, degrees)))[:, 0]
    assert float(east) == pytest.approx(np.exp(-0.5), rel=1e-14)
    assert float(north) == pytest.approx(np.exp(-0.5), rel=1e-14)


def test_the_great_circle_has_no_seam_and_poles_are_points() -> None:
    encoder = rbf(kernel_size=30.0)
    sides = encoder(points((180.0, 12.0), (-180.0, 12.0), (77.0, 90.0), (-13.0, 90.0)))
    torch.testing.assert_close(sides[0], sides[1], rtol=0, atol=1e-15)
    torch.testing.assert_close(sides[2], sides[3], rtol=0, atol=1e-15)
    planar = rbf(kernel_size=30.0, distance="planar")
    sides = planar(points((180.0, 12.0), (-180.0, 12.0)))
    assert (sides[0] - sides[1]).abs().max() > 0.5


def test_only_the_angle_matters() -> None:
    rng = np.random.default_rng(1)
    lonlat = torch.from_numpy(np.stack([rng.uniform(-180, 180, 200), rng.uniform(-90, 90, 200)], 1))
    angle = torch.rad2deg(torch.acos((unit_sphere(lonlat) @ unit_sphere(points(*ANCHORS)).T).clamp(-1, 1)))
    expected = torch.exp(-(angle**2) / (2 * 50.0**2))
    torch.testing.assert_close(rbf(kernel_size=50.0)(lonlat), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("distance", ["great-circle", "planar"])
def test_gradients_at_anchors_and_antipodes_are_finite(distance: str) -> None:
    encoder = rbf(distance=distance, kernel_size=60.0)
    hard = points(*ANCHORS, *ANTIPODES, (-180.0, -5.0), (33.0, 90.0), (-180.0, 5.0))
    slopes = torch.autograd.functional.jacobian(lambda x: encoder(x).sum(0), hard)
    assert torch.isfinite(slopes).all()
    assert slopes.abs().max() < 1.1 / 60  # a Gaussian's steepest slope is exp(-1/2) / k
    curvature = torch.autograd.functional.hessian(lambda x: encoder(x).sum(), hard[: len(ANCHORS)])
    assert torch.isfinite(curvature).all()


def test_the_second_derivative_at_an_anchor_is_the_gaussians() -> None:
    encoder = rbf(anchors=[(10.0, 20.0)], kernel_size=8.0)
    there = points((10.0, 20.0))[0]
    assert torch.equal(torch.autograd.functional.jacobian(encoder, there), torch.zeros(1, 2, dtype=torch.float64))
    curvature = torch.autograd.functional.hessian(lambda x: encoder(x).sum(), there)
    east = np.cos(np.deg2rad(20.0))
    expected = -torch.diag(torch.tensor([east**2, 1.0], dtype=torch.float64)) / 64
    torch.testing.assert_close(curvature, expected, rtol=1e-12, atol=1e-15)


def test_gradients_across_the_change_of_formula() -> None:
    # The power series ends where sin²(θ/2) is 0.01: at 11.478 degrees.
    encoder = rbf(anchors=[(0.0, 0.0)], kernel_size=9.0)
    lonlat = points((0.0, 11.4783), (0.0, 11.47835), (11.4783, 0.0), (8.0, 8.25)).requires_grad_()
    assert torch.autograd.gradcheck(encoder, lonlat)
    assert torch.autograd.gradgradcheck(encoder, lonlat)
    either_side = encoder(points((0.0, 11.478340954533), (0.0, 11.478340954535)))
    assert (either_side[0] - either_side[1]).abs() < 1e-12


def test_drawn_anchors_are_uniform_on_the_sphere() -> None:
    encoder = locenc.position_encoder("rbf", num_anchors=20_000)
    mean = unit_sphere(encoder.anchors).mean(0)
    assert mean.norm() < 4 / np.sqrt(20_000)
    assert (unit_sphere(encoder.anchors) ** 2).mean(0).sub(1 / 3).abs().max() < 0.01


def test_anchors_live_in_the_weights(tmp_path: Path) -> None:
    encoder = locenc.create("rbf", dim=8, anchors=np.array(ANCHORS), kernel_size=20.0)
    assert encoder.config["position"] == {
        "name": "rbf",
        "num_anchors": 4,
        "kernel_size": 20.0,
        "distance": "great-circle",
        "seed": 0,
    }
    encoder.save_pretrained(tmp_path)
    loaded = locenc.from_pretrained(tmp_path)
    assert loaded.position.anchors.dtype == torch.float64
    assert torch.equal(loaded.position.anchors, points(*ANCHORS))
    place = points((2.35, 48.86))
    assert torch.equal(loaded(place), encoder.eval()(place))


def test_anchors_beyond_180_are_the_same_places() -> None:
    assert rbf(anchors=[(190.0, 5.0), (540.0, 5.0)]).anchors.tolist() == [[-170.0, 5.0], [180.0, 5.0]]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"anchors": [(10.0, 95.0)]}, ValueError, r"latitude must lie in \[-90, 90\] degrees, but row 0 has 95"),
        ({"anchors": [(float("nan"), 5.0)]}, ValueError, r"must be finite, but row 0"),
        ({"anchors": [1.0, 2.0, 3.0]}, ValueError, r"shape \(\.\.\., 2\)"),
        ({"anchors": np.zeros((0, 2))}, ValueError, r"at least one \(longitude, latitude\), got none"),
        ({"anchors": "Paris"}, TypeError, r"expected coordinates of shape \(N, 2\)"),
        ({"num_anchors": 0, "anchors": None}, ValueError, r"num_anchors must be a whole number of at least 1, got 0"),
        ({"kernel_size": 0.0}, ValueError, r"kernel_size must be positive and finite, in degrees, got 0\.0"),
        ({"distance": "great-circles"}, ValueError, r"unknown distance 'great-circles'\. Did you mean 'great-circle'"),
    ],
)
def test_what_is_refused(options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        rbf(**options)
