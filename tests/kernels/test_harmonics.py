"""The kernels of spherical harmonics: values against exact arithmetic, gradients against autograd, the same bytes."""

import math
from functools import cache

import harmonics_formulas
import numba
import numpy as np
import pytest
import torch
from arithmetic import mp
from points import bits, globe
from torch import Tensor

from locenc import kernels
from locenc.kernels import numba_harmonics, reference_harmonics
from locenc.kernels.numba_sphere import workspace
from locenc.kernels.processor import processor

DTYPES = [torch.float64, torch.float32, torch.bfloat16]
PLACES = [
    (0.0, 90.0),
    (-137.3, 90.0),
    (12.0, -90.0),
    (33.0, 89.999999),
    (-75.0, -89.9999),
    (180.0, 45.3),
    (-180.0, 45.3),
    (540.0, 45.3),
    (-540.0, -45.0),
    (90.0, 45.0),
    (-90.0, 45.00000000000001),
    (0.0, 0.0),
    (-0.0, -1e-300),
]


def everywhere() -> Tensor:
    return torch.cat([torch.tensor(PLACES, dtype=torch.float64), globe(7)])


def general_tables(num_degrees: int) -> tuple[Tensor, Tensor]:
    """Norms and signs of no convention: scale may hold any, also zeros."""
    recurrence, scale = reference_harmonics.tables(num_degrees)
    generator = torch.Generator().manual_seed(num_degrees)
    factors = torch.randn(scale.shape, generator=generator, dtype=torch.float64)
    factors[torch.rand(scale.shape, generator=generator) < 0.05] = 0
    return recurrence, scale * factors


# Values


@cache
def exact(num_degrees: int) -> tuple[Tensor, list[int], Tensor]:
    """Columns of some degrees, everywhere: the degrees, and float64 values to the last digit."""
    edges = {0, 1, 2, 3, 6, 7, 8, 9, 15, 16, 23, 57, 120, num_degrees - 9, num_degrees - 2, num_degrees - 1}
    degrees = sorted(edges & set(range(num_degrees)))
    values = []
    for lon, lat in everywhere().tolist():
        lon = math.copysign(180.0, lon) if abs(lon) == 540 else lon
        values.append(harmonics_formulas.harmonics(mp.mpf(lon), mp.mpf(lat), degrees))
    columns = torch.cat([torch.arange(degree**2, (degree + 1) ** 2) for degree in degrees])
    return columns, degrees, torch.from_numpy(np.array(values, dtype=np.float64))


@pytest.mark.parametrize("num_degrees", [1, 2, 3, 8, 10, 40, 200])
@pytest.mark.parametrize("dtype", DTYPES)
def test_values(num_degrees: int, dtype: torch.dtype) -> None:
    columns, degrees, expected = exact(num_degrees)
    features = numba_harmonics.forward(everywhere(), *reference_harmonics.tables(num_degrees), dtype)
    assert features.dtype == dtype
    assert features.shape == (len(expected), num_degrees**2)
    sizes = torch.tensor([2 * degree + 1 for degree in degrees])
    largest = (sizes.double() / (4 * math.pi)).sqrt().repeat_interleave(sizes)
    error = ((features[:, columns].double() - expected) / largest).abs().max()
    assert error <= {torch.float64: 2e-12, torch.float32: 5e-7, torch.bfloat16: 2**-8}[dtype]
    if num_degrees <= 40 and dtype == torch.float64:
        assert error <= 2e-14


@pytest.mark.parametrize("num_degrees", [*range(1, 26), 64, 65, 1000])
def test_any_scale(num_degrees: int) -> None:
    tables = general_tables(num_degrees)
    lonlat = everywhere() if num_degrees < 1000 else everywhere()[:5]
    features = numba_harmonics.forward(lonlat, *tables, torch.float64)
    expected = reference_harmonics.spherical_harmonics(lonlat, *tables, torch.float64)
    assert (features - expected).abs().max() <= 1e-12 * expected.abs().max()


def test_rounded_once() -> None:
    """Float32 columns are the float64 ones, rounded."""
    tables = reference_harmonics.tables(23)
    wide, narrow = (numba_harmonics.forward(everywhere(), *tables, dtype) for dtype in (torch.float64, torch.float32))
    assert torch.equal(narrow, wide.float())


