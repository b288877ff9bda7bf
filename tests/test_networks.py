"""The networks against their formulas in numpy, and what each promises in training."""

import math

import network_formulas
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from locenc.networks import FFN, NETWORKS, ResidualFCNet, Siren, build_network

GEOCLIP = {"name": "geoclip", "hidden_dim": 10}
CONFIGS = ["ffn", "residual", {"name": "siren", "hidden_dim": 9}, GEOCLIP, "residual-mlp", "linear"]


def features(rows: int = 7, columns: int = 12) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(rows, columns)))


def ready(network: nn.Module) -> tuple[nn.Module, dict[str, np.ndarray]]:
    """The network in float64 and evaluation, every tensor drawn anew (norms and biases too), and its tensors."""
    network = network.double().eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    for tensor in network.parameters():
        tensor.copy_(torch.randn(tensor.shape, generator=generator, dtype=torch.float64) / 2)
    return network, {key: value.numpy() for key, value in network.state_dict().items()}


def assert_near(actual: Tensor, expected: np.ndarray) -> None:
    torch.testing.assert_close(actual, torch.from_numpy(expected), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("activation", network_formulas.ACTIVATIONS)
@pytest.mark.parametrize("num_hidden_layers", [0, 1, 3])
@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("layer_norm", [True, False])
def test_ffn(activation: str, num_hidden_layers: int, skip: bool, layer_norm: bool) -> None:
    options = {"activation": activation, "skip": skip, "layer_norm": layer_norm}
    network, state = ready(FFN(12, 5, hidden_dim=12, num_hidden_layers=num_hidden_layers, **options))
    expected = network_formulas.ffn(features().numpy(), state, activation=activation, skip=skip)
    assert_near(network(features()), expected)


@pytest.mark.parametrize("depth", [0, 1, 4])
def test_residual_fcnet(depth: int) -> None:
    network, state = ready(ResidualFCNet(12, 5, depth=depth))
    assert_near(network(features()), network_formulas.residual_fcnet(features().numpy(), state))


@pytest.mark.parametrize("num_hidden_layers", [0, 1, 3])
@pytest.mark.parametrize("omega_0", [30.0, 2.5])
def test_siren(num_hidden_layers: int, omega_0: float) -> None:
    network, state = ready(Siren(12, 5, hidden_dim=9, num_hidden_layers=num_hidden_layers, omega_0=omega_0))
    assert_near(network(features()), network_formulas.siren(features().numpy(), state, omega_0=omega_0))


@pytest.mark.parametrize("num_branches", [1, 3, 4])
@pytest.mark.parametrize("num_hidden_layers", [0, 3])
def test_geoclip(num_branches: int, num_hidden_layers: int) -> None:
    options = {"num_branches": num_branches, "num_hidden_layers": num_hidden_layers}
    network, state = ready(build_network({**GEOCLIP, **options}, 12, 5))
    assert_near(network(features()), network_formulas.geoclip(features().numpy(), state))


def test_published_sizes() -> None:
    network = build_network("geoclip", 3 * 512, 512)
    shapes = [tuple(network.branches[2][layer].weight.shape) for layer in (0, 2, 4, 6)]
    assert shapes == [(1024, 512), (1024, 1024), (1024, 1024), (512, 1024)]
    assert network.config == {"name": "geoclip", "num_branches": 3, "hidden_dim": 1024, "num_hidden_layers": 3}


def test_siren_starts_as_published() -> None:
    torch.manual_seed(0)
    network = Siren(50, 400, hidden_dim=300, num_hidden_layers=2)
    for linear, bound in [
        (network.layers[0], 1 / 50),
        (network.layers[1], math.sqrt(6 / 300)),
        (network.last, math.sqrt(6 / 300)),
    ]:
        for tensor in (linear.weight, linear.bias):
            assert tensor.abs().max() <= bound
            assert tensor.abs().max() > 0.95 * bound
        assert linear.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)


