"""A fixed linear map of image features: standardised, then their principal components."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from locenc._names import check_count

__all__ = ["FrozenProjection"]

ROWS_PER_CHUNK = 16_384


class FrozenProjection(nn.Module):
    """Principal components of standardised features; buffers only, nothing is trained.

    Parameters
    ----------
    in_dim : int
        F, the number of features.
    dim : int
        Number of components, at most F.

    Notes
    -----
    Shape: features (..., F) -> (..., dim). Components are sorted by variance and are not scaled to unit variance. A new
    module maps everything to zero: `fit` makes one that is of use, or a state dict brings the numbers.
    """

    mean: Tensor
    scale: Tensor
    components: Tensor

    def __init__(self, in_dim: int, dim: int) -> None:
        super().__init__()
        self.in_dim, self.dim = in_dim, dim
        self.register_buffer("mean", torch.zeros(in_dim))
        self.register_buffer("scale", torch.ones(in_dim))
        self.register_buffer("components", torch.zeros(in_dim, dim))

    @classmethod
    def fit(
        cls, values: NDArray[np.float32], *, rows: NDArray[np.int64] | NDArray[np.bool_], num_components: int = 256
    ) -> "FrozenProjection":
        """Fit mean, scale and components to some rows of a matrix; reads no label.

        Sums run in float64 over chunks of rows, so the matrix may be memory-mapped and larger than memory. The sign of
        each component is fixed: its entry of largest size is positive.

        Parameters
        ----------
        values : ndarray
            float32 (N, F), memory-mapped or not.
        rows : ndarray
            Positions of the rows to use, or bool (N,).
        num_components : int
            Number of components; F if that is smaller.

        Returns
        -------
        FrozenProjection
            In float32.

        Raises
        ------
        ValueError
            If fewer than two rows are given, or no component is wanted.
        """
        check_count("num_components", num_components)
        chosen = np.flatnonzero(rows) if rows.dtype == np.bool_ else np.sort(rows.astype(np.int64, copy=False))
        if len(chosen) < 2:
            left = f"{len(chosen)} of {len(values)} {'is' if len(chosen) == 1 else 'are'} left"
            raise ValueError(
                f"principal components need at least two rows, but {left} for them: "
                "no row without a location or of the test split is used; check the table's lon, lat and split columns"
            )
        chunks = [chosen[start : start + ROWS_PER_CHUNK] for start in range(0, len(chosen), ROWS_PER_CHUNK)]
        mean = sum(values[chunk].sum(axis=0, dtype=np.float64) for chunk in chunks) / len(chosen)
        covariance = np.zeros((values.shape[1], values.shape[1]))
        for chunk in chunks:
            centred = values[chunk] - mean
            covariance += centred.T @ centred / len(chosen)
        scale = np.sqrt(np.diag(covariance))
        scale[scale <= 1e-6 * np.abs(mean)] = np.inf  # a constant feature carries nothing
        _, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
        components = vectors[:, ::-1][:, :num_components]
        largest = np.take_along_axis(components, np.abs(components).argmax(axis=0)[None], axis=0)
        components = components * np.where(largest < 0, -1.0, 1.0)
        module = cls(values.shape[1], components.shape[1])
        module.mean.copy_(torch.from_numpy(np.asarray(mean)))
        module.scale.copy_(torch.from_numpy(scale))
        module.components.copy_(torch.from_numpy(components.copy()))
        return module

    def forward(self, features: Tensor) -> Tensor:
        """Map features (..., F) to components (..., dim)."""
        return ((features - self.mean) / self.scale) @ self.components