@pytest.mark.parametrize("num_degrees", [3, 40, 1000])
def test_poles_and_seam(num_degrees: int) -> None:
    tables = reference_harmonics.tables(num_degrees)
    degrees = torch.arange(num_degrees)
    zonal = degrees * (degrees + 1)
    poles = torch.tensor([(lon, lat) for lat in (90.0, -90.0) for lon in (0.0, 33.3, -180.0)], dtype=torch.float64)
    features = numba_harmonics.forward(poles, *tables, torch.float64)
    signs = torch.tensor([[1.0], [-1.0]], dtype=torch.float64) ** degrees
    expected = ((2 * degrees + 1) / (4 * math.pi)).sqrt() * signs.repeat_interleave(3, 0)
    torch.testing.assert_close(features[:, zonal], expected.double(), rtol=1e-6, atol=0)
    features[:, zonal] = 0
    assert (features == 0).all()
    seam = torch.tensor([(lon, 45.3) for lon in (180.0, -180.0, 540.0, -540.0)], dtype=torch.float64)
    features = numba_harmonics.forward(seam, *tables, torch.float64)
    assert (features == features[0]).all()


# Gradients


def both_gradients(lonlat: Tensor, num_degrees: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """From the kernel for features of a dtype, and from autograd through the float64 reference."""
    tables = general_tables(num_degrees)
    generator = torch.Generator().manual_seed(1)
    gradient = torch.randn(len(lonlat), num_degrees**2, generator=generator, dtype=torch.float64).to(dtype)
    lonlat = lonlat.clone().requires_grad_()
    features = reference_harmonics.spherical_harmonics(lonlat, *tables, torch.float64)
    (expected,) = torch.autograd.grad(features, lonlat, gradient.double())
    return numba_harmonics.backward(gradient, lonlat, *tables, dtype), expected


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-6), (torch.float16, 1e-6)])
@pytest.mark.parametrize("num_degrees", [*range(1, 19), 40, 200])
def test_gradients(num_degrees: int, dtype: torch.dtype, tolerance: float) -> None:
    found, expected = both_gradients(everywhere(), num_degrees, dtype)
    assert found.dtype == torch.float64
    sizes = expected.abs().amax(1, keepdim=True)
    assert ((found - expected).abs() <= tolerance * sizes).all()


def test_gradients_of_the_most_degrees() -> None:
    found, expected = both_gradients(everywhere()[:6], 1000, torch.float64)
    assert ((found - expected).abs() <= 1e-10 * expected.abs().amax(1, keepdim=True)).all()


def test_gradients_of_float32_coordinates() -> None:
    lonlat = globe(9).float()
    found, expected = both_gradients(lonlat, 12, torch.float32)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("num_degrees", [1, 2, 9])
def test_gradcheck(num_degrees: int) -> None:
    tables = general_tables(num_degrees)
    for place in [(0.0, 90.0), (-137.3, -90.0), (180.0, 45.3), (90.0, 0.0), (5.0, 89.9999)]:
        lonlat = torch.tensor([place], dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda x: kernels.spherical_harmonics(x, *tables, torch.float64), lonlat)
        assert torch.autograd.gradgradcheck(lambda x: kernels.spherical_harmonics(x, *tables, torch.float64), lonlat)


@pytest.mark.parametrize("num_degrees", [1, 2, 3, 7, 11])
def test_bad_gradients_stay_with_their_points(num_degrees: int) -> None:
    tables = reference_harmonics.tables(num_degrees)
    gradient = torch.ones(9, num_degrees**2)
    expected = numba_harmonics.backward(gradient, globe(9), *tables, torch.float32)
    gradient[1::2] = torch.nan
    found = numba_harmonics.backward(gradient, globe(9), *tables, torch.float32)
    assert torch.equal(found[::2], expected[::2])


# Memory, batches, threads


@pytest.mark.parametrize("num_degrees", [1, 2, 3, 4, 7, 8, 9, 10, 16, 17, 33])
@pytest.mark.parametrize("dtype", DTYPES)
def test_out_is_filled_and_nothing_else(num_degrees: int, dtype: torch.dtype) -> None:
    tables = reference_harmonics.tables(num_degrees)
    columns = num_degrees**2
    memory = torch.full((17 * columns + 128,), torch.nan, dtype=dtype)
    out = memory[64:-64].view(17, columns)
    assert numba_harmonics.forward(globe(17), *tables, dtype, out=out) is out
    assert bits(out) == bits(numba_harmonics.forward(globe(17), *tables, dtype))
    assert torch.isfinite(out).all()
    assert torch.isnan(memory[:64]).all()
    assert torch.isnan(memory[-64:]).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_same_bytes_for_any_batch(dtype: torch.dtype) -> None:
    tables = reference_harmonics.tables(13)
    lonlat = torch.cat([everywhere(), globe(50)])
    gradient = torch.randn(len(lonlat), 169).to(dtype)
    features = numba_harmonics.forward(lonlat, *tables, dtype)
    slopes = numba_harmonics.backward(gradient, lonlat, *tables, dtype)
    for size in (1, 2, 3, 15, 16, 17, 40):
        parts = list(zip(lonlat.split(size), gradient.split(size), strict=True))
        assert bits(torch.cat([numba_harmonics.forward(x, *tables, dtype) for x, _ in parts])) == bits(features)
        assert bits(torch.cat([numba_harmonics.backward(g, x, *tables, dtype) for x, g in parts])) == bits(slopes)


