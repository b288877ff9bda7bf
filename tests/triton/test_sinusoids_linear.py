"""Sinusoids with a layer on CUDA: values and gradients of every encoder, drawn layouts, any memory, any size."""

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
from locenc.kernels import reference, triton_shapes
from locenc.kernels import triton_sinusoids_linear as module
from locenc.kernels.activations import LEAKY, NONE, SINE, apply
from locenc.kernels.choice import interpreted
from locenc.kernels.layout import COS, FAR, LONLAT, NEAR, OBLIQUE, ONE, OUTER, SIN, columns
from locenc.kernels.triton_groups import PACKED, groups
from locenc.kernels.triton_launch import input_precision, recording
from locenc.kernels.triton_plan import plan
from locenc.kernels.triton_weights import split

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
ACTIVATIONS = {"none": (NONE, 0.0), "relu": (LEAKY, 0.0), "leaky": (LEAKY, 0.1), "sine": (SINE, 1.3)}
#: How float32 is multiplied, and the dtype: tf32 keeps 10 bits on a card, all in the interpreter.
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
        activation: str = "none",
        biased: bool = True,
    ) -> None:
        features = columns(waves[1])
        self.waves, self.dtype = waves, dtype
        self.lonlat = globe(rows).to(DEVICE)
        self.weight = (numbers(hidden, features, seed=2) / features**0.5).to(dtype)
        self.bias = numbers(hidden, seed=3).to(dtype) if biased else None
        self.gradient = numbers(rows, hidden, seed=4).to(dtype)
        self.activation = ACTIVATIONS[activation]

    @property
    def arguments(self) -> tuple[Any, ...]:
        return (*self.waves, self.weight, self.bias, *self.activation, self.dtype)

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
        result = apply(torch.nn.functional.linear(features, weight, *bias), *self.activation)
        return result.detach(), list(torch.autograd.grad(result, inputs, self.gradient.double()))


def check(found: Tensor, expected: Tensor, tolerance: float, *, least: float = 1e-3) -> None:
    """Compare with the largest number, or the least size that it is to have: a sum may be of terms that cancel."""
    assert found.shape == expected.shape
    size = max(least, float(expected.abs().max())) if expected.numel() else 0.0
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=tolerance * size)


def check_same(found: Tensor, expected: Tensor) -> None:
    """Compare bytes; the interpreter multiplies by a library whose sums depend on where a row is."""
    if interpreted():
        check(found, expected.double(), 1e-6)
    else:
        assert torch.equal(found, expected)


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


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("label", ["sphereC 17", "dfs 5", "wrap", "rff"])
def test_activations(label: str, activation: str, precision: str) -> None:
    dtype, tolerance = TOLERANCES[precision]
    case = Case(arguments(label), dtype=dtype, activation=activation)
    result, gradients = case.exact()
    check(case.forward(), result, 3 * tolerance)
    if case.activation[0] == LEAKY and tolerance > 1e-5:
        return  # a number near 0 may have the other sign, and the other slope
    for own, expected in zip(case.backward(), gradients, strict=True):
        check(own, expected, 10 * tolerance)


def test_slope_of_relu_at_zero_is_torchs() -> None:
    case = Case(arguments("wrap"), activation="leaky")
    case.weight.zero_()
    case.bias = torch.zeros_like(case.bias)  # type: ignore[arg-type]
    for own, expected in zip(case.backward(), case.exact()[1], strict=True):
        check(own, expected, 1e-6)


@pytest.mark.parametrize("t", [0.1, 40.0, 3e4])
def test_sines_of_large_arguments(t: float) -> None:
    case = Case(arguments("xyz"), activation="sine")
    case.activation = SINE, t
    hidden = module.forward(case.lonlat, *case.waves, case.weight, case.bias, NONE, 0.0, torch.float32)
    expected = torch.sin((torch.tensor(t, device=DEVICE) * hidden).double())
    torch.testing.assert_close(case.forward().double(), expected, rtol=0, atol=4e-7)


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


@pytest.mark.usefixtures("tf32")
def test_a_program_takes_many_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(arguments("sphereM 16"), rows=1000)
    monkeypatch.setattr(triton_shapes, "multiprocessors", lambda device: 1)
    with recording() as launches:
        case.forward()
    assert launches[-1].constants["RESIDENT"]
    check(case.forward(), case.exact()[0], TOLERANCES["tf32"][1])


