"""The kernel of attention over sites: values against dense sums and 50 digits, what is left out, the same bytes."""

import math

import pytest
import torch
from arithmetic import DEGREE, mp
from points import bits, globe
from torch import Tensor

import locenc
from locenc import kernels
from locenc.kernels import numba_voronoi
from locenc.kernels.choice import missing
from locenc.kernels.reference_voronoi import site_attention, site_keys
from locenc.voronoi import fibonacci_lattice

if missing("numba"):
    pytest.skip(str(missing("numba")), allow_module_level=True)

TAUS = [1e-3, 1.0, 45.0, 500.0]
PLACES = [
    (0.0, 90.0),
    (77.0, 90.0),
    (12.0, -90.0),
    (33.0, 89.999999),
    (180.0, 45.3),
    (-180.0, 45.3),
    (540.0, 45.3),
    (-540.0, -45.0),
    (0.0, 0.0),
    (-0.0, -1e-300),
    (90.0, 0.0),
]


def everywhere(count: int = 50) -> Tensor:
    return torch.cat([torch.tensor(PLACES, dtype=torch.float64), globe(count)])


def even_sites(count: int, tau: float, columns: int = 24) -> tuple[Tensor, Tensor]:
    """Keys of sites spread evenly, and embeddings, float64."""
    keys = site_keys(fibonacci_lattice(count), torch.full((count,), math.log(tau), dtype=torch.float64))
    return keys, draw(count, columns)


