"""The formulas themselves: two arithmetics agree, and both agree with what the papers' own code computed."""

import math

import formulas
import network_formulas
import numpy as np
import pytest
from peers import PEER_FEATURES, PEER_FFN, ffn_state, peer_points, peer_weights, residual_fcnet_state, tolerance
from voronoi_formulas import voronoi_weights

RNG = np.random.default_rng(0)
WEIGHTS = {
    "rff": {"directions": RNG.normal(size=(2, 7)), "shift": RNG.uniform(0, 2 * np.pi, 7)},
    "rbf": {"anchors": RNG.uniform(-90, 90, size=(6, 2))},
    "tile": {"table": RNG.normal(size=(72 * 36, 2))},
    "geoclip": {"directions": RNG.normal(size=(2, 5, 2)) * 256},
    "spherical-voronoi": voronoi_weights(RNG, sites=6, site_dim=2, dim=3, tokens=4),
}


def finest(name: str) -> dict:
    """Options that ask for large phases."""
    options = {"num_scales": 5, "min_radius": 1e-6, "max_radius": 1.0}
    return {key: value for key, value in options.items() if key in formulas.ENCODERS[name][1]}


POINTS = np.array(
    [
        *([0.0, 0.0], [-0.0, -0.0], [180.0, 90.0], [-180.0, -90.0], [180.0, 45.0], [-180.0, 45.0]),
        *([2.3522, 48.8566], [-179.99999999999997, 89.99999999999999], [1e-30, -1e-12], [139.6917, 35.6895]),
        *([540.0, 12.0], [-540.0, 12.0], [359.5, -3.25], [-75.1234567891, -0.5]),
    ]
)


@pytest.mark.parametrize("name", formulas.ENCODERS)
def test_the_two_arithmetics_agree(name: str) -> None:
    options = finest(name)
    weights = WEIGHTS.get(name)
    expected = formulas.exact(name, POINTS, weights=weights, **options).astype(np.float64)
    actual = formulas.evaluate(name, POINTS, weights=weights, **options)
    np.testing.assert_allclose(actual, expected, rtol=1e-15, atol=2e-15)


def test_frequencies_are_the_ends_of_the_ladder() -> None:
    ladder = [float(f) for f in formulas.geometric_list(4, 1e-3, 1.0)]
    np.testing.assert_allclose(ladder, [1000.0, 100.0, 10.0, 1.0], rtol=1e-15)
    assert [float(f) for f in formulas.geometric_list(1, 0.5, 8.0)] == [2.0]


def test_sphere_c_at_radius_one_is_the_unit_sphere() -> None:
    lon, lat = math.radians(30.0), math.radians(-41.0)
    point = [math.sin(lat), math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon)]
    ours = formulas.evaluate("sphere2vec-sphereC", np.array([[30.0, -41.0]]), num_scales=1, min_radius=1.0)
    np.testing.assert_allclose(ours[0], point, atol=1e-15)


def test_longitudes_beyond_180_are_the_same_place() -> None:
    there = np.array([[190.0, 5.0], [540.0, 5.0], [-540.0, 5.0], [720.25, 5.0]])
    here = np.array([[-170.0, 5.0], [180.0, 5.0], [-180.0, 5.0], [0.25, 5.0]])
    for name in formulas.ENCODERS:
        away, near = (formulas.evaluate(name, points, weights=WEIGHTS.get(name)) for points in (there, here))
        assert (away == near).all()


@pytest.mark.parametrize(("key", "name", "options"), PEER_FEATURES)
def test_formulas_agree_with_the_papers_code(golden, key: str, name: str, options: dict) -> None:
    arrays = golden("position_encoders.npz")
    ours = formulas.evaluate(name, peer_points(arrays, key), weights=peer_weights(arrays, key), **options)
    theirs = formulas.blocked(arrays[key], name, options.get("num_scales", 1))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance(key, options))


@pytest.mark.parametrize("key", PEER_FFN)
def test_ffn_agrees_with_the_papers_code(golden, key: str) -> None:
    arrays = golden("networks.npz")
    *_, activation, _, skip = key.split("|")
    output = network_formulas.ffn(
        arrays[f"{key}/input"], ffn_state(arrays, key), activation=activation, skip=skip == "skipTrue"
    )
    np.testing.assert_allclose(output, arrays[f"{key}/output"], rtol=0, atol=1e-13)


def test_residual_fcnet_agrees_with_the_papers_code(golden) -> None:
    arrays = golden("networks.npz")
    key = "fcnet|in4|filts16|classes7"
    output = network_formulas.residual_fcnet(arrays[f"{key}/input"], residual_fcnet_state(arrays, key))
    np.testing.assert_allclose(output, arrays[f"{key}/embedding"], rtol=0, atol=1e-13)


def test_equal_earth_keeps_areas() -> None:
    # The map's area is the sphere's, 4 pi; the boundary is x(180, lat), twice.
    lat = np.linspace(-90.0, 90.0, 20001)
    edge = formulas.equal_earth(np.stack([np.full_like(lat, 180.0), lat], axis=1))
    area = 2 * np.trapezoid(edge[:, 0], edge[:, 1])
    assert area == pytest.approx(4 * math.pi, rel=1e-6)
