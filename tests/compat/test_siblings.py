"""Sphere2Vec, CSP, SINR and geo_prior: no published file is at hand, so files in their layout."""

from pathlib import Path
from typing import Any

import numpy as np
import peer_files as peer
import pytest
import torch
from peer_files import LONLAT, max_error, saved_again

import locenc

POINTS = torch.from_numpy(LONLAT)
ANCHORS = np.array([[0.0, 10.0], [-70.0, -33.0], [150.0, -30.0]])
DEGREES = {"min_radius": 0.5, "max_radius": 360.0}
KINDS = {
    "gridcell": (peer.grid, DEGREES),
    "theory": (peer.theory, DEGREES),
    "sphere": (peer.sphere("C", peer.geometric), {}),
    "spheregrid": (peer.sphere("C+", peer.geometric), {}),
    "spheremixscale": (peer.sphere("M", peer.geometric), {}),
    "spheregridmixscale": (peer.sphere("M+", peer.geometric), {}),
    "dft": (peer.sphere("dfs", peer.geometric), {}),
    "xyz": (peer.xyz, {}),
    "nerf": (peer.nerf, {"nerf_scales": 4}),
    "naive": (peer.naive, {}),
    "rff": (peer.rff, {}),
    "rbf": (peer.rbf, {"anchors": ANCHORS}),
    "geo_net_fft": (peer.wrap, {}),
}
CSP_KINDS = ["gridcell", "theory", "naive", "rff", "rbf", "geo_net_fft"]


def model(kind: str, **changes: Any) -> tuple[dict[str, np.ndarray], dict[str, Any], np.ndarray]:
    """State, params and the embeddings of LONLAT of a model whose first layer has a skip."""
    rng = np.random.default_rng(5)
    features, options = KINDS[kind]
    params = peer.base_params(spa_enc_type=kind, num_hidden_layer=2, spa_f_act="relu", **{**options, **changes})
    drawn = {"dirvec": rng.normal(size=(2, 6)), "shift": rng.uniform(0, 6, size=6)} if kind == "rff" else {}
    columns = features(LONLAT, {**params, "tensors": drawn})
    params["hidden_dim"] = columns.shape[1]
    network = peer.ffn_state(columns.shape[1], params, rng)
    state = {f"spa_enc.{key}": value for key, value in drawn.items()}
    state |= {f"spa_enc.ffn.{key}": value for key, value in network.items()}
    state |= {"class_emb.weight": peer.draw((5, 6), rng), "user_emb.weight": peer.draw((1, 6), rng)}
    told = {key: value for key, value in params.items() if key not in ("anchors", "nerf_scales")}
    return state, told, peer.ffn(columns, network, params)


def pretrained(state: dict[str, np.ndarray], image: str = "img_dec") -> dict[str, np.ndarray]:
    """CSP's LocationImageEncoder: the location model twice, and the image side."""
    decoder = {f"{image}.weight": np.ones((6, 9)), f"{image}.bias": np.ones(6)}
    return {**{f"loc_enc.{key}": value for key, value in state.items()}, **decoder, **state}


@pytest.mark.parametrize("kind", KINDS)
def test_sphere2vec(kind: str, tmp_path: Path) -> None:
    state, params, expected = model(kind)
    path = peer.write(tmp_path / "model.pth.tar", state, params)
    encoder, head, told = locenc.load_sphere2vec(path, anchors=ANCHORS)
    assert max_error(encoder(POINTS), expected) < 1e-9
    assert max_error(head(encoder(POINTS)), peer.sigmoid(expected @ state["class_emb.weight"].T)) < 1e-9
    assert told == params
    saved_again(encoder, tmp_path / "ours")


def test_names_of_torchspatial_are_not_sphere2vecs(tmp_path: Path) -> None:
    """Its M+ has another list of frequencies: to guess would be wrong without a word."""
    state, params, _ = model("spheregridmixscale")
    path = peer.write(tmp_path / "model.pth.tar", state, {**params, "spa_enc_type": "Sphere2Vec-sphereM+"})
    for load in (locenc.load_sphere2vec, locenc.load_csp):
        with pytest.raises(ValueError, match=r"unknown spa_enc_type 'Sphere2Vec-sphereM\+'.*locenc\.load_torchspatial"):
            load(path)


@pytest.mark.parametrize("kind", CSP_KINDS)
@pytest.mark.parametrize("layout", ["fine-tuned", "img_dec", "loc_dec"])
def test_csp(kind: str, layout: str, tmp_path: Path) -> None:
    state, params, expected = model(kind)
    written = state if layout == "fine-tuned" else pretrained(state, layout)
    path = peer.write(tmp_path / "model.pth.tar", written, params)
    encoder, head, _ = locenc.load_csp(path, anchors=ANCHORS)
    assert max_error(encoder(POINTS), expected) < 1e-9
    assert max_error(head(encoder(POINTS)), peer.sigmoid(expected @ state["class_emb.weight"].T)) < 1e-9
    saved_again(encoder, tmp_path / "ours")


def test_settings_as_letters(tmp_path: Path) -> None:
    state, params, expected = model("gridcell")
    path = peer.write(tmp_path / "model.pth.tar", state, {**params, "use_layn": "T", "skip_connection": "T"})
    assert max_error(locenc.load_csp(path).encoder(POINTS), expected) < 1e-9


