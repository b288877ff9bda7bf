"""Position encoders that are products of sinusoids: their features, and these with a linear layer at once."""

from abc import abstractmethod

import torch
from torch import Tensor

from locenc import kernels
from locenc.position import Layer, PositionEncoder


class Waves(PositionEncoder):
    """Base of the encoders that `locenc.kernels.reference.sinusoids` evaluates; a subclass implements `waves`."""

    writes_out = compiled = True

    @abstractmethod
    def waves(self) -> tuple[Tensor, tuple[int, ...], float]:
        """Frequencies, layout (`locenc.kernels.layout`) and amplitude."""

    def features(self, lonlat: Tensor, dtype: torch.dtype, out: Tensor | None = None) -> Tensor:
        """See `locenc.kernels.reference.sinusoids`."""
        return kernels.sinusoids(lonlat, *self.waves(), dtype, out=out)

    def linear(self, lonlat: Tensor, layer: Layer) -> Tensor | None:
        """See `locenc.position.PositionEncoder.linear`."""
        return kernels.sinusoids_linear.fused(lonlat, *self.waves(), *layer, layer.weight.dtype)
