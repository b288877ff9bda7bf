"""Spherical harmonics: the encoder of the whole globe that has neither seam nor poles."""

import math

import torch
from torch import Tensor

from locenc import kernels
from locenc._names import among, check_count, unknown
from locenc.coords import KM_PER_DEGREE
from locenc.kernels.reference_harmonics import tables
from locenc.position import Layer, PositionEncoder

NORMALIZATIONS = ("orthonormal", "satclip")

#: Degrees that float64 holds with room for second derivatives.
MOST_DEGREES = 1000


class SphericalHarmonics(PositionEncoder):
    """Real spherical harmonics of degrees 0 to L - 1; L² columns, column l (l + 1) + m for degree l and order m.

    Smooth on the whole sphere: 180 and -180 give the same columns, and at the poles the columns of m != 0 are 0.

    Parameters
    ----------
    num_degrees : int
        L, 1 to 1,000. Degree l resolves 20,000 / l km everywhere.
    normalization : str
        ``"orthonormal"``: squares integrate to 1 over the sphere; no Condon-Shortley phase; cosines of longitude at
        m > 0, sines at m < 0. ``"satclip"``: what SatCLIP's weights were trained on: these times (-1)^l, and the
        columns of m = 0 times π.
    dtype : torch.dtype, optional
        Of the features. The arithmetic is float64: up to L = 200, float64 features err by less than 1e-12 of the
        degree's largest value, sqrt((2l + 1) / 4π), float32 ones by less than 1e-7. Errors grow as L² near the poles.

    References
    ----------
    Rußwurm et al. 2024, "Geographic location encoding with spherical harmonics and sinusoidal representation
    networks", ICLR. Holmes & Featherstone 2002, Journal of Geodesy 76, for the recurrence without sines.

    Examples
    --------
    >>> SphericalHarmonics(num_degrees=2)(torch.tensor([[0.0, 90.0]]))
    tensor([[0.2821, 0.0000, 0.4886, 0.0000]])
    """

    writes_out = compiled = True
    recurrence: Tensor
    scale: Tensor

    def __init__(
        self, *, num_degrees: int = 40, normalization: str = "orthonormal", dtype: torch.dtype | None = None
    ) -> None:
        num_degrees = check_count("num_degrees", num_degrees)
        if num_degrees > MOST_DEGREES:
            raise ValueError(f"num_degrees must be at most {MOST_DEGREES}, got {num_degrees}")
        if not among(normalization, NORMALIZATIONS):
            raise ValueError(unknown("normalization", normalization, NORMALIZATIONS))
        super().__init__(num_degrees**2, dtype=dtype)
        with torch.device("cpu"):
            recurrence, scale = tables(num_degrees)
        if normalization == "satclip":
            scale[1::2] *= -1
            scale[:, 0] *= torch.pi
        self.register_constant("recurrence", recurrence)
        self.register_constant("scale", scale)

    @property
    def resolution_km(self) -> float:
        """Shortest wavelength along the equator, in km; infinite for degree 0 alone."""
        finest = math.isqrt(self.out_dim) - 1
        return 360 * KM_PER_DEGREE / finest if finest else math.inf

    def features(self, lonlat: Tensor, dtype: torch.dtype, out: Tensor | None = None) -> Tensor:
        """See `locenc.kernels.reference_harmonics.spherical_harmonics`."""
        return kernels.spherical_harmonics(lonlat, self.recurrence, self.scale, dtype, out=out)

    def linear(self, lonlat: Tensor, layer: Layer) -> Tensor | None:
        """See `locenc.position.PositionEncoder.linear`."""
        return kernels.spherical_harmonics_linear.fused(lonlat, self.recurrence, self.scale, *layer, layer.weight.dtype)