def test_class_embeddings_that_no_gradient_reached(tmp_path: Path) -> None:
    """Adam has moments of what was trained: after pre-training alone, not of the class embeddings."""
    state, params, expected = model("gridcell")

    def moments(*shapes: tuple[int, ...]) -> dict[str, Any]:
        return {"state": {i: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(s)} for i, s in enumerate(shapes)}}

    path = tmp_path / "model.pth.tar"
    peer.write(path, pretrained(state), params, optimizer=moments((16, 16), (6, 16)))
    encoder, head, _ = locenc.load_csp(path)
    assert head is None
    assert max_error(encoder(POINTS), expected) < 1e-9
    peer.write(path, pretrained(state), params, optimizer=moments((16, 16), (6, 16), (5, 6)))
    assert locenc.load_csp(path).head is not None


def fcnet_file(path: Path, params: dict[str, Any], num_inputs: int = 4, depth: int = 4) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    state = {**peer.fcnet_state(num_inputs, 6, depth, rng), "class_emb.weight": peer.draw((5, 6), rng)}
    peer.write(path, state, params)
    return state


@pytest.mark.parametrize("load", [locenc.load_sphere2vec, locenc.load_csp, locenc.load_sinr])
@pytest.mark.parametrize("named", [True, False])
def test_geo_prior(load: Any, named: bool, tmp_path: Path) -> None:
    params = {"num_filts": 6, "loc_encode": "encode_cos_sin", "use_date_feats": False}
    state = fcnet_file(tmp_path / "model.pth.tar", {**params, **({"spa_enc_type": "geo_net"} if named else {})})
    encoder, head, _ = load(tmp_path / "model.pth.tar")
    expected = peer.fcnet(peer.wrap(LONLAT, {}), state)
    assert max_error(encoder(POINTS), expected) < 1e-9
    assert max_error(head(encoder(POINTS)), peer.sigmoid(expected @ state["class_emb.weight"].T)) < 1e-9


def test_geo_prior_with_a_date(tmp_path: Path) -> None:
    params = {"loc_encode": "encode_cos_sin", "use_date_feats": True, "date_encode": "encode_cos_sin"}
    state = fcnet_file(tmp_path / "model.pth.tar", params, num_inputs=6)
    encoder = locenc.load_sinr(tmp_path / "model.pth.tar").encoder
    date = np.linspace(-1, 1, len(LONLAT))
    angle = np.pi * date[:, None]
    features = np.concatenate([peer.wrap(LONLAT, {}), np.sin(angle), np.cos(angle)], axis=1)
    assert max_error(encoder(POINTS, date=torch.from_numpy(date)), peer.fcnet(features, state)) < 1e-9
    peer.write(tmp_path / "model.pth.tar", state, {**params, "date_encode": "encode_none"})
    with pytest.raises(ValueError, match=r"use_date_feats=True, date_encode='encode_none'; only 'encode_cos_sin'"):
        locenc.load_sinr(tmp_path / "model.pth.tar")


def sinr_params(**changes: Any) -> dict[str, Any]:
    params = {"model": "ResidualFCNet", "input_enc": "sin_cos", "input_dim": 4, "num_classes": 5, "num_filts": 6}
    return {**params, "depth": 3, "class_to_taxa": [12, 7, 3, 99, 4], "pos_weight": 2048, "device": "cuda", **changes}


@pytest.mark.parametrize("depth", [3, 4])
def test_sinr(depth: int, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    state = fcnet_file(path, sinr_params(depth=depth), depth=depth)
    encoder, head, params = locenc.load_sinr(path)
    expected = peer.fcnet(peer.wrap(LONLAT, {}), state)
    assert max_error(encoder(POINTS), expected) < 1e-9
    assert max_error(head(encoder(POINTS)), peer.sigmoid(expected @ state["class_emb.weight"].T)) < 1e-9
    assert params["class_to_taxa"] == [12, 7, 3, 99, 4]
    saved_again(encoder, tmp_path / "ours")


def test_sinr_linear(tmp_path: Path) -> None:
    path, weight = tmp_path / "model.pt", peer.draw((5, 4), np.random.default_rng(1))
    peer.write(path, {"class_emb.weight": weight}, sinr_params(model="LinNet"))
    encoder, head, _ = locenc.load_sinr(path)
    expected = peer.wrap(LONLAT, {})
    assert max_error(encoder(POINTS), expected) < 1e-6  # features are float32: there is no weight to follow
    assert max_error(head(encoder(POINTS).double()), peer.sigmoid(expected @ weight.T)) < 1e-6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_enc": "env"}, "its inputs are 'env': environmental rasters"),
        ({"input_enc": "sin_cos_env"}, "its inputs are 'sin_cos_env': environmental rasters"),
        ({"model": "OtherNet"}, "its model is 'OtherNet'; SINR's 'ResidualFCNet' and 'LinNet'"),
    ],
)
def test_sinr_that_cannot_be_loaded(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    fcnet_file(tmp_path / "model.pt", sinr_params(**changes))
    with pytest.raises(ValueError, match=message):
        locenc.load_sinr(tmp_path / "model.pt")