@pytest.mark.parametrize("capability", [(8, 6), (9, 0)])
@pytest.mark.parametrize("label", ["sphereM+ 35", "dfs 5"])
def test_shapes_of_other_cards(label: str, capability: tuple[int, int], precision: str) -> None:
    if not interpreted():
        pytest.skip("what runs on a card has its shapes")
    dtype, tolerance = TOLERANCES[precision]
    case = Case(arguments(label), dtype=dtype)
    result, gradients = case.exact()
    with triton_shapes.architecture(capability):
        check(case.forward(), result, tolerance)
        for own, expected in zip(case.backward(), gradients, strict=True):
            check(own, expected, tolerance)


@pytest.mark.parametrize("label", ["sphereC+ 35", "wrap", "dfs 5"])
def test_results_do_not_depend_on_the_batch(label: str) -> None:
    case = Case(arguments(label), rows=150)
    whole = case.forward()
    for part in (slice(0, 1), slice(3, 70), slice(64, 150)):
        check_same(case.forward(case.lonlat[part]), whole[part])


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
        check_same(own, other)


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
    check_same(result[others], plain[others])
    check_same(of_place[others], of_lonlat[others])


# Sums over points


def test_same_bytes_every_time() -> None:
    case = Case(arguments("sphereM 17"), rows=300, activation="leaky")
    first, second = case.backward(), case.backward()
    assert [bits(tensor.cpu()) for tensor in first] == [bits(tensor.cpu()) for tensor in second]


def test_weights_of_many_parts() -> None:
    case = Case(arguments("wrap"), hidden=20, rows=2500)
    assert split(2500, triton_shapes.PART, case.weight.numel())[0] > 16
    for own, expected in zip(case.backward(), case.exact()[1], strict=True):
        check(own, expected, 2e-6)


@pytest.mark.parametrize("points", [0, 1, 127, 128, 129, 5000, 10**7, 2**33])
@pytest.mark.parametrize("count", [1, 10**5, 10**8])
def test_parts_hold_all_points(points: int, count: int) -> None:
    parts, part = split(points, 128, count)
    assert 1 <= parts <= 32
    assert part % 128 == 0
    assert (parts - 1) * part < max(1, points) <= parts * part
    assert parts == 1 or parts * count * 4 <= 2**26


def test_a_layer_without_bias() -> None:
    case = Case(arguments("sphereC 17"), biased=False)
    result, gradients = case.exact()
    check(case.forward(), result, 2e-6)
    found = case.backward()
    assert len(found) == 2
    for own, expected in zip(found, gradients, strict=True):
        check(own, expected, 2e-6)


# Groups of blocks


@pytest.mark.parametrize("label", ENCODERS)
def test_groups_have_every_column_once(label: str) -> None:
    _, layout, _ = arguments(label)
    found = []
    for group in groups(plan(layout)):
        assert group.products <= 4
        for first, count, *_ in group.blocks:
            found += [first + i * group.step + k for i in range(group.firsts) for k in range(count)]
    assert sorted(found) == list(range(columns(layout)))


def test_more_single_columns_than_a_tile_has() -> None:
    count = PACKED + 5
    blocks = [
        (OUTER if k % 2 else 0, k % 3, SIN if k % 2 else COS, (k + 1) % 3, COS if k % 5 else ONE) for k in range(count)
    ]
    layout = (LONLAT, NEAR, 3, 1, OBLIQUE, 1, 0, 1, 1, *(field for block in blocks for field in block))
    frequencies = torch.tensor([[0.1, 0.2], [0.3, 0.0], [0.0, 0.4]], dtype=torch.float64, device=DEVICE)
    case = Case((frequencies, layout, 0.7))
    result, gradients = case.exact()
    check(case.forward(), result, 2e-6)
    for own, expected in zip(case.backward(), gradients, strict=True):
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
    return kernels.sinusoids_linear(lonlat, *case.waves, weight, bias, *case.activation, case.dtype)


