"""The first layer fused: what the features and then the network give; by stand-ins for kernels, and by Triton's own."""

from collections.abc import Callable, Iterator

import pytest
import torch
from catalogue import globe, small
from stand_in import stand_ins
from torch import Tensor, nn
from torch.testing import assert_close

import locenc
from locenc import fused
from locenc.kernels.choice import interpreted, missing
from locenc.networks import FFN

NETWORKS = {
    "ffn": {"name": "ffn", "hidden_dim": 20},
    "ffn, relu": {"name": "ffn", "hidden_dim": 20, "activation": "relu"},
    "ffn, tanh": {"name": "ffn", "hidden_dim": 20, "activation": "tanh", "layer_norm": False},
    "ffn, one layer": {"name": "ffn", "num_hidden_layers": 0},
    "ffn, skip": {"name": "ffn", "hidden_dim": 9},
    "residual": {"name": "residual"},
    "siren": {"name": "siren", "hidden_dim": 20},
    "siren, one layer": {"name": "siren", "num_hidden_layers": 0},
    "residual-mlp": {"name": "residual-mlp", "hidden_dim": 20},
    "linear": {"name": "linear"},
}
ENCODERS = {
    **{f"sphere2vec-{variant}": {} for variant in ("sphereC", "sphereC+", "sphereM", "sphereM+", "dfs")},
    **{name: {} for name in ("space2vec-grid", "space2vec-theory", "nerf", "xyz", "rff", "geoclip")},
    "wrap": {},
    "wrap, extent": {"extent": (-10.0, 30.0, 35.0, 60.0)},
    "spherical-harmonics": {},
}
FUSED = {"sinusoids_linear", "spherical_harmonics_linear"}


class Kernels:
    """Where kernels run, and which did: of stand-ins; of Triton's it is not known."""

    def __init__(self, device: str, ran: list[str] | None) -> None:
        self.device, self.ran = torch.device(device), ran

    def assert_fused(self, expected: bool = True) -> None:
        if self.ran is not None:
            assert bool(FUSED & set(self.ran)) == expected
            self.ran.clear()


@pytest.fixture(params=["stand-in", pytest.param("triton", marks=pytest.mark.cuda)])
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernels]:
    """Features are never few enough to be kept."""
    monkeypatch.setattr(fused, "BYTES", 0)
    if request.param == "triton":
        if reason := missing("triton"):
            pytest.skip(reason)
        with locenc.backend("triton"):
            yield Kernels("cpu" if interpreted() else "cuda", None)
    else:
        with stand_ins(monkeypatch) as ran:
            yield Kernels("cpu", ran)


def build(kernels: Kernels, network: str = "ffn", name: str = "sphere2vec-sphereC", **options: object) -> nn.Module:
    given = {**small(name.split(",")[0]), **ENCODERS[name], **options}
    return locenc.create(name.split(",")[0], dim=16, network=NETWORKS[network], **given).to(kernels.device)


def points(kernels: Kernels, count: int = 37) -> Tensor:
    return globe(count).to(kernels.device)


def plain(encoder: nn.Module, lonlat: Tensor) -> Tensor:
    """Features, then the network."""
    return encoder.network(encoder.position(lonlat, dtype=encoder.feature_dtype))


def both(encoder: nn.Module, embed: Callable[[Tensor], Tensor], lonlat: Tensor) -> list[list[Tensor]]:
    """Embeddings and gradients of coordinates and weights, in both ways, under the same dropout masks."""
    found = []
    for function in (embed, lambda lonlat: plain(encoder, lonlat)):
        encoder.zero_grad()
        own = lonlat.clone().requires_grad_()
        torch.manual_seed(1)
        embedding = function(own)
        (embedding.float() * torch.linspace(-1, 1, 16, device=lonlat.device)).square().sum().backward()
        found.append([embedding, own.grad, *(parameter.grad for parameter in encoder.parameters())])
    return found


def assert_near(found: list[list[Tensor]], rtol: float = 2e-5) -> None:
    for one, other in zip(*found, strict=True):
        assert one.dtype == other.dtype
        scale = float(other.detach().abs().max()) or 1.0
        assert_close(one / scale, other / scale, rtol=0, atol=rtol)


@pytest.mark.parametrize("network", NETWORKS)
def test_inference_with_every_network(kernels: Kernels, network: str) -> None:
    encoder, lonlat = build(kernels, network).eval(), points(kernels)
    with torch.no_grad():
        expected = plain(encoder, lonlat)
        kernels.assert_fused(False)
        assert_near([[encoder(lonlat)], [expected]])
        kernels.assert_fused()