def test_the_same_bytes_on_several_threads(threads: int) -> None:
    tables = reference_harmonics.tables(40)
    lonlat = globe(1500)
    features = numba_harmonics.forward(lonlat, *tables, torch.float32)
    slopes = numba_harmonics.backward(features, lonlat, *tables, torch.float32)
    for start in range(0, 1500, 300):
        part = slice(start, start + 300)
        alone = numba_harmonics.forward(lonlat[part], *tables, torch.float32)
        assert bits(features[part]) == bits(alone)
        assert bits(slopes[part]) == bits(numba_harmonics.backward(alone, lonlat[part], *tables, torch.float32))


def test_any_layout_of_inputs() -> None:
    tables = reference_harmonics.tables(11)
    lonlat = globe(8)
    gradient = torch.randn(8, 121)
    features = numba_harmonics.forward(lonlat, *tables, torch.float32)
    slopes = numba_harmonics.backward(gradient, lonlat, *tables, torch.float32)
    by_columns, every_second = lonlat.T.contiguous().T, lonlat.repeat_interleave(2, 0)[::2]
    for same in (by_columns, every_second):
        assert torch.equal(numba_harmonics.forward(same, *tables, torch.float32), features)
        assert torch.equal(numba_harmonics.backward(gradient, same, *tables, torch.float32), slopes)
    transposed = tuple(table.T.contiguous().T for table in tables)
    assert torch.equal(numba_harmonics.forward(lonlat, *transposed, torch.float32), features)
    one = lonlat[:1].expand(5, 2)
    assert torch.equal(numba_harmonics.forward(one, *tables, torch.float32), features[:1].expand(5, 121))
    by_columns = gradient.T.contiguous().T
    assert torch.equal(numba_harmonics.backward(by_columns, lonlat, *tables, torch.float32), slopes)
    ones = numba_harmonics.backward(torch.ones(8, 121), lonlat, *tables, torch.float32)
    expanded = torch.ones(()).expand(8, 121)
    assert torch.equal(numba_harmonics.backward(expanded, lonlat, *tables, torch.float32), ones)
    single = numba_harmonics.forward(lonlat.float(), *tables, torch.float64)
    assert torch.equal(single, numba_harmonics.forward(lonlat.float().double(), *tables, torch.float64))


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_points(dtype: torch.dtype) -> None:
    tables = reference_harmonics.tables(5)
    none = torch.empty(0, 2, dtype=torch.float64)
    assert numba_harmonics.forward(none, *tables, dtype).shape == (0, 25)
    assert numba_harmonics.backward(torch.empty(0, 25, dtype=dtype), none, *tables, dtype).shape == (0, 2)


# The operator


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("requires_grad", [False, True])
def test_opcheck(requires_grad: bool) -> None:
    lonlat = globe(4).requires_grad_(requires_grad)
    operator = torch.ops.locenc.spherical_harmonics.default
    torch.library.opcheck(operator, (lonlat, *reference_harmonics.tables(4), torch.float32))


def test_machine_code_multiplies_and_adds_vectors() -> None:
    """Per 16 orders, 2 fused multiply-adds of values, or 5 of them and their slopes and 4 for the sums."""
    bits = processor().vector_bits
    register = {512: "zmm", 256: "ymm"}.get(bits)
    if register is None:
        pytest.skip(f"this CPU's vectors have {bits} bits: their registers carry no width in their names")
    table = numba_harmonics.pack(*reference_harmonics.tables(9))
    lonlat, features, slopes, space = np.zeros((1, 2)), np.zeros(81, np.float32), np.zeros((1, 2)), workspace()
    calls = {
        numba_harmonics._forward: ((lonlat, table, 9, space, features), 2 * 2 * 512 // bits),
        numba_harmonics._backward: ((features, lonlat, table, 9, space, slopes), 9 * 512 // bits),
    }
    for kernel, (arguments, least) in calls.items():
        compiled = numba.njit(nogil=True, error_model="numpy")(kernel.py_func)  # code from the cache cannot be seen
        compiled(*arguments)
        assembly = "".join(compiled.inspect_asm().values()).splitlines()
        fused = [line for line in assembly if line.strip().startswith("vf") and "pd\t" in line and register in line]
        assert len(fused) >= least
