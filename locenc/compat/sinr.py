"""Checkpoints of SINR, and of geo_prior, whose model it is."""

from pathlib import Path

from locenc.compat._build import build, class_head, residual
from locenc.compat._checkpoint import Checkpoint, read_checkpoint
from locenc.compat._kinds import geo_prior
from locenc.compat._loaded import Loaded
from locenc.location_encoder import LocationEncoder


def load_sinr(path: str | Path) -> Loaded:
    """Load a model of SINR or of geo_prior, both with the wrapped coordinates as input.

    Parameters
    ----------
    path : str or Path
        The ``.pt`` file. A geo_prior model with dates gives an encoder that takes ``date=`` in its calls.

    Returns
    -------
    Loaded
        Encoder (its embedding is what SINR calls features), class head (P(species at the place) for each class) and
        the file's params; ``params["class_to_taxa"]`` has the iNaturalist taxon of each class.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, unsafe, or of a model that takes environmental rasters, which are not in it.

    References
    ----------
    Cole et al. 2023, "Spatial implicit neural representations for global-scale species mapping", ICML; Mac Aodha et
    al. 2019, "Presence-only geographical priors for fine-grained image classification", ICCV.
    """
    checkpoint = read_checkpoint(path)
    head = class_head(checkpoint)
    encoder = _sinr(checkpoint) if "input_enc" in checkpoint.params else geo_prior(checkpoint)
    return Loaded(encoder, head, checkpoint.params)


def _sinr(checkpoint: Checkpoint) -> LocationEncoder:
    inputs, model = checkpoint.setting("input_enc"), checkpoint.setting("model", "ResidualFCNet")
    if inputs != "sin_cos":
        raise checkpoint.error(
            f"its inputs are {inputs!r}: environmental rasters (elevation and bioclimate) that are neither in the file "
            "nor in this library. Models with input_enc 'sin_cos' can be loaded; for others use SINR's own code"
        )
    if model == "LinNet":
        width = checkpoint.matrix("class_emb.weight").shape[1]
        return build(checkpoint.path, "wrap", {}, {"name": "identity"}, {}, dim=width)
    if model != "ResidualFCNet":
        raise checkpoint.error(f"its model is {model!r}; SINR's 'ResidualFCNet' and 'LinNet' can be loaded")
    return residual(checkpoint, "wrap", {})