@pytest.mark.parametrize("name", ENCODERS)
def test_inference_with_every_encoder(kernels: Kernels, name: str) -> None:
    encoder, lonlat = build(kernels, name=name).eval(), points(kernels)
    with torch.no_grad():
        assert_near([[encoder(lonlat)], [plain(encoder, lonlat)]])
    kernels.assert_fused()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("network", NETWORKS)
def test_gradients_with_every_network(kernels: Kernels, network: str, training: bool) -> None:
    encoder = build(kernels, network).train(training)
    assert_near(both(encoder, encoder, points(kernels)))
    kernels.assert_fused()


@pytest.mark.parametrize("name", ENCODERS)
def test_gradients_with_every_encoder(kernels: Kernels, name: str) -> None:
    encoder = build(kernels, name=name)
    assert_near(both(encoder, encoder, points(kernels)))
    kernels.assert_fused()


def test_few_features_are_kept(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, lonlat = build(kernels).eval(), points(kernels, 40)
    monkeypatch.setattr(fused, "BYTES", 40 * encoder.position.out_dim * 4)
    embed, expected = encoder.passes(lonlat), plain(encoder, lonlat)
    kernels.assert_fused(False)
    assert torch.equal(encoder(lonlat), expected)
    assert torch.equal(embed(), expected)
    assert torch.equal(embed(), expected)
    kernels.assert_fused(False)
    encoder(points(kernels, 41))
    kernels.assert_fused()


def test_leading_axes_numbers_and_memory(kernels: Kernels) -> None:
    encoder, lonlat = build(kernels).eval(), points(kernels, 24)
    with torch.no_grad():
        expected = encoder(lonlat)
        assert torch.equal(encoder(lonlat.view(4, 3, 2, 2)).view(24, 16), expected)
        assert torch.equal(encoder(lonlat[5]), encoder(lonlat[5:6])[0])
        assert encoder(lonlat[:0]).shape == (0, 16)
        whole = lonlat.round().long()
        assert torch.equal(encoder(whole), encoder(whole.double()))
        out = torch.full((24, 16), torch.nan, device=kernels.device)
        assert encoder(lonlat, out=out) is out
        assert torch.equal(out, expected)
        assert torch.equal(encoder(lonlat.T.contiguous().T), expected)
    with torch.inference_mode():
        made = points(kernels, 24)
        assert torch.equal(encoder(made).clone(), expected)
    encoder(made).sum().backward()  # coordinates of inference mode
    kernels.assert_fused()


def test_no_rows_have_gradients(kernels: Kernels) -> None:
    encoder = build(kernels)
    lonlat = points(kernels, 0).requires_grad_()
    encoder(lonlat).sum().backward()
    assert lonlat.grad.shape == (0, 2)
    assert all(not parameter.grad.any() for parameter in encoder.parameters())


def test_skips_have_leading_axes(kernels: Kernels) -> None:
    encoder, lonlat = build(kernels, "ffn, skip").eval(), points(kernels, 24).view(2, 12, 2)
    assert_near([[encoder(lonlat)], [plain(encoder, lonlat)]])


def test_checks_on_the_cpu(kernels: Kernels) -> None:
    encoder, lonlat = build(kernels), points(kernels)
    lonlat[3, 1] = 91.0
    for check in (None, True) if kernels.device.type == "cpu" else (True,):
        with pytest.raises(ValueError, match="row 3 has 91"):
            encoder(lonlat, check=check)
    assert encoder(lonlat, check=False).shape == (37, 16)


# Precision


@pytest.mark.parametrize("network", ["ffn", "ffn, skip", "siren", "linear"])
@pytest.mark.parametrize("training", [True, False])
def test_autocast(kernels: Kernels, network: str, training: bool) -> None:
    # bfloat16 means nothing in Triton's interpreter
    lower = torch.float16 if kernels.device.type == "cpu" else torch.bfloat16
    encoder, lonlat = build(kernels, network).train(training), points(kernels)
    fine, _ = encoder.position.frequencies.abs().max(0)
    with torch.autocast(kernels.device.type, lower):
        embed = both(encoder, encoder, lonlat)
        kernels.assert_fused()
    assert_near(embed, rtol=0.02)
    with torch.no_grad():
        exact = plain(encoder.eval(), lonlat)
        with torch.autocast(kernels.device.type, lower):
            rough = encoder(lonlat)
    assert rough.dtype == embed[1][0].dtype
    assert_close(rough.float(), exact, rtol=0.05, atol=0.05)
    assert fine.max() > 0


def test_autocast_never_rounds_coordinates(kernels: Kernels) -> None:
    lower = torch.float16 if kernels.device.type == "cpu" else torch.bfloat16
    encoder = build(kernels, "linear", min_radius=1e-5).eval()
    lonlat = points(kernels)
    with torch.autocast(kernels.device.type, lower), torch.no_grad():
        assert_near([[encoder(lonlat)], [plain(encoder, lonlat)]], rtol=0.01)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_networks_of_half_precision(kernels: Kernels, dtype: torch.dtype) -> None:
    if dtype == torch.bfloat16 and kernels.ran is None and kernels.device.type == "cpu":
        pytest.skip("bfloat16 means nothing in Triton's interpreter")
    encoder, lonlat = build(kernels, "residual").eval().to(dtype), points(kernels)
    with torch.no_grad():
        embedding = encoder(lonlat)
        assert embedding.dtype == dtype
        assert_near([[embedding], [plain(encoder, lonlat)]], rtol=0.02)
    kernels.assert_fused()


def test_float64_is_not_fused(kernels: Kernels) -> None:
    encoder, lonlat = build(kernels).eval().double(), points(kernels)
    assert torch.equal(encoder(lonlat), plain(encoder, lonlat))
    kernels.assert_fused(False)


# What torch does with it


@pytest.mark.parametrize("network", ["ffn", "siren", "residual", "linear"])
@pytest.mark.parametrize("training", [True, False])
def test_compiled_graphs_hold_the_operator(kernels: Kernels, network: str, training: bool) -> None:
    torch._dynamo.reset()
    targets = []

    def look(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> object:
        targets.extend(str(node.target) for node in graph.graph.nodes if "locenc" in str(node.target))
        return graph.forward

    encoder, lonlat = build(kernels, network).train(training), points(kernels)
    torch.compile(encoder, fullgraph=True, backend=look)(lonlat)
    assert targets == ["locenc.sinusoids_linear.default"]


@pytest.mark.parametrize("network", ["ffn, skip", "siren"])
@pytest.mark.parametrize("autocast", [False, True])
def test_compiled_is_eager(kernels: Kernels, network: str, autocast: bool) -> None:
    torch._dynamo.reset()
    lower = torch.float16 if kernels.device.type == "cpu" else torch.bfloat16
    encoder = build(kernels, network).eval()
    compiled = torch.compile(encoder, fullgraph=True, backend="aot_eager")
    with torch.autocast(kernels.device.type, lower, enabled=autocast):
        for count in (20, 33):
            assert_near(both(encoder, compiled, points(kernels, count)), rtol=0.02 if autocast else 2e-5)
    with torch.no_grad():
        assert_near([[compiled(points(kernels))], [encoder(points(kernels))]])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch warns of its own code
def test_inductor_compiles_forward_and_backward(kernels: Kernels) -> None:
    torch._dynamo.reset()
    encoder = build(kernels, "residual").eval()
    layer = encoder.network.input
    layer.weight = nn.Parameter(layer.weight.detach().T.contiguous().T)
    assert_near(both(encoder, torch.compile(encoder, fullgraph=True), points(kernels, 20)))


def test_checkpointing(kernels: Kernels) -> None:
    encoder = build(kernels)
    again = both(
        encoder,
        lambda lonlat: torch.utils.checkpoint.checkpoint(encoder, lonlat, use_reentrant=False),
        points(kernels),
    )
    assert_near(again)


def test_second_derivatives(kernels: Kernels) -> None:
    encoder, lonlat = build(kernels, "siren").eval(), points(kernels, 5).requires_grad_()

    def curvature(embed: Callable[[Tensor], Tensor]) -> Tensor:
        (slopes,) = torch.autograd.grad(embed(lonlat).square().sum(), lonlat, create_graph=True)
        return torch.autograd.grad(slopes.square().sum(), lonlat)[0]

    assert_near([[curvature(encoder)], [curvature(lambda lonlat: plain(encoder, lonlat))]], rtol=1e-4)


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
def test_functional_transforms(kernels: Kernels) -> None:
    encoder, lonlat = build(kernels, "siren").eval(), points(kernels, 5)
    assert_near([[torch.func.vmap(encoder)(lonlat)], [plain(encoder, lonlat)]])
    slopes = [torch.func.vmap(torch.func.jacrev(embed))(lonlat) for embed in (encoder, lambda x: plain(encoder, x))]
    assert_near([[slopes[0]], [slopes[1]]])


@pytest.mark.parametrize("strict", [False, True])
def test_exported_programs_hold_plain_torch(kernels: Kernels, strict: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, lonlat = build(kernels).eval(), points(kernels)
    monkeypatch.setattr(fused, "BYTES", 2**20)  # no size of a batch is a bound of the program
    rows = {0: torch.export.Dim("rows")}
    exported = torch.export.export(encoder, (lonlat,), dynamic_shapes=(rows,), strict=strict)
    assert not [node for node in exported.graph.nodes if "locenc" in str(node.target)]
    assert_near([[exported.module()(points(kernels, 50))], [encoder(points(kernels, 50))]])


def test_a_batch_of_unknown_size_is_compiled(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    torch._dynamo.reset()
    monkeypatch.setattr(fused, "BYTES", 2**20)
    encoder, lonlat = build(kernels).eval(), points(kernels)
    torch._dynamo.decorators.mark_unbacked(lonlat, 0)
    assert_near([[torch.compile(encoder, fullgraph=True, backend="aot_eager")(lonlat)], [encoder(lonlat)]])


# Several passes


@pytest.mark.parametrize("network", NETWORKS)
def test_passes_share_the_first_layer(kernels: Kernels, network: str) -> None:
    encoder, lonlat = build(kernels, network), points(kernels)
    found = []
    for shared in (True, False):
        encoder.zero_grad()
        torch.manual_seed(1)
        embed = encoder.passes(lonlat) if shared else lambda: encoder(lonlat)
        first, second = embed(), embed()
        (first.sum() + second.square().sum()).backward()
        found.append([first, second, *(parameter.grad for parameter in encoder.parameters())])
        if kernels.ran is not None:
            assert kernels.ran.count("sinusoids_linear") == (1 if shared else 2)
            kernels.ran.clear()
    assert_near(found)


def test_passes_of_networks_that_change_hidden_are_refused(kernels: Kernels) -> None:
    class Changing(FFN):
        def after_first(self, hidden: Tensor, add_features: Callable[[Tensor], Tensor]) -> Tensor:
            return super().after_first(hidden.relu_(), add_features)

    encoder = locenc.LocationEncoder(build(kernels).position, Changing(9, 16).to(kernels.device))
    embed = encoder.passes(points(kernels))
    with torch.no_grad(), pytest.raises(RuntimeError, match="after_first must leave hidden as it is"):
        embed(), embed()


# Modules that are watched, or are others than they seem


@pytest.mark.parametrize("part", ["position", "network", "network.layers.0.activation", "network.layers.0.linear"])
def test_hooks_are_called(kernels: Kernels, part: str) -> None:
    encoder, calls = build(kernels).eval(), []
    encoder.get_submodule(part).register_forward_hook(lambda *_: calls.append(part))
    with torch.no_grad():
        encoder(points(kernels))
    assert calls == [part]
    kernels.assert_fused(False)


def test_hooks_of_the_encoder_itself_disturb_nothing(kernels: Kernels) -> None:
    encoder, calls = build(kernels).eval(), []
    encoder.register_forward_hook(lambda *_: calls.append("encoder"))
    encoder(points(kernels))
    embed = encoder.passes(points(kernels))
    embed(), embed()
    assert calls == ["encoder"] * 3
    kernels.assert_fused()


class Doubled(FFN):
    """Knows nothing of `after_first`."""

    def forward(self, features: Tensor) -> Tensor:
        return 2 * super().forward(features)


class Halved(FFN):
    """Says again what follows the first layer."""

    def after_first(self, hidden: Tensor, add_features: Callable[[Tensor], Tensor]) -> Tensor:
        return super().after_first(hidden, add_features)


class Own(nn.Module):
    """A network of the user's."""

    out_dim = 16

    def __init__(self) -> None:
        super().__init__()
        self.first_linear, self.norm = nn.Linear(9, 12, bias=False), nn.BatchNorm1d(12)
        self.last = nn.Linear(12, 16)

    def forward(self, features: Tensor) -> Tensor:
        return self.after_first(self.first_linear(features), None)

    def after_first(self, hidden: Tensor, add_features: object) -> Tensor:
        return self.last(self.norm(hidden).tanh())


@pytest.mark.parametrize(("kind", "is_fused"), [(Doubled, False), (Halved, True), (Own, True)])
@pytest.mark.parametrize("training", [True, False])
def test_networks_of_users(kernels: Kernels, kind: type[nn.Module], is_fused: bool, training: bool) -> None:
    network = kind() if kind is Own else kind(9, 16, dropout=0.0)
    encoder = locenc.LocationEncoder(build(kernels).position, network.to(kernels.device)).train(training)
    with torch.no_grad():
        assert_near([[encoder(points(kernels))], [plain(encoder, points(kernels))]])
    kernels.assert_fused(is_fused)
    assert_near(both(encoder, encoder, points(kernels)))


def test_position_encoders_of_users(kernels: Kernels) -> None:
    encoder = build(kernels).eval()

    class Shifted(type(encoder.position)):
        def features(self, lonlat: Tensor, dtype: torch.dtype, **more: object) -> Tensor:
            return super().features(lonlat, dtype, **more) + 1

    encoder.position.__class__ = Shifted
    assert_near([[encoder(points(kernels))], [plain(encoder, points(kernels))]])
    kernels.assert_fused(False)


def test_other_linear_layers(kernels: Kernels) -> None:
    class Scaled(nn.Linear):
        def forward(self, features: Tensor) -> Tensor:
            return 2 * super().forward(features)

    encoder = build(kernels).eval()
    encoder.network.layers[0].linear = Scaled(9, 20).to(kernels.device)
    assert_near([[encoder(points(kernels))], [plain(encoder, points(kernels))]])
    kernels.assert_fused(False)


@pytest.mark.parametrize("name", ["sphere2vec-sphereM+", "sphere2vec-dfs", "spherical-harmonics"])
def test_weights_and_coordinates_of_any_layout(kernels: Kernels, name: str) -> None:
    encoder = build(kernels, "linear", name=name)
    layer = encoder.network
    layer.weight = nn.Parameter(layer.weight.detach().T.contiguous().T)
    layer.bias = nn.Parameter(torch.stack([layer.bias.detach()] * 3, 1)[:, 1])
    columns_first = points(kernels).T.contiguous().T
    assert_near(both(encoder, encoder, columns_first))
    assert_near([[encoder(columns_first[::3])], [plain(encoder, points(kernels)[::3])]])


def test_parametrised_weights(kernels: Kernels) -> None:
    encoder = build(kernels, "linear")
    torch.nn.utils.parametrizations.weight_norm(encoder.network)
    assert_near(both(encoder, encoder, points(kernels)))


def test_other_activations_in_their_place(kernels: Kernels) -> None:
    encoder = build(kernels).eval().requires_grad_(False)
    encoder.network.layers[0].activation = nn.Tanh()
    assert_near([[encoder(points(kernels))], [plain(encoder, points(kernels))]])
    kernels.assert_fused()


def test_compiled_networks_are_left_to_run_as_compiled(kernels: Kernels) -> None:
    torch._dynamo.reset()
    encoder = build(kernels).eval()
    encoder.network.compile(backend="eager")
    assert_near([[encoder(points(kernels))], [plain(encoder, points(kernels))]])
    kernels.assert_fused(False)


def test_frequencies_that_learn(kernels: Kernels) -> None:
    encoder = build(kernels, name="rff")
    encoder.position.directions.requires_grad_()
    slopes = []
    for embed in (encoder, lambda lonlat: plain(encoder, lonlat)):
        torch.manual_seed(1)
        slopes.append(torch.autograd.grad(embed(points(kernels)).square().sum(), encoder.position.directions)[0])
    assert_near([[slopes[0]], [slopes[1]]])


def test_dates_go_in_one_piece(kernels: Kernels) -> None:
    encoder = locenc.create("wrap", dim=16, date=True).eval().to(kernels.device)
    lonlat, date = points(kernels), torch.linspace(-1, 1, 37, device=kernels.device)
    expected = encoder.network(encoder.position(lonlat, date=date))
    assert torch.equal(encoder(lonlat, date=date), expected)
    kernels.assert_fused(False)


def test_the_cpus_own_kernels_are_not_asked() -> None:
    encoder, lonlat = locenc.create("wrap", dim=16), globe(5)
    assert not fused.can(encoder.position, encoder.network, lonlat)
    with locenc.backend("reference"):
        assert not fused.can(encoder.position, encoder.network, lonlat)
