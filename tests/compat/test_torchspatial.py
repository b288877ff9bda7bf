"""TorchSpatial: its published files where they are at hand, and files of every kind in its layout."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import peer_files as peer
import pytest
import torch
from conftest import SHARED
from peer_files import LONLAT, max_error, saved_again

import locenc

POINTS = torch.from_numpy(LONLAT)
GLOBAL, USA = [-180.0, 180.0, -90.0, 90.0], [-162.0, -59.0, 20.0, 56.0]
ANCHORS = np.array([[0.0, 10.0], [-70.0, -33.0], [150.0, -30.0], [2.0, 50.0], [180.0, 40.0]])
PUBLISHED = [
    "fmow_NeRF_inception_v3_0.0100_64_0.0500000_1_256",
    "fmow_Sphere2Vec-sphereM_inception_v3_0.0050_64_0.0001000_1_512",
    "fmow_wrap_ffn_inception_v3_0.0020_64_0.0005000_1_512",
    "yfcc_Space2Vec-theory_inception_v3_0.0100_64_0.0500000_360.000_1_256_BATCH4096_leakyrelu",
    "yfcc_Sphere2Vec-sphereC_inception_v3_0.0005_64_0.0001000_1_512",
    "yfcc_rbf_inception_v3_0.0010_64_0.0005000_1_512_200_2.0",
    "yfcc_rff_inception_v3_0.0010_64_0.0000010_1_512_1.0",
    "yfcc_xyz_inception_v3_0.0020_64_0.0005000_1_512",
]


def published(name: str) -> Path:
    """Path of a published file."""
    return SHARED / "weights" / f"model_{name}{'.safetensors' if '_rbf_' in name else '.pth.tar'}"


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_outputs(golden, name: str) -> None:
    arrays = golden("weights_outputs.npz")
    loaded = locenc.load_torchspatial(published(name), anchors=arrays["rbf_anchors"])
    embedding = loaded.encoder(torch.from_numpy(arrays["lonlat_float32"]).double())
    assert max_error(embedding, arrays[f"{name}/embedding"]) < (1e-4 if "_rff_" in name else 2e-5)
    assert max_error(loaded.head(embedding)[:, :20], arrays[f"{name}/prob20"]) < 5e-6
    assert not loaded.encoder.training
    assert loaded.params["num_classes"] == loaded.head(embedding).shape[1]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_predictions(golden, name: str) -> None:
    arrays = golden("published_predictions.npz")
    if f"{name}/lonlat" not in arrays:
        return  # NeRF's table stems from other weights, rbf's anchors are not published
    encoder, head, _ = locenc.load_torchspatial(published(name))
    found = head(encoder(torch.from_numpy(arrays[f"{name}/lonlat"])))
    chosen = found[torch.arange(len(found)), torch.from_numpy(arrays[f"{name}/class"])]
    assert max_error(chosen, arrays[f"{name}/prob"]) < 2e-6


def test_published_rff_with_another_extent(golden) -> None:
    arrays = golden("weights_outputs.npz")
    name = next(name for name in PUBLISHED if "_rff_" in name)
    encoder = locenc.load_torchspatial(published(name), extent=USA).encoder
    found = encoder(torch.from_numpy(arrays["lonlat_float32"]).double())
    assert max_error(found, arrays[f"{name}|map_range-162,-59,20,56/embedding"]) < 1e-4


def test_published_file_saved_again(golden, tmp_path: Path) -> None:
    arrays = golden("weights_outputs.npz")
    for name in PUBLISHED[-3:]:
        encoder = locenc.load_torchspatial(published(name), anchors=arrays["rbf_anchors"]).encoder
        saved_again(encoder, tmp_path / name)


KINDS = {
    "Space2Vec-grid": (peer.grid, {"min_radius": 0.5, "max_radius": 360.0}),
    "gridcellnorm": (peer.grid, {"min_radius": 0.5, "max_radius": 360.0}),
    "Space2Vec-theory": (peer.theory, {"min_radius": 0.5, "max_radius": 360.0}),
    "Sphere2Vec-sphereC": (peer.sphere("C", peer.geometric), {}),
    "Sphere2Vec-sphereC+": (peer.sphere("C+", peer.geometric), {}),
    "Sphere2Vec-sphereM": (peer.sphere("M", peer.geometric), {}),
    "Sphere2Vec-sphereM+": (peer.sphere("M+", peer.power), {"max_radius": 50.0}),
    "Sphere2Vec-dfs": (peer.sphere("dfs", peer.power), {"max_radius": 50.0}),
    "xyz": (peer.xyz, {}),
    "NeRF": (peer.nerf, {"frequency_num": 64, "nerf_scales": 16}),
    "naive": (peer.naive, {"map_range": USA}),
    "rff": (peer.rff, {"map_range": USA}),
    "rbf": (peer.rbf, {"anchors": ANCHORS}),
    "wrap_ffn": (peer.wrap, {"map_range": USA}),
    "tile_ffn": (peer.tile, {}),
    "spherical_harmonics": (peer.harmonics, {"harmonics": 8}),
}
# Hidden layers and their width; "F" is as wide as the features, so that the first layer has a skip.
NETWORKS = [(1, 7), (1, "F"), (3, "F"), (2, 7), (0, 7), (-1, 7)]


def file_of(kind: str, path: Path, *, depth: int = 1, width: int | str = 7, **changes: Any) -> tuple[dict, np.ndarray]:
    """Write a file of a kind; its params and the embeddings of LONLAT that TorchSpatial would give."""
    rng = np.random.default_rng(5)
    features, options = KINDS[kind]
    params = peer.base_params(spa_enc_type=kind, num_hidden_layer=depth, **{**options, **changes})
    extra = {}
    if kind == "rff":
        extra = {"dirvec": rng.normal(size=(2, 6)), "shift": rng.uniform(0, 6, size=6)}
    if kind == "tile_ffn":
        extra = {"embedding.weight": rng.normal(size=(1, 6))}
    columns = features(LONLAT, {**params, "tensors": extra})
    params["hidden_dim"] = columns.shape[1] if width == "F" else width
    network = peer.ffn_state(columns.shape[1], params, rng)
    state = {f"spa_enc.position_encoder.{key}": value for key, value in extra.items()}
    state |= {f"spa_enc.ffn.{key}": value for key, value in network.items()}
    state |= {"class_emb.weight": peer.draw((5, 6), rng), "user_emb.weight": peer.draw((1, 6), rng)}
    embedding = peer.ffn(columns, network, params)
    told = {key: value for key, value in params.items() if key not in ("anchors", "nerf_scales", "harmonics")}
    peer.write(path, state, told)
    return {**params, "class_emb": state["class_emb.weight"]}, embedding


@pytest.mark.parametrize(("depth", "width"), NETWORKS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(kind: str, depth: int, width: int | str, tmp_path: Path) -> None:
    path = tmp_path / "named_after_nothing.pth.tar"
    params, expected = file_of(kind, path, depth=depth, width=width)
    encoder, head, told = locenc.load_torchspatial(path, anchors=ANCHORS)
    embedding = encoder(POINTS)
    assert max_error(embedding, expected) < 1e-9
    assert max_error(head(embedding), peer.sigmoid(expected @ params["class_emb"].T)) < 1e-9
    assert told["spa_enc_type"] == kind
    saved_again(encoder, tmp_path / "ours")


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh", "gelu"])
@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("norm", [True, False])
def test_settings_of_the_network(activation: str, skip: bool, norm: bool, tmp_path: Path) -> None:
    path = tmp_path / "model.pth.tar"
    options = {"spa_f_act": activation, "skip_connection": skip, "use_layn": norm, "dropout": 0.25}
    _, expected = file_of("Sphere2Vec-sphereC+", path, depth=2, width="F", **options)
    encoder = locenc.load_torchspatial(path).encoder
    assert max_error(encoder(POINTS), expected) < 1e-9
    assert encoder.config["network"]["dropout"] == 0.25


@pytest.mark.parametrize("yes", [True, 1, 1.0, "T", "t", "True", "true", "1", np.True_, None])
@pytest.mark.parametrize("no", [False, 0, 0.0, "F", "f", "False", "false", "0"])
def test_spellings_of_true_and_false(yes: Any, no: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.pth.tar"
    for skip, written in ((True, yes), (False, no)):
        _, expected = file_of("xyz", path, depth=2, skip_connection=skip)
        content = torch.load(path)
        content["params"] |= {"skip_connection": written, "use_layn": yes}
        torch.save(content, path)
        assert max_error(locenc.load_torchspatial(path).encoder(POINTS), expected) < 1e-9


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("rff", {"rbf_kernel_size": None}),
        ("rff", {"rbf_kernel_size": 0}),
        ("xyz", {"dropout": None}),
        ("Sphere2Vec-sphereC", {"freq_init": None}),
        ("Sphere2Vec-sphereC", {"frequency_num": 4.0}),
        ("Sphere2Vec-sphereC", {"frequency_num": "4"}),
        ("Sphere2Vec-sphereC", {"frequency_num": np.float64(4)}),
        ("xyz", {"spa_f_act": "LeakyReLU"}),
    ],
)
@pytest.mark.parametrize("prefix", ["module.", "model.", "model.module."])
def test_other_spellings_of_one_file(kind: str, changes: dict[str, Any], prefix: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pth.tar"
    _, expected = file_of(kind, path)
    content = torch.load(path)
    content["params"] |= changes
    content["state_dict"] = {f"{prefix}{key}": value for key, value in content["state_dict"].items()} | {3: 4}
    torch.save(content, path)
    encoder, head, _ = locenc.load_torchspatial(path)
    assert max_error(encoder(POINTS), expected) < 1e-9
    assert head is not None
    assert encoder.config["network"]["dropout"] == 0.5


def test_power_list_of_one_radius(tmp_path: Path) -> None:
    """TorchSpatial's default max_radius of 1 makes all scales of M+ and dfs the same."""
    for kind in ("Sphere2Vec-sphereM+", "Sphere2Vec-dfs"):
        _, expected = file_of(kind, tmp_path / "model.pth.tar", max_radius=1.0, min_radius=1e-6)
        assert max_error(locenc.load_torchspatial(tmp_path / "model.pth.tar").encoder(POINTS), expected) < 1e-9


