"""The location encoder of GeoCLIP: the weights in its wheel, a state dictionary, or safetensors."""

import importlib.util
import math
import re
from pathlib import Path

import torch
from torch import Tensor

from locenc._files import as_path
from locenc.compat._build import build
from locenc.compat._files import check_floating, check_stored, read_pickle, read_safetensors
from locenc.compat._loaded import Loaded

_IN_WHEEL = Path("model", "weights", "location_encoder_weights.pth")
_KEY = re.compile(r"LocEnc(\d+)\.(?:capsule\.(?:0\.(b)|(\d+)\.(weight|bias))|head\.0\.(weight|bias))")


def load_geoclip(path: str | Path | None = None) -> Loaded:
    """Load GeoCLIP's location encoder.

    The original takes (latitude, longitude); this encoder takes (longitude, latitude), as all here do. Embeddings are
    not normalised.

    Parameters
    ----------
    path : str or Path, optional
        A ``.pth`` or ``.safetensors`` file with the tensors ``LocEnc0.capsule.0.b`` and so on, alone or under
        ``location_encoder.``. Unless given, the weights in the installed ``geoclip`` package, which is not imported.

    Returns
    -------
    Loaded
        The encoder; no head; no params, for the file has none.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or geoclip is not installed.
    ValueError
        If the file is damaged, unsafe, or of another model.

    References
    ----------
    Vivanco Cepeda et al. 2023, "GeoCLIP", NeurIPS; package geoclip 1.3.0.
    """
    path = _installed() if path is None else as_path(path)
    content = read_safetensors(path) if path.suffix == ".safetensors" else read_pickle(path)
    directions: dict[int, Tensor] = {}
    weights: dict[str, Tensor] = {}
    for key, value in (content if isinstance(content, dict) else {}).items():
        match = _KEY.fullmatch(str(key).removeprefix("location_encoder."))
        if match is None or not isinstance(value, Tensor):
            continue
        branch, direction, layer, part, last = match.groups()
        if direction:
            directions[int(branch)] = value
        elif last:
            weights[f"{branch}.head.{last}"] = value
        else:
            weights[f"{branch}.{int(layer) - 1}.{part}"] = value
    count = len(directions)
    if (
        not directions
        or sorted(directions) != list(range(count))
        or "0.head.weight" not in weights
        or "0.0.weight" not in weights
    ):
        raise ValueError(
            f"{path} does not hold GeoCLIP's location encoder: expected LocEnc0.capsule.0.b, LocEnc0.capsule.1.weight, "
            "LocEnc0.head.0.weight and so on"
        )
    for named in ({f"LocEnc{i}.capsule.0.b": value for i, value in directions.items()}, weights):
        check_stored(path, named)
        check_floating(path, named)
    shape = directions[0].shape
    for i, value in directions.items():
        largest = float(value.abs().max()) if value.numel() else 0.0
        if value.ndim != 2 or value.shape != shape or not 1e-30 < largest < 1e30:
            raise ValueError(
                f"{path}: LocEnc{i}.capsule.0.b should have directions, finite, not all zero and as many in each branch"
                f"; it is {tuple(value.shape)}, the largest {largest}"
            )
    if any(weights[key].ndim != 2 for key in ("0.head.weight", "0.0.weight")):
        raise ValueError(f"{path}: weights of GeoCLIP's layers should be matrices")
    num_hidden = sum(re.fullmatch(r"0\.\d+\.weight", key) is not None for key in weights)
    network = {
        "name": "geoclip",
        "num_branches": count,
        "hidden_dim": len(weights["0.0.weight"]),
        "num_hidden_layers": num_hidden,
    }
    # The widths that directions were drawn with, powers of two, are not in the file: they are read off the directions.
    sigmas = [2.0 ** round(math.log2(float(directions[i].double().square().mean().sqrt()))) for i in range(count)]
    encoder = build(
        path,
        "geoclip",
        {"num_features": len(directions[0]), "sigmas": sigmas},
        network,
        {f"branches.{key.replace('head', str(2 * num_hidden))}": value for key, value in weights.items()},
        dim=len(weights["0.head.weight"]),
        buffers={"directions": torch.stack([directions[i].double() for i in range(count)])},
    )
    return Loaded(encoder, None, {})


def _installed() -> Path:
    spec = importlib.util.find_spec("geoclip")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / _IN_WHEEL).is_file():
            return Path(folder) / _IN_WHEEL
    raise FileNotFoundError(
        "GeoCLIP's weights come in the package geoclip, which is not installed: pip install --no-deps geoclip, or pass "
        "the path of location_encoder_weights.pth"
    )
