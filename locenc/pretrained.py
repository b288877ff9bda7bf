"""Load an encoder that `LocationEncoder.save_pretrained` wrote, from a folder or from the Hugging Face hub."""

from pathlib import Path
from typing import Any

import torch

from locenc._extras import require
from locenc._files import as_path
from locenc._weights import CONFIG, WEIGHTS, read_folder
from locenc.location_encoder import LocationEncoder
from locenc.registry import create, takes_dtype

HUB = "hf://"


def from_pretrained(path: str | Path, *, revision: str | None = None) -> LocationEncoder:
    """Load a saved location encoder, in evaluation mode.

    Parameters
    ----------
    path : str or Path
        A folder with ``model.safetensors``, whose header holds the configuration (``config.json`` beside it has the
        same for people, and is read only where the header has none); or ``"hf://org/name"``, the only spelling that
        goes to the network.
    revision : str, optional
        Branch, tag or commit on the hub.

    Returns
    -------
    LocationEncoder
        With the saved weights and their dtype, on the CPU, in evaluation mode.

    Raises
    ------
    FileNotFoundError
        If the folder or its weights are missing.
    ValueError
        If a file is damaged, of a newer format, or names an encoder or sizes that do not fit.
    """
    folder = _download(str(path), revision) if str(path).startswith(HUB) else as_path(path)
    config, tensors = read_folder(folder)
    with torch.device("meta"):  # sizes are compared before anything is allocated
        _check_tensors(folder, _build(folder, config), tensors)
    with torch.random.fork_rng(devices=[]):  # initial weights are overwritten: the caller's generator stays as it was
        encoder = _build(folder, config)
    # Copies are aligned as torch aligns: the same bits come out as from the encoder that was saved.
    encoder.load_state_dict({key: tensor.clone() for key, tensor in tensors.items()}, assign=True)
    return encoder.requires_grad_(True).eval()


def _build(folder: Path, config: dict[str, Any]) -> LocationEncoder:
    try:
        position, network, dim = dict(config["position"]), config["network"], config["dim"]
        name, dtype = position.pop("name"), getattr(torch, config["dtype"])
        options = {"dtype": dtype} if takes_dtype(name) else {}
        return create(name, dim=dim, network=network, **options, **position)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise ValueError(f"the configuration in {folder} does not describe an encoder: {error}") from error


def _check_tensors(folder: Path, encoder: LocationEncoder, tensors: dict[str, torch.Tensor]) -> None:
    expected = {key: tuple(value.shape) for key, value in encoder.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in tensors.items()}
    for key in sorted({*expected, *found}):
        if expected.get(key) != found.get(key):
            raise ValueError(
                f"{folder / WEIGHTS} does not fit its configuration: {key} should be {expected.get(key, 'absent')}, "
                f"is {found.get(key, 'absent')}; save or download both files again"
            )


def _download(path: str, revision: str | None) -> Path:
    hub = require("huggingface_hub", extra="hub")
    return Path(hub.snapshot_download(path[len(HUB) :], revision=revision, allow_patterns=[CONFIG, WEIGHTS]))
