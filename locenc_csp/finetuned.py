"""A fine-tuned encoder on disk: the encoder's folder, the head's weights, the result; and its predictions."""

import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import locenc
from locenc import LocationEncoder
from locenc._devices import home
from locenc._files import read_json, write_bytes
from locenc_csp.heads import HEADS, Head
from locenc_csp.pretraining import ENCODER

HEAD, RESULT, SCORES = "head.safetensors", "result.json", "scores.json"
AGAIN = "run finetune again"


def load_finetuned(folder: Path) -> tuple[LocationEncoder, Head, dict[str, Any]]:
    """Load what `finetune` saved: encoder and head in evaluation mode, and the result.

    Raises
    ------
    FileNotFoundError, ValueError
        If the folder is no finished fine-tuning run, or a file is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not (folder / RESULT).is_file():
        raise FileNotFoundError(f"no {RESULT} in {folder}: expected the output folder of `locenc-csp finetune`")
    result = read_json(folder / RESULT, remedy=AGAIN)
    encoder = locenc.from_pretrained(folder / ENCODER)
    try:
        head = HEADS[result["recipe"]["head"]](encoder.dim, len(result["classes"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{folder / RESULT} is no result of fine-tuning (it lacks {error}); {AGAIN}") from error
    try:
        head.load_state_dict(load_file(folder / HEAD))
    except (SafetensorError, RuntimeError, OSError) as error:
        raise ValueError(f"{folder / HEAD} is damaged or does not fit ({error}); {AGAIN}") from error
    return encoder, head.eval(), result


def save_head(folder: Path, name: str, head: Head, classes: tuple[str, ...]) -> None:
    """Save a head's weights, with its kind and classes in the header."""
    from safetensors.torch import save

    tensors = {key: value.detach().cpu().contiguous() for key, value in head.state_dict().items()}
    write_bytes(folder / HEAD, save(tensors, metadata={"head": name, "classes": json.dumps(classes)}))


@torch.inference_mode()
def location_probabilities(
    encoder: nn.Module, head: Head, lonlat: NDArray[np.float64], *, batch_size: int = 8192
) -> NDArray[np.float32]:
    """P(class | location) of ``(N, 2)`` degrees, (N, K), in evaluation mode; modules must be in that mode."""
    points = torch.from_numpy(lonlat).to(home(head))
    parts = [head.probabilities(encoder(part)) for part in torch.split(points, batch_size)] if len(points) else []
    empty = torch.zeros(0, head.out_features, device=points.device)
    return torch.cat([*parts, empty]).cpu().numpy()


def versions() -> dict[str, str]:
    """Versions that decide a result."""
    return {
        "locenc": locenc.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
