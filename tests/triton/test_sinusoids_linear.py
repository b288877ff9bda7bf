"""Sinusoids with a layer on CUDA: values and gradients of every encoder, drawn layouts, any memory, size, chunk."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from devices import triton_device
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from layouts import layouts
from points import bits, globe
from torch import Tensor

import locenc
from locenc import kernels
from locenc.kernels import reference, triton_linear
from locenc.kernels import triton_sinusoids_linear as module
from locenc.kernels.choice import interpreted
from locenc.kernels.layout import COS, FAR, LONLAT, OBLIQUE, ONE, OUTER, SIN, columns

DEVICE = triton_device()
pytestmark = pytest.mark.cuda

Arguments = tuple[Tensor, tuple[int, ...], float]
#: Every encoder, with numbers of scales that are no multiples of anything.
ENCODERS: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"{variant} 17": (f"sphere2vec-{variant}", {"num_scales": 17}) for variant in ("sphereC", "sphereM")},
    **{f"{variant} 35": (f"sphere2vec-{variant}", {"num_scales": 35}) for variant in ("sphereC+", "sphereM+")},
    "sphereM 16": ("sphere2vec-sphereM", {"num_scales": 16}),
    "sphereC 1": ("sphere2vec-sphereC", {"num_scales": 1}),
    "dfs 5": ("sphere2vec-dfs", {"num_scales": 5}),
    **{f"{variant} 9": (f"space2vec-{variant}", {"num_scales": 9}) for variant in ("grid", "theory")},
    "theory 20, far": ("space2vec-theory", {"num_scales": 20, "min_radius": 1e-6}),
    "nerf": ("nerf", {}),
    "rff": ("rff", {"num_features": 50}),
    "geoclip": ("geoclip", {"num_features": 20}),
    "wrap": ("wrap", {}),
    "wrap, satclip": ("wrap", {"convention": "satclip"}),
    "wrap, extent": ("wrap", {"extent": (-10.0, 20.0, 30.0, 60.0)}),
    "xyz": ("xyz", {}),
}
#: How float32 is multiplied, and the dtype: tf32 keeps 10 bits on a card, all on the CPU.
TOLERANCES = {
    "ieee": (torch.float32, 2e-6),
    "tf32": (torch.float32, 2e-6 if interpreted() else 2e-3),
    "half": (torch.float16, 3e-3),
}


def numbers(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def arguments(label: str) -> Arguments:
    """What an encoder's operator takes between the coordinates and dtype."""
    name, options = ENCODERS[label]
    torch.manual_seed(0)  # of what is drawn
    frequencies, layout, amplitude = locenc.position_encoder(name, **options).to(DEVICE).waves()
    return frequencies, tuple(layout), amplitude


class Case:
    """A layer on sinusoids of some places, and a gradient of what it gives."""

    def __init__(
        self,
        waves: Arguments,
        hidden: int = 40,
        rows: int = 37,
        *,
        dtype: torch.dtype = torch.float32,
        biased: bool = True,
    ) -> None:
        features = columns(waves[1])
        self.waves, self.dtype = waves, dtype
        self.lonlat = globe(rows).to(DEVICE)
        self.weight = (numbers(hidden, features, seed=2) / features**0.5).to(dtype)
        self.bias = numbers(hidden, seed=3).to(dtype) if biased else None
        self.gradient = numbers(rows, hidden, seed=4).to(dtype)

    @property
    def arguments(self) -> tuple[Any, ...]:
        return (*self.waves, self.weight, self.bias, self.dtype)

    def forward(self, lonlat: Tensor | None = None, out: Tensor | None = None) -> Tensor:
        return module.forward(self.lonlat if lonlat is None else lonlat, *self.arguments, out=out)

    def backward(self) -> list[Tensor]:
        """Gradients of coordinates, weight and bias."""
        of_lonlat = module.backward(self.gradient, self.lonlat, *self.arguments)
        return [of_lonlat, *module.backward_arguments(self.gradient, self.lonlat, *self.arguments)]

    def exact(self) -> tuple[Tensor, list[Tensor]]:
        """The same in float64, by autograd of plain torch."""
        given = [self.lonlat, self.weight, *([] if self.bias is None else [self.bias])]
        lonlat, weight, *bias = inputs = [tensor.double().requires_grad_() for tensor in given]
        features = reference.sinusoids(lonlat, *self.waves, torch.float64)
        result = torch.nn.functional.linear(features, weight, *bias)
        return result.detach(), list(torch.autograd.grad(result, inputs, self.gradient.double()))


