"""TTE's files: written in both layouts with random weights, and its own arrays."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import formulas
import network_formulas
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import locenc

MODELS = ["fresh", "trained", "cosine"]
PLACES = torch.tensor([(2.35, 48.86), (-180.0, -31.5), (180.0, 90.0), (77.7, -90.0), (540.0, 3.0)], dtype=torch.float64)
DEFAULTS = {
    "n_sites": 10,
    "site_embed_dim": 5,
    "output_dim": 7,
    "hidden_dim": 9,
    "n_reslayers": 2,
    "n_registers": 4,
    "register_fixed_gate": 0.5,
    "use_cosine_attention": False,
    "normalize": True,
}


def random_state(config: dict) -> dict[str, Tensor]:
    """Weights under the keys that TTE's code writes, the image side included."""
    sites, site, dim = config["n_sites"], config["site_embed_dim"], config["output_dim"]
    hidden, tokens, blocks = config["hidden_dim"], config["n_registers"], config["n_reslayers"]
    shapes: dict[str, tuple[int, ...]] = {"_directions": (sites, 3), "_log_tau": (sites,), "_embeddings": (sites, site)}
    shapes |= {
        "semantic_registers.registers": (tokens, dim),
        "semantic_registers.log_temperature": (),
        "semantic_registers._img_temperature": (),
        "semantic_registers.loc_to_logits.weight": (tokens, site),
        "semantic_registers.img_to_logits.weight": (tokens, dim),
        "semantic_registers.norm.weight": (dim,),
        "semantic_registers.norm.bias": (dim,),
    }
    if not config["use_cosine_attention"]:
        shapes |= {f"semantic_registers.{side}_to_logits.bias": (tokens,) for side in ("loc", "img")}
    if site != dim:
        shapes["semantic_registers.site_to_out.weight"] = (dim, site)
        shapes["semantic_registers.site_to_out.bias"] = (dim,)
    shapes |= {"mlp.0.weight": (hidden, dim), "mlp.0.bias": (hidden,)}
    for block in range(blocks):
        for layer in ("w1", "w2"):
            shapes[f"mlp.{block + 2}.{layer}.weight"] = (hidden, hidden)
            shapes[f"mlp.{block + 2}.{layer}.bias"] = (hidden,)
    shapes[f"mlp.{blocks + 2}.weight"] = (dim, hidden)
    generator = torch.Generator().manual_seed(7)
    return {f"location.{key}": torch.randn(shape, generator=generator) for key, shape in shapes.items()}


def expected(config: dict, state: dict[str, Tensor], lonlat: Tensor, gate: float, normalize: bool) -> Tensor:
    """The embedding by the formulas of the tests."""
    weights = {key.removeprefix("location."): value.double().numpy() for key, value in state.items()}
    tokens = "semantic_registers."
    names = {
        **{name: f"_{name}" for name in ("directions", "log_tau", "embeddings")},
        "tokens": f"{tokens}registers",
        "log_temperature": f"{tokens}log_temperature",
        **{f"choice.{part}": f"{tokens}loc_to_logits.{part}" for part in ("weight", "bias")},
        **{f"projection.{part}": f"{tokens}site_to_out.{part}" for part in ("weight", "bias")},
        **{f"norm.{part}": f"{tokens}norm.{part}" for part in ("weight", "bias")},
    }
    position = {ours: weights[theirs] for ours, theirs in names.items() if theirs in weights}
    cosine = config["use_cosine_attention"]
    features = formulas.evaluate(
        "spherical-voronoi", lonlat.numpy(), weights=position, gate=gate, cosine_attention=cosine
    )
    blocks = config["n_reslayers"]
    network = {"input.weight": weights["mlp.0.weight"], "input.bias": weights["mlp.0.bias"]}
    for block in range(blocks):
        for ours, theirs in (("first", "w1"), ("second", "w2")):
            for part in ("weight", "bias"):
                network[f"blocks.{block}.{ours}.{part}"] = weights[f"mlp.{block + 2}.{theirs}.{part}"]
    out = network_formulas.residual_fcnet(features, network) @ weights[f"mlp.{blocks + 2}.weight"].T
    if normalize:
        out = out / np.linalg.norm(out, axis=1, keepdims=True)
    return torch.from_numpy(out)


def write_folder(folder: Path, config: dict, state: dict[str, Tensor]) -> Path:
    folder.mkdir(exist_ok=True)
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def write_checkpoint(path: Path, state: dict[str, Tensor]) -> Path:
    everything = {f"model.{key}": value for key, value in state.items()}
    everything |= {"model.visual.conv1.weight": torch.ones(3, 3), "model.logit_scale": torch.ones(())}
    everything |= {"criterion.location.scale": torch.ones(2)}
    torch.save({"state_dict": everything, "epoch": 30, "optimizer_states": [{"state": {}}]}, path)
    return path


