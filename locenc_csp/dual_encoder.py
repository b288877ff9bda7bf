"""The two branches of pre-training: a location encoder, and a projection of frozen image features."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from locenc.location_encoder import LocationEncoder

__all__ = ["DualEncoder", "Embeddings"]


class Embeddings(NamedTuple):
    """What an `Objective` is called with, in its order: ``objective(*embeddings)``."""

    location: Tensor
    image: Tensor
    negatives: Tensor | None
    twin: Tensor | None


class DualEncoder(nn.Module):
    """Location encoder and image branch, trained together.

    Exactly one of ``image`` and ``decoder`` is given: MC and NCE project the image features to the embedding's size,
    MSE decodes the embedding to the features' size.

    Parameters
    ----------
    location : Module
        (B, 2) degrees, (longitude, latitude) -> (B, d): the encoder that is kept.
    image : Module, optional
        (B, F) -> (B, d): in CSP one linear layer with bias.
    decoder : Module, optional
        (B, d) -> (B, F): in CSP one linear layer with bias.
    preprocess : Module, optional
        Frozen first step of the image branch, such as a standardisation or a pretrained network: always in eval
        mode, without gradient. Its output is what ``image`` reads and what MSE compares with.

    Raises
    ------
    ValueError
        If both or none of ``image`` and ``decoder`` are given.
    """

    def __init__(
        self,
        location: nn.Module,
        image: nn.Module | None = None,
        decoder: nn.Module | None = None,
        *,
        preprocess: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if (image is None) == (decoder is None):
            given = "neither" if image is None else "both"
            raise ValueError(
                "give one of image= (MC, NCE: features -> embedding) and decoder= (MSE: embedding -> features), "
                f"got {given}"
            )
        self.location = location
        self.image = nn.Identity() if image is None else image
        self.decoder = nn.Identity() if decoder is None else decoder
        self.preprocess = (nn.Identity() if preprocess is None else preprocess).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "DualEncoder":
        """Set the mode of everything but the frozen step, which stays in eval mode."""
        super().train(mode)
        self.preprocess.eval()
        return self

    def embed_location(self, lonlat: Tensor) -> Tensor:
        """Raw embedding (B, d) of locations (B, 2) in degrees."""
        embedding: Tensor = self.location(lonlat)
        return embedding

    def location_passes(self, lonlat: Tensor, *, twin: bool) -> Callable[[], Tensor]:
        """Return a function that embeds locations as `embed_location` does, each call under its own dropout masks.

        ``twin`` says whether it will be called twice: a `locenc.LocationEncoder` then computes its features and first
        layer once.
        """
        if twin and isinstance(self.location, LocationEncoder):
            return self.location.passes(lonlat)
        return partial(self.embed_location, lonlat)

    def embed_image(self, features: Tensor) -> Tensor:
        """Raw embedding (B, d) of image features; with a decoder, the preprocessed features (B, F)."""
        with torch.no_grad():
            features = self.preprocess(features)
        embedding: Tensor = self.image(features)
        return embedding

    def decode(self, embedding: Tensor) -> Tensor:
        """Features (B, F) decoded from a raw embedding (B, d); without a decoder, the embedding itself."""
        decoded: Tensor = self.decoder(embedding)
        return decoded

    def forward(
        self, lonlat: Tensor, features: Tensor, *, negatives: Tensor | None = None, twin: bool = False
    ) -> Embeddings:
        """Embed a batch for an objective; the passes run in CSP's order: location, negatives, twin.

        Parameters
        ----------
        lonlat : Tensor (B, 2)
            (longitude, latitude) in degrees.
        features : Tensor (B, F)
            Frozen image features.
        negatives : Tensor (C*B, 2), optional
            Random locations; row c*B + i belongs to pair i.
        twin : bool
            Whether to pass the locations a second time, under other dropout masks.

        Returns
        -------
        Embeddings
            ``objective(*model(lonlat, features, ...))`` is the loss.
        """
        embed = self.location_passes(lonlat, twin=twin)
        location = self.decode(embed())
        random = None if negatives is None else self.decode(self.embed_location(negatives))
        second = self.decode(embed()) if twin else None
        return Embeddings(location, self.embed_image(features), random, second)