def check(found: Tensor, expected: Tensor, tolerance: float, *, least: float = 1e-3) -> None:
    """Compare with the largest number, or the least size that it is to have: a sum may be of terms that cancel."""
    assert found.shape == expected.shape
    size = max(least, float(expected.abs().max())) if expected.numel() else 0.0
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=tolerance * size)


@pytest.fixture
def tf32() -> Iterator[None]:
    torch.set_float32_matmul_precision("high")
    yield
    torch.set_float32_matmul_precision("highest")


@pytest.fixture(params=TOLERANCES)
def precision(request: pytest.FixtureRequest) -> str:
    if request.param == "tf32":
        request.getfixturevalue("tf32")
    return str(request.param)


# Values and gradients


@pytest.mark.parametrize("label", ENCODERS)
def test_every_encoder(label: str, precision: str) -> None:
    dtype, tolerance = TOLERANCES[precision]
    case = Case(arguments(label), dtype=dtype)
    result, gradients = case.exact()
    check(case.forward(), result, tolerance)
    found = case.backward()
    assert [tensor.dtype for tensor in found] == [torch.float64, dtype, dtype]
    for own, expected in zip(found, gradients, strict=True):
        check(own, expected, tolerance)


@settings(max_examples=15, deadline=None)
@given(layouts(), st.sampled_from([1.0, -3.0]), st.integers(1, 45), st.integers(1, 40), st.booleans())
def test_any_layout(
    drawn: tuple[tuple[int, ...], Tensor], amplitude: float, hidden: int, rows: int, biased: bool
) -> None:
    layout, frequencies = drawn
    assume(columns(layout) <= 500)
    case = Case((frequencies.to(DEVICE), layout, amplitude), hidden, rows, biased=biased)
    result, gradients = case.exact()
    check(case.forward(), result, 1e-5)
    found = case.backward()
    size = float(frequencies.abs().max()) * 4 * abs(amplitude)  # terms of the coordinates' gradients
    torch.testing.assert_close(found[0], gradients[0], rtol=0, atol=3e-5 * max(1.0, size))
    for own, expected in zip(found[1:], gradients[1:], strict=True):
        torch.testing.assert_close(own.double(), expected, rtol=0, atol=1e-5 * abs(amplitude) * max(1, rows))


# Sizes and memory


@pytest.mark.parametrize(("rows", "hidden"), [(0, 33), (1, 1), (1, 300), (130, 48), (130, 1), (257, 33)])
def test_every_number_is_written(rows: int, hidden: int, precision: str) -> None:
    dtype, tolerance = TOLERANCES[precision]
    case = Case(arguments("sphereC 17"), hidden, rows, dtype=dtype)
    out = torch.full((rows, hidden), torch.nan, dtype=dtype, device=DEVICE)
    assert case.forward(out=out) is out
    result, gradients = case.exact()
    check(out, result, tolerance, least=1.0)  # of a single number, terms are larger
    for own, expected in zip(case.backward(), gradients, strict=True):
        check(own, expected, tolerance, least=1.0)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_linear, "BYTES", 0)
    monkeypatch.setattr(triton_linear, "POINTS", 16)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("rows", [15, 16, 17, 150])
