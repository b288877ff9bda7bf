"""The sinusoid kernels by themselves: any layout against a plain float64 loop, the same bytes, memory, machine code."""

import itertools
import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import locenc
from locenc import kernels
from locenc.kernels import chunks
from locenc.kernels.choice import missing
from locenc.kernels.layout import COS, ELEMENTWISE, LONLAT, OBLIQUE, ONE, OUTER, SIN, XYZ

if reason := missing("numba"):
    pytest.skip(reason, allow_module_level=True)

import numba

from locenc.kernels import numba_sinusoids

LENGTHS = [1, 2, 7, 8, 15, 16, 17, 20, 31, 32, 33, 64, 100]


def globe(count: int, seed: int = 0) -> Tensor:
    drawn = torch.rand(count, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return drawn * torch.tensor([360.0, 180.0]) - torch.tensor([180.0, 90.0])


def by_hand(lonlat: Tensor, frequencies: Tensor, layout: tuple[int, ...], amplitude: float) -> np.ndarray:
    """Columns in float64, one number at a time."""
    kind, count = layout[:2]
    starts = list(itertools.accumulate([0, *layout[2 : 2 + 2 * count : 2]]))
    rows = []
    for lon, lat in lonlat.tolist():
        a, b = math.radians(lon), math.radians(lat)
        point = [lon, lat] if kind == LONLAT else [math.cos(b) * math.cos(a), math.cos(b) * math.sin(a), math.sin(b)]
        turns = [sum(u * x for u, x in zip(row, [*point, 1], strict=False)) for row in frequencies.tolist()]
        waves = [[math.sin(math.pi * t) for t in turns], [math.cos(math.pi * t) for t in turns]]
        row = []
        for start in range(2 + 2 * count, len(layout), 5):
            combine, p, f, q, g = layout[start : start + 5]
            first = waves[f][starts[p] : starts[p + 1]]
            second = [1.0] if g == ONE else waves[g][starts[q] : starts[q + 1]]
            if combine == OUTER and g != ONE:
                row += [amplitude * x * y for x in first for y in second]
            else:
                length = max(len(first), len(second))
                row += [amplitude * first[k % len(first)] * second[k % len(second)] for k in range(length)]
        rows.append(row)
    return np.array(rows)


@st.composite
def layouts(draw: st.DrawFn) -> tuple[tuple[int, ...], Tensor]:
    """Any layout of few phases, with frequencies of up to a hundred half turns over the globe."""
    kind = draw(st.sampled_from([LONLAT, XYZ]))
    dimensions = 2 if kind == LONLAT else 3
    shifted = draw(st.booleans())
    length = draw(st.sampled_from(LENGTHS))
    lengths = draw(st.lists(st.sampled_from([1, length]), min_size=1, max_size=4))
    axes = [OBLIQUE if shifted else draw(st.integers(-1, dimensions - 1)) for _ in lengths]
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    drawn = torch.randn(sum(lengths), dimensions + shifted, generator=generator, dtype=torch.float64)
    frequencies = drawn * (0.2 if kind == LONLAT else 30.0)
    for k, axis in enumerate(axis for own, axis in zip(lengths, axes, strict=True) for _ in range(own)):
        if axis != OBLIQUE:
            frequencies[k, [other for other in range(dimensions) if other != axis]] = 0
    phase = st.integers(0, len(lengths) - 1)
    block = st.tuples(
        st.sampled_from([ELEMENTWISE, ELEMENTWISE, OUTER]),
        phase,
        st.sampled_from([SIN, COS]),
        phase,
        st.sampled_from([SIN, COS, ONE]),
    )
    blocks = draw(st.lists(block, min_size=1, max_size=5))
    fields = [field for pair in zip(lengths, axes, strict=True) for field in pair]
    return (kind, len(lengths), *fields, *(field for own in blocks for field in own)), frequencies


@settings(max_examples=60, deadline=None)
@given(
    layouts(), st.sampled_from([1.0, 0.25, -3.0]), st.integers(1, 40), st.sampled_from([torch.float32, torch.float64])
)
def test_any_layout(case: tuple[tuple[int, ...], Tensor], amplitude: float, count: int, dtype: torch.dtype) -> None:
    layout, frequencies = case
    lonlat = globe(count)
    features = numba_sinusoids.forward(lonlat, frequencies, layout, amplitude, dtype)
    atol = (2.5e-7 if dtype == torch.float32 else 1e-12) * abs(amplitude)
    np.testing.assert_allclose(features.numpy(), by_hand(lonlat, frequencies, layout, amplitude), rtol=0, atol=atol)


@settings(max_examples=40, deadline=None)
@given(layouts(), st.sampled_from([1.0, 0.25]), st.integers(1, 20), st.sampled_from([torch.float32, torch.float64]))
def test_slopes_of_any_layout(
    case: tuple[tuple[int, ...], Tensor], amplitude: float, count: int, dtype: torch.dtype
) -> None:
    layout, frequencies = case
    lonlat = globe(count).requires_grad_()
    reference = kernels.reference.sinusoids(lonlat, frequencies, layout, amplitude, torch.float64)
    weights = torch.randn(reference.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    (expected,) = torch.autograd.grad(reference, lonlat, weights.double())
    slopes = numba_sinusoids.backward(weights, lonlat, frequencies, layout, amplitude, dtype)
    # Terms may cancel: what is lost is measured by the sum of their sizes.
    size = float(weights.abs().sum(1).max()) * float(frequencies[:, : 2 + (layout[0] == XYZ)].abs().max()) * 10
    torch.testing.assert_close(slopes, expected, rtol=0, atol=(1e-6 if dtype == torch.float32 else 1e-12) * size)


ENCODERS = {
    "sphere2vec-sphereC": {"num_scales": 20},
    "sphere2vec-sphereM+": {"num_scales": 5},
    "sphere2vec-dfs": {"num_scales": 9},
    "space2vec-theory": {"num_scales": 16},
    "nerf": {},
    "rff": {},
    "geoclip": {"num_features": 19},
    "wrap": {},
    "xyz": {},
}


def position(name: str, **options: object) -> torch.nn.Module:
    return locenc.position_encoder(name, **ENCODERS[name], **options)


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_same_bytes_whatever_the_batch_and_the_threads(
    name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, lonlat = position(name, dtype=dtype), globe(700)
    whole = encoder(lonlat)
    for size in (1, 2, 3, 64, 65, 699):
        parts = torch.cat([encoder(part) for part in lonlat.split(size)])
        assert torch.equal(parts, whole), f"batches of {size}"
    assert torch.equal(encoder(lonlat.flip(0)).flip(0), whole)
    monkeypatch.setattr(chunks, "CHUNK", 1000)
    monkeypatch.setattr(chunks, "SERIAL", 1000)
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            assert torch.equal(encoder(lonlat), whole), f"{threads} threads"
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", ENCODERS)
def test_gradients_are_the_same_bytes_whatever_the_batch(name: str) -> None:
    encoder, lonlat = position(name), globe(300)
    weights = torch.randn(300, encoder.out_dim)

    def slopes(lonlat: Tensor, weights: Tensor) -> Tensor:
        lonlat = lonlat.clone().requires_grad_()
        return torch.autograd.grad(encoder(lonlat), lonlat, weights)[0]

    whole = slopes(lonlat, weights)
    for size in (1, 7, 64):
        pairs = zip(lonlat.split(size), weights.split(size), strict=True)
        assert torch.equal(torch.cat([slopes(*pair) for pair in pairs]), whole)


def test_a_gradient_of_one_point_does_not_leak_into_another() -> None:
    encoder, lonlat = position("xyz"), globe(50).requires_grad_()
    weights = torch.ones(50, 3)
    weights[20] = math.nan
    (slopes,) = torch.autograd.grad(encoder(lonlat), lonlat, weights)
    assert slopes[20].isnan().any()
    assert slopes[torch.arange(50) != 20].isfinite().all()


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_out_is_filled_and_nothing_else(name: str, dtype: torch.dtype) -> None:
    encoder, lonlat = position(name, dtype=dtype), globe(37)
    memory = torch.full((41, encoder.out_dim), 7, dtype=dtype)
    returned = encoder(lonlat, out=memory[2:39])
    assert returned.data_ptr() == memory[2:39].data_ptr()
    assert torch.equal(memory[2:39], encoder(lonlat))
    assert (memory[:2] == 7).all()
    assert (memory[39:] == 7).all()


def test_out_with_leading_axes(tmp_path) -> None:
    encoder, lonlat = position("xyz"), globe(6).reshape(2, 3, 2)
    mapped = np.memmap(tmp_path / "features", np.float32, "w+", shape=(2, 3, 3))
    encoder(lonlat, out=torch.from_numpy(mapped))
    assert np.array_equal(mapped, encoder(lonlat).numpy())


@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        (np.empty((4, 3), np.float32), TypeError, "out must be a tensor, got ndarray"),
        (torch.empty(4, 3, dtype=torch.float64), TypeError, "dtype torch.float32, got torch.float64"),
        (torch.empty(3, 4), ValueError, r"shape \(4, 3\), got \(3, 4\)"),
        (torch.empty(3, 4).T, ValueError, "contiguous"),
        (torch.empty(4, 3, device="meta"), ValueError, "device cpu, got meta"),
        (torch.empty(4, 3, requires_grad=True), ValueError, "keeps no gradients"),
    ],
)
def test_out_that_does_not_fit(out: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        position("xyz")(globe(4), out=out)


def test_a_large_result_is_an_ordinary_tensor() -> None:
    encoder = position("space2vec-theory")
    lonlat = globe(2**22 // (4 * encoder.out_dim) + 100).requires_grad_()
    features = encoder(lonlat)
    assert features.numel() * 4 > 2**22
    assert features.is_contiguous()
    features.mul_(2)  # a view made by an operator could not be changed in place where gradients flow
    features.sum().backward()
    assert lonlat.grad.isfinite().all()


def test_frequencies_that_are_trained() -> None:
    lonlat = globe(5).requires_grad_()
    frequencies = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    layout = (LONLAT, 1, 3, OBLIQUE, ELEMENTWISE, 0, SIN, 0, ONE)
    assert torch.autograd.gradcheck(
        lambda lonlat, frequencies: kernels.sinusoids(lonlat, frequencies / 100, layout, 1.0, torch.float64),
        (lonlat, frequencies),
    )


@pytest.mark.parametrize("name", ["_forward", "_backward"])
def test_machine_code_multiplies_and_adds_vectors(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Per 16 features of a phase: 6 of float64 and 12 of float32, in the widest registers."""
    from locenc.kernels.processor import processor

    bits = processor().vector_bits
    register = {512: "zmm", 256: "ymm"}.get(bits)
    if register is None:
        pytest.skip(f"this CPU's vectors have {bits} bits: their registers carry no width in their names")
    function = getattr(numba_sinusoids, name).py_func  # compiled anew: code from the cache cannot be looked at
    compiled = numba.njit(nogil=True, error_model="numpy")(function)
    monkeypatch.setattr(numba_sinusoids, name, compiled)
    position("sphere2vec-sphereC")(globe(3).requires_grad_()).sum().backward()
    (assembly,) = compiled.inspect_asm().values()
    for suffix, least in (("pd", 4 * 512 // bits), ("ps", 12 * 512 // bits)):
        found = re.findall(rf"\bvfn?m(?:add|sub)\d+{suffix}\s.*%{register}", assembly)
        assert len(found) >= least, f"{len(found)} {register} multiply-adds of {suffix}"
    assert "fmaf" not in assembly