@pytest.mark.parametrize("kind", ["rff", "naive"])
def test_extent_of_a_file_that_an_evaluation_wrote(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pth.tar"
    _, regional = file_of(kind, path, num_epochs=0, map_range=USA)
    assert max_error(locenc.load_torchspatial(path, extent=USA).encoder(POINTS), regional) < 1e-9
    found = locenc.load_torchspatial(path).encoder(POINTS)
    _, world = file_of(kind, path, map_range=GLOBAL)
    assert max_error(found, world) < 1e-9


def test_columns_are_torchspatials(golden) -> None:
    """The formulas of these tests, against arrays that the project computed."""
    arrays = golden("position_encoders.npz")
    lonlat = arrays["lonlat"]
    settings = {"frequency_num": 16, "min_radius": 1e-3, "max_radius": 360.0}
    sphere = {**settings, "max_radius": 1.0}
    compared = {
        "space2vec-grid|S16|min0.001|max360": (peer.grid, settings),
        "space2vec-theory|S16|min0.001|max360": (peer.theory, settings),
        "sphereC|S16|min0.001|max1": (peer.sphere("C", peer.geometric), sphere),
        "sphereC+|S16|min0.001|max1": (peer.sphere("C+", peer.geometric), sphere),
        "sphereM|S16|min0.001|max1": (peer.sphere("M", peer.geometric), sphere),
        "sphereM+|S16|min0.001|max360": (peer.sphere("M+", peer.power), settings),
        "dfs|S8|min0.001|max360": (peer.sphere("dfs", peer.power), {**settings, "frequency_num": 8}),
        "hexagridcell|S8|max360": (peer.hexagridcell, {**settings, "frequency_num": 8}),
        "nerf|S16": (peer.nerf, {"nerf_scales": 16}),
        "xyz": (peer.xyz, {}),
        "wrap_ffn": (peer.wrap, {}),
        "spherical_harmonics|L8": (peer.harmonics, {"harmonics": 8}),
    }
    for key, (features, params) in compared.items():
        tolerance = 2e-8 if key.startswith("spherical") else 1e-9  # theirs loses digits near the poles
        assert np.abs(features(lonlat, params) - arrays[f"torchspatial/{key}"]).max() < tolerance, key


def test_layers_of_unequal_width(tmp_path: Path) -> None:
    path = tmp_path / "model.pth.tar"
    file_of("Sphere2Vec-sphereC", path, depth=2, width="F")
    content = torch.load(path)
    content["state_dict"]["spa_enc.ffn.layers.1.linear.weight"] = torch.zeros(12, 5)
    torch.save(content, path)
    with pytest.raises(ValueError, match="layers of its feed-forward network do not fit one another"):
        locenc.load_torchspatial(path)


def test_no_random_number_of_the_caller_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "model.pth.tar"
    file_of("Sphere2Vec-sphereC", path)
    state = torch.get_rng_state()
    locenc.load_torchspatial(path)
    assert torch.equal(torch.get_rng_state(), state)


def one_layer_file(kind: str, path: Path, state: dict[str, np.ndarray], **changes: Any) -> dict[str, Any]:
    params = peer.base_params(spa_enc_type=kind, **changes)
    peer.write(path, {f"spa_enc.{key}": value for key, value in state.items()}, params)
    return params


@pytest.mark.parametrize("max_radius", [360.0, 1.0, 0.25])
def test_hexagridcell(max_radius: float, tmp_path: Path) -> None:
    rng, path = np.random.default_rng(2), tmp_path / "model.pth.tar"
    state = {"post_linear.weight": peer.draw((6, 24), rng), "post_linear.bias": peer.draw((6,), rng)}
    params = one_layer_file("hexagridcell", path, state, max_radius=max_radius, min_radius=1e-6)
    plain = peer.hexagridcell(LONLAT, params) @ state["post_linear.weight"].T + state["post_linear.bias"]
    encoder, head, _ = locenc.load_torchspatial(path)
    assert max_error(encoder(POINTS), np.where(plain > 0, plain, 0.2 * plain)) < 1e-9
    assert head is None
    saved_again(encoder, tmp_path / "ours")


@pytest.mark.parametrize("place", ["", "position_encoder."])
@pytest.mark.parametrize("post_linear", [True, False])
def test_theorydiag(post_linear: bool, place: str, tmp_path: Path) -> None:
    rng, path = np.random.default_rng(2), tmp_path / "model.pth.tar"
    state = {"post_mat": rng.normal(size=(4, 6, 3))}
    state["spa_postmat"] = state["post_mat"]
    if post_linear:
        state |= {"post_linear.weight": peer.draw((12, 12), rng), "post_linear.bias": peer.draw((12,), rng)}
    stored = {f"{place}{key}": value for key, value in state.items()}
    params = one_layer_file("theorydiag", path, stored, min_radius=0.5, max_radius=360.0)
    features = peer.theory(LONLAT, params).reshape(-1, 4, 6)
    plain = np.einsum("nsk,skj->nsj", features, state["post_mat"]).reshape(-1, 12)
    if post_linear:
        plain = plain @ state["post_linear.weight"].T + state["post_linear.bias"]
    encoder = locenc.load_torchspatial(path).encoder
    assert max_error(encoder(POINTS), np.where(plain > 0, plain, 0.2 * plain)) < (1e-9 if post_linear else 1e-6)


@pytest.mark.parametrize(
    ("kind", "more", "message"),
    [
        ("theorydiag", {"post_other.weight": (2,)}, "tensor spa_enc.post_other.weight, which no encoder"),
        ("theorydiag", {"position_encoder.post_mat": (4, 6, 3)}, "two different tensors post_mat"),
        ("theorydiag", {"post_linear.weight": (12, 11)}, r"post_linear.weight should be \(12, 12\), is \(12, 11\)"),
        ("theorydiag", {"post_linear.bias": (12, 1)}, "post_linear.bias should be a vector"),
        ("theorydiag", {"post_mat": (24,)}, "post_mat should be"),
        ("hexagridcell", {}, "one layer, post_linear.weight and .bias; there are: post_mat"),
    ],
)
def test_layers_after_the_features_that_do_not_fit(
    kind: str, more: dict[str, tuple[int, ...]], message: str, tmp_path: Path
) -> None:
    rng, path = np.random.default_rng(2), tmp_path / "model.pth.tar"
    shapes = {"post_mat": (4, 6, 3), "post_linear.weight": (12, 12), "post_linear.bias": (12,), **more}
    one_layer_file(kind, path, {key: rng.normal(size=shape) for key, shape in shapes.items()}, min_radius=0.5)
    with pytest.raises(ValueError, match=message):
        locenc.load_torchspatial(path)


@pytest.mark.parametrize("depth", [4, 2])
def test_wrap_with_the_residual_network(depth: int, tmp_path: Path) -> None:
    rng, path = np.random.default_rng(2), tmp_path / "model.pth.tar"
    state = {**peer.fcnet_state(4, 6, depth, rng), "class_emb.weight": peer.draw((5, 6), rng)}
    state["user_emb.weight"] = peer.draw((1, 6), rng)
    peer.write(path, state, peer.base_params(spa_enc_type="wrap", loc_encode="encode_cos_sin", use_date_feats=False))
    encoder, head, _ = locenc.load_torchspatial(path)
    expected = peer.fcnet(peer.wrap(LONLAT, {}), state)
    assert max_error(encoder(POINTS), expected) < 1e-9
    assert max_error(head(encoder(POINTS)), peer.sigmoid(expected @ state["class_emb.weight"].T)) < 1e-9


def test_wrap_without_sines(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(2), tmp_path / "model.pth.tar"
    state = peer.fcnet_state(2, 6, 4, rng)
    peer.write(path, state, peer.base_params(spa_enc_type="wrap", loc_encode="encode_none"))
    encoder = locenc.load_torchspatial(path).encoder
    assert max_error(encoder(POINTS), peer.fcnet(LONLAT / [180, 90], state)) < 1e-9


def test_anchors_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "model.pth.tar"
    file_of("rbf", path)
    with pytest.raises(ValueError, match=r"needs its 5 anchors.*rbf_anchor_pt_ids.*anchors=, \(5, 2\) longitude"):
        locenc.load_torchspatial(path)
    with pytest.raises(ValueError, match=r"anchors must be \(5, 2\).*got \(4, 2\)"):
        locenc.load_torchspatial(path, anchors=ANCHORS[:4])


def test_numbers_of_numpy_in_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "model.pth.tar"
    _, expected = file_of("rbf", path, rbf_anchor_pt_ids=[np.int64(7429), np.int64(51191)])
    encoder, _, params = locenc.load_torchspatial(path, anchors=ANCHORS.tolist())
    assert max_error(encoder(POINTS), expected) < 1e-9
    assert params["rbf_anchor_pt_ids"] == [7429, 51191]


def test_safetensors_with_settings_beside_it(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    _, expected = file_of("Sphere2Vec-sphereC", tmp_path / "model.pth.tar")
    content = torch.load(tmp_path / "model.pth.tar")
    save_file(content["state_dict"], tmp_path / "copy.safetensors")
    with pytest.raises(FileNotFoundError, match=r"no .*copy\.params\.json.*expected beside it"):
        locenc.load_torchspatial(tmp_path / "copy.safetensors")
    (tmp_path / "copy.params.json").write_text(json.dumps({"epoch": 1, "params": content["params"]}))
    for name in ("copy.safetensors", "copy.params.json"):
        assert max_error(locenc.load_torchspatial(tmp_path / name).encoder(POINTS), expected) < 1e-9
    (tmp_path / "copy.params.json").write_text("{")
    with pytest.raises(ValueError, match=r"copy\.params\.json is no JSON"):
        locenc.load_torchspatial(tmp_path / "copy.safetensors")


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("Sphere2Vec-sphereC", {"frequency_num": 5}, r"its params give 15 feature columns .* takes 12"),
        (
            "Sphere2Vec-sphereC",
            {"frequency_num": 10**9},
            r"frequency_num=1000000000, but no weight in it has more than",
        ),
        ("Sphere2Vec-sphereC", {"frequency_num": "4.5"}, "frequency_num must be a whole number"),
        ("Sphere2Vec-sphereC", {"hidden_dim": 8}, r"params say hidden_dim=8, but its weights have 7"),
        ("Sphere2Vec-sphereC", {"num_hidden_layer": 2}, r"params say num_hidden_layer=2, but its weights have 1"),
        ("Sphere2Vec-sphereC", {"hidden_dim": [7]}, r"params say hidden_dim=\[7\]"),
        ("Sphere2Vec-sphereC", {"max_radius": "wide"}, "max_radius='wide', which is no number"),
        ("Sphere2Vec-sphereC", {"use_layn": False}, r"params say use_layn=False"),
        ("xyz", {"skip_connection": "yes"}, "skip_connection='yes', which is neither true nor false"),
        ("xyz", {"skip_connection": [True]}, r"skip_connection=\[True\], which is neither"),
        ("xyz", {"use_layn": "yes"}, "params say use_layn='yes'"),
        ("naive", {"map_range": [20.0, 10.0, 0.0, 1.0]}, r"extent must be \(west, east, south, north\)"),
        ("Sphere2Vec-sphereC", {"spa_f_act": "swish"}, "unknown activation 'swish'"),
        ("Sphere2Vec-sphereC", {"min_radius": 2.0}, "0 < min_radius < max_radius is needed"),
        ("Sphere2Vec-sphereC", {"freq_init": "random"}, r"freq_init='random' and are not in the file"),
        ("Sphere2Vec-sphereC", {"spa_enc_type": "Sphere2Vec-sphereX"}, "Did you mean 'Sphere2Vec-sphere"),
        ("Sphere2Vec-sphereC", {"spa_enc_type": "theorynorm"}, "TorchSpatial lists theorynorm, but has no such class"),
        ("Sphere2Vec-sphereC", {"spa_enc_type": "dft"}, "for load_sphere2vec and load_csp"),
        ("Sphere2Vec-sphereC", {"spa_enc_type": "wrap"}, r"no tensor 'feats\.0\.weight'"),
        ("Sphere2Vec-sphereC", {"spa_enc_type": "wrap", "loc_encode": "encode_3D"}, "loc_encode='encode_3D'"),
        ("Sphere2Vec-sphereC", {"spa_enc_type": "rff"}, "no tensor .*dirvec"),
        ("Sphere2Vec-sphereC", {"spa_enc_type": "xyz"}, "its settings do not fit its weights"),
    ],
)
def test_settings_that_do_not_fit(kind: str, changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pth.tar"
    file_of(kind, path)
    content = torch.load(path)
    content["params"] |= changes
    torch.save(content, path)
    with pytest.raises(ValueError, match=message) as caught:
        locenc.load_torchspatial(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("missing", ["frequency_num", "min_radius", "spa_f_act", "spa_enc_type"])
def test_settings_that_are_missing(missing: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pth.tar"
    file_of("Sphere2Vec-sphereC", path)
    content = torch.load(path)
    del content["params"][missing]
    torch.save(content, path)
    with pytest.raises(ValueError, match=missing):
        locenc.load_torchspatial(path)


def test_a_tile_of_many_cells(tmp_path: Path) -> None:
    path = tmp_path / "model.pth.tar"
    file_of("tile_ffn", path)
    content = torch.load(path)
    content["state_dict"]["spa_enc.position_encoder.embedding.weight"] = torch.zeros(8, 6)
    torch.save(content, path)
    with pytest.raises(ValueError, match="its table has 8 cells, but the file does not say how large"):
        locenc.load_torchspatial(path)


def test_weights_alone(tmp_path: Path) -> None:
    path = tmp_path / "model.pth.tar"
    for content in ({"class_emb.weight": torch.zeros(2, 2)}, torch.zeros(2), {"state_dict": {}}):
        torch.save(content, path)
        with pytest.raises(ValueError, match=r"has no '(state_dict|params)'.*do not say how their encoder is built"):
            locenc.load_torchspatial(path)
