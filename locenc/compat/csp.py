"""Checkpoints of the CSP repository: pre-trained (LocationImageEncoder) and fine-tuned."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from locenc.compat._checkpoint import Checkpoint, read_checkpoint
from locenc.compat._kinds import SIBLINGS, load
from locenc.compat._loaded import Loaded

_MODEL = "loc_enc."


def load_csp(path: str | Path, *, anchors: Any = None, extent: Any = None) -> Loaded:
    """Load a checkpoint of CSP, pre-trained or fine-tuned.

    Parameters
    ----------
    path : str or Path
        The ``.pth.tar`` file. Of a pre-trained model's image side (``img_dec`` or ``loc_dec``) nothing is loaded.
    anchors, extent
        As in `locenc.load_torchspatial`.

    Returns
    -------
    Loaded
        Encoder, class head and the file's params. There is no head where the file's optimiser shows that the class
        embeddings got no gradient: pre-training leaves them as they were drawn.

    Raises
    ------
    FileNotFoundError, ValueError
        As `locenc.load_torchspatial`.

    References
    ----------
    Mai et al. 2023, "CSP: Self-supervised contrastive spatial pre-training", ICML.
    """
    checkpoint = read_checkpoint(path, anchors=anchors, extent=extent)
    model = checkpoint.under(_MODEL)
    if model:
        checkpoint = replace(checkpoint, state=model)
    loaded = load(checkpoint, SIBLINGS, hint="TorchSpatial's files are for locenc.load_torchspatial.")
    return loaded if _head_was_trained(checkpoint) else loaded._replace(head=None)


def _head_was_trained(checkpoint: Checkpoint) -> bool:
    """Whether Adam holds moments of the class embeddings' shape; where it holds none at all, nothing is known."""
    moments = [
        value.shape
        for entry in dict(checkpoint.optimizer.get("state") or {}).values()
        for key, value in dict(entry).items()
        if key == "exp_avg" and isinstance(value, Tensor)
    ]
    weight = checkpoint.state.get("class_emb.weight")
    return not moments or weight is None or weight.shape in moments
