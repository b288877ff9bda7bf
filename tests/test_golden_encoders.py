"""Position encoders and networks against arrays that the papers' own code computed (where they are at hand)."""

import formulas
import pytest
import torch
from peers import PEER_FEATURES, PEER_FFN, ffn_state, peer_points, peer_weights, residual_fcnet_state, tolerance

import locenc
from locenc.networks import FFN, ResidualFCNet


@pytest.mark.parametrize(("key", "name", "options"), PEER_FEATURES)
def test_position_encoder(golden, key: str, name: str, options: dict) -> None:
    arrays = golden("position_encoders.npz")
    encoder = locenc.position_encoder(name, **options, dtype=torch.float64)
    weights = peer_weights(arrays, key) or {}
    encoder.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    ours = encoder(torch.from_numpy(peer_points(arrays, key)))
    theirs = torch.from_numpy(formulas.blocked(arrays[key], name, options.get("num_scales", 1)))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance(key, options))


@pytest.mark.parametrize("key", PEER_FFN)
def test_ffn(golden, key: str) -> None:
    arrays = golden("networks.npz")
    state = {name: torch.from_numpy(value) for name, value in ffn_state(arrays, key).items()}
    num_hidden = sum(name.endswith("linear.weight") for name in state) - 1
    *_, activation, layer_norm, skip = key.split("|")
    in_dim, out_dim = state["layers.0.linear.weight"].shape[1], state[f"layers.{num_hidden}.linear.bias"].shape[0]
    network = FFN(
        in_dim,
        out_dim,
        hidden_dim=state["layers.0.linear.bias"].shape[0],
        num_hidden_layers=num_hidden,
        activation=activation,
        layer_norm=layer_norm == "lnTrue",
        skip=skip == "skipTrue",
    )
    network = network.double().eval()
    network.load_state_dict(state)
    with torch.no_grad():
        output = network(torch.from_numpy(arrays[f"{key}/input"]))
    torch.testing.assert_close(output, torch.from_numpy(arrays[f"{key}/output"]), rtol=0, atol=1e-12)


def test_residual_fcnet(golden) -> None:
    arrays = golden("networks.npz")
    key = "fcnet|in4|filts16|classes7"
    state = {name: torch.from_numpy(value) for name, value in residual_fcnet_state(arrays, key).items()}
    network = ResidualFCNet(4, 16).double().eval()
    network.load_state_dict(state)
    with torch.no_grad():
        embedding = network(torch.from_numpy(arrays[f"{key}/input"]))
    torch.testing.assert_close(embedding, torch.from_numpy(arrays[f"{key}/embedding"]), rtol=0, atol=1e-12)