@pytest.mark.parametrize(
    "needed", [(True, True, True), (False, True, False), (True, False, False), (False, False, True)]
)
def test_gradients_that_are_asked_for(needed: tuple[bool, ...]) -> None:
    case = Case(arguments("sphereC+ 35"), activation="sine")
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
    layer = values["weight"], values["bias"], *case.activation, case.dtype
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
    layer = weight, bias, *case.activation, dtype
    with locenc.backend("triton"), pytest.raises(TypeError, match=message):
        kernels.sinusoids_linear(case.lonlat, *case.waves, *layer)
    with locenc.backend("reference"), pytest.raises(RuntimeError, match="dtype"):
        kernels.sinusoids_linear(case.lonlat, *case.waves, *layer)
    with locenc.backend("triton"):
        result = kernels.sinusoids_linear(case.lonlat.float(), *case.waves, case.weight, *case.arguments[4:])
    check(result, case.exact()[0], 1e-4)


def test_shapes_that_do_not_fit_are_refused() -> None:
    case = Case(arguments("sphereC 17"))
    rest = (*case.activation, torch.float32)
    columns = case.weight.shape[1]
    with locenc.backend("triton"):
        with pytest.raises(
            ValueError, match=rf"has the shape \(.*\), but there are {columns} features: expected \(H, "
        ):
            kernels.sinusoids_linear(case.lonlat, *case.waves, case.weight[:, 1:].contiguous(), case.bias, *rest)
        with pytest.raises(ValueError, match=rf"bias of a fused layer .*: expected \({len(case.weight)},\)"):
            kernels.sinusoids_linear(case.lonlat, *case.waves, case.weight, case.bias[1:].contiguous(), *rest)


def test_second_derivatives_are_the_references() -> None:
    case = Case(arguments("sphereC 1"), hidden=5, rows=4, activation="sine")

    def curvature(backend: str) -> list[Tensor]:
        inputs = learned(case)
        with locenc.backend(backend):
            slopes = torch.autograd.grad(call(case, *inputs).square().sum(), inputs, create_graph=True)
            return list(torch.autograd.grad(sum(slope.square().sum() for slope in slopes), inputs))

    for own, expected in zip(curvature("triton"), curvature("reference"), strict=True):
        check(own, expected.double(), 1e-4)


def test_slopes_are_differences() -> None:
    """The derivative along a direction is the limit of quotients, without autograd of anything."""
    case = Case(arguments("grid 9"), activation="sine")
    directions = [numbers(*tensor.shape, seed=7 + k).to(tensor.dtype) for k, tensor in enumerate(learned(case))]
    found = sum((g * d).sum().double() for g, d in zip(case.backward(), directions, strict=True))

    def along(step: float) -> Tensor:
        lonlat, weight, bias = (t.double() + step * d.double() for t, d in zip(learned(case), directions, strict=True))
        features = reference.sinusoids(lonlat, *case.waves, torch.float64)
        return (apply(features @ weight.T + bias, *case.activation) * case.gradient).sum()

    expected = (along(1e-6) - along(-1e-6)) / 2e-6
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)


def test_bfloat16_is_launched_with_bfloat16() -> None:
    """The interpreter multiplies no bfloat16; on a card it does."""
    case = Case(arguments("sphereC 17"), dtype=torch.bfloat16)
    if interpreted():
        with recording() as launches:
            assert case.forward().dtype == torch.bfloat16
            assert [tensor.dtype for tensor in case.backward()][1:] == [torch.bfloat16] * 2
        assert {launch.constants.get("PRECISION", "ieee") for launch in launches} == {"ieee"}
        return
    result, gradients = case.exact()
    check(case.forward(), result, 2e-2)
    for own, expected in zip(case.backward(), gradients, strict=True):
        check(own, expected, 2e-2)


def test_precision_follows_torch() -> None:
    """Read in the newer spelling, which says the same whichever one it was set by."""
    dtypes = torch.float32, torch.bfloat16, torch.float16
    assert [input_precision(dtype) for dtype in dtypes] == ["ieee"] * 3
    try:
        for name in ("high", "medium"):
            torch.set_float32_matmul_precision(name)
            assert [input_precision(dtype) for dtype in dtypes] == ["tf32", "ieee", "ieee"]
        if hasattr(torch.backends.cuda.matmul, "fp32_precision"):
            torch.backends.cuda.matmul.fp32_precision = "ieee"
            assert input_precision(torch.float32) == "ieee"
            torch.backends.cuda.matmul.fp32_precision = "tf32"
            assert input_precision(torch.float32) == "tf32"
    finally:
        if hasattr(torch.backends.cuda.matmul, "fp32_precision"):
            torch.backends.cuda.matmul.fp32_precision = "ieee"
        torch.set_float32_matmul_precision("highest")
