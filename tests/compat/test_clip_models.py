"""GeoCLIP and SatCLIP: the weights of the installed geoclip package where there is one, else files in the layout."""

import importlib.util
import itertools
import math
from pathlib import Path
from typing import Any

import formulas
import network_formulas
import numpy as np
import peer_files as peer
import pytest
import torch
from peer_files import LONLAT, max_error, saved_again

import locenc

POINTS = torch.from_numpy(LONLAT)


def geoclip_state() -> dict[str, np.ndarray]:
    """A small location encoder of GeoCLIP under its own keys."""
    rng = np.random.default_rng(8)
    state = {}
    for branch, sigma in enumerate((1.0, 16.0, 256.0)):
        state[f"LocEnc{branch}.capsule.0.b"] = sigma * rng.normal(size=(40, 2))
        widths = [80, 7, 7, 7]
        for layer, (a, b) in enumerate(itertools.pairwise(widths)):
            state[f"LocEnc{branch}.capsule.{2 * layer + 1}.weight"] = peer.draw((b, a), rng)
            state[f"LocEnc{branch}.capsule.{2 * layer + 1}.bias"] = peer.draw((b,), rng)
        state[f"LocEnc{branch}.head.0.weight"] = peer.draw((5, 7), rng)
        state[f"LocEnc{branch}.head.0.bias"] = peer.draw((5,), rng)
    return state


def geoclip(lonlat: np.ndarray, state: dict[str, np.ndarray]) -> np.ndarray:
    """Its embeddings."""
    projected = formulas.equal_earth(lonlat) * 66.50336 / 180
    total = np.zeros(())
    for branch in range(3):
        phase = 2 * math.pi * projected @ state[f"LocEnc{branch}.capsule.0.b"].T
        x = np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
        for layer in ("capsule.1", "capsule.3", "capsule.5"):
            name = f"LocEnc{branch}.{layer}"
            x = np.maximum(x @ state[f"{name}.weight"].T + state[f"{name}.bias"], 0)
        total = total + x @ state[f"LocEnc{branch}.head.0.weight"].T + state[f"LocEnc{branch}.head.0.bias"]
    return total


