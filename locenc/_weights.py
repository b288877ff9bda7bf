"""The files of a saved encoder: ``config.json`` and ``model.safetensors`` in one folder.

The weights file repeats the configuration in its header, so that it is complete by itself and one atomic
replacement exchanges a whole encoder; ``config.json`` is the copy for people and for model hubs.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

import locenc
from locenc._files import parse_json, read_settings, write_bytes, write_text

CONFIG, WEIGHTS = "config.json", "model.safetensors"
FORMAT_VERSION = 1
_HEADER = {
    "format": "locenc",
    "format_version": FORMAT_VERSION,
    "coordinate_order": ["longitude", "latitude"],
    "crs": "EPSG:4326",
}
#: Counts and sizes of a configuration stay below this, texts and lists below `LONGEST`: no sane encoder is near.
LARGEST, LONGEST = 2**24, 4096


def write_folder(folder: str | Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write both files, each atomically.

    Raises
    ------
    ValueError
        If the configuration holds what `read_folder` would refuse.
    OSError
        If the folder cannot be written; what was there is untouched.
    """
    from safetensors.torch import save

    _check_plain(folder, dict(config))
    text = json.dumps({**_HEADER, "locenc_version": locenc.__version__, **config}, indent=2)
    data = save({key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}, metadata={"config": text})
    write_bytes(Path(folder) / WEIGHTS, data)
    write_text(Path(folder) / CONFIG, text + "\n")


def read_folder(folder: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read configuration and tensors.

    Raises
    ------
    FileNotFoundError
        If the folder or its weights are missing.
    ValueError
        If a file is damaged, or of a newer format.
    """
    from safetensors import SafetensorError, safe_open

    folder = Path(folder)
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise FileNotFoundError(
            f"no {WEIGHTS} in {folder}: expected a folder that encoder.save_pretrained wrote"
            + ("" if folder.is_dir() else "; there is no such folder")
        )
    try:
        with safe_open(weights, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise ValueError(f"{weights} is damaged or cut short ({error}); save or download it again") from error
    return _read_config(folder, metadata), tensors


def _read_config(folder: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    path = folder / CONFIG
    text = metadata.get("config")
    if text is None and not path.is_file():
        raise FileNotFoundError(f"no {CONFIG} in {folder}: expected a folder that encoder.save_pretrained wrote")
    try:
        config = parse_json(read_settings(path) if text is None else text)
    except ValueError as error:
        raise ValueError(f"the configuration in {folder} is no JSON ({error}); save or download it again") from error
    version = config.get("format_version") if isinstance(config, dict) else None
    if type(version) is not int or config.get("format") != "locenc":
        raise ValueError(f"{folder} does not hold a locenc encoder: its configuration names no locenc format")
    if version < 1:
        raise ValueError(f"{folder} names format_version {version}, which never was; save or download it again")
    if version > FORMAT_VERSION:
        raise ValueError(
            f"{folder} was written by a newer locenc (format {version}, this one reads up to {FORMAT_VERSION}); "
            "pip install --upgrade locenc"
        )
    for name, expected in _HEADER.items():
        if name != "format_version" and config.get(name, expected) != expected:
            raise ValueError(f"{folder} has {name} {config[name]!r}, but this library knows {expected!r} alone")
    settings = {key: config.get(key) for key in ("position", "network", "dim", "dtype")}
    _check_plain(folder, settings)
    return settings


def _check_plain(folder: str | Path, value: Any, where: str = "") -> None:
    """Refuse what no configuration holds before anything is built from it: odd types, huge numbers, long lists."""
    if isinstance(value, dict) and len(value) <= LONGEST:
        for key, inner in value.items():
            _check_plain(folder, inner, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list) and len(value) <= LONGEST:
        for inner in value:
            _check_plain(folder, inner, where)
    elif not (
        isinstance(value, bool)
        or (isinstance(value, int) and (where.endswith("seed") or abs(value) <= LARGEST))
        or (isinstance(value, float) and math.isfinite(value))
        or (isinstance(value, str) and len(value) <= LONGEST)
    ):
        raise ValueError(
            f"the configuration for {folder} does not describe an encoder: {where} is {value!r:.60}; counts stay below "
            f"{LARGEST:,}, lists and texts below {LONGEST:,}"
        )
