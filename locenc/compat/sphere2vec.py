"""Checkpoints of the Sphere2Vec repository."""

from pathlib import Path
from typing import Any

from locenc.compat._checkpoint import read_checkpoint
from locenc.compat._kinds import SIBLINGS, load
from locenc.compat._loaded import Loaded


def load_sphere2vec(path: str | Path, *, anchors: Any = None, extent: Any = None) -> Loaded:
    """Load a checkpoint of the Sphere2Vec repository.

    Its encoders are TorchSpatial's under other names (``sphere``, ``spheregrid``, ``spheremixscale``,
    ``spheregridmixscale``, ``dft``, ``gridcell``, ``theory``, ``xyz``, ``nerf``, ``rbf``, ``rff``, ``naive``,
    ``geo_net_fft``, ``geo_net``), and its sphereM+ and dfs have the paper's geometric list of frequencies.

    Parameters
    ----------
    path : str or Path
        The ``.pth.tar`` file.
    anchors, extent
        As in `locenc.load_torchspatial`.

    Returns
    -------
    Loaded
        Encoder, class head and the file's params.

    Raises
    ------
    FileNotFoundError, ValueError
        As `locenc.load_torchspatial`.

    References
    ----------
    Mai et al. 2023, "Sphere2Vec", ISPRS Journal of Photogrammetry and Remote Sensing 202.
    """
    checkpoint = read_checkpoint(path, anchors=anchors, extent=extent)
    return load(checkpoint, SIBLINGS, hint="TorchSpatial's files are for locenc.load_torchspatial.")
