"""Spherical harmonics: values and slopes against exact arithmetic, what makes them harmonics, and SatCLIP's arrays."""

import math

import harmonics_formulas
import numpy as np
import pytest
import scipy.special
import torch
from arithmetic import DEGREE, mp
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import locenc
from locenc.kernels.reference_harmonics import tables

POLES = [(0.0, 90.0), (-137.3, 90.0), (180.0, 90.0), (12.0, -90.0), (-180.0, -90.0)]
NEAR_POLES = [(33.0, 89.999999), (-75.0, -89.999999), (180.0, 89.999999), (-180.0, -89.99)]
SEAM = [(180.0, 45.3), (-180.0, 45.3), (179.99999999999997, -12.0), (180.0, 0.0), (540.0, 77.0)]
AXES = [(0.0, 0.0), (-0.0, -0.0), (90.0, 0.0), (-90.0, 45.0), (1e-9, -1e-300)]
# torch 2.13 itself uses what it deprecates
JACOBIANS = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
places = st.tuples(st.floats(-180, 180), st.floats(-90, 90))


def globe(count: int, seed: int = 0) -> Tensor:
    """Points uniform on the sphere, degrees, float64."""
    rng = np.random.default_rng(seed)
    lat = np.rad2deg(np.arcsin(rng.uniform(-1, 1, count)))
    return torch.from_numpy(np.stack([rng.uniform(-180, 180, count), lat], axis=1))


def points(*places: tuple[float, float]) -> Tensor:
    return torch.tensor(places, dtype=torch.float64)


def harmonics(lonlat: Tensor, num_degrees: int, **options: object) -> Tensor:
    options = {"dtype": torch.float64, **options}
    features: Tensor = locenc.position_encoder("spherical-harmonics", num_degrees=num_degrees, **options)(lonlat)
    return features


def degrees_orders(num_degrees: int) -> tuple[Tensor, Tensor]:
    """Degree and order of each column."""
    pairs = [(degree, order) for degree in range(num_degrees) for order in range(-degree, degree + 1)]
    degree, order = torch.tensor(pairs).T
    return degree, order


def largest(degree: Tensor) -> Tensor:
    """Largest value that any harmonic of a degree takes on the sphere: that of m = 0 at a pole."""
    return ((2 * degree.double() + 1) / (4 * math.pi)).sqrt()


def reduced(lon: float) -> float:
    return lon - 360 if lon > 180 else lon


# Values


@pytest.mark.parametrize(("degree", "order"), [(0, 0), (5, 3), (40, 7), (40, 40), (99, 0), (60, 59)])
def test_the_formula_agrees_with_mpmath(degree: int, order: int) -> None:
    with mp.workdps(120):
        z = mp.sin(mp.mpf(33) * mp.pi / 180)
        legendre = (-1) ** order * mp.legenp(degree, order, z, type=2)  # without Condon-Shortley phase
        norm = (2 * degree + 1) / (4 * mp.pi) * mp.factorial(degree - order) / mp.factorial(degree + order)
        expected = mp.sqrt((2 if order else 1) * norm) * legendre
        place = harmonics_formulas.harmonics(mp.mpf(0), mp.mpf(33), [degree])
        assert abs(place[degree + order] / expected - 1) < mp.mpf(10) ** -45


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 2e-12), (torch.float32, 5e-7)])
@pytest.mark.parametrize(
    ("num_degrees", "degrees"),
    [(40, range(40)), (100, [0, 1, 2, 50, 98, 99]), (200, [0, 1, 2, 57, 100, 150, 198, 199])],
)
def test_agrees_with_exact_arithmetic(
    num_degrees: int, degrees: list[int], dtype: torch.dtype, tolerance: float
) -> None:
    lonlat = torch.cat([points(*POLES, *NEAR_POLES, *SEAM, *AXES), globe(12)])
    degree, _ = degrees_orders(num_degrees)
    chosen = torch.isin(degree, torch.tensor(degrees))
    exact = [harmonics_formulas.harmonics(mp.mpf(reduced(lon)), mp.mpf(lat), degrees) for lon, lat in lonlat.tolist()]
    expected = torch.tensor(np.array(exact, dtype=np.float64))
    features = harmonics(lonlat, num_degrees, dtype=dtype)
    assert features.shape == (len(lonlat), num_degrees**2)
    error = (features[:, chosen].double() - expected).abs() / largest(degree[chosen])
    assert error.max() <= tolerance


