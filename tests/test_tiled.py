"""Encoders by tiles against the same modules called one after the other: values, gradients, and what stays untiled."""

import copy
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from catalogue import globe, small
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import locenc
from locenc import first_layer, location_encoder, tiled
from locenc.networks import FFN, NETWORKS

MANY = 2 * tiled.TILE + 300
NETWORK = {
    "ffn": {"name": "ffn", "hidden_dim": 20},
    "ffn, skip": {"name": "ffn", "hidden_dim": 24, "num_hidden_layers": 2},
    "ffn, one layer": {"name": "ffn", "num_hidden_layers": 0},
    "residual": "residual",
    "residual, no block": {"name": "residual", "depth": 0},
    "siren": {"name": "siren", "hidden_dim": 20, "omega_0": 2.0},
    "siren, one layer": {"name": "siren", "num_hidden_layers": 0},
    "residual-mlp": {"name": "residual-mlp", "hidden_dim": 20},
    "geoclip": {"name": "geoclip", "hidden_dim": 20},
    "linear": "linear",
    "identity": "identity",
}
FUSED = sorted({*NETWORK} - {"geoclip", "identity"})


def build(network: str = "ffn", name: str = "sphere2vec-sphereM+", **options: object) -> locenc.LocationEncoder:
    """A small encoder of gentle slopes: 24 features, 24 columns."""
    return locenc.create(name, dim=24, network=NETWORK.get(network, network), **small(name, **options)).eval()


def untiled(encoder: locenc.LocationEncoder, lonlat: Tensor) -> Tensor:
    return encoder.network(encoder.position(lonlat, dtype=encoder.feature_dtype))


@pytest.fixture(autouse=True)
def few_features_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training by tiles begins early, and has several of them."""
    monkeypatch.setattr(first_layer, "KEPT", 0)
    monkeypatch.setattr(first_layer, "NUMBERS", 1)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which ways calls took: "infer" and "train", where there was one."""
    ways: list[str] = []

    def spy(module: object, name: str, way: str) -> None:
        function = getattr(module, name)

        def call(*inputs: object) -> Tensor:
            ways.append(way)
            return function(*inputs)

        monkeypatch.setattr(module, name, call)

    spy(location_encoder, "infer", "infer")
    spy(first_layer, "embed", "train")
    return ways


def test_every_network_is_tried() -> None:
    assert {name.partition(",")[0] for name in NETWORK} == {*NETWORKS}


# Inference


@pytest.mark.parametrize("network", NETWORK)
def test_inference_with_every_network(network: str, threads: int, taken: list[str]) -> None:
    encoder, lonlat = build(network), globe(MANY)
    with torch.no_grad():
        embedding = encoder(lonlat)
    assert taken == ["infer"]
    torch.testing.assert_close(embedding, untiled(encoder, lonlat).detach(), rtol=1e-5, atol=1e-6)
    assert not embedding.requires_grad