# Their arrays


@pytest.mark.parametrize("layout", ["folder", "checkpoint"])
@pytest.mark.parametrize("model", MODELS)
def test_agrees_with_the_original(golden: Callable, model: str, layout: str, tmp_path: Path) -> None:
    arrays = golden("tte.npz")
    config = json.loads(str(arrays[f"{model}/config"]))
    prefix = f"{model}/state/"
    state = {key.removeprefix(prefix): torch.from_numpy(arrays[key]) for key in arrays.files if key.startswith(prefix)}
    if layout == "folder":
        loaded = locenc.load_tte(write_folder(tmp_path / "hub", config, state))
        assert loaded.params == config
    else:
        path = write_checkpoint(tmp_path / "model.ckpt", state)
        loaded = locenc.load_tte(path, gate=config["register_fixed_gate"], normalize=config["normalize"])
        assert loaded.params == {"epoch": 30}
    assert loaded.head is None
    lonlat = torch.from_numpy(arrays["lonlat"])
    with torch.no_grad():
        embedding = loaded.encoder(lonlat)
        exact = loaded.encoder.double()(lonlat)
    assert embedding.dtype == torch.float32
    theirs = torch.from_numpy(arrays[f"{model}/embedding"])
    torch.testing.assert_close(embedding, torch.from_numpy(arrays[f"{model}/float32/encode"]), rtol=0, atol=2e-5)
    torch.testing.assert_close(embedding.double(), theirs, rtol=0, atol=1e-6)
    torch.testing.assert_close(exact, theirs, rtol=0, atol=1e-9)


# Random weights


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"use_cosine_attention": True, "register_fixed_gate": 0.3},
        {"site_embed_dim": 7, "normalize": False},
        {"hidden_dim": 3, "n_reslayers": 0},
        {"hidden_dim": 20, "n_reslayers": 1, "n_registers": 1},
        {"n_sites": 1},
    ],
)
@pytest.mark.parametrize("layout", ["folder", "checkpoint"])
def test_agrees_with_the_formula(tmp_path: Path, layout: str, changes: dict) -> None:
    """Hidden layers wider and narrower than the embedding, no projection, no blocks, cosine told by its bias."""
    config = {**DEFAULTS, **changes}
    state, gate, normalize = random_state(config), config["register_fixed_gate"], config["normalize"]
    if layout == "folder":
        encoder = locenc.load_tte(write_folder(tmp_path / "hub", config, state)).encoder
    else:
        encoder = locenc.load_tte(write_checkpoint(tmp_path / "m.ckpt", state), gate=gate, normalize=normalize).encoder
    assert encoder.dim == config["output_dim"]
    assert not encoder.training
    assert all(parameter.requires_grad for parameter in encoder.parameters())
    wanted = expected(config, state, PLACES, gate, normalize)
    with torch.no_grad():
        torch.testing.assert_close(encoder(PLACES).double(), wanted, rtol=1e-5, atol=2e-5)
        torch.testing.assert_close(encoder.double()(PLACES), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["model_state_dict", "state_dict", "bare", "bare with model."])
def test_every_form_of_checkpoint(tmp_path: Path, kind: str) -> None:
    state = random_state(DEFAULTS)
    path = tmp_path / "weights.pt"
    bare = {f"model.{key}": value for key, value in state.items()} if kind == "bare with model." else state
    torch.save({kind: bare} if "state_dict" in kind else bare, path)
    loaded = locenc.load_tte(path)
    assert loaded.params == {}
    with torch.no_grad():
        torch.testing.assert_close(
            loaded.encoder(PLACES).double(), expected(DEFAULTS, state, PLACES, 0.5, True), rtol=0, atol=2e-5
        )


def test_fields_of_the_configuration_that_are_missing(tmp_path: Path) -> None:
    state = random_state(DEFAULTS)
    encoder = locenc.load_tte(write_folder(tmp_path / "hub", {"author": "somebody"}, state)).encoder
    with torch.no_grad():
        torch.testing.assert_close(
            encoder.double()(PLACES), expected(DEFAULTS, state, PLACES, 0.5, True), rtol=0, atol=1e-12
        )


def test_arguments_override_the_configuration(tmp_path: Path) -> None:
    state = random_state(DEFAULTS)
    folder = write_folder(tmp_path / "hub", DEFAULTS, state)
    encoder = locenc.load_tte(folder / "model.safetensors", gate=0.0, normalize=False).encoder
    with torch.no_grad():
        torch.testing.assert_close(
            encoder.double()(PLACES), expected(DEFAULTS, state, PLACES, 0.0, False), rtol=0, atol=1e-12
        )


