"""What torch is told of an operator: schema, fakes, gradients of every order, compilation, transforms, devices."""

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx

import locenc
from locenc import kernels
from locenc.kernels.choice import missing

SPECS = {
    "sphere2vec-sphereC": {"num_scales": 3, "min_radius": 0.1},
    "sphere2vec-dfs": {"num_scales": 3, "min_radius": 0.1},
    "nerf": {"num_scales": 3},
    "rff": {"num_features": 5},
}


def points(count: int = 6) -> Tensor:
    drawn = torch.rand(count, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return drawn * torch.tensor([360.0, 170.0]) - torch.tensor([180.0, 85.0])


@pytest.fixture(params=SPECS)
def encoder(request: pytest.FixtureRequest) -> torch.nn.Module:
    return locenc.position_encoder(request.param, **SPECS[request.param], dtype=torch.float64)


@pytest.mark.parametrize("name", ["sphere2vec-sphereC", "nerf"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("gradient", [False, True])
def test_torchs_own_check(name: str, dtype: torch.dtype, gradient: bool) -> None:
    encoder = locenc.position_encoder(name, **SPECS[name])
    lonlat = points().requires_grad_(gradient)
    torch.library.opcheck(
        torch.ops.locenc.sinusoids.default, (lonlat, encoder.frequencies, list(encoder._layout), 1.0, dtype)
    )


def test_torchs_own_check_of_the_gradient() -> None:
    if reason := missing("numba"):
        pytest.skip(reason)
    encoder = locenc.position_encoder("xyz")
    arguments = (torch.ones(6, 3), points(), encoder.frequencies, list(encoder._layout), 1.0, torch.float32)
    torch.library.opcheck(torch.ops.locenc.sinusoids_backward.default, arguments)


def test_gradients_of_first_and_second_order(encoder: torch.nn.Module) -> None:
    lonlat = points(3).requires_grad_()
    assert torch.autograd.gradcheck(encoder, lonlat)
    assert torch.autograd.gradgradcheck(encoder, lonlat)


def test_second_derivatives_agree_with_the_references(encoder: torch.nn.Module) -> None:
    lonlat = points().requires_grad_()

    def curvature(backend: str | None) -> Tensor:
        features = encoder(lonlat, backend=backend)
        (slopes,) = torch.autograd.grad(features.square().sum(), lonlat, create_graph=True)
        return torch.autograd.grad(slopes.square().sum(), lonlat)[0]

    torch.testing.assert_close(curvature(None), curvature("reference"))


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # from inside torch 2.13
def test_functional_transforms(encoder: torch.nn.Module) -> None:
    lonlat = points()
    torch.testing.assert_close(torch.func.vmap(encoder)(lonlat), encoder(lonlat))
    forward, reverse = torch.func.jacfwd(encoder)(lonlat), torch.func.jacrev(encoder)(lonlat)
    torch.testing.assert_close(forward, reverse)
    torch.func.hessian(lambda point: encoder(point).sum())(lonlat[0])


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
def test_forward_mode(encoder: torch.nn.Module) -> None:
    lonlat, along = points(), torch.ones(6, 2, dtype=torch.float64)
    with forward_ad.dual_level():
        slope = forward_ad.unpack_dual(encoder(forward_ad.make_dual(lonlat, along))).tangent
    jacobian = torch.func.jacrev(encoder)(lonlat)
    torch.testing.assert_close(slope, torch.einsum("nfmd,md->nf", jacobian, along))


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_gradients(encoder: torch.nn.Module, backend: str) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(encoder, fullgraph=True, backend=backend)
    lonlat, twin = points().requires_grad_(), points().requires_grad_()
    features, expected = compiled(lonlat), encoder(twin)
    torch.testing.assert_close(features, expected, rtol=0, atol=1e-12)
    features.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(lonlat.grad, twin.grad)


def test_the_compiled_graph_holds_one_operator() -> None:
    if reason := missing("numba"):
        pytest.skip(reason)
    torch._dynamo.reset()
    found = []

    def look(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> object:
        found.extend(node.target for node in graph.graph.nodes if "locenc" in str(node.target))
        return graph.forward

    encoder = locenc.position_encoder("sphere2vec-sphereM")
    torch.compile(encoder, fullgraph=True, backend=look)(points())
    assert [str(target) for target in found] == ["locenc.sinusoids.default"]


def test_compiled_with_a_backend_asked_for() -> None:
    torch._dynamo.reset()
    encoder = locenc.position_encoder("sphere2vec-sphereM", dtype=torch.float64)
    with locenc.backend("reference"):
        features = torch.compile(encoder, fullgraph=True, backend="eager")(points())
        assert torch.equal(features, encoder(points()))


def test_exported_programs_hold_plain_torch(encoder: torch.nn.Module) -> None:
    exported = torch.export.export(encoder, (points(),))
    assert not [node for node in exported.graph.nodes if "locenc" in str(node.target)]


def test_autocast_leaves_features_as_they_are(encoder: torch.nn.Module) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(encoder(points()), encoder(points(), backend=None))
        assert encoder(points()).dtype == torch.float64


def test_fake_and_meta_tensors(encoder: torch.nn.Module) -> None:
    from torch._subclasses import FakeTensorMode

    with FakeTensorMode() as mode:
        fake = encoder.to("cpu")
        lonlat = mode.from_tensor(points())
        features = kernels.sinusoids(
            lonlat, torch.empty(3, 2, dtype=torch.float64), (0, 0, 1, 3, 0, 0, 0, 0, 0, 2), 1.0, torch.float16
        )
    assert features.shape == (6, 3)
    assert features.dtype == torch.float16
    assert fake is encoder
    assert encoder.to("meta")(points().to("meta")).shape == (6, encoder.out_dim)


def test_checkpointing(encoder: torch.nn.Module) -> None:
    lonlat, twin = points().requires_grad_(), points().requires_grad_()
    torch.utils.checkpoint.checkpoint(encoder, lonlat, use_reentrant=False).sum().backward()
    encoder(twin).sum().backward()
    assert torch.equal(lonlat.grad, twin.grad)


def test_coordinates_that_are_a_parameter(encoder: torch.nn.Module) -> None:
    place = torch.nn.Parameter(points())
    encoder(place).sum().backward()
    assert place.grad.shape == (6, 2)


def test_inference_mode(encoder: torch.nn.Module) -> None:
    with torch.inference_mode():
        inside = encoder(points())
    assert torch.equal(inside, encoder(points()))


def test_gradients_in_the_coordinates_dtype(encoder: torch.nn.Module) -> None:
    lonlat = points().float().requires_grad_()
    encoder(lonlat, dtype=torch.bfloat16).sum().backward()
    assert lonlat.grad.dtype == torch.float32


@pytest.mark.parametrize("make", ["expanded", "strided", "transposed", "negative"])
def test_gradients_and_points_in_any_memory(encoder: torch.nn.Module, make: str) -> None:
    lonlat = points()
    odd = {
        "expanded": lambda: lonlat[:1].expand(6, 2),
        "strided": lambda: torch.stack([lonlat, lonlat], 1).flatten(0, 1)[::2],
        "transposed": lambda: lonlat.T.contiguous().T,
        "negative": lambda: torch._neg_view(-lonlat),
    }[make]()
    same = odd.clone().contiguous().requires_grad_()
    odd.requires_grad_()
    assert torch.equal(encoder(odd), encoder(same))
    encoder(odd).sum().backward()  # the gradient of a sum is an expanded number
    encoder(same).backward(torch.ones(6, encoder.out_dim, dtype=torch.float64))
    assert torch.equal(odd.grad, same.grad)


@pytest.mark.filterwarnings("ignore:.torch.jit.trace:DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_what_traces_record_computes(encoder: torch.nn.Module) -> None:
    other = points(9) / 2
    traced = torch.jit.trace(encoder, points())
    torch.testing.assert_close(traced(other), encoder(other))
    recorded = make_fx(encoder)(points())
    torch.testing.assert_close(recorded(other[:6]), encoder(other[:6]))


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
def test_compiled_functional_transforms(encoder: torch.nn.Module) -> None:
    torch._dynamo.reset()
    slope = torch.func.grad(lambda lonlat: encoder(lonlat).square().sum())
    compiled = torch.compile(slope, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(points()), slope(points()))
    mapped = torch.compile(torch.func.vmap(encoder), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(mapped(points()), encoder(points()))


def test_many_gradients_at_once(encoder: torch.nn.Module) -> None:
    lonlat = points()
    one_by_one = torch.autograd.functional.jacobian(encoder, lonlat)
    torch.testing.assert_close(torch.autograd.functional.jacobian(encoder, lonlat, vectorize=True), one_by_one)


def test_autograd_notices_that_out_was_filled_again(encoder: torch.nn.Module) -> None:
    memory = torch.empty(6, encoder.out_dim, dtype=torch.float64)
    layer = torch.nn.Linear(encoder.out_dim, 2, dtype=torch.float64)
    loss = layer(encoder(points(), out=memory)).sum()
    encoder(points() / 2, out=memory)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_tensors_of_a_subclass_are_checked_too() -> None:
    class Places(Tensor):
        pass

    with pytest.raises(ValueError, match="latitude must lie in"):
        locenc.position_encoder("xyz")(torch.tensor([[0.0, 200.0]]).as_subclass(Places))


def test_kernels_refuse_tensors_on_other_devices() -> None:
    if reason := missing("numba"):
        pytest.skip(reason)
    encoder = locenc.position_encoder("xyz")
    message = "sinusoids: the coordinates are on cpu, but frequencies is on meta: move either"
    with pytest.raises(ValueError, match=message):
        kernels.sinusoids(points(), encoder.frequencies.to("meta"), encoder._layout, 1.0, torch.float32)