def uneven_sites(count: int, columns: int = 24) -> tuple[Tensor, Tensor]:
    """Sites drawn anywhere, many of them in one region, each with its own τ from 0.05 to 2,000."""
    directions = draw(count, 3, seed=1)
    directions[: count // 2] = 0.05 * directions[: count // 2] + torch.tensor([1.0, -2.0, 0.5])
    log_tau = torch.linspace(-3, 7.6, count, dtype=torch.float64)[torch.randperm(count, generator=generator(2))]
    return site_keys(directions, log_tau), draw(count, columns)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def assert_agree(lonlat: Tensor, keys: Tensor, embeddings: Tensor) -> None:
    """With the dense float64 sum, to a few rounding units of the largest terms and what scores of that size allow."""
    expected = site_attention(lonlat, keys, embeddings, torch.float64)
    size = float(embeddings.abs().max())
    scores = float(keys.norm(dim=1).max())
    wide = numba_voronoi.forward(lonlat, keys, embeddings, torch.float64)
    torch.testing.assert_close(wide, expected, rtol=0, atol=size * (5e-15 + 1e-15 * scores))
    narrow = numba_voronoi.forward(lonlat, keys, embeddings.float(), torch.float32)
    torch.testing.assert_close(narrow.double(), expected, rtol=0, atol=size * (3e-7 + 1e-15 * scores))
    half = numba_voronoi.forward(lonlat, keys, embeddings.float(), torch.bfloat16)
    assert torch.equal(half, narrow.to(torch.bfloat16))


# Values


@pytest.mark.parametrize("tau", [*TAUS, 1e4])
@pytest.mark.parametrize("sites", [1, 2, 15, 16, 17, 300, 2000])
def test_even_sites(sites: int, tau: float) -> None:
    assert_agree(everywhere(), *even_sites(sites, tau))


@pytest.mark.parametrize("sites", [2, 31, 400, 3000])
def test_uneven_sites(sites: int) -> None:
    assert_agree(everywhere(300), *uneven_sites(sites))


@pytest.mark.parametrize("columns", [1, 2, 15, 16, 17, 31, 33, 100])
def test_any_number_of_columns(columns: int) -> None:
    keys, embeddings = even_sites(150, 45.0, columns)
    assert_agree(everywhere(), keys, embeddings)


@pytest.mark.parametrize("tau", [1.0, 45.0, 500.0])
def test_values_agree_with_fifty_digits(tau: float) -> None:
    keys, embeddings = even_sites(60, tau, 3)
    lonlat = everywhere(5)
    expected = []
    for lon, lat in lonlat.tolist():
        lon, lat = mp.mpf(lon) * DEGREE, mp.mpf(lat) * DEGREE
        place = mp.cos(lat) * mp.cos(lon), mp.cos(lat) * mp.sin(lon), mp.sin(lat)
        powers = [mp.exp(mp.fdot(place, map(mp.mpf, key))) for key in keys.tolist()]
        total = mp.fsum(powers)
        means = [mp.fdot(powers, map(mp.mpf, column)) / total for column in embeddings.T.tolist()]
        expected.append([float(mean) for mean in means])
    wide = numba_voronoi.forward(lonlat, keys, embeddings, torch.float64)
    torch.testing.assert_close(wide, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=3e-15 * (1 + tau))
    narrow = numba_voronoi.forward(lonlat, keys, embeddings.float(), torch.float32)
    torch.testing.assert_close(narrow.double(), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-6)


@pytest.mark.parametrize("tau", TAUS)
def test_weights_sum_to_one(tau: float) -> None:
    keys, _ = even_sites(500, tau)
    for dtype, atol in ((torch.float32, 6e-7), (torch.float64, 5e-15)):
        ones = numba_voronoi.forward(everywhere(), keys, torch.ones(500, 16), dtype)
        torch.testing.assert_close(ones, torch.ones_like(ones), rtol=0, atol=atol)


def test_many_small_weights_are_not_lost() -> None:
    """One site of weight 1, and many that are each below the last digit of float32, but not together."""
    count = 4000
    axis = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    directions = axis.expand(count, 3)
    for loss in (16.0, 17.5, 20.0):
        tau = torch.full((count,), 50.0 - loss, dtype=torch.float64)
        tau[7] = 50.0
        keys = site_keys(directions, tau.log())
        embeddings = torch.full((count, 16), 1.0, dtype=torch.float64)
        embeddings[7] = 0
        pole = torch.tensor([(0.0, 90.0)], dtype=torch.float64)
        share = (count - 1) * math.exp(-loss) / (1 + (count - 1) * math.exp(-loss))
        found = numba_voronoi.forward(pole, keys, embeddings.float(), torch.float32)
        torch.testing.assert_close(found.double(), torch.full_like(embeddings[:1], share), rtol=0, atol=6e-8)


def test_what_is_left_out_is_zero_for_sure() -> None:
    """Large embeddings far away do not show, and those near by do."""
    keys, embeddings = even_sites(1000, 500.0)
    embeddings[0] *= 1e4  # at the north pole
    lonlat = everywhere(200)
    expected = site_attention(lonlat, keys, embeddings, torch.float64)
    found = numba_voronoi.forward(lonlat, keys, embeddings.float(), torch.float32)
    weight = torch.softmax(torch.from_numpy(numba_voronoi.coordinates(1, lonlat.numpy())) @ keys.T, 1)[:, :1]
    assert ((found - expected).abs() <= 1e-6 + 1e4 * embeddings.abs().max() * (1e-6 * weight + 6e-8 / 1000)).all()


def test_coinciding_sites_share() -> None:
    keys, embeddings = even_sites(40, 45.0)
    keys[3], keys[39] = keys[17], keys[17]
    assert_agree(everywhere(), keys, embeddings)
    same = keys[:1].expand(40, 3)
    found = numba_voronoi.forward(everywhere(), same, embeddings, torch.float64)
    torch.testing.assert_close(found, embeddings.mean(0).expand(len(found), -1), rtol=0, atol=1e-14)


def test_sites_without_direction_and_of_one_half() -> None:
    keys, embeddings = even_sites(40, 45.0)
    keys[5] = 0
    assert_agree(everywhere(), keys, embeddings)
    keys[:, 2] = -keys[:, 2].abs()  # at the north pole all scores are negative
    assert_agree(everywhere(), keys, embeddings)
    assert_agree(everywhere(), keys[:1], embeddings[:1])


@pytest.mark.parametrize("tau", [1e6, 1e12])
def test_extreme_temperatures_choose_a_site(tau: float) -> None:
    keys, embeddings = even_sites(100, tau)
    lonlat = everywhere()
    found = numba_voronoi.forward(lonlat, keys, embeddings.float(), torch.float32)
    largest = site_attention(lonlat, keys, torch.eye(100, dtype=torch.float64), torch.float64).argmax(1)
    sure = site_attention(lonlat, keys, torch.eye(100, dtype=torch.float64), torch.float64).amax(1) > 1 - 1e-9
    assert torch.isfinite(found).all()
    assert torch.equal(found[sure], embeddings.float()[largest[sure]])


def test_a_bad_place_spoils_its_own_row_alone() -> None:
    keys, embeddings = even_sites(400, 45.0)
    lonlat = globe(40)
    expected = numba_voronoi.forward(lonlat, keys, embeddings, torch.float64)
    lonlat[4] = math.nan
    lonlat[30, 0] = math.inf
    found = numba_voronoi.forward(lonlat, keys, embeddings, torch.float64)
    bad = torch.isnan(found).all(1)
    assert bad.nonzero().flatten().tolist() == [4, 30]
    assert torch.equal(found[~bad], expected[~bad])


def test_a_bad_key_spoils_all() -> None:
    keys, embeddings = even_sites(400, 45.0)
    keys[77, 1] = math.nan
    assert torch.isnan(numba_voronoi.forward(globe(40), keys, embeddings, torch.float64)).all()


# Gradients and the operator


def test_gradients_of_coordinates() -> None:
    keys, embeddings = even_sites(30, 20.0)
    lonlat = globe(4).requires_grad_()

    def features(lonlat: Tensor) -> Tensor:
        return kernels.site_attention(lonlat, keys, embeddings, torch.float64)

    assert torch.autograd.gradcheck(features, lonlat)
    assert torch.autograd.gradgradcheck(features, lonlat)
    many = globe(2500).requires_grad_()  # more than a tile
    gradient = draw(2500, 24)
    (found,) = torch.autograd.grad(features(many), many, gradient)
    (expected,) = torch.autograd.grad(site_attention(many, keys, embeddings, torch.float64), many, gradient)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_gradients_of_sites_are_the_references() -> None:
    keys, embeddings = (value.requires_grad_() for value in even_sites(30, 20.0))
    lonlat = globe(6)
    found = torch.autograd.grad(
        kernels.site_attention(lonlat, keys, embeddings, torch.float64).square().sum(), (keys, embeddings)
    )
    expected = torch.autograd.grad(
        site_attention(lonlat, keys, embeddings, torch.float64).square().sum(), (keys, embeddings)
    )
    for own, theirs in zip(found, expected, strict=True):
        assert torch.equal(own, theirs)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("gradient", [False, True])
def test_torchs_own_check(dtype: torch.dtype, gradient: bool) -> None:
    keys, embeddings = even_sites(20, 20.0)
    arguments = (globe(6).requires_grad_(gradient), keys, embeddings.to(dtype), dtype)
    torch.library.opcheck(torch.ops.locenc.site_attention.default, arguments)


def test_the_encoder_uses_it_where_no_gradients_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    forward = numba_voronoi.forward
    monkeypatch.setattr(numba_voronoi, "forward", lambda *given, **named: calls.append(1) or forward(*given, **named))
    encoder = locenc.position_encoder("spherical-voronoi", num_sites=200, site_dim=20, num_features=30)
    lonlat = everywhere()
    trained = encoder(lonlat)
    assert not calls
    assert trained.requires_grad
    with torch.no_grad():
        found = encoder(lonlat)
    assert calls == [1]
    torch.testing.assert_close(found, trained.detach(), rtol=0, atol=5e-6)
    with torch.inference_mode():
        assert torch.equal(encoder(lonlat), found)
    with torch.no_grad(), locenc.backend("reference"):
        assert torch.equal(encoder(lonlat), trained)
    encoder.requires_grad_(False)
    assert torch.equal(encoder(lonlat), found)
    assert len(calls) == 3
    lonlat.requires_grad_()
    encoder(lonlat).sum().backward()
    assert torch.isfinite(lonlat.grad).all()


@pytest.mark.parametrize("module_dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_parameters_of_any_dtype(module_dtype: torch.dtype) -> None:
    encoder = locenc.position_encoder("spherical-voronoi", num_sites=200, site_dim=20, num_features=30).to(module_dtype)
    with torch.no_grad():
        found = encoder(everywhere())
        with locenc.backend("reference"):
            expected = encoder(everywhere())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-6)


# The same bytes


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
@pytest.mark.parametrize("tau", [1.0, 45.0, 500.0])
def test_the_same_bytes_in_any_batch(dtype: torch.dtype, tau: float) -> None:
    keys, embeddings = even_sites(700, tau, 40)
    lonlat = everywhere(400)
    features = numba_voronoi.forward(lonlat, keys, embeddings.to(dtype), dtype)
    for start, stop in ((0, 1), (5, 6), (3, 20), (100, 216), (200, 411)):
        part = slice(start, stop)
        assert bits(numba_voronoi.forward(lonlat[part], keys, embeddings.to(dtype), dtype)) == bits(features[part])
    order = torch.randperm(len(lonlat), generator=generator(3))
    assert bits(numba_voronoi.forward(lonlat[order], keys, embeddings.to(dtype), dtype)) == bits(features[order])


def test_the_same_bytes_among_uneven_sites() -> None:
    keys, embeddings = uneven_sites(1500)
    lonlat = torch.cat([globe(300), globe(300) * 0.01 + torch.tensor([-63.4, 12.0])])
    features = numba_voronoi.forward(lonlat, keys, embeddings.float(), torch.float32)
    for row in range(0, 600, 7):
        own = numba_voronoi.forward(lonlat[row : row + 1], keys, embeddings.float(), torch.float32)
        assert bits(own) == bits(features[row : row + 1])


_whole: dict[torch.dtype, bytes] = {}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_same_bytes_by_any_number_of_threads(threads: int, dtype: torch.dtype) -> None:
    keys, embeddings = even_sites(1000, 100.0, 64)
    lonlat = globe(20_000)
    features = numba_voronoi.forward(lonlat, keys, embeddings.to(dtype), dtype)
    assert _whole.setdefault(dtype, bits(features)) == bits(features)
    part = slice(12_340, 12_360)
    assert bits(numba_voronoi.forward(lonlat[part], keys, embeddings.to(dtype), dtype)) == bits(features[part])


def test_more_than_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    keys, embeddings = even_sites(300, 100.0)
    lonlat = globe(1000)
    features = numba_voronoi.forward(lonlat, keys, embeddings, torch.float64)
    monkeypatch.setattr(numba_voronoi, "BATCH", 96)
    assert torch.equal(numba_voronoi.forward(lonlat, keys, embeddings, torch.float64), features)


# Memory


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("columns", [5, 16, 21])
def test_out_is_filled_and_nothing_beyond(dtype: torch.dtype, columns: int) -> None:
    keys, embeddings = even_sites(50, 45.0, columns)
    lonlat = globe(37)
    memory = torch.full((37 * columns + 40,), -7.0, dtype=dtype)
    out = memory[20:-20].view(37, columns)
    assert numba_voronoi.forward(lonlat, keys, embeddings, dtype, out=out) is out
    assert torch.equal(out, numba_voronoi.forward(lonlat, keys, embeddings, dtype))
    assert (memory[:20] == -7).all()
    assert (memory[-20:] == -7).all()


def test_strided_expanded_and_float32_inputs() -> None:
    keys, embeddings = even_sites(50, 45.0)
    wide = globe(40)
    expected = numba_voronoi.forward(wide[::2].clone(), keys, embeddings, torch.float64)
    turned = [value.T.contiguous().T for value in (wide[::2], keys, embeddings)]
    assert not any(value.is_contiguous() for value in turned)
    assert torch.equal(numba_voronoi.forward(*turned, torch.float64), expected)
    one = numba_voronoi.forward(wide[:1].expand(20, 2), keys, embeddings, torch.float64)
    assert torch.equal(one, one[:1].expand(20, -1))
    rough = wide.float()
    assert torch.equal(
        numba_voronoi.forward(rough, keys, embeddings, torch.float64),
        numba_voronoi.forward(rough.double(), keys, embeddings, torch.float64),
    )


def test_no_rows() -> None:
    keys, embeddings = even_sites(50, 45.0)
    nowhere = torch.zeros(0, 2, dtype=torch.float64)
    for dtype in (torch.float64, torch.float32, torch.float16):
        features = numba_voronoi.forward(nowhere, keys, embeddings, dtype)
        assert features.shape == (0, 24)
        assert features.dtype == dtype
        assert numba_voronoi.backward(features, nowhere, keys, embeddings, dtype).shape == (0, 2)
