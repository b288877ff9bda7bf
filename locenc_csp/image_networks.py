"""Image networks as features are computed with them: bytes of images in, a row of features for each out."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "FrozenNetwork", "ImageNetwork"]

#: Of red, green and blue in [0, 1] over ImageNet's training images, as most published networks expect them.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ImageNetwork(nn.Module):
    """An image network with what goes before it: bytes in, one row of features per image out.

    Images are scaled to [0, 1], resized to ``size`` (bilinear, antialiased) if they have another, and standardised.
    A map of features (B, F, h, w) is averaged over its positions, a sequence of tokens is refused. The network is
    always in evaluation mode, whether or not it is trained: batch norm keeps its statistics and nothing is dropped, so
    that a row depends on its own image alone.

    Parameters
    ----------
    network : nn.Module
        Maps (B, 3, H, W) float32 to (B, F) or (B, F, h, w).
    image_size : tuple of int
        Height and width of the images that will come.
    size : int, optional
        Pixels per side that the network is given; those of the images unless given.
    mean, std : sequence of float
        Of each channel, in [0, 1].
    channels_last : bool
        Whether images and weights are laid out with channels last, which is faster for convolutions on most machines.

    Attributes
    ----------
    dim : int
        F.

    Raises
    ------
    ValueError
        If the network does not take such images, or returns something else.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        *,
        image_size: tuple[int, int],
        size: int | None = None,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        channels_last: bool = True,
    ) -> None:
        super().__init__()
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ValueError(f"mean and std must be 3 numbers each, std above 0, got {tuple(mean)} and {tuple(std)}")
        self.size, self.channels_last = size, channels_last
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1))
        self.network = network.eval()
        if channels_last:
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.dim = self._probe(image_size)

    def train(self, mode: bool = True) -> "ImageNetwork":
        """Set the mode of this module, but not of the network."""
        super().train(mode)
        self.network.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, F) float32 of images (B, H, W, 3) uint8."""
        values = images.permute(0, 3, 1, 2).float() / 255
        if self.size is not None and values.shape[-2:] != (self.size, self.size):
            values = nn.functional.interpolate(values, size=(self.size, self.size), mode="bilinear", antialias=True)
        values = (values - self.mean) / self.std
        values = values.contiguous(memory_format=torch.channels_last if self.channels_last else torch.contiguous_format)
        features = self.network(values)
        if not isinstance(features, Tensor) or features.ndim not in (2, 4) or len(features) != len(images):
            raise ValueError(
                f"an image network must return a tensor (B, F) or (B, F, h, w), got {_shape(features)} for "
                f"{len(images)} images: wrap it in a module that returns one row for each image"
            )
        return features.float() if features.ndim == 2 else features.float().mean((2, 3))

    @torch.no_grad()
    def _probe(self, image_size: tuple[int, int]) -> int:
        try:
            features: Tensor = self(torch.zeros(1, *image_size, 3, dtype=torch.uint8))
            return features.shape[1]
        except (RuntimeError, TypeError, AssertionError, IndexError) as error:
            hint = "; a network that views its input by rows needs --no-channels-last" if "view" in str(error) else ""
            height, width = (self.size, self.size) if self.size is not None else image_size
            raise ValueError(f"the network does not take images (B, 3, {height}, {width}): {error}{hint}") from error


class FrozenNetwork(ImageNetwork):
    """An `ImageNetwork` as `write_features` takes it: without gradients. Parameters and errors are the same."""

    def __init__(self, network: nn.Module, **settings: Any) -> None:
        super().__init__(network.requires_grad_(False), **settings)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Features (B, F) float32 of images (B, H, W, 3) uint8."""
        return super().forward(images)


def _shape(value: Any) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__