def test_siren_drops_before_the_sine_and_nothing_after_the_last_layer() -> None:
    torch.manual_seed(0)
    network = Siren(12, 5, hidden_dim=2000, num_hidden_layers=1, dropout=0.25).double()
    hidden = []
    network.last.register_forward_pre_hook(lambda module, args: hidden.append(args[0]))
    network(features())
    network.eval()(features())
    trained, evaluated = hidden
    assert (trained == 0).double().mean() == pytest.approx(0.25, abs=0.02)
    before = torch.asin(torch.sin(network.layers[0](features()) * 30 / 0.75))  # what is kept is scaled, then the sine
    torch.testing.assert_close(torch.asin(trained[trained != 0]), before[trained != 0], rtol=0, atol=1e-9)
    assert not (evaluated == 0).any()


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_training_drops_and_evaluation_does_not(config: str | dict) -> None:
    torch.manual_seed(0)
    network = build_network(config, 12, 24).double()
    first, second = network(features()), network(features())
    drops = config not in ("linear", GEOCLIP)
    assert torch.equal(first, second) != drops
    network.eval()
    assert torch.equal(network(features()), network(features()))


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_shapes_and_gradients(config: str | dict) -> None:
    network = build_network(config, 12, 6).double().eval()
    assert network.out_dim == 6
    assert network(features().reshape(7, 1, 12)).shape == (7, 1, 6)
    assert network(torch.empty(0, 12, dtype=torch.float64)).shape == (0, 6)
    assert torch.autograd.gradcheck(network, features(3).requires_grad_())


def test_every_network_is_asked() -> None:
    names = {config if isinstance(config, str) else config["name"] for config in CONFIGS}
    assert names == set(NETWORKS) - {"identity"}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "geoclip", "num_branches": 5}, r"12 features do not divide into 5 equal branches"),
        ({"name": "geoclip", "hidden_dim": 0}, r"hidden_dim must be a whole number of at least 1, got 0"),
        ({"name": "siren", "num_hidden_layers": -1}, r"num_hidden_layers must be a whole number from 0 to 256, got -1"),
        ({"name": "siren", "hidden_dim": 1.5}, r"hidden_dim must be a whole number of at least 1, got 1\.5"),
        ({"name": "siren", "omega_0": 0.0}, r"omega_0 must be positive and finite, got 0\.0"),
        ({"name": "siren", "dropout": 1}, r"dropout must be at least 0 and below 1, got 1"),
        ({"name": "ffn", "hidden_dim": 0}, r"hidden_dim must be a whole number of at least 1, got 0"),
        ({"name": "ffn", "num_hidden_layers": True}, r"num_hidden_layers must be a whole number from 0 to 256, got T"),
        ({"name": "ffn", "dropout": -0.1}, r"dropout must be at least 0 and below 1, got -0\.1"),
        ({"name": "residual", "depth": 1.5}, r"depth must be a whole number from 0 to 256, got 1\.5"),
        ({"name": "residual", "depth": "2"}, r"depth must be a whole number from 0 to 256, got '2'"),
        ({"name": "residual", "dropout": math.nan}, r"dropout must be at least 0 and below 1, got nan"),
        ({"name": "residual-mlp", "depth": -1}, r"depth must be a whole number from 0 to 256, got -1"),
        ({"name": "residual-mlp", "dropout": 1.0}, r"dropout must be at least 0 and below 1, got 1\.0"),
        ({"name": "sirene"}, r"unknown network 'sirene'\. Did you mean 'siren'"),
    ],
)
def test_what_is_refused(config: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_network(config, 12, 6)


@pytest.mark.parametrize("name", ["ffn", "residual", "siren", "residual-mlp"])
@pytest.mark.parametrize("dropout", ["0.5", None, False])
def test_dropout_is_a_number(name: str, dropout: object) -> None:
    with pytest.raises(TypeError, match=f"dropout must be a number, got {dropout!r}"):
        build_network({"name": name, "dropout": dropout}, 12, 6)


def test_omega_is_a_number() -> None:
    with pytest.raises(TypeError, match=r"omega_0 must be a number, got '30'"):
        build_network({"name": "siren", "omega_0": "30"}, 12, 6)