def test_errors_do_not_pile_up_near_the_poles() -> None:
    """Between a pole and its neighbourhood z has few float64 values, and a degree magnifies their gaps l² / 2 times."""
    degree, orders = 199, 3
    lat = 90 - 10 ** np.random.default_rng(2).uniform(-8, 1, 800)
    lat[::2] *= -1
    first = degree * (degree + 1)
    features = harmonics(torch.from_numpy(np.stack([0 * lat, lat], 1)), degree + 1)[:, first : first + orders]
    exact = []
    for value in lat:
        with mp.workdps(60):
            sine, cosine = mp.sin(mp.mpf(value) * DEGREE), mp.cos(mp.mpf(value) * DEGREE)
            z = int(mp.nint(mp.ldexp(sine, harmonics_formulas.BITS)))
            exact.append([harmonics_formulas.legendre(degree, m, z) * cosine**m for m in range(orders)])
    error = np.abs(features.numpy() - np.array(exact, dtype=np.float64)) / largest(torch.tensor(degree)).item()
    assert error.max() < 1e-12


def test_fewer_degrees_are_the_first_columns_of_more() -> None:
    lonlat = torch.cat([points(*POLES, *SEAM), globe(20)])
    features = harmonics(lonlat, 50)
    for num_degrees in (1, 2, 3, 4, 9, 33):
        torch.testing.assert_close(harmonics(lonlat, num_degrees), features[:, : num_degrees**2], rtol=0, atol=1e-13)


def test_first_columns_are_the_textbooks() -> None:
    lon, lat = torch.deg2rad(globe(20)).unbind(1)
    x, y, z = lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()
    columns = [torch.ones_like(x), 3**0.5 * y, 3**0.5 * z, 3**0.5 * x]
    columns += [15**0.5 * x * y, 15**0.5 * y * z, 5**0.5 / 2 * (3 * z * z - 1), 15**0.5 * x * z]
    columns += [15**0.5 / 2 * (x * x - y * y)]
    expected = torch.stack(columns, 1) / (4 * math.pi) ** 0.5
    torch.testing.assert_close(harmonics(globe(20), 3), expected, rtol=0, atol=1e-14)


def test_satclips_are_those_of_the_antipode_with_longer_zonal_ones() -> None:
    lonlat = torch.cat([points(*POLES, *SEAM), globe(20)])
    degree, order = degrees_orders(12)
    antipode = torch.stack([lonlat[:, 0] + 180, -lonlat[:, 1]], 1)
    satclip = harmonics(lonlat, 12, normalization="satclip")
    zonal = torch.where(order == 0, torch.tensor(math.pi, dtype=torch.float64), 1)
    torch.testing.assert_close(satclip, harmonics(antipode, 12) * zonal, rtol=0, atol=1e-12)
    torch.testing.assert_close(satclip, harmonics(lonlat, 12) * zonal * (-1.0) ** degree, rtol=0, atol=1e-13)


@pytest.mark.parametrize("num_degrees", [7, 200, 1000])
def test_neither_seam_nor_poles(num_degrees: int) -> None:
    _, order = degrees_orders(num_degrees)
    for lat in (90.0, -90.0):
        features = harmonics(points(*((lon, lat) for lon in (0, -180, 180, 33.3, -1e-9))), num_degrees)
        assert (features == features[0]).all()
        assert (features[:, order != 0] == 0).all()
    east, west = (
        harmonics(points(*((lon, lat) for lat in (-89.999999, 0, 12.3, 90))), num_degrees) for lon in (180, -180)
    )
    assert (east == west).all()


# What makes them harmonics


