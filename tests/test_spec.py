"""Specs: what phases, blocks and tables hold, and which spec each name and option gives, against the formulas."""

import math
from decimal import Decimal

import formulas
import numpy as np
import pytest
import torch

import locenc
from locenc import sinusoidal
from locenc.coords import KM_PER_DEGREE
from locenc.kernels.layout import COS, ELEMENTWISE, FAR, LONLAT, NEAR, OBLIQUE, ONE, OUTER, SIN, XYZ
from locenc.spec import Spec, cos, outer, phase, sin

TWO = [Decimal("0.25"), Decimal("0.125")]
RADIAN = 1 / 180
SINUSOIDAL = [name for name in locenc.list_encoders() if name.startswith(("sphere2vec", "space2vec"))]


# Phases and blocks


def test_a_phase_has_one_row_for_each_scale() -> None:
    assert phase("lon", TWO).coefficients == ((Decimal("0.25"), 0), (Decimal("0.125"), 0))
    assert phase("lat", TWO).coefficients == ((0, Decimal("0.25")), (0, Decimal("0.125")))
    assert phase("z", TWO[:1]).coefficients == ((0, 0, Decimal("0.25")),)
    assert phase((2, Decimal("-0.5")), TWO[:1]).coefficients == ((Decimal("0.5"), Decimal("-0.125")),)
    assert len(phase("x", TWO)) == 2


def test_the_angle_itself_is_a_half_turn_for_180_degrees() -> None:
    ((of_lon, none),) = phase("lon").coefficients
    assert none == 0
    assert abs(of_lon * 180 - 1) < Decimal("1e-27")  # of the default 28 digits; 40 are kept
    assert len(of_lon.as_tuple().digits) == 40
    assert phase("lat").coefficients == ((0, of_lon),)


@pytest.mark.parametrize(
    ("direction", "axis"),
    [("lon", 0), ("lat", 1), ("x", 0), ("y", 1), ("z", 2), ((1, 1), OBLIQUE), ((0, 3), 1), ((0, 0), OBLIQUE)],
)
def test_the_axis_of_a_phase(direction, axis: int) -> None:
    assert phase(direction, TWO).axis == axis


def test_sizes_of_blocks() -> None:
    lon, lons, lat, lats = phase("lon"), phase("lon", TWO), phase("lat"), phase("lat", [*TWO, Decimal(1)])
    assert len(sin(lons)) == 2
    assert len(sin(lons) * cos(lat)) == len(cos(lat) * sin(lons)) == 2
    assert len(sin(lons) * cos(lons)) == 2
    assert len(outer(sin(lons), cos(lats))) == 6
    assert len(outer(sin(lon), cos(lat))) == 1
    assert len(Spec(sin(lons), outer(sin(lons), cos(lats)), cos(lat))) == 9


def test_products_that_are_none() -> None:
    lons, lats = phase("lon", TWO), phase("lat", [*TWO, Decimal(1)])
    with pytest.raises(ValueError, match=r"^cannot multiply 2 scales with 3 scales; use outer\(\)$"):
        sin(lons) * cos(lats)
    product = sin(lons) * cos(lons)
    for one, other in ((product, sin(lons)), (sin(lons), product)):
        with pytest.raises(ValueError, match=r"^a block is a product of at most two sinusoids$"):
            one * other
        with pytest.raises(ValueError, match=r"^a block is a product of at most two sinusoids$"):
            outer(one, other)


# Tables


