"""Checkpoints of the CSP repository: pre-trained (LocationImageEncoder) and fine-tuned."""

from pathlib import Path
from typing import Any

from locenc.compat._checkpoint import read_checkpoint
from locenc.compat._kinds import SIBLINGS, load
from locenc.compat._loaded import Loaded


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
    return load(checkpoint, SIBLINGS, hint="TorchSpatial's files are for locenc.load_torchspatial.")