def test_orthonormal() -> None:
    num_degrees = 14
    nodes, weights = np.polynomial.legendre.leggauss(num_degrees)
    lon = np.arange(2 * num_degrees) * 180 / num_degrees - 180
    grid = np.stack(np.meshgrid(lon, np.rad2deg(np.arcsin(nodes)), indexing="ij"), axis=-1).reshape(-1, 2)
    area = torch.from_numpy(np.tile(weights, len(lon)) * 2 * math.pi / len(lon))
    features = harmonics(torch.from_numpy(grid), num_degrees)
    inner = features.T @ (features * area[:, None])
    torch.testing.assert_close(inner, torch.eye(num_degrees**2, dtype=torch.float64), rtol=0, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(a=places, b=places)
def test_addition_theorem(a: tuple[float, float], b: tuple[float, float]) -> None:
    """Sum over the orders of Y(a) Y(b) is (2l + 1) / 4π P_l(cosine of the angle between a and b)."""
    num_degrees = 60
    degree, _ = degrees_orders(num_degrees)
    here, there = harmonics(points(a, b), num_degrees)
    lon, lat = np.deg2rad(np.array([a, b])).T
    x = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    size = (2 * np.arange(num_degrees) + 1) / (4 * math.pi)
    expected = size * scipy.special.eval_legendre(np.arange(num_degrees), np.clip(x[:, 0] @ x[:, 1], -1, 1))
    sums = (
        torch.zeros(2, num_degrees, dtype=torch.float64)
        .index_add(1, degree, torch.stack([here * there, here**2]))
        .numpy()
    )
    np.testing.assert_allclose(sums[0] / size, expected / size, rtol=0, atol=1e-11)
    np.testing.assert_allclose(sums[1] / size, 1, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("num_degrees", "tolerance"), [(200, 4e-12), (1000, 1e-10)])
def test_squares_of_a_degree_sum_to_a_constant(num_degrees: int, tolerance: float) -> None:
    degree, _ = degrees_orders(num_degrees)
    features = harmonics(torch.cat([points(*POLES, *NEAR_POLES, *SEAM), globe(6)]), num_degrees)
    sums = torch.zeros(len(features), num_degrees, dtype=torch.float64).index_add(1, degree, features.square())
    relative = sums / largest(torch.arange(num_degrees)).square()
    torch.testing.assert_close(relative, torch.ones_like(relative), rtol=0, atol=tolerance)


@settings(max_examples=30, deadline=None)
@given(place=places, turn=st.floats(-180, 180))
def test_rotation_about_the_axis(place: tuple[float, float], turn: float) -> None:
    lon, lat = place
    degree, order = degrees_orders(20)
    here, moved = harmonics(points((lon, lat), (lon + turn, lat)), 20)
    opposite = degree * (degree + 1) - order
    angle = order.double() * math.radians(turn)
    expected = here * angle.cos() - here[opposite] * angle.sin()
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(place=places)
def test_mirror_at_the_equator(place: tuple[float, float]) -> None:
    lon, lat = place
    degree, order = degrees_orders(20)
    north, south = harmonics(points((lon, lat), (lon, -lat)), 20)
    assert (south == north * (-1.0) ** (degree + order)).all()


# Derivatives


@pytest.mark.parametrize("normalization", ["orthonormal", "satclip"])
def test_gradients(normalization: str) -> None:
    places = [(0.0, 90.0), (-137.3, -90.0), (180.0, 45.3), (-180.0, 0.0), (90.0, 0.0), (12.3, 44.9), (5.0, 89.9999)]
    encoder = locenc.position_encoder(
        "spherical-harmonics", num_degrees=4, normalization=normalization, dtype=torch.float64
    )
    for place in places:  # without the check, since a numeric slope at a pole steps beyond it
        lonlat = points(place).requires_grad_()
        assert torch.autograd.gradcheck(lambda x: encoder(x, check=False), lonlat)
        assert torch.autograd.gradgradcheck(lambda x: encoder(x, check=False), lonlat)


DEGREES = [0, 1, 2, 3, 20, 38, 39]
STEP = mp.mpf(10) ** -15


def numeric(derivative: str, place: tuple[float, float]) -> Tensor:
    """A derivative of the formula, per degree or square degree, by central differences in 100 digits."""
    with mp.workdps(100):
        lon, lat = (mp.mpf(v) for v in place)

        def at(i: int, j: int) -> np.ndarray:
            return np.array(harmonics_formulas.harmonics(lon + i * STEP, lat + j * STEP, DEGREES), dtype=object)

        east, north = (1, 0), (0, 1)
        if derivative in ("lon", "lat"):
            i, j = east if derivative == "lon" else north
            values = (at(i, j) - at(-i, -j)) / (2 * STEP)
        elif derivative == "lon lat":
            values = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / (4 * STEP**2)
        else:
            i, j = east if derivative == "lon lon" else north
            values = (at(i, j) - 2 * at(0, 0) + at(-i, -j)) / STEP**2
    return torch.from_numpy(values.astype(np.float64))


@JACOBIANS
@pytest.mark.parametrize(
    "place", [(0.0, 90.0), (-137.25, -90.0), (33.0, 89.999999), (180.0, 45.5), (0.0, 0.0), (-75.125, -12.5)], ids=str
)
def test_derivatives_agree_with_the_formula(place: tuple[float, float]) -> None:
    degree, _ = degrees_orders(40)
    chosen = torch.isin(degree, torch.tensor(DEGREES))
    encoder = locenc.position_encoder("spherical-harmonics", num_degrees=40, dtype=torch.float64)

    def slopes(lonlat: Tensor) -> Tensor:
        return torch.func.jacfwd(lambda x: encoder(x, check=False))(lonlat)

    first, second = slopes(points(place)[0])[chosen], torch.func.jacfwd(slopes)(points(place)[0])[chosen]
    scale = largest(degree[chosen])
    per_degree = (degree[chosen] + 1) * math.pi / 180
    for axis, name in enumerate(["lon", "lat"]):
        error = (first[:, axis] - numeric(name, place)).abs() / (scale * per_degree)
        assert error.max() < 2e-12
    for (i, j), name in {(0, 0): "lon lon", (0, 1): "lon lat", (1, 0): "lon lat", (1, 1): "lat lat"}.items():
        error = (second[:, i, j] - numeric(name, place)).abs() / (scale * per_degree.square())
        assert error.max() < 2e-12


@JACOBIANS
def test_reverse_mode_agrees_with_forward_mode() -> None:
    encoder = locenc.position_encoder("spherical-harmonics", num_degrees=40, dtype=torch.float64)
    for place in [(20.0, 90.0), (180.0, -90.0), (12.0, 33.0)]:
        lonlat = points(place)[0]
        with torch.no_grad():
            forward = torch.func.jacfwd(lambda x: encoder(x, check=False))(lonlat)
        reverse = torch.func.jacrev(lambda x: encoder(x, check=False))(lonlat)
        torch.testing.assert_close(reverse, forward, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("num_degrees", "dtype"), [(200, torch.float32), (1000, torch.float64)])
def test_first_and_second_derivatives_are_finite(num_degrees: int, dtype: torch.dtype) -> None:
    lonlat = points((33.0, 90.0), (-180.0, -90.0), (5.0, 89.999999), (180.0, 0.0), (12.0, 34.0)).requires_grad_()
    features = harmonics(lonlat, num_degrees, dtype=dtype)
    weight = torch.linspace(-1, 1, features.shape[1], dtype=dtype)
    (slopes,) = torch.autograd.grad((features @ weight).sum(), lonlat, create_graph=True)
    for axis in (0, 1):
        (curvature,) = torch.autograd.grad(slopes[:, axis].sum(), lonlat, retain_graph=True)
        assert torch.isfinite(slopes).all()
        assert torch.isfinite(curvature).all()


def test_what_autograd_keeps_grows_as_the_output() -> None:
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    lonlat = globe(50).requires_grad_()
    encoder = locenc.position_encoder("spherical-harmonics", num_degrees=80, dtype=torch.float64)
    held = {tensor.data_ptr() for tensor in encoder.buffers()}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        features = encoder(lonlat)
    assert sum(size for pointer, size in kept.items() if pointer not in held) < 1.2 * features.nbytes


# SatCLIP's arrays


def test_agrees_with_the_stored_reference(golden) -> None:
    arrays = golden("satclip_sh.npz")
    degree, order = degrees_orders(40)
    lonlat = torch.from_numpy(arrays["lonlat"])
    expected = torch.from_numpy(arrays["reference/orthonormal-noCS-times(-1)^l|L40"])
    for dtype, tolerance in [(torch.float64, 2e-12), (torch.float32, 5e-7)]:
        features = harmonics(lonlat, 40, dtype=dtype).double() * (-1.0) ** degree
        assert ((features - expected).abs() / largest(degree)).max() <= tolerance
    zonal = torch.where(order == 0, torch.tensor(math.pi, dtype=torch.float64), 1)
    satclip = harmonics(lonlat, 40, normalization="satclip")
    assert ((satclip - expected * zonal).abs() / (largest(degree) * zonal)).max() <= 2e-12


def test_agrees_with_satclips_own_code_where_that_is_accurate(golden) -> None:
    arrays = golden("satclip_sh.npz")
    lonlat = torch.from_numpy(arrays["lonlat"])
    from_equator = lonlat[:, 1].abs()
    ours = harmonics(lonlat, 40, normalization="satclip")
    error = (ours - torch.from_numpy(arrays["satclip/analytic|L40"])).abs().amax(1)
    assert error[from_equator < 30].max() <= 1e-7
    error = (ours[:, :100] - torch.from_numpy(arrays["satclip/analytic|L10"])).abs().amax(1)
    assert error[from_equator < 80].max() <= 1e-12
    assert error.max() <= 2e-8  # its sine of the colatitude is the root of a difference

    # The closed form has no π at m = 0, but Condon-Shortley's phase.
    _, order = degrees_orders(10)
    factor = torch.where(order == 0, 1 / torch.tensor(math.pi, dtype=torch.float64), (-1.0) ** order.abs().double())
    error = (ours[:, :100] * factor - torch.from_numpy(arrays["satclip/closed-form|L10"])).abs().amax(1)
    assert error[from_equator < 80].max() <= 3e-14
    assert error.max() <= 1.5e-7


@pytest.mark.parametrize(("num_degrees", "low", "everywhere"), [(8, 1e-12, 2e-8), (16, 1e-9, 5e-8)])
def test_torchspatials_are_satclips(golden, num_degrees: int, low: float, everywhere: float) -> None:
    arrays = golden("position_encoders.npz")
    lonlat = torch.from_numpy(arrays["lonlat"])
    theirs = torch.from_numpy(arrays[f"torchspatial/spherical_harmonics|L{num_degrees}"])
    error = (harmonics(lonlat, num_degrees, normalization="satclip") - theirs).abs().amax(1)
    assert error[lonlat[:, 1].abs() < 80].max() <= low
    assert error.max() <= everywhere


# The modules


def test_the_class_is_the_registered_encoder() -> None:
    lonlat = globe(10)
    encoder = locenc.SphericalHarmonics(6, dim=24, normalization="satclip").eval()
    assert isinstance(encoder, locenc.LocationEncoder)
    assert isinstance(encoder.network, locenc.Siren)
    assert encoder(lonlat).shape == (10, 24)
    expected = locenc.position_encoder("spherical-harmonics", num_degrees=6, normalization="satclip")(lonlat)
    assert torch.equal(encoder.position(lonlat), expected)
    assert locenc.SphericalHarmonics(dim=8).position.out_dim == 1600


def test_tables_are_finite_at_the_most_degrees() -> None:
    recurrence, scale = tables(1000)
    assert torch.isfinite(recurrence).all()
    assert torch.isfinite(scale).all()
    assert (scale.tril() == scale).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_degrees": 0}, r"num_degrees.*whole number of at least 1, got 0"),
        ({"num_degrees": -3}, r"num_degrees.*got -3"),
        ({"num_degrees": 2.5}, r"num_degrees.*got 2\.5"),
        ({"num_degrees": True}, r"num_degrees.*got True"),
        ({"num_degrees": 1001}, r"num_degrees must be at most 1000, got 1001"),
        ({"normalization": "satclips"}, r"unknown normalization 'satclips'\. Did you mean 'satclip'\?"),
        ({"normalization": "4pi"}, r"unknown normalization '4pi'.*orthonormal, satclip"),
    ],
)
def test_impossible_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        locenc.position_encoder("spherical-harmonics", **options)
    with pytest.raises(ValueError, match=message):
        locenc.SphericalHarmonics(**options)
