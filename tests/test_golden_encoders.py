"""Position encoders and networks against arrays that the papers' own code computed (where they are at hand)."""

import formulas
import pytest
import torch
from peers import (
    PEER_FEATURES,
    PEER_FFN,
    ffn_state,
    peer_points,
    peer_weights,
    residual_fcnet_state,
    siren_state,
    tolerance,
)

import locenc
from locenc.networks import FFN, ResidualFCNet, Siren
from locenc.random_fourier import EqualEarthFourier


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


def test_satclip_fcnet(golden) -> None:
    arrays = golden("position_encoders.npz")
    key = "satclip/fcnet|in4|hidden64|out32"
    state = {name: torch.from_numpy(value) for name, value in residual_fcnet_state(arrays, key).items()}
    network = ResidualFCNet(4, 64).double().eval()
    network.load_state_dict(state)
    features = torch.from_numpy(arrays["satclip/wrap"])
    with torch.no_grad():
        embedding = network(features) @ torch.from_numpy(arrays[f"{key}/class_emb.weight"]).T
    torch.testing.assert_close(embedding, torch.from_numpy(arrays[f"{key}/output"]), rtol=0, atol=1e-12)


def test_satclip_siren(golden) -> None:
    arrays = golden("position_encoders.npz")
    key = "satclip/siren|in100|hidden64|layers2|out32"
    network = Siren(100, 32, hidden_dim=64, num_hidden_layers=2).double().eval()
    network.load_state_dict({name: torch.from_numpy(value) for name, value in siren_state(arrays, key).items()})
    features = torch.from_numpy(golden("satclip_sh.npz")["satclip/analytic|L10"])
    with torch.no_grad():
        embedding = network(features)
    torch.testing.assert_close(embedding, torch.from_numpy(arrays[f"{key}/output"]), rtol=0, atol=1e-12)


def test_geoclip_projection(golden) -> None:
    arrays = golden("geoclip.npz")
    scale = EqualEarthFourier.SCALE
    ours = locenc.coords.equal_earth(torch.from_numpy(arrays["lonlat"])) * scale
    theirs = torch.from_numpy(arrays["projection_float64_input"])  # its square roots of 3 are float32
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-7)
    ours = locenc.coords.equal_earth(torch.from_numpy(arrays["lonlat_float32"]).double()) * scale
    torch.testing.assert_close(ours, torch.from_numpy(arrays["projection"]).double(), rtol=0, atol=3e-7)
