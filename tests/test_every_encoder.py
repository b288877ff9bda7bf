"""What every registered encoder promises, asked of each of them, with each implementation."""

from collections.abc import Iterator

import formulas
import numpy as np
import pytest
import torch
from catalogue import (
    CITIES,
    MATRIX_PRODUCTS,
    NAMES,
    OPTIONS,
    PIECEWISE,
    RADIANS,
    SCALED,
    SPACE2VEC,
    TRAINED,
    assert_within,
    atol_of,
    by_triton,
    device,
    expected,
    few,
    fine,
    globe,
    location_encoder,
    places,
    position_encoder,
    small,
    under_test,
    weights,
)
from torch import Tensor

from locenc.kernels.choice import missing


@pytest.fixture(params=["reference", "numba", pytest.param("triton", marks=pytest.mark.cuda)], autouse=True)
def implementation(request: pytest.FixtureRequest) -> Iterator[str]:
    if reason := missing(request.param):
        pytest.skip(reason)
    with under_test(request.param):
        yield request.param


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def encoder(name: str) -> torch.nn.Module:
    return position_encoder(name, **small(name))


def assert_same(name: str, actual: Tensor, other: Tensor) -> None:
    """Bit-identical features in batches of other sizes; to rounding where there are matrix products."""
    atol = 1e-6 if name in MATRIX_PRODUCTS else 0
    torch.testing.assert_close(actual, other, rtol=0, atol=atol)


def test_it_has_a_formula(name: str) -> None:
    assert name in formulas.ENCODERS


# Values


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-9), (torch.float32, 2.5e-7)])
def test_agrees_with_the_formula(name: str, dtype: torch.dtype, atol: float) -> None:
    options, count = fine(name)
    lonlat = globe(count)
    encoder = position_encoder(name, **options, dtype=dtype).to(dtype)
    features = encoder(lonlat)
    assert features.dtype == dtype
    assert_within(features, expected(encoder, lonlat, **options), atol_of(name, dtype, atol))


def test_agrees_with_the_formula_by_default(name: str) -> None:
    lonlat = globe(40)
    encoder = position_encoder(name)
    assert_within(encoder(lonlat), expected(encoder, lonlat), atol_of(name, torch.float32, 2.5e-7))


def test_agrees_with_fifty_digits(name: str) -> None:
    options = {**fine(name)[0], **({"num_scales": 4} if name in SCALED else {})}
    lonlat = places([(-75.1234567891, 89.99999), (179.99999999999997, -45.3)])
    encoder = position_encoder(name, **options, dtype=torch.float64).double()
    exact = formulas.exact(name, lonlat.cpu().numpy(), weights=weights(encoder), **options)
    assert_within(encoder(lonlat), exact.astype(np.float64), 1e-9)


@pytest.mark.parametrize("name", SPACE2VEC)
@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 5e-8), (torch.float32, 2.5e-7)])
def test_agrees_with_the_formula_at_a_millionth_of_a_degree(name: str, dtype: torch.dtype, atol: float) -> None:
    options = {"num_scales": 64, "min_radius": 1e-6}
    lonlat = globe(few(300))
    features = position_encoder(name, **options, dtype=dtype)(lonlat)
    assert_within(features, formulas.evaluate(name, lonlat.cpu().numpy(), **options), atol)


@pytest.mark.parametrize("name", [name for name in NAMES if "num_scales" in OPTIONS[name]])
@pytest.mark.parametrize("num_scales", [1, 2, 17])
def test_agrees_with_the_formula_at_any_number_of_scales(name: str, num_scales: int) -> None:
    lonlat = globe(30)
    dtype, atol = (torch.float32, 2.5e-7) if by_triton() else (torch.float64, 1e-9)
    encoder = position_encoder(name, num_scales=num_scales, dtype=dtype)
    assert_within(encoder(lonlat), formulas.evaluate(name, lonlat.cpu().numpy(), num_scales=num_scales), atol)


@pytest.mark.parametrize("name", SCALED)
def test_two_places_a_metre_apart_differ(name: str) -> None:
    there = [(lon, lat) for lon, lat in CITIES]
    metre_north = [(lon, lat + 9e-6) for lon, lat in CITIES]
    metre_east = [(lon + 9e-6 / np.cos(np.deg2rad(lat)), lat) for lon, lat in CITIES]
    options = {"num_scales": 8, "min_radius": 1e-6 if name in RADIANS else 6e-5}
    encoder = position_encoder(name, **options)
    here, north, east = (encoder(places(p)) for p in (there, metre_north, metre_east))
    assert ((here - north).abs().amax(-1) > 0.01).all()
    assert ((here - east).abs().amax(-1) > 0.01).all()