def test_it_is_deterministic_until_trained(tmp_path: Path) -> None:
    config = {**DEFAULTS, "n_registers": 40}
    encoder = locenc.load_tte(write_folder(tmp_path / "hub", config, random_state(config))).encoder
    assert torch.equal(encoder(PLACES), encoder(PLACES))
    encoder.train()
    assert not torch.equal(encoder.position(PLACES), encoder.position(PLACES))


def test_loading_draws_no_random_numbers(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "hub", DEFAULTS, random_state(DEFAULTS))
    before = torch.get_rng_state()
    locenc.load_tte(folder)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_weights_keep_their_dtype(tmp_path: Path, dtype: torch.dtype) -> None:
    state = {key: value.to(dtype) for key, value in random_state(DEFAULTS).items()}
    encoder = locenc.load_tte(write_folder(tmp_path / "hub", DEFAULTS, state)).encoder
    assert {parameter.dtype for parameter in encoder.parameters()} == {dtype}
    assert encoder(PLACES).dtype == dtype
    state["location._log_tau"] = state["location._log_tau"].float()
    encoder = locenc.load_tte(write_folder(tmp_path / "hub", DEFAULTS, state)).encoder
    widest = torch.promote_types(dtype, torch.float32)
    assert {parameter.dtype for parameter in encoder.parameters()} == {widest}


def test_saves_and_loads_as_our_own(tmp_path: Path) -> None:
    config = {**DEFAULTS, "use_cosine_attention": True, "register_fixed_gate": 0.3, "normalize": False}
    encoder = locenc.load_tte(write_folder(tmp_path / "hub", config, random_state(config))).encoder
    encoder.save_pretrained(tmp_path / "ours")
    assert torch.equal(locenc.from_pretrained(tmp_path / "ours")(PLACES), encoder(PLACES))


# What cannot be loaded


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent"):
        locenc.load_tte(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        locenc.load_tte(tmp_path)
    folder = write_folder(tmp_path / "hub", DEFAULTS, random_state(DEFAULTS))
    (folder / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"config\.json.*download it too"):
        locenc.load_tte(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"n_sites": 1', r"config\.json is no JSON"),
        ("[1, 2]", r"config\.json.*JSON object, got list"),
        ('{"n_sites": 4096}', r"says n_sites=4096, but the weights beside it have 10"),
        ('{"n_reslayers": 1}', r"says n_reslayers=1, but the weights beside it have 2"),
        ('{"use_cosine_attention": true}', r"says use_cosine_attention=True, but the weights beside it have False"),
        ('{"normalize": "no"}', r"normalize must be true or false, got 'no'"),
        ('{"register_fixed_gate": 1.5}', r"gate must lie in \[0, 1\], got 1\.5"),
        ('{"register_fixed_gate": "half"}', r"gate must lie in \[0, 1\], got 'half'"),
    ],
)
def test_configurations_that_do_not_fit(tmp_path: Path, text: str, message: str) -> None:
    folder = write_folder(tmp_path / "hub", DEFAULTS, random_state(DEFAULTS))
    (folder / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        locenc.load_tte(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.clear() or s.update(other=torch.ones(1)), r"no key begins with 'location\.'; there are: other"),
        (
            lambda s: s.pop("location.semantic_registers.registers"),
            r"no matrix location\.semantic_reg",
        ),
        (lambda s: s.pop("location._log_tau"), r"position\.log_tau.*\(10,\).*absent"),
        (lambda s: s.pop("location.mlp.4.weight"), r"network\.output\.weight.*\(7, 9\).*absent"),
        (
            lambda s: s.update({"location._directions": torch.ones(11, 3)}),
            r"directions.*\(10, 3\).*\(11, 3\)",
        ),
        (lambda s: s.update({"location.mlp.3.w1.weight": torch.ones(9, 8)}), r"blocks\.1\.first\.weight.*\(9, 8\)"),
        (lambda s: s.update({"location.film.weight": torch.ones(2)}), r"location\.film\.weight, which no TTE"),
        (lambda s: s.update({"location.mlp.x.weight": torch.ones(2)}), r"location\.mlp\.x\.weight, which no TTE"),
        (lambda s: s.update({"location._log_tau": torch.ones(10, dtype=torch.complex64)}), r"not torch\.complex64"),
    ],
)
def test_weights_that_do_not_fit(tmp_path: Path, change: Callable, message: str) -> None:
    state = random_state(DEFAULTS)
    change(state)
    torch.save({"state_dict": state}, tmp_path / "model.ckpt")
    with pytest.raises(ValueError, match=re.escape(str(tmp_path)) + r".*" + message):
        locenc.load_tte(tmp_path / "model.ckpt")


def test_a_file_of_something_else(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(ValueError, match=r"list\.pt holds no state dict but list"):
        locenc.load_tte(tmp_path / "list.pt")
