"""Image features without weights to download: random filters cut out of the images themselves."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from locenc._names import check_count

__all__ = ["RandomConvFeatures"]

SAMPLE = 2000  # patches that the colour statistics are taken from


class RandomConvFeatures(nn.Module):
    """Mean positive and mean negative response of an image to random filters.

    With standardised colours x and K filters w_k of unit length, the features are mean(max(w_k * x, 0)) for all k, then
    mean(max(-w_k * x, 0)) for all k, the mean taken over all positions where the filter fits.

    Parameters
    ----------
    num_filters : int
        K.
    size : int
        Pixels per side of a filter.

    Attributes
    ----------
    dim : int
        2 K, the number of features.

    Notes
    -----
    Shape: patches (B, H, W, 3) uint8 -> (B, 2 K) float32. A new module has no filters yet: `fit` cuts them, or a state
    dict brings them.

    References
    ----------
    Coates & Ng 2012, "Learning feature representations with k-means": patches of the data as filters do nearly as well
    as learned ones.
    """

    mean: Tensor
    scale: Tensor
    filters: Tensor

    def __init__(self, num_filters: int = 256, *, size: int = 5) -> None:
        super().__init__()
        check_count("num_filters", num_filters)
        check_count("size", size)
        self.dim = 2 * num_filters
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("scale", torch.ones(3))
        self.register_buffer("filters", torch.zeros(num_filters, 3, size, size))

    @classmethod
    def fit(
        cls, patches: NDArray[np.uint8], *, num_filters: int = 256, size: int = 5, seed: int = 0
    ) -> "RandomConvFeatures":
        """Take colour statistics and filters from random places in the patches; reads no label.

        Parameters
        ----------
        patches : ndarray
            uint8 (N, H, W, 3), memory-mapped or not, at least one, of at least ``size`` pixels per side.
        num_filters, size
            As for the class.
        seed : int
            Decides which patches, and where in them.

        Returns
        -------
        RandomConvFeatures
            Ready for use.

        Raises
        ------
        ValueError
            If the patches have another shape or dtype, or there are none; if a number is out of range.
        """
        module = cls(num_filters, size=size)
        check_count("seed", seed, least=0)
        _check(patches.shape, str(patches.dtype), size)
        if len(patches) == 0:
            raise ValueError("filters are cut out of the patches, but there are none")
        rng = np.random.default_rng(seed)
        sample = patches[np.sort(rng.integers(len(patches), size=SAMPLE))].reshape(-1, 3).astype(np.float64)
        mean, scale = sample.mean(axis=0), sample.std(axis=0) + 1e-6
        height, width = patches.shape[1:3]
        places = rng.integers((len(patches), height - size + 1, width - size + 1), size=(num_filters, 3))
        cuts = np.stack([patches[n, y : y + size, x : x + size] for n, y, x in places])
        filters = (cuts - mean) / scale
        filters /= np.sqrt((filters**2).sum(axis=(1, 2, 3), keepdims=True)) + 1e-6
        module.mean.copy_(torch.from_numpy(mean))
        module.scale.copy_(torch.from_numpy(scale))
        module.filters.copy_(torch.from_numpy(filters).permute(0, 3, 1, 2))
        return module

    def forward(self, patches: Tensor) -> Tensor:
        """Compute features (B, 2 K) of patches (B, H, W, 3) uint8."""
        _check(tuple(patches.shape), str(patches.dtype).removeprefix("torch."), self.filters.shape[-1])
        images = ((patches.to(self.mean.dtype) - self.mean) / self.scale).permute(0, 3, 1, 2)
        response = nn.functional.conv2d(images, self.filters)
        total = response.mean((2, 3))
        size = response.abs_().mean((2, 3))  # in place: a second copy would not fit the cache
        return torch.cat([size + total, size - total], dim=1) / 2


def _check(shape: tuple[int, ...], dtype: str, size: int) -> None:
    if len(shape) != 4 or shape[-1] != 3 or dtype != "uint8" or min(shape[1:3]) < size:
        raise ValueError(f"expected patches (N, H, W, 3) of uint8, H and W at least {size}, got {shape} of {dtype}")