def test_a_table_stores_equal_phases_once_and_names_them_by_their_place() -> None:
    lon, lats = phase("lon"), phase("lat", TWO)
    spec = Spec(sin(lats), cos(lats) * cos(lon), outer(sin(lon), sin(lats)), cos(phase((1, 2), TWO[:1])))
    frequencies, layout = spec.table()
    assert frequencies.tolist() == [[0, 0.25], [0, 0.125], [RADIAN, 0], [0.25, 0.5]]
    assert frequencies.dtype == torch.float64
    assert frequencies.device.type == "cpu"
    blocks = [
        *(ELEMENTWISE, 0, SIN, 0, ONE),
        *(ELEMENTWISE, 0, COS, 1, COS),
        *(OUTER, 1, SIN, 0, SIN),
        *(ELEMENTWISE, 2, COS, 0, ONE),
    ]
    assert layout == (LONLAT, NEAR, 3, 2, 1, 1, 0, 1, OBLIQUE, *blocks)


def test_a_table_is_made_on_the_cpu_whatever_the_default_device() -> None:
    with torch.device("meta"):
        frequencies, _ = Spec(sin(phase("lon"))).table()
    assert frequencies.device.type == "cpu"


def test_a_table_on_the_unit_sphere_says_so() -> None:
    frequencies, layout = Spec(sin(phase("y", TWO))).table()
    assert frequencies.tolist() == [[0, 0.25, 0], [0, 0.125, 0]]
    assert layout == (XYZ, NEAR, 1, 2, 1, ELEMENTWISE, 0, SIN, 0, ONE)


@pytest.mark.parametrize(("direction", "end"), [("lon", 180), ("lat", 90), ((1, -1), 270), ("x", 1), ((1, 1, -1), 3)])
def test_phases_are_near_up_to_two_to_the_21_half_turns(direction, end: int) -> None:
    """The reach is the largest of all rows at the largest coordinates."""
    furthest = Decimal(2**21) / end
    for scale, reach in ((furthest, NEAR), (furthest + Decimal("1e-6"), FAR), (-furthest - 1, FAR)):
        if direction in ((1, -1), (1, 1, -1)):  # 2^21 / 270 and 2^21 / 3 are no decimals
            scale = scale.quantize(Decimal("1e-9"), rounding="ROUND_DOWN" if reach == NEAR else "ROUND_UP")
        scales = [scale, Decimal(1)] if reach == NEAR else [Decimal(1), scale]
        assert Spec(sin(phase(direction, scales))).table().layout[1] == reach


# Encoders


def places() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([rng.uniform(-180, 180, 12), rng.uniform(-90, 90, 12)], 1)