@pytest.mark.parametrize("label", ["sphereC+ 35", "dfs 5"])
def test_chunks(label: str, rows: int, precision: str) -> None:
    dtype, tolerance = TOLERANCES[precision]
    case = Case(arguments(label), rows=rows, dtype=dtype)
    result, gradients = case.exact()
    check(case.forward(), result, tolerance)
    for own, expected in zip(case.backward(), gradients, strict=True):
        check(own, expected, tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("features", [1, 192, 512, 10**6])
def test_chunks_take_so_many_bytes(features: int, dtype: torch.dtype) -> None:
    layer = triton_linear.Linear(torch.empty(3, features, dtype=dtype, device="meta"), None, dtype)
    taken = layer.chunk * features * dtype.itemsize
    assert taken <= triton_linear.BYTES or layer.chunk == triton_linear.POINTS
    assert layer.chunk % 16 == 0


@pytest.mark.skipif(interpreted(), reason="memory is measured on a card")
def test_memory_besides_the_result() -> None:
    case = Case(arguments("sphereM+ 35"), hidden=16, rows=1_000_000)
    result = case.forward()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    case.forward(out=result)
    assert torch.cuda.max_memory_allocated() - before < 1.2 * triton_linear.BYTES  # features have 4 times as many


@pytest.mark.parametrize("label", ["sphereC+ 35", "wrap", "dfs 5"])
def test_results_do_not_depend_on_the_batch(label: str) -> None:
    case = Case(arguments(label), rows=150)
    whole = case.forward()
    for part in (slice(0, 1), slice(3, 70), slice(64, 150)):
        check(case.forward(case.lonlat[part]), whole[part].double(), 1e-6)


def test_coordinates_and_gradients_in_any_memory() -> None:
    case = Case(arguments("sphereC 17"), rows=30)
    expected = [case.forward(), *case.backward()]
    spread = torch.full((30, 3, 2), torch.nan, dtype=torch.float64, device=DEVICE)
    spread[:, 1] = case.lonlat
    turned = torch.full((41, 30), torch.nan, device=DEVICE)
    turned[1:] = case.gradient.T
    case.lonlat, case.gradient = spread[:, 1], turned[1:].T
    for own, other in zip([case.forward(), *case.backward()], expected, strict=True):
        check(own, other.double(), 1e-6)  # sums in another order


def test_an_expanded_gradient() -> None:
    case = Case(arguments("sphereC 17"), rows=30)
    case.gradient = torch.tensor(0.5, device=DEVICE).expand(30, 40)
    for own, expected in zip(case.backward(), case.exact()[1], strict=True):
        check(own, expected, 2e-6)


def test_a_weight_in_any_memory() -> None:
    case = Case(arguments("theory 9"))
    expected = [case.forward(), *case.backward()]
    case.weight = case.weight.T.contiguous().T
    for own, other in zip([case.forward(), *case.backward()], expected, strict=True):
        check(own, other.double(), 1e-6)


def test_float32_coordinates_get_float32_gradients() -> None:
    case = Case(arguments("grid 9"))
    case.lonlat = case.lonlat.float()
    result, gradients = case.exact()
    check(case.forward(), result, 2e-6)
    found = case.backward()
    assert found[0].dtype == torch.float32
    check(found[0], gradients[0], 2e-6)


def test_nan_stays_in_its_row() -> None:
    case = Case(arguments("sphereC 17"), rows=200)
    plain, (of_lonlat, *_) = case.forward(), case.backward()
    case.lonlat[77, 0] = torch.nan
    result, (of_place, of_weight, _) = case.forward(), case.backward()
    assert bool(result[77].isnan().all())
    assert bool(of_place[77].isnan().any())
    assert bool(of_weight.isnan().any())
    others = torch.arange(200, device=DEVICE) != 77
    check(result[others], plain[others].double(), 1e-6)
    check(of_place[others], of_lonlat[others].double(), 1e-6)


# Sums over points


def test_same_bytes_every_time() -> None:
    case = Case(arguments("sphereM 17"), rows=300)
    first, second = case.backward(), case.backward()
    assert [bits(tensor.cpu()) for tensor in first] == [bits(tensor.cpu()) for tensor in second]


def test_a_layer_without_bias() -> None:
    case = Case(arguments("sphereC 17"), biased=False)
    result, gradients = case.exact()
    check(case.forward(), result, 2e-6)
    found = case.backward()
    assert len(found) == 2
    for own, expected in zip(found, gradients, strict=True):
        check(own, expected, 2e-6)


def test_two_outer_products_and_others() -> None:
    blocks = [
        (OUTER, 0, SIN, 1, COS),
        (OUTER, 1, SIN, 2, SIN),
        (0, 2, COS, 0, ONE),
        (0, 3, SIN, 1, COS),
        (0, 3, COS, 0, ONE),
    ]
    fields = [3, 0, 18, 1, 5, OBLIQUE, 1, 0]
    layout = (LONLAT, FAR, 4, *fields, *(field for block in blocks for field in block))
    frequencies = torch.rand(27, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) / 10
    frequencies[:3, 1] = frequencies[3:21, 0] = frequencies[26:, 1] = 0
    case = Case((frequencies.to(DEVICE), layout, 1.0))
    result, gradients = case.exact()
    check(case.forward(), result, 2e-6)
    for own, expected in zip(case.backward(), gradients, strict=True):
        check(own, expected, 2e-6)


# The operator


def learned(case: Case) -> list[Tensor]:
    assert case.bias is not None
    return [tensor.detach().clone().requires_grad_() for tensor in (case.lonlat, case.weight, case.bias)]


def call(case: Case, lonlat: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return kernels.sinusoids_linear(lonlat, *case.waves, weight, bias, case.dtype)


@pytest.mark.parametrize(
    "needed", [(True, True, True), (False, True, False), (True, False, False), (False, False, True)]
)
def test_gradients_that_are_asked_for(needed: tuple[bool, ...]) -> None:
    case = Case(arguments("sphereC+ 35"))
    inputs = learned(case)
    for tensor, need in zip(inputs, needed, strict=True):
        tensor.requires_grad_(need)
    with locenc.backend("triton"):
        call(case, *inputs).backward(case.gradient)
    for tensor, need, expected in zip(inputs, needed, case.exact()[1], strict=True):
        assert (tensor.grad is not None) == need
        if need:
            check(tensor.grad, expected, 1e-5)


@pytest.mark.parametrize("place", ["frequencies", "weight", "bias"])
def test_tensors_on_other_devices_are_refused(place: str) -> None:
    case = Case(arguments("sphereC 17"))
    values = {"frequencies": case.waves[0], "weight": case.weight, "bias": case.bias}
    values[place] = values[place].to("meta")
    layer = values["weight"], values["bias"], case.dtype
    message = f"sinusoids_linear: the coordinates are on {case.lonlat.device}, but {place} is on meta: move either"
    with locenc.backend("triton"), pytest.raises(ValueError, match=message):
        kernels.sinusoids_linear(case.lonlat, values["frequencies"], *case.waves[1:], *layer)


@pytest.mark.parametrize("place", ["weight", "bias", "features"])
def test_mixed_dtypes_are_refused(place: str) -> None:
    """As by torch's own products; coordinates alone may be float32 or float64 whatever the rest is."""
    case = Case(arguments("sphereC 17"))
    weight, bias, dtype = case.weight, case.bias, torch.float32
    if place == "features":
        dtype, message = torch.float16, "fused layer are torch.float16, but its weight is torch.float32"
    else:
        message = rf"its {place} is torch.float16: convert it, {place}.to\(torch.float32\)"
        weight, bias = (
            value.half() if name == place else value for name, value in (("weight", weight), ("bias", bias))
        )
    layer = weight, bias, dtype
    with locenc.backend("triton"), pytest.raises(TypeError, match=message):
        kernels.sinusoids_linear(case.lonlat, *case.waves, *layer)
    with locenc.backend("reference"), pytest.raises(RuntimeError, match="dtype"):
        kernels.sinusoids_linear(case.lonlat, *case.waves, *layer)
    with locenc.backend("triton"):
        result = kernels.sinusoids_linear(case.lonlat.float(), *case.waves, case.weight, *case.arguments[4:])
    check(result, case.exact()[0], 1e-4)


def test_shapes_that_do_not_fit_are_refused() -> None:
    case = Case(arguments("sphereC 17"))
    rest = (torch.float32,)
    columns = case.weight.shape[1]
    with locenc.backend("triton"):
        with pytest.raises(
            ValueError, match=rf"has the shape \(.*\), but there are {columns} features: expected \(H, "
        ):
            kernels.sinusoids_linear(case.lonlat, *case.waves, case.weight[:, 1:].contiguous(), case.bias, *rest)
        with pytest.raises(ValueError, match=rf"bias of a fused layer .*: expected \({len(case.weight)},\)"):
            kernels.sinusoids_linear(case.lonlat, *case.waves, case.weight, case.bias[1:].contiguous(), *rest)


def test_second_derivatives_are_the_references() -> None:
    case = Case(arguments("sphereC 1"), hidden=5, rows=4)

    def curvature(backend: str) -> list[Tensor]:
        inputs = learned(case)
        with locenc.backend(backend):
            slopes = torch.autograd.grad(call(case, *inputs).square().sum(), inputs, create_graph=True)
            return list(torch.autograd.grad(sum(slope.square().sum() for slope in slopes), inputs))

    for own, expected in zip(curvature("triton"), curvature("reference"), strict=True):
        check(own, expected.double(), 1e-4)


def test_slopes_are_differences() -> None:
    """The derivative along a direction is the limit of quotients, without autograd of anything."""
    case = Case(arguments("grid 9"))
    directions = [numbers(*tensor.shape, seed=7 + k).to(tensor.dtype) for k, tensor in enumerate(learned(case))]
    found = sum((g * d).sum().double() for g, d in zip(case.backward(), directions, strict=True))

    def along(step: float) -> Tensor:
        lonlat, weight, bias = (t.double() + step * d.double() for t, d in zip(learned(case), directions, strict=True))
        features = reference.sinusoids(lonlat, *case.waves, torch.float64)
        return ((features @ weight.T + bias) * case.gradient).sum()

    expected = (along(1e-6) - along(-1e-6)) / 2e-6
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)


def test_bfloat16() -> None:
    if interpreted():
        pytest.skip("the interpreter truncates to bfloat16")
    case = Case(arguments("sphereC 17"), dtype=torch.bfloat16)
    result, gradients = case.exact()
    check(case.forward(), result, 2e-2)
    for own, expected in zip(case.backward(), gradients, strict=True):
        check(own, expected, 2e-2)
