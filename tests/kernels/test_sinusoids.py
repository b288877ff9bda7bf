"""The sinusoid kernels by themselves: any layout against a plain float64 loop, the same bytes, memory, machine code."""

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import by_hand, float32_error, layouts
from points import rectangle
from torch import Tensor

import locenc
from locenc import kernels
from locenc.kernels import chunks
from locenc.kernels.choice import missing
from locenc.kernels.layout import ELEMENTWISE, FAR, LONLAT, OBLIQUE, ONE, SIN, XYZ

if reason := missing("numba"):
    pytest.skip(reason, allow_module_level=True)

import numba

from locenc.kernels import numba_sinusoids

LENGTHS = [1, 2, 7, 8, 15, 16, 17, 20, 31, 32, 33, 64, 100]


@settings(max_examples=60, deadline=None)
@given(
    layouts(), st.sampled_from([1.0, 0.25, -3.0]), st.integers(1, 40), st.sampled_from([torch.float32, torch.float64])
)
def test_any_layout(case: tuple[tuple[int, ...], Tensor], amplitude: float, count: int, dtype: torch.dtype) -> None:
    layout, frequencies = case
    lonlat = rectangle(count)
    features = numba_sinusoids.forward(lonlat, frequencies, layout, amplitude, dtype)
    atol = float32_error(layout, amplitude) if dtype == torch.float32 else 1e-12 * abs(amplitude)
    np.testing.assert_allclose(features.numpy(), by_hand(lonlat, frequencies, layout, amplitude), rtol=0, atol=atol)


@settings(max_examples=40, deadline=None)
@given(layouts(), st.sampled_from([1.0, 0.25]), st.integers(1, 20), st.sampled_from([torch.float32, torch.float64]))
def test_slopes_of_any_layout(
    case: tuple[tuple[int, ...], Tensor], amplitude: float, count: int, dtype: torch.dtype
) -> None:
    layout, frequencies = case
    lonlat = rectangle(count).requires_grad_()
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
    encoder, lonlat = position(name, dtype=dtype), rectangle(700)
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
    encoder, lonlat = position(name), rectangle(300)
    weights = torch.randn(300, encoder.out_dim)

    def slopes(lonlat: Tensor, weights: Tensor) -> Tensor:
        lonlat = lonlat.clone().requires_grad_()
        return torch.autograd.grad(encoder(lonlat), lonlat, weights)[0]

    whole = slopes(lonlat, weights)
    for size in (1, 7, 64):
        pairs = zip(lonlat.split(size), weights.split(size), strict=True)
        assert torch.equal(torch.cat([slopes(*pair) for pair in pairs]), whole)


def test_a_gradient_of_one_point_does_not_leak_into_another() -> None:
    encoder, lonlat = position("xyz"), rectangle(50).requires_grad_()
    weights = torch.ones(50, 3)
    weights[20] = math.nan
    (slopes,) = torch.autograd.grad(encoder(lonlat), lonlat, weights)
    assert slopes[20].isnan().any()
    assert slopes[torch.arange(50) != 20].isfinite().all()


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_out_is_filled_and_nothing_else(name: str, dtype: torch.dtype) -> None:
    encoder, lonlat = position(name, dtype=dtype), rectangle(37)
    memory = torch.full((41, encoder.out_dim), 7, dtype=dtype)
    returned = encoder(lonlat, out=memory[2:39])
    assert returned.data_ptr() == memory[2:39].data_ptr()
    assert torch.equal(memory[2:39], encoder(lonlat))
    assert (memory[:2] == 7).all()
    assert (memory[39:] == 7).all()


def test_out_with_leading_axes(tmp_path) -> None:
    encoder, lonlat = position("xyz"), rectangle(6).reshape(2, 3, 2)
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
        position("xyz")(rectangle(4), out=out)


def test_a_large_result_is_an_ordinary_tensor() -> None:
    encoder = position("space2vec-theory")
    lonlat = rectangle(2**22 // (4 * encoder.out_dim) + 100).requires_grad_()
    features = encoder(lonlat)
    assert features.numel() * 4 > 2**22
    assert features.is_contiguous()
    features.mul_(2)  # a view made by an operator could not be changed in place where gradients flow
    features.sum().backward()
    assert lonlat.grad.isfinite().all()


def test_frequencies_that_are_trained() -> None:
    lonlat = rectangle(5).requires_grad_()
    frequencies = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    layout = (LONLAT, FAR, 1, 3, OBLIQUE, ELEMENTWISE, 0, SIN, 0, ONE)
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
    position("sphere2vec-sphereC")(rectangle(3).requires_grad_()).sum().backward()
    (assembly,) = compiled.inspect_asm().values()
    for suffix, least in (("pd", 4 * 512 // bits), ("ps", 12 * 512 // bits)):
        found = re.findall(rf"\bvfn?m(?:add|sub)\d+{suffix}\s.*%{register}", assembly)
        assert len(found) >= least, f"{len(found)} {register} multiply-adds of {suffix}"
    assert "fmaf" not in assembly