def check(encoder: torch.nn.Module, **options: object) -> None:
    lonlat = places()
    expected = torch.from_numpy(formulas.evaluate(encoder.config["name"], lonlat, **options))
    torch.testing.assert_close(encoder(torch.from_numpy(lonlat)), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", [*SINUSOIDAL, "nerf"])
@pytest.mark.parametrize("num_scales", [1, 2, 5])
def test_agrees_with_the_formula(name: str, num_scales: int) -> None:
    encoder = locenc.position_encoder(name, num_scales=num_scales, dtype=torch.float64)
    assert encoder(torch.zeros(1, 2)).dtype == torch.float64
    check(encoder, num_scales=num_scales)


@pytest.mark.parametrize("name", SINUSOIDAL)
def test_radii(name: str) -> None:
    radii = {"num_scales": 3, "min_radius": 0.02, "max_radius": 0.7}
    check(locenc.position_encoder(name, **radii, dtype=torch.float64), **radii)


@pytest.mark.parametrize("name", [*SINUSOIDAL, "nerf"])
def test_defaults(name: str) -> None:
    lonlat = places()
    expected = torch.from_numpy(formulas.evaluate(name, lonlat)).float()
    features = locenc.position_encoder(name)(torch.from_numpy(lonlat))
    torch.testing.assert_close(features, expected, rtol=0, atol=2.5e-7)


@pytest.mark.parametrize("name", ["sphere2vec-sphereM+", "sphere2vec-dfs"])
def test_the_power_list(name: str) -> None:
    options = {"num_scales": 4, "max_radius": 0.05, "frequency_list": "power"}
    check(locenc.position_encoder(name, **options, dtype=torch.float64), **options)


@pytest.mark.parametrize("name", [f"sphere2vec-{variant}" for variant in ("sphereC", "sphereC+", "sphereM")])
def test_the_power_list_is_for_two_variants(name: str) -> None:
    message = r"^TorchSpatial has the power list for sphereM\+ and dfs alone, never seamless or with finest_km$"
    with pytest.raises(ValueError, match=message):
        locenc.position_encoder(name, frequency_list="power")
    for option in ({"seamless": True}, {"finest_km": 10}):
        with pytest.raises(ValueError, match=message):
            locenc.position_encoder("sphere2vec-dfs", frequency_list="power", **option)


def test_unknown_lists_are_named() -> None:
    with pytest.raises(
        ValueError, match=r"^unknown frequency list 'powr'. Did you mean 'power'\? There are: geometric"
    ):
        locenc.position_encoder("sphere2vec-dfs", frequency_list="powr")


@pytest.mark.parametrize("name", SINUSOIDAL)
def test_finest_km_is_the_shortest_wavelength_along_the_equator(name: str) -> None:
    encoder = locenc.position_encoder(name, num_scales=4, finest_km=25)
    assert encoder.resolution_km == pytest.approx(25)
    fastest = encoder.frequencies[:, 0].abs().max().item()  # half turns a degree
    assert 2 / fastest * KM_PER_DEGREE == pytest.approx(25)


def test_resolution_of_points_on_the_sphere() -> None:
    assert locenc.position_encoder("nerf", num_scales=5).resolution_km == pytest.approx(
        2 * math.pi * 6378.137 / (2 * math.pi) * 2 / 2**4
    )
    assert locenc.position_encoder("xyz").resolution_km == pytest.approx(360 * KM_PER_DEGREE)


@pytest.mark.parametrize(
    ("name", "unit"), [(name, "radians" if "sphere" in name else "degrees") for name in SINUSOIDAL]
)
def test_the_unit_of_radii(name: str, unit: str) -> None:
    assert locenc.position_encoder(name, num_scales=2).radius_unit == unit


def test_xyz_is_the_point_on_the_unit_sphere() -> None:
    lon, lat = np.deg2rad(places()).T
    expected = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], 1)
    encoder = locenc.position_encoder("xyz", dtype=torch.float64)
    torch.testing.assert_close(encoder(torch.from_numpy(places())), torch.from_numpy(expected), rtol=0, atol=1e-14)


def test_nerf_has_at_most_fifty_scales() -> None:
    assert locenc.position_encoder("nerf", num_scales=50).out_dim == 300
    with pytest.raises(ValueError, match=r"^num_scales must be a whole number from 1 to 50, got 51$"):
        locenc.position_encoder("nerf", num_scales=51)


@pytest.mark.parametrize("variant", ["grid", "theory"])
def test_seamless_frequencies_are_odd_turns(variant: str) -> None:
    build = {"num_scales": 4, "min_radius": 0.5, "seamless": True}
    if variant == "theory":
        with pytest.raises(ValueError, match=r"^theory's directions are oblique, so no .* closes it: seamless is for"):
            sinusoidal.space2vec(variant, **build)
    else:
        turns = sinusoidal.space2vec(variant, **build).frequencies[:4, 0] * 180
        torch.testing.assert_close(turns, turns.round())
        assert (turns.round() % 2 == 1).all()


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("sphere2vec-sphereC", lambda: sinusoidal.sphere2vec("sphereC")),
        ("sphere2vec-dfs", lambda: sinusoidal.sphere2vec("dfs")),
        ("space2vec-grid", lambda: sinusoidal.space2vec("grid")),
        ("nerf", sinusoidal.nerf),
    ],
)
def test_functions_have_the_defaults_of_the_names(name: str, build) -> None:
    expected = torch.from_numpy(formulas.evaluate(name, places())).float()
    torch.testing.assert_close(build()(torch.from_numpy(places())), expected, rtol=0, atol=2.5e-7)