def test_longitudes_a_turn_apart_are_the_same_place(name: str) -> None:
    options, _ = fine(name)
    encoder = position_encoder(name, **options)
    lon = places([-180.0, -179.5, -90.25, -0.125, 0.0, 0.5, 45.0625, 179.9375, 180.0])
    lat = torch.linspace(-90, 90, 9, dtype=torch.float64, device=device())
    here = encoder(torch.stack([lon, lat], -1))
    for turns in (1, 2, 1000):
        # ±180 and what lies beyond keep their side: 540 is 180, -540 is -180.
        away = torch.where(lon >= 0, lon + 360 * turns, lon - 360 * turns)
        assert torch.equal(encoder(torch.stack([away, lat], -1)), here)
        back = torch.where(lon > 0, lon - 360 * turns, lon + 360 * turns)
        assert torch.equal(encoder(torch.stack([back, lat], -1))[1:-1], here[1:-1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.int32, torch.int16])
def test_features_of_coordinates_that_are_not_float64(encoder, dtype: torch.dtype) -> None:
    lonlat = places([(-180, -90), (180, 90), (540, 7), (0, 0), (139, -35)], dtype)
    if dtype == torch.float32:
        lonlat = torch.cat([lonlat, globe(50).float().clamp(min=-90, max=90)])
    features = encoder(lonlat)
    assert features.dtype == torch.get_default_dtype()
    assert torch.equal(features, encoder(lonlat.double()))


def test_narrow_and_unsigned_integers(encoder) -> None:
    for dtype in (torch.int8, torch.uint8):
        lonlat = places([(0, 0), (100, 45), (127, 90)], dtype)
        assert torch.equal(encoder(lonlat), encoder(lonlat.double()))


def test_minus_zero_is_zero(encoder) -> None:
    zeros = places([(0.0, 0.0), (-0.0, -0.0), (0.0, -0.0), (-360.0, 0.0)])
    features = encoder(zeros)
    assert (features == features[0]).all()


# Shapes, dtypes, layouts


def test_shapes(name: str, encoder) -> None:
    lonlat = globe(40)
    features = encoder(lonlat)
    assert features.shape == (40, encoder.out_dim)
    assert features.is_contiguous()
    assert torch.equal(encoder(lonlat.reshape(4, 5, 2, 2)), features.reshape(4, 5, 2, -1))
    assert_same(name, encoder(lonlat[3]), features[3])
    assert encoder(lonlat[3]).shape == (encoder.out_dim,)


def test_empty_in_empty_out(encoder) -> None:
    for shape in [(0, 2), (3, 0, 2), (0, 5, 2)]:
        features = encoder(torch.empty(shape, dtype=torch.float64, device=device()))
        assert features.shape == (*shape[:-1], encoder.out_dim)
        assert features.dtype == torch.get_default_dtype()


def test_an_empty_batch_has_gradients(encoder) -> None:
    lonlat = torch.empty(0, 2, dtype=torch.float64, device=device(), requires_grad=True)
    encoder(lonlat).sum().backward()
    assert lonlat.grad is not None
    assert lonlat.grad.shape == (0, 2)


def test_input_that_is_not_contiguous(name: str, encoder) -> None:
    lonlat = globe(40)
    features = encoder(lonlat)
    columns_first = lonlat.T.contiguous().T
    assert not columns_first.is_contiguous()
    assert torch.equal(encoder(columns_first), features)
    assert torch.equal(encoder(lonlat.repeat_interleave(2, 0)[::2]), features)
    assert_same(name, encoder(lonlat[7].expand(3, 2)), features[7].expand(3, -1))
    wide = torch.cat([lonlat, lonlat, lonlat], 1)
    assert torch.equal(encoder(wide[:, 2:4]), features)


def test_rows_keep_their_order_and_do_not_see_one_another(name: str, encoder) -> None:
    lonlat = globe(61)
    features = encoder(lonlat)
    order = torch.from_numpy(np.random.default_rng(1).permutation(61)).to(device())
    if by_triton():
        assert_same(name, encoder(lonlat[order]), features[order])
    else:
        assert torch.equal(encoder(lonlat[order]), features[order])
    for size in (1, 2, 3, 7, 16):
        assert_same(name, encoder(lonlat[:size]), features[:size])


def test_the_input_is_left_alone(encoder) -> None:
    for dtype in (torch.float64, torch.float32):
        lonlat = globe().to(dtype)
        before = lonlat.clone()
        encoder(lonlat)
        assert torch.equal(lonlat, before)
        assert torch.equal(lonlat.signbit(), before.signbit())