@pytest.mark.parametrize("prefix", ["", "location_encoder."])
def test_geoclip_files(prefix: str, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    state = geoclip_state()
    tensors = {f"{prefix}{key}": value for key, value in peer.tensors(state).items()}
    if prefix:
        tensors |= {"image_encoder.mlp.0.weight": torch.zeros(2, 2), "logit_scale": torch.zeros(())}
    torch.save(tensors, tmp_path / "weights.pth")
    save_file(tensors, tmp_path / "model.safetensors")
    for name in ("weights.pth", "model.safetensors"):
        encoder, head, params = locenc.load_geoclip(tmp_path / name)
        assert max_error(encoder(POINTS), geoclip(LONLAT, state)) < 1e-9
        assert (head, params) == (None, {})
        assert encoder.config["position"]["sigmas"] == [1.0, 16.0, 256.0]
    saved_again(encoder, tmp_path / "ours")


def test_geoclip_in_the_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is found, and not imported: its imports are heavy and reach for the network."""
    folder = tmp_path / "geoclip" / "model" / "weights"
    folder.mkdir(parents=True)
    (tmp_path / "geoclip" / "__init__.py").write_text("raise AssertionError('imported')")
    torch.save(peer.tensors(geoclip_state()), folder / "location_encoder_weights.pth")
    monkeypatch.syspath_prepend(tmp_path)
    assert max_error(locenc.load_geoclip().encoder(POINTS), geoclip(LONLAT, geoclip_state())) < 1e-9


def test_geoclip_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="not installed: pip install --no-deps geoclip, or pass the path"):
        locenc.load_geoclip()


def test_geoclip_as_published(golden) -> None:
    arrays = golden("geoclip.npz")
    if importlib.util.find_spec("geoclip") is None:
        return  # its weights are not here; the layout is tested above
    encoder = locenc.load_geoclip().encoder
    assert max_error(encoder(torch.from_numpy(arrays["lonlat_float32"]).double()), arrays["embedding"]) < 1e-4


@pytest.mark.parametrize("missing", ["LocEnc1.capsule.0.b", "LocEnc0.head.0.weight", "LocEnc0.capsule.1.weight"])
def test_another_file_for_geoclip(missing: str, tmp_path: Path) -> None:
    state = peer.tensors(geoclip_state())
    del state[missing]
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=r"weights\.pth does not hold GeoCLIP's location encoder: expected LocEnc0"):
        locenc.load_geoclip(tmp_path / "weights.pth")
    torch.save([1], tmp_path / "weights.pth")
    with pytest.raises(ValueError, match="does not hold GeoCLIP's location encoder"):
        locenc.load_geoclip(tmp_path / "weights.pth")


def doubled(features: np.ndarray) -> np.ndarray:
    """Every block twice, side by side."""
    return np.repeat(features, 2, axis=1)


def satclip_theory(lonlat: np.ndarray, params: dict[str, Any]) -> np.ndarray:
    """Sines and cosines alternate within each half of the columns."""
    lon, lat, f = lonlat[:, [0]], lonlat[:, [1]], peer.geometric(params)
    u, v, w = lon * f, (-lon / 2 + math.sqrt(3) / 2 * lat) * f, (-lon / 2 - math.sqrt(3) / 2 * lat) * f
    phases = peer.interleave(u, u, v, v, w, w)
    column = np.arange(phases.shape[1]) % (3 * len(f))
    return np.where(column % 2 == 0, np.sin(phases), np.cos(phases))


def satclip_wrap(lonlat: np.ndarray, params: dict[str, Any]) -> np.ndarray:
    lon, lat = np.deg2rad(lonlat).T
    return np.stack([np.cos(lon), np.sin(lon), np.cos(lat), np.sin(lat)], axis=1)


def satclip_closed_form(lonlat: np.ndarray, params: dict[str, Any]) -> np.ndarray:
    """With Condon and Shortley's sign; order 0 as it should be."""
    columns = peer.harmonics(lonlat, {"harmonics": params["legendre_polys"]})
    order = np.concatenate([np.arange(-degree, degree + 1) for degree in range(params["legendre_polys"])])
    return columns * np.where(order == 0, 1 / math.pi, (-1.0) ** order)


POSITIONS = {
    "sphericalharmonics": lambda x, p: peer.harmonics(x, {"harmonics": p["legendre_polys"]}),
    "direct": lambda x, p: np.deg2rad(x) - math.pi,
    "cartesian3d": peer.xyz,
    "wrap": satclip_wrap,
    "grid": peer.grid,
    "theory": satclip_theory,
    "spherec": lambda x, p: doubled(peer.sphere("C", peer.geometric, unit=1.0)(x, p)),
    "spherecplus": lambda x, p: doubled(peer.sphere("C+", peer.geometric, unit=1.0)(x, p)),
}


def siren(features: np.ndarray, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    state, widths = {}, [features.shape[1], 7, 7]
    for i, (a, b) in enumerate(itertools.pairwise(widths)):
        state[f"layers.{i}.weight"], state[f"layers.{i}.bias"] = 0.1 * peer.draw((b, a), rng), peer.draw((b,), rng)
    last = {"last_layer.weight": peer.draw((6, 7), rng), "last_layer.bias": peer.draw((6,), rng)}
    ours = {**state, **{key.replace("last_layer", "last"): value for key, value in last.items()}}
    return {**state, **last}, network_formulas.siren(features, ours, omega_0=30.0)


def fcnet(features: np.ndarray, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    state = peer.fcnet_state(features.shape[1], 7, 4, rng)
    weight = peer.draw((6, 7), rng)
    return {**state, "class_emb.weight": weight}, peer.fcnet(features, state) @ weight.T


def mlp(features: np.ndarray, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """One hidden layer used twice, stored twice."""
    w0, b0, w, b = (peer.draw(s, rng) for s in ((7, features.shape[1]), (7,), (7, 7), (7,)))
    w1, b1 = peer.draw((6, 7), rng), peer.draw((6,), rng)
    layers = {0: (w0, b0), 2: (w, b), 4: (w, b), 6: (w1, b1)}
    x = features
    for i, (weight, bias) in layers.items():
        x = x @ weight.T + bias
        x = np.maximum(x, 0) if i < 6 else x
    parts = {"weight": 0, "bias": 1}
    return {f"features.{i}.{name}": layers[i][part] for i in layers for name, part in parts.items()}, x


def linear(features: np.ndarray, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    weight, bias = peer.draw((6, features.shape[1]), rng), peer.draw((6,), rng)
    return {"weight": weight, "bias": bias}, features @ weight.T + bias


NETWORKS = {"siren": siren, "fcnet": fcnet, "mlp": mlp, "linear": linear}


def satclip_file(path: Path, le_type: str, pe_type: str, features: Any = None, **changes: Any) -> np.ndarray:
    """Write a Lightning checkpoint; the embeddings of LONLAT."""
    settings = {"le_type": le_type, "pe_type": pe_type, "frequency_num": 4, "min_radius": 1, "max_radius": 360}
    settings |= {"legendre_polys": 6, "harmonics_calculation": "analytic", "embed_dim": 6, "capacity": 7, **changes}
    columns = (features or POSITIONS[le_type])(LONLAT, settings)
    state, embedding = NETWORKS[pe_type](columns, np.random.default_rng(4))
    twice = {f"{where}.{key}": value for where in ("model.nnet", "model.location.nnet") for key, value in state.items()}
    stored = peer.tensors({**twice, "model.visual.proj": np.zeros((2, 2)), "model.logit_scale": np.zeros(())})
    torch.save({"epoch": 3, "state_dict": stored, "hyper_parameters": settings, "optimizer_states": []}, path)
    return embedding


@pytest.mark.parametrize("pe_type", NETWORKS)
@pytest.mark.parametrize("le_type", POSITIONS)
def test_satclip(le_type: str, pe_type: str, tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    expected = satclip_file(path, le_type, pe_type)
    encoder, head, params = locenc.load_satclip(path)
    embedding = encoder(POINTS)
    assert embedding.dtype == torch.float64
    assert max_error(embedding, expected) < 1e-9
    assert head is None
    assert params["le_type"] == le_type
    saved_again(encoder, tmp_path / "ours")


def test_satclip_theory_with_an_odd_number_of_scales(tmp_path: Path) -> None:
    expected = satclip_file(tmp_path / "model.ckpt", "theory", "siren", frequency_num=5, min_radius=0.1)
    assert max_error(locenc.load_satclip(tmp_path / "model.ckpt").encoder(POINTS), expected) < 1e-9


def test_satclip_columns_are_the_projects(golden) -> None:
    """This file's own formulas, against arrays that the project computed."""
    arrays = golden("position_encoders.npz")
    options = {"frequency_num": 16, "min_radius": 1, "max_radius": 360}
    for le_type in ("direct", "cartesian3d", "wrap", "grid", "theory", "spherec", "spherecplus"):
        key = next(key for key in arrays if key in (f"satclip/{le_type}", f"satclip/{le_type}|S16|min1|max360"))
        assert np.abs(POSITIONS[le_type](arrays["lonlat"], options) - arrays[key]).max() < 1e-9
    odd = satclip_theory(arrays["lonlat"], {**options, "frequency_num": 5, "min_radius": 0.1})
    assert np.abs(odd - arrays["satclip/theory|S5|min0.1|max360"]).max() < 1e-9


def test_satclip_closed_form(tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    expected = satclip_file(
        path, "sphericalharmonics", "siren", satclip_closed_form, harmonics_calculation="closed-form"
    )
    assert max_error(locenc.load_satclip(path).encoder(POINTS), expected) < 1e-9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"le_type": "spherem"}, "le_type 'spherem' multiplies with sines of degrees used as radians"),
        ({"le_type": "spheremplus"}, "of this family 'spherec' and 'spherecplus' can be loaded"),
        ({"le_type": "sphericalharmonic"}, "unknown le_type 'sphericalharmonic'. Did you mean 'sphericalharmonics'"),
        ({"pe_type": "sirens"}, "unknown pe_type 'sirens'. Did you mean 'siren'"),
        ({"pe_type": "fcnet"}, "its network 'fcnet' has no tensor 'class_emb.weight'"),
        ({"harmonics_calculation": "discretized"}, "'analytic' and 'closed-form' can be loaded"),
        ({"legendre_polys": 5}, "its settings do not fit its weights"),
        ({"legendre_polys": 40}, "legendre_polys=40, but no weight in it has more than 36 columns"),
        ({"le_type": "grid"}, "its hyper-parameters give 16 feature columns .* but its first layer takes 36"),
    ],
)
def test_satclip_that_cannot_be_loaded(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    satclip_file(path, "sphericalharmonics", "siren")
    content = torch.load(path)
    content["hyper_parameters"] |= changes
    torch.save(content, path)
    with pytest.raises(ValueError, match=message):
        locenc.load_satclip(path)


def test_satclip_with_a_bias_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    satclip_file(path, "grid", "fcnet")
    content = torch.load(path)
    for name in ("model.nnet.feats.0.bias", "model.location.nnet.feats.0.bias"):
        content["state_dict"][name] = content["state_dict"][name][:-1]
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"its first layer has \d+ rows, but a bias of shape"):
        locenc.load_satclip(path)
