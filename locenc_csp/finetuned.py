"""A fine-tuned encoder on disk: the encoder's folder, the head's weights, the result; and its predictions."""

import json
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import locenc
from locenc import LocationEncoder
from locenc._devices import home
from locenc._files import as_path, read_json, write_bytes
from locenc_csp.heads import HEADS, Predictor
from locenc_csp.neighbour_head import NeighbourHead
from locenc_csp.pretraining import ENCODER

HEAD, RESULT, SCORES = "head.safetensors", "result.json", "scores.json"
AGAIN = "run finetune again"
PREDICTORS: dict[str, Callable[[int, int], Predictor]] = {**HEADS, "knn": NeighbourHead.empty}


def load_finetuned(folder: str | Path) -> tuple[LocationEncoder, Predictor, dict[str, Any]]:
    """Load what `finetune` saved.

    Parameters
    ----------
    folder : str or Path
        The recipe's ``out``.

    Returns
    -------
    encoder : LocationEncoder
        In evaluation mode.
    head : Module
        In evaluation mode; ``head.probabilities(encoder(lonlat))`` is P(class | location), (N, K).
    result : dict
        ``result["classes"]`` names the K classes; the recipe, what was chosen, and versions.

    Raises
    ------
    FileNotFoundError, ValueError
        If the folder is no finished fine-tuning run, or a file is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = as_path(folder, "folder")
    if not (folder / RESULT).is_file():
        raise FileNotFoundError(f"no {RESULT} in {folder}: expected the output folder of `locenc-csp finetune`")
    result = read_json(folder / RESULT, remedy=AGAIN)
    encoder = locenc.from_pretrained(folder / ENCODER)
    try:
        kind = head_kind(result["chosen"]["mode"], result["recipe"]["head"])
        head = PREDICTORS[kind](encoder.dim, len(result["classes"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{folder / RESULT} is no result of fine-tuning (it lacks {error}); {AGAIN}") from error
    try:
        head.load_state_dict(load_file(folder / HEAD))
    except (SafetensorError, RuntimeError, OSError) as error:
        raise ValueError(f"{folder / HEAD} is damaged or does not fit ({error}); {AGAIN}") from error
    return encoder, head.eval(), result


def head_kind(mode: str, head: str) -> str:
    """Name among `PREDICTORS` of what a mode leaves behind, where the recipe's head is ``head``."""
    return {"linear-probe": "softmax", "knn-probe": "knn"}.get(mode, head)


def save_head(folder: Path, kind: str, head: Predictor, classes: tuple[str, ...]) -> None:
    """Save a head's weights, with its kind and classes in the header: equal heads make equal bytes."""
    from safetensors.torch import save

    tensors = {key: value.detach().cpu().contiguous() for key, value in head.state_dict().items()}
    write_bytes(folder / HEAD, save(tensors, metadata={"head": json.dumps({"kind": kind, "classes": classes})}))


def location_probabilities(
    encoder: nn.Module, head: Predictor, lonlat: NDArray[np.float64], *, batch_size: int = 8192
) -> NDArray[np.float32]:
    """P(class | location) of ``(N, 2)`` degrees, (N, K), in evaluation mode; modules must be in that mode."""
    empty = np.zeros((0, head.out_features), np.float32)
    return np.concatenate([*_parts(encoder, head, lonlat, batch_size), empty])


def location_classes(
    encoder: nn.Module, head: Predictor, lonlat: NDArray[np.float64], *, batch_size: int = 8192
) -> NDArray[np.int64]:
    """Most likely class of ``(N, 2)`` degrees, (N,): of `location_probabilities`, which are not held at once."""
    found = [part.argmax(1) for part in _parts(encoder, head, lonlat, batch_size)]
    return np.concatenate([*found, np.zeros(0, np.int64)])


def _parts(
    encoder: nn.Module, head: Predictor, lonlat: NDArray[np.float64], batch_size: int
) -> Iterator[NDArray[np.float32]]:
    device = home(head)
    for start in range(0, len(lonlat), batch_size):
        with torch.inference_mode():
            points = torch.from_numpy(lonlat[start : start + batch_size]).to(device)
            yield head.probabilities(encoder(points)).cpu().numpy()


def versions() -> dict[str, str]:
    """Versions that decide a result."""
    return {
        "locenc": locenc.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