def test_features_have_the_encoders_dtype(name: str) -> None:
    for features_dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
        encoder = position_encoder(name, **small(name), dtype=features_dtype)
        assert encoder.dtype == features_dtype
        for dtype in (torch.float64, torch.float32, torch.int64):
            assert encoder(places([[10, 20]], dtype)).dtype == features_dtype


def test_the_default_dtype_is_torchs(name: str) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        encoder = position_encoder(name, **small(name))
        lonlat = globe(20)
        assert encoder(lonlat).dtype == torch.float64
        assert_within(encoder(lonlat), expected(encoder, lonlat, **small(name)), 1e-12)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("cast", ["half", "float", "bfloat16", "double", "to"])
def test_casts_leave_the_reduction_exact(name: str, cast: str) -> None:
    options, _ = fine(name)
    lonlat = globe(20)
    encoder = position_encoder(name, **options)
    features = encoder(lonlat)
    encoder = encoder.to(torch.float16) if cast == "to" else getattr(encoder, cast)()
    if name in TRAINED:  # their weights are rounded, their arithmetic is not
        assert_within(encoder(lonlat), expected(encoder, lonlat, **options), atol_of(name, torch.float32, 2.5e-7))
    else:
        assert torch.equal(encoder(lonlat), features)
    assert all(buffer.dtype == torch.float64 for buffer in encoder.buffers() if buffer.is_floating_point())


@pytest.mark.parametrize("cast", ["half", "bfloat16", "float", "double"])
def test_casts_of_a_whole_encoder_leave_the_reduction_exact(name: str, cast: str) -> None:
    options, _ = fine(name)
    lonlat = globe(20)
    encoder = getattr(location_encoder(name, dim=8, network="linear", **options).eval(), cast)()
    dtype = next(encoder.network.parameters()).dtype
    exact = torch.from_numpy(expected(encoder.position, lonlat, **options)).to(device(), dtype)
    with torch.no_grad():
        assert encoder(lonlat).dtype == dtype
        eps = torch.finfo(dtype).eps
        features = encoder.position(lonlat, dtype=dtype)
        largest = max(1.0, float(exact.abs().max()))
        torch.testing.assert_close(
            features.double(), exact.double(), rtol=0, atol=atol_of(name, dtype, max(2 * eps * largest, 1e-9))
        )


def test_autocast_does_not_touch_the_features(name: str) -> None:
    options, _ = fine(name)
    lonlat = globe(20)
    encoder = location_encoder(name, dim=8, network="linear", **options)
    features = encoder.position(lonlat)
    with torch.autocast(device().type, torch.bfloat16):
        assert torch.equal(encoder.position(lonlat), features)
        assert encoder(lonlat).dtype == torch.bfloat16


# Gradients


def test_gradients(name: str) -> None:
    encoder = position_encoder(name, **small(name), dtype=torch.float64).double()
    lonlat = places([(12.3, 45.6), (-171.0, -88.0), (200.0, 3.0)], requires_grad=True)
    assert torch.autograd.gradcheck(encoder, lonlat)
    assert torch.autograd.gradgradcheck(encoder, lonlat)


@pytest.mark.parametrize("name", PIECEWISE)
def test_within_a_cell_nothing_changes(name: str) -> None:
    encoder = position_encoder(name, **small(name))
    lonlat = places([(12.3, 45.6), (44.9, 89.9), (-179.9, 3.0)], requires_grad=True)
    features = encoder(lonlat)
    assert torch.equal(features[0], features[1])
    assert not torch.equal(features[0], features[2])
    assert torch.equal(torch.autograd.grad(features.sum(), lonlat)[0], torch.zeros_like(lonlat))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in PIECEWISE])
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-9), (torch.float32, 1e-6)])
def test_slopes_agree_with_the_formula(name: str, dtype: torch.dtype, rtol: float) -> None:
    less = {key: value for key, value in {"num_scales": 5, "num_degrees": 12}.items() if key in OPTIONS[name]}
    options = small(name) if name in TRAINED else {**fine(name)[0], **less}
    encoder = position_encoder(name, **options, dtype=dtype).to(dtype)
    for point in [(2.3522, 48.8566), (180.0, 90.0), (-180.0, -31.5), (0.0, 0.0), (-133.25, -90.0)]:
        lonlat = places(point, requires_grad=True)
        features = encoder(lonlat)
        columns = np.unique(np.linspace(0, encoder.out_dim - 1, few(encoder.out_dim, 5)).astype(int))
        slopes = torch.stack([torch.autograd.grad(features[i], lonlat, retain_graph=True)[0] for i in columns])
        exact = formulas.slopes(name, point, weights=weights(encoder), **options)
        # Sums over learned tensors round more often than a product of two sinusoids.
        assert_within(slopes, exact[columns], (5 if name in TRAINED else 1) * rtol * np.abs(exact).max())


