"""Models of TTE, "Tessellating the Earth": the folder that its hub mixin writes, and its training checkpoints."""

import re
from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from locenc._files import as_path, parse_json, read_settings
from locenc._weights import CONFIG, WEIGHTS
from locenc.compat._build import build
from locenc.compat._files import check_stored, read_pickle, read_safetensors
from locenc.compat._loaded import Loaded

_TOKENS = "semantic_registers."
_POSITION = {
    "_directions": "directions",
    "_log_tau": "log_tau",
    "_embeddings": "embeddings",
    f"{_TOKENS}registers": "tokens",
    f"{_TOKENS}log_temperature": "log_temperature",
    f"{_TOKENS}loc_to_logits.weight": "choice.weight",
    f"{_TOKENS}loc_to_logits.bias": "choice.bias",
    f"{_TOKENS}site_to_out.weight": "projection.weight",
    f"{_TOKENS}site_to_out.bias": "projection.bias",
    f"{_TOKENS}norm.weight": "norm.weight",
    f"{_TOKENS}norm.bias": "norm.bias",
}
#: Of the image side, which only training needs.
_UNUSED = {f"{_TOKENS}{name}" for name in ("_img_temperature", "img_to_logits.weight", "img_to_logits.bias")}
_LAYER = re.compile(r"mlp\.(\d+)\.(?:w([12])\.)?(weight|bias)")


def load_tte(path: str | Path, *, gate: float | None = None, normalize: bool | None = None) -> Loaded:
    """Load a location encoder of TTE.

    Parameters
    ----------
    path : str or Path
        A folder with ``model.safetensors`` and ``config.json``, or a training checkpoint (``.ckpt``).
    gate : float, optional
        Share of the tokens in the sum, which no weight tells. By default what ``config.json`` says, or 0.5, as
        published: say it for a checkpoint that was trained with another.
    normalize : bool, optional
        Whether embeddings have unit length. By default what ``config.json`` says, or true.

    Returns
    -------
    Loaded
        Encoder in evaluation mode, no head, and what the file says about itself. It takes (longitude, latitude);
        the original takes them the other way round.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder, or a file in it is missing.
    ValueError
        If a file is damaged, unsafe, holds no TTE location encoder, or does not fit its configuration.

    Notes
    -----
    Training anneals the temperature of the tokens to 0.2, but files hold the learned one, which the original
    evaluates with too.

    References
    ----------
    Cher et al. 2026, "Tessellating the Earth", ECCV.
    """
    path = as_path(path)
    if path.name == WEIGHTS:
        path = path.parent
    if path.is_dir():
        stored: Mapping[str, Any] = read_safetensors(path / WEIGHTS)
        params = config = _read_config(path / CONFIG)
    else:
        stored, params = _read_checkpoint(path)
        config = {}
    state = _location(path, stored)
    found = _shapes(path, state)
    _compare(path, config, found)
    options = {
        "num_sites": found["n_sites"],
        "site_dim": found["site_embed_dim"],
        "num_features": found["output_dim"],
        "num_tokens": found["n_registers"],
        "gate": config.get("register_fixed_gate", 0.5) if gate is None else gate,
        "cosine_attention": found["use_cosine_attention"],
        "token_dropout": 0.1,
    }
    network = {
        "name": "residual-mlp",
        "hidden_dim": found["hidden_dim"],
        "depth": found["n_reslayers"],
        "normalize": config.get("normalize", True) if normalize is None else normalize,
    }
    position, weights = _rename(path, state, found["n_reslayers"])
    with torch.device("meta"):  # nothing is drawn, or allocated, before the shapes have been compared
        encoder = build(
            path,
            "spherical-voronoi",
            options,
            network,
            weights,
            dim=found["output_dim"],
            buffers=position,
        )
    return Loaded(encoder, None, params)


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"no {path}: it says how the weights beside it are used; download it too")
    try:
        config = parse_json(read_settings(path))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error}); download it again") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path} does not hold settings: expected a JSON object, got {type(config).__name__}")
    if not isinstance(config.get("normalize", True), bool):
        raise ValueError(f"{path}: normalize must be true or false, got {config['normalize']!r}")
    return config


def _read_checkpoint(path: Path) -> tuple[Mapping[str, Any], dict[str, Any]]:
    content = read_pickle(path)
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} holds no state dict but {type(content).__name__}")
    for name in ("state_dict", "model_state_dict"):
        if isinstance(content.get(name), Mapping):
            params = {key: content[key] for key in ("epoch", "global_step", "hyper_parameters") if key in content}
            return content[name], params
    return content, {}


def _location(path: Path, stored: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of the location encoder by the rest of their keys, all of one dtype."""
    tensors = {key: value for key, value in stored.items() if isinstance(key, str) and isinstance(value, Tensor)}
    check_stored(path, tensors)
    if any(key.startswith("model.") for key in tensors):
        tensors = {key.removeprefix("model."): value for key, value in tensors.items() if key.startswith("model.")}
    prefix = "location."
    state = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    if not state:
        raise ValueError(
            f"{path} holds no location encoder of TTE: no key begins with {prefix!r}; there are: "
            f"{', '.join(list(map(str, stored))[:8]) or 'none'}"
        )
    dtype = reduce(torch.promote_types, (value.dtype for value in state.values()))
    if not dtype.is_floating_point:
        raise ValueError(f"{path}: weights must be floating-point numbers, not {dtype}")
    return {key: value.to(dtype) for key, value in state.items() if key not in _UNUSED}


def _shapes(path: Path, state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The architecture as the weights tell it, under the names of ``config.json``."""

    def shape(key: str) -> torch.Size:
        if key not in state or state[key].ndim != 2:
            raise ValueError(f"{path} holds no complete location encoder of TTE: no matrix location.{key}")
        return state[key].shape

    depth = sum(key.startswith("mlp.") and key.endswith(".w1.weight") for key in state)
    num_tokens, num_features = shape(f"{_TOKENS}registers")
    num_sites, site_dim = shape("_embeddings")
    return {
        "n_sites": num_sites,
        "site_embed_dim": site_dim,
        "output_dim": num_features,
        "hidden_dim": shape("mlp.0.weight")[0],
        "n_reslayers": depth,
        "n_registers": num_tokens,
        "use_cosine_attention": f"{_TOKENS}loc_to_logits.bias" not in state,
    }


def _compare(path: Path, config: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    for name, value in found.items():
        if config.get(name, value) != value:
            raise ValueError(
                f"{path / CONFIG} says {name}={config[name]!r}, but the weights beside it have {value!r}: they belong "
                "to two models; download both again"
            )


def _rename(path: Path, state: Mapping[str, Tensor], depth: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Tensors of the position encoder and of the network under our names."""
    position, network = {}, {}
    for key, value in state.items():
        layer = _LAYER.fullmatch(key)
        if key in _POSITION:
            position[_POSITION[key]] = value
        elif layer is None:
            raise ValueError(f"{path} holds location.{key}, which no TTE location encoder has")
        elif layer[2]:
            network[f"blocks.{int(layer[1]) - 2}.{'first' if layer[2] == '1' else 'second'}.{layer[3]}"] = value
        else:
            name = {"0": "input", str(depth + 2): "output"}.get(layer[1], f"mlp.{layer[1]}")
            network[f"{name}.{layer[3]}"] = value
    return position, network