@pytest.mark.parametrize("name", locenc.list_encoders())
def test_inference_with_every_encoder(name: str, threads: int, taken: list[str]) -> None:
    encoder, lonlat = build("ffn", name), globe(MANY)
    with torch.inference_mode():
        embedding = encoder(lonlat.reshape(4, -1, 2))
        expected = untiled(encoder, lonlat.reshape(4, -1, 2))
    assert taken == ["infer"]
    assert embedding.is_inference()
    torch.testing.assert_close(embedding, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_inference_in_other_dtypes(dtype: torch.dtype, taken: list[str]) -> None:
    encoder, lonlat = build().to(dtype).requires_grad_(False), globe(MANY)
    embedding = encoder(lonlat)
    assert taken == ["infer"]
    assert embedding.dtype == dtype
    torch.testing.assert_close(embedding, untiled(encoder, lonlat))


@pytest.mark.parametrize(
    "lonlat",
    [
        globe(MANY).float(),
        globe(MANY).round().to(torch.int32),
        globe(2 * MANY)[::2],
        globe(MANY).T.contiguous().T,
        globe(1).expand(MANY, 2),
        globe(tiled.TILE + 1),
    ],
    ids=["float32", "integers", "strided", "columns", "expanded", "one more than a tile"],
)
def test_inference_of_other_coordinates(lonlat: Tensor, taken: list[str]) -> None:
    encoder = build().requires_grad_(False)
    torch.testing.assert_close(encoder(lonlat), untiled(encoder, lonlat))
    assert taken == ["infer"]


def test_few_points_go_straight(taken: list[str]) -> None:
    encoder = build().requires_grad_(False)
    for count in (0, 1, tiled.TILE):
        assert torch.equal(encoder(globe(count)), untiled(encoder, globe(count)))
    assert taken == []


def test_the_first_bad_row_is_named() -> None:
    lonlat = globe(MANY)
    lonlat[700, 1] = 91
    for grad in (False, True):
        with torch.set_grad_enabled(grad), pytest.raises(ValueError, match=r"row 700\b"):
            build()(lonlat)
    with torch.no_grad():
        build()(lonlat, check=False)


def test_autocast_goes_along(threads: int, taken: list[str]) -> None:
    encoder, lonlat = build(), globe(MANY)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        embedding, expected = encoder(lonlat), untiled(encoder, lonlat)
    assert taken == ["infer"]
    assert embedding.dtype == torch.bfloat16
    torch.testing.assert_close(embedding, expected)


def test_a_tile_is_a_small_part_of_the_features(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    encoder = build().requires_grad_(False)
    features = type(encoder.position).features

    def spy(self: nn.Module, lonlat: Tensor, *arguments: object, **options: object) -> Tensor:
        seen.append(len(lonlat))
        return features(self, lonlat, *arguments, **options)

    monkeypatch.setattr(type(encoder.position), "features", spy)
    encoder(globe(MANY))
    assert max(seen) == tiled.TILE


# Memory of the caller's


@pytest.mark.parametrize("count", [0, 7, MANY])
def test_out_is_filled(count: int) -> None:
    encoder, lonlat = build().requires_grad_(False), globe(count)
    out = torch.full((1, count, 24), torch.nan)
    assert encoder(lonlat[None], out=out) is out
    torch.testing.assert_close(out, untiled(encoder, lonlat)[None])


@pytest.mark.parametrize("count", [7, MANY])
def test_out_that_does_not_fit(count: int) -> None:
    encoder, lonlat = build(), globe(count)
    for out, error, message in [
        (torch.empty(count, 23), ValueError, rf"shape \({count}, 24\), got \({count}, 23\)"),
        (torch.empty(count, 24, dtype=torch.float64), TypeError, r"float32, got torch\.float64"),
        (torch.empty(24, count).T, ValueError, "contiguous"),
        (torch.empty(count, 24).numpy(), TypeError, "ndarray"),
    ]:
        with torch.no_grad(), pytest.raises(error, match=message):
            encoder(lonlat, out=out)
    with pytest.raises(ValueError, match=r"torch\.no_grad"):
        encoder(lonlat, out=torch.empty(count, 24))
    with pytest.raises(TypeError, match="list"):
        encoder([[0.0, 0.0]], out=torch.empty(1, 24))


# Training


def assert_same_gradients(
    encoder: locenc.LocationEncoder, lonlat: Tensor, forward: Callable[[Tensor], Tensor] | None = None, **within: float
) -> None:
    """Embeddings and all gradients of both ways, under the same random numbers; each gradient against its largest."""
    found = []
    for call in (forward or encoder, lambda points: untiled(encoder, points)):
        torch.manual_seed(5)
        encoder.zero_grad()
        points = lonlat.clone().requires_grad_(lonlat.dtype.is_floating_point)
        embedding = call(points)
        state = torch.get_rng_state()
        (embedding * torch.linspace(-1, 2, embedding.numel()).view_as(embedding)).sum().backward()
        gradients = [tensor.grad for tensor in (points, *encoder.parameters()) if tensor.requires_grad]
        found.append((embedding.detach(), gradients, state))
    (embedding, gradients, state), (expected, others, other_state) = found
    torch.testing.assert_close(embedding, expected, rtol=1e-5, atol=1e-6)
    for gradient, other in zip(gradients, others, strict=True):
        assert gradient.dtype == other.dtype
        scale = other.abs().max().clamp(min=1e-30)
        torch.testing.assert_close(gradient / scale, other / scale, rtol=0, **within)
    assert torch.equal(state, other_state)


@pytest.mark.parametrize("network", FUSED)
@pytest.mark.parametrize("training", [False, True])
def test_training_with_every_network(network: str, training: bool, threads: int, taken: list[str]) -> None:
    encoder = build(network).double().train(training)
    assert_same_gradients(encoder, globe(MANY), atol=1e-12)
    assert taken == ["train"]


@pytest.mark.parametrize("network", FUSED)
def test_training_in_float32(network: str, taken: list[str]) -> None:
    for lonlat in (globe(MANY), globe(MANY).float()):
        assert_same_gradients(build(network).train(), lonlat, atol=1e-5)
    assert taken == ["train"] * 2


@pytest.mark.parametrize("name", locenc.list_encoders())
def test_training_with_every_encoder(name: str, taken: list[str]) -> None:
    encoder = build("ffn", name).double()
    assert_same_gradients(encoder, globe(MANY).reshape(2, -1, 2), atol=1e-9)
    assert bool(taken) == (not list(encoder.position.parameters()))


def test_training_many_points_sums_in_a_fixed_order(taken: list[str]) -> None:
    before = torch.get_num_threads()
    encoder, lonlat = build("ffn, skip"), globe(20 * tiled.TILE + 7)
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        encoder.zero_grad()
        hidden = first_layer._applied(
            first_layer._FirstLayer,
            lonlat,
            encoder.network.first_linear.weight,
            encoder.network.first_linear.bias,
            first_layer._Source.of(encoder.position, torch.float32),
        )
        hidden.sin().sum().backward()
        found.append([hidden.detach(), *(p.grad for p in encoder.network.first_linear.parameters())])
    torch.set_num_threads(before)
    assert_same_gradients(encoder.double(), lonlat, atol=1e-12)
    for other in found[1:]:
        assert all(map(torch.equal, found[0], other))


def test_few_features_are_kept(taken: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = build("ffn")
    for kept, ways in [(MANY * 24 * 4, []), (MANY * 24 * 4 - 1, ["train"])]:
        monkeypatch.setattr(first_layer, "KEPT", kept)
        encoder(globe(MANY))
        assert taken == ways


def test_training_keeps_no_features() -> None:
    encoder, lonlat = locenc.create("wrap", dim=8, network="ffn").train(), globe(MANY).requires_grad_()
    sizes = []

    def pack(tensor: Tensor) -> Tensor:
        sizes.append(tuple(tensor.shape))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        encoder(lonlat)
    assert (MANY, 2) in sizes
    assert (MANY, encoder.position.out_dim) not in sizes


@pytest.mark.parametrize("frozen", ["weights", "coordinates", "first weight", "first bias"])
def test_gradients_that_nobody_wants(frozen: str, taken: list[str]) -> None:
    encoder, lonlat = build("ffn, skip").double(), globe(MANY)
    first = encoder.network.first_linear
    if frozen == "weights":
        encoder.requires_grad_(False)
    elif frozen == "coordinates":
        lonlat = lonlat.round().to(torch.int64)
    else:
        (first.weight if frozen == "first weight" else first.bias).requires_grad_(False)
    assert_same_gradients(encoder, lonlat, atol=1e-12)
    assert taken == ["train"]


def test_a_first_layer_without_bias(taken: list[str]) -> None:
    encoder = build("ffn").double()
    encoder.network.layers[0].linear = nn.Linear(24, 20, bias=False).double()
    assert_same_gradients(encoder, globe(MANY), atol=1e-12)
    assert taken == ["train"]


def test_a_parametrized_layer(taken: list[str]) -> None:
    encoder = build("ffn").double()
    parametrizations.weight_norm(encoder.network.layers[0].linear)
    assert_same_gradients(encoder, globe(MANY), atol=1e-12)
    with torch.no_grad():
        torch.testing.assert_close(encoder(globe(MANY)), untiled(encoder, globe(MANY)))


@pytest.mark.parametrize("network", ["ffn, skip", "siren"])
def test_numerical_gradients_first_and_second(network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_layer, "TILE", 2)
    encoder = build(network, num_scales=3).double()
    lonlat = globe(40)[15:20].clone().requires_grad_()
    weights = encoder.network.first_linear.parameters()

    def embed(points: Tensor, *_: Tensor) -> Tensor:
        return first_layer.embed(encoder.position, encoder.network, points)

    inputs = (lonlat, *weights)
    assert torch.autograd.gradcheck(embed, inputs, atol=1e-6)
    assert torch.autograd.gradgradcheck(embed, inputs, atol=1e-5, nondet_tol=1e-9)


def test_second_gradients(taken: list[str]) -> None:
    encoder = build("ffn, skip").double()
    found = []
    for call in (encoder, lambda points: untiled(encoder, points)):
        encoder.zero_grad()
        lonlat = globe(MANY).requires_grad_()
        (slopes,) = torch.autograd.grad(call(lonlat).sin().sum(), lonlat, create_graph=True)
        (slopes**2).sum().backward()
        found.append([lonlat.grad, *(parameter.grad for parameter in encoder.parameters())])
    assert taken == ["train"]
    for one, other in zip(*found, strict=True):
        if other is not None:  # the last bias has none
            torch.testing.assert_close(one / other.abs().max(), other / other.abs().max(), rtol=0, atol=1e-9)


def test_functional_calls_and_checkpoints(taken: list[str]) -> None:
    encoder, lonlat = build("ffn").double(), globe(MANY)
    doubled = {name: (2 * value).detach().requires_grad_() for name, value in encoder.named_parameters()}
    other = copy.deepcopy(encoder)
    other.load_state_dict({name: value.detach() for name, value in doubled.items()})
    torch.func.functional_call(encoder, doubled, (lonlat,)).sin().sum().backward()
    untiled(other, lonlat).sin().sum().backward()
    for name, value in other.named_parameters():
        torch.testing.assert_close(doubled[name].grad, value.grad)
    checkpointed = torch.utils.checkpoint.checkpoint
    assert_same_gradients(
        encoder, lonlat, lambda points: checkpointed(encoder, points, use_reentrant=False), atol=1e-12
    )
    assert {*taken} == {"train"}


def test_one_step_of_training_in_place_after_the_first_layer() -> None:
    class InPlace(nn.Module):
        rowwise = True

        def __init__(self) -> None:
            super().__init__()
            self.out_dim, self.first_linear, self.last = 24, nn.Linear(24, 24), nn.Linear(24, 24)

        def forward(self, features: Tensor) -> Tensor:
            return self.after_first(self.first_linear(features), None)

        def after_first(self, hidden: Tensor, add_features: object) -> Tensor:
            return self.last(hidden.relu_())

    encoder = locenc.LocationEncoder(build().position, InPlace()).double()
    assert_same_gradients(encoder, globe(60 * tiled.TILE), atol=1e-12)  # large results lie in memory of another kind


# What stays untiled


class Mixing(nn.Module):
    """Rows depend on one another."""

    out_dim = 24

    def forward(self, features: Tensor) -> Tensor:
        return features - features.mean(0)


class MixingFFN(FFN):
    """A subclass whose forward knows nothing of what its base promises."""

    def forward(self, features: Tensor) -> Tensor:
        embedding = super().forward(features)
        return embedding - embedding.mean(0)


class OwnFFN(FFN):
    """A subclass that promises it anew."""

    rowwise = True

    def forward(self, features: Tensor) -> Tensor:
        return 2 * super().forward(features)


@pytest.mark.parametrize("network", [Mixing(), MixingFFN(24, 24), nn.Sequential(nn.Linear(24, 24), Mixing())])
def test_networks_that_promise_nothing(network: nn.Module, taken: list[str]) -> None:
    network.out_dim = 24
    encoder, lonlat = locenc.LocationEncoder(build().position, network).eval(), globe(MANY)
    for grad in (False, True):
        with torch.set_grad_enabled(grad):
            assert torch.equal(encoder(lonlat), untiled(encoder, lonlat))
    assert taken == []


def test_networks_of_users_may_promise(taken: list[str]) -> None:
    sequential = nn.Sequential(nn.Linear(24, 24), nn.Tanh(), nn.Dropout())
    sequential.out_dim = 24
    changed = build().network
    changed.rowwise = False
    for network, ways in [(OwnFFN(24, 24), ["infer"]), (sequential, ["infer"]), (changed, [])]:
        encoder, lonlat = locenc.LocationEncoder(build().position, network).eval(), globe(MANY)
        taken.clear()
        with torch.no_grad():
            torch.testing.assert_close(encoder(lonlat), untiled(encoder, lonlat))
        assert taken == ways


def test_layers_in_training_stay_untiled(taken: list[str]) -> None:
    encoder, lonlat = build().train(), globe(MANY)
    for module in (encoder, encoder.network.layers[0].dropout.train()):
        encoder.eval()
        module.train()
        found = []
        for call in (encoder, lambda points: untiled(encoder, points)):
            torch.manual_seed(2)
            with torch.no_grad():
                found.append((call(lonlat), torch.get_rng_state()))
        assert torch.equal(found[0][0], found[1][0])
        assert torch.equal(found[0][1], found[1][1])
    assert taken == []


@pytest.mark.parametrize("kind", ["forward", "forward_pre", "full_backward", "full_backward_pre"])
def test_hooks_see_whole_batches(kind: str, taken: list[str]) -> None:
    lonlat = globe(MANY)
    for name in ("position", "network", "network.layers.0.linear"):
        encoder, rows = build(), []
        module = encoder.get_submodule(name)
        getattr(module, f"register_{kind}_hook")(lambda _, *tensors, rows=rows: rows.append(len(tensors[-1][0])))
        encoder(lonlat.clone().requires_grad_()).sum().backward()
        assert len(rows) == 1
        with torch.no_grad():
            encoder(lonlat)
        assert len(rows) == (2 if kind.startswith("forward") else 1)
    assert taken == []


def test_hooks_of_all_modules_and_replaced_forwards(taken: list[str]) -> None:
    encoder, lonlat = build(), globe(MANY)
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    encoder(lonlat)
    handle.remove()
    encoder.network.forward = lambda features: features - features.mean(0)
    assert torch.equal(encoder(lonlat), untiled(encoder, lonlat))
    assert taken == []


def test_what_watches_torch_sees_whole_batches(taken: list[str]) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    encoder, lonlat = build(), globe(MANY)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        encoder(lonlat)
    assert counter.get_total_flops() == 2 * MANY * (24 * 20 + 20 * 24)
    with torch.no_grad(), torch.device("cpu"):
        encoder(lonlat)
    with torch.no_grad():
        encoder(lonlat, backend="reference")
    assert taken == []


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # from inside torch 2.13
def test_transforms_stay_untiled(taken: list[str]) -> None:
    encoder, lonlat = build().double(), globe(MANY)
    torch.func.vmap(encoder)(lonlat.reshape(2, -1, 2))
    _, tangent = torch.func.jvp(encoder, (lonlat,), (torch.ones_like(lonlat),))
    torch.func.vjp(encoder, lonlat)
    assert tangent.shape == (MANY, 24)
    assert taken == []


def test_a_date_goes_along(taken: list[str]) -> None:
    encoder = locenc.create("wrap", date=True, dim=24).eval()
    date = torch.linspace(-1, 1, MANY)
    with torch.no_grad():
        embedding = encoder(globe(MANY), date=date)
        assert torch.equal(embedding, encoder.network(encoder.position(globe(MANY), date=date)))
    with pytest.raises(ValueError, match=rf"date=.*{MANY}"):
        encoder(globe(MANY))
    assert taken == []


def test_training_under_autocast_stays_untiled(taken: list[str]) -> None:
    encoder = build()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert encoder(globe(MANY)).dtype == torch.bfloat16
    assert taken == []


# Threads and interrupts


def test_eight_threads_at_once(threads: int) -> None:
    encoder, lonlat = build("ffn, skip"), globe(MANY)
    inferred = untiled(encoder, lonlat).detach()
    together = threading.Barrier(8)

    def call(index: int) -> bool:
        torch.set_num_threads(threads)
        together.wait()
        for _ in range(5):
            if index % 2:
                with torch.no_grad():
                    torch.testing.assert_close(encoder(lonlat), inferred)
            else:
                points = lonlat.clone().requires_grad_()
                (slopes,) = torch.autograd.grad(encoder(points).sum(), points)
                assert torch.isfinite(slopes).all()
        return torch.get_num_threads() == threads and torch.is_grad_enabled()

    with ThreadPoolExecutor(8) as callers:
        assert all(callers.map(call, range(8)))


def test_an_interrupt_in_the_middle(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, lonlat = build(), globe(4 * MANY)
    features, calls = type(encoder.position).features, []

    def interrupted(self: nn.Module, lonlat: Tensor, *arguments: object, **options: object) -> Tensor:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return features(self, lonlat, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(type(encoder.position), "features", interrupted)
        for grad in (False, True):
            calls.clear()
            with torch.set_grad_enabled(grad), pytest.raises(KeyboardInterrupt):
                encoder(lonlat)
    assert torch.get_num_threads() == threads
    with torch.no_grad():
        torch.testing.assert_close(encoder(lonlat), untiled(encoder, lonlat))