def test_slopes_are_the_same_a_turn_away(encoder) -> None:
    here = places([(-170.0, 5.0), (180.0, 20.0), (0.25, -90.0)])
    away = places([(190.0, 5.0), (540.0, 20.0), (720.25, -90.0)])
    weight = torch.linspace(-1, 1, encoder.out_dim, device=device())
    slopes = [torch.func.grad(lambda x: (encoder(x, check=False) @ weight).sum())(x) for x in (here, away)]
    assert torch.equal(*slopes)


def test_no_gradient_where_none_is_asked_for(encoder) -> None:
    assert encoder(globe()).requires_grad == any(True for _ in encoder.parameters())
    with torch.no_grad():
        assert not encoder(globe().requires_grad_()).requires_grad
    with torch.inference_mode():
        assert torch.equal(encoder(globe()).clone(), encoder(globe()).clone())


# Transformations of torch


def test_compiles_without_a_break(encoder) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(encoder, fullgraph=True, backend="aot_eager")
    for count in (20, 33):
        lonlat = globe(count).requires_grad_()
        features = compiled(lonlat)
        eager = encoder(lonlat)
        assert torch.equal(features, eager)
        slopes = [torch.autograd.grad(f, lonlat, torch.ones_like(f))[0] for f in (features, eager)]
        torch.testing.assert_close(*slopes, rtol=1e-12, atol=1e-12)


def test_exports(encoder) -> None:
    rows = torch.export.Dim("rows")
    exported = torch.export.export(encoder, (globe(8),), dynamic_shapes=({0: rows},))
    assert torch.equal(exported.module()(globe(50)), encoder(globe(50), backend="reference"))


def test_maps_over_a_batch(encoder) -> None:
    lonlat = globe(20)
    mapped = torch.func.vmap(encoder)(lonlat)
    torch.testing.assert_close(mapped, encoder(lonlat))
    jacobian = torch.func.vmap(torch.func.jacrev(encoder))(lonlat)
    assert jacobian.shape == (20, encoder.out_dim, 2)
    with pytest.raises(RuntimeError, match="data-dependent control flow"):  # looking at values is what vmap cannot do
        torch.func.vmap(lambda point: encoder(point, check=True))(lonlat)


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # from inside torch 2.13
def test_forward_mode_agrees_with_reverse_mode(name: str) -> None:
    encoder = position_encoder(name, **small(name), dtype=torch.float64)
    point = places([2.3522, 48.8566])
    torch.testing.assert_close(torch.func.jacfwd(encoder)(point), torch.func.jacrev(encoder)(point))


def test_nothing_is_checked_when_compiled(encoder) -> None:
    torch._dynamo.reset()
    lonlat = places([(0.0, 0.0), (float("nan"), float("nan")), (10.0, 20.0)])
    features = torch.compile(encoder, fullgraph=True, backend="eager")(lonlat)
    assert torch.isnan(features[1]).any()  # but for columns that are constant
    assert torch.equal(features[[0, 2]], encoder(lonlat[[0, 2]]))


def test_a_whole_encoder_compiles_and_exports(name: str) -> None:
    torch._dynamo.reset()
    encoder = location_encoder(name, dim=8, **small(name)).eval()
    lonlat = globe(20)
    with torch.no_grad():
        embedding = encoder(lonlat)
        compiled = torch.compile(encoder, fullgraph=True, backend="aot_eager")(lonlat)
        exported = torch.export.export(encoder, (lonlat,)).module()(lonlat)
    torch.testing.assert_close(compiled, embedding)
    torch.testing.assert_close(exported, embedding)


def test_a_location_encoder_around_it(name: str) -> None:
    encoder = location_encoder(name, dim=24, **small(name)).eval()
    assert encoder.dim == 24
    lonlat = globe(24).requires_grad_()
    embedding = encoder(lonlat.reshape(2, 12, 2))
    assert embedding.shape == (2, 12, 24)
    assert embedding.dtype == torch.float32
    assert torch.isfinite(embedding).all()
    assert encoder(torch.empty(0, 2, device=device())).shape == (0, 24)
    embedding.sum().backward()
    assert torch.isfinite(lonlat.grad).all()
    assert all(parameter.grad is not None for parameter in encoder.parameters())
