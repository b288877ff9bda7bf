"""What every loader of foreign weights returns."""

from typing import Any, NamedTuple

from torch import nn

from locenc.location_encoder import LocationEncoder


class Loaded(NamedTuple):
    """An encoder from another project's file.

    Attributes
    ----------
    encoder : LocationEncoder
        In evaluation mode, on the CPU.
    head : Module or None
        Embeddings to the probability of each class, where the file has one.
    params : dict
        What the file, or the folder, says about itself.
    """

    encoder: LocationEncoder
    head: nn.Module | None
    params: dict[str, Any]
