"""Random Fourier features: sinusoids of drawn directions, on the plane (TorchSpatial) or on Equal Earth (GeoCLIP)."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from locenc._names import check_count, check_number
from locenc.kernels.layout import COS, ELEMENTWISE, EQUAL_EARTH, FAR, LONLAT, OBLIQUE, ONE, SIN
from locenc.kernels.reference import exact
from locenc.waves import Waves

WORLD = (-180.0, 180.0, -90.0, 90.0)


def check_extent(extent: Sequence[float]) -> tuple[float, float, float, float]:
    """Check an extent (west, east, south, north) in degrees.

    Raises
    ------
    ValueError
        Unless it is four finite numbers with west < east and south < north.
    """
    try:
        values = tuple(check_number("extent", value) for value in extent)
    except TypeError as error:
        raise TypeError(f"extent must be four numbers, west, east, south and north, got {extent!r:.80}") from error
    if len(values) != 4 or not all(map(math.isfinite, values)) or values[0] >= values[1] or values[2] >= values[3]:
        raise ValueError(
            f"extent must be (west, east, south, north) in degrees, west < east, south < north, got {extent!r}"
        )
    west, east, south, north = values
    return west, east, south, north


class RandomFourier(Waves):
    """Random Fourier features of the plane: sqrt(2/S) cos(W x + b), x the coordinates scaled to [-1, 1].

    Columns jump at the antimeridian and depend on longitude at the poles, as the published models do.

    Parameters
    ----------
    num_features : int
        Number of columns S.
    kernel_size : float
        Variance of the drawn directions W ~ N(0, kernel_size): larger is finer. (It is no length.)
    extent : sequence of float
        (west, east, south, north) in degrees: what is scaled to [-1, 1].
    seed : int
        Of the drawn directions and shifts, which are saved with the weights.
    dtype : torch.dtype, optional
        Of the features.

    References
    ----------
    Rahimi & Recht 2007, "Random features for large-scale kernel machines", NeurIPS; as in TorchSpatial.
    """

    directions: Tensor
    shift: Tensor
    half_turns: Tensor

    def __init__(
        self,
        *,
        num_features: int = 64,
        kernel_size: float = 1.0,
        extent: Sequence[float] = WORLD,
        seed: int = 0,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(check_count("num_features", num_features, most=2**16), dtype=dtype)
        if not 0 < check_number("kernel_size", kernel_size) < math.inf:
            raise ValueError(f"kernel_size must be positive and finite, got {kernel_size!r}")
        self.extent = west, east, south, north = check_extent(extent)
        generator = torch.Generator().manual_seed(check_count("seed", seed, least=0))
        drawn: dict[str, Any] = {"generator": generator, "dtype": torch.float64, "device": "cpu"}
        directions = torch.randn(2, num_features, **drawn) * math.sqrt(kernel_size)
        shift = torch.rand(num_features, **drawn) * (2 * math.pi)
        self.register_buffer("directions", directions)
        self.register_buffer("shift", shift)
        width, height = east - west, north - south
        rows = [[2 / width, 0, 0], [0, 2 / height, 0], [-(east + west) / width, -(north + south) / height, 1]]
        self.register_constant("half_turns", torch.tensor(rows, dtype=torch.float64, device="cpu") / math.pi)

    def waves(self) -> tuple[Tensor, tuple[int, ...], float]:
        """Directions in half turns per degree, with their shifts."""
        drawn = torch.cat([self.directions, self.shift[None]]).to(torch.float64)
        frequencies = (self.half_turns @ drawn).T
        layout = (LONLAT, FAR, 1, self.out_dim, OBLIQUE, ELEMENTWISE, 0, COS, 0, ONE)
        return frequencies, layout, math.sqrt(2 / self.out_dim)


class EqualEarthFourier(Waves):
    """GeoCLIP's features: random Fourier features of the Equal Earth projection at several widths.

    For each width, cosines then sines of 2π b·(x, y), (x, y) the projection scaled to about [-1, 1]. Places at ±180 are
    different inputs.

    Parameters
    ----------
    num_features : int
        Directions for each width; twice as many columns.
    sigmas : sequence of float
        Widths: directions are drawn from N(0, sigma²).
    seed : int
        Of the drawn directions, which are saved with the weights.
    dtype : torch.dtype, optional
        Of the features.

    References
    ----------
    Vivanco Cepeda et al. 2023, "GeoCLIP", NeurIPS, section 3.
    """

    #: The package's scale of the projection, in units of radii of the sphere.
    SCALE = 66.50336 / 180

    directions: Tensor

    def __init__(
        self,
        *,
        num_features: int = 256,
        sigmas: Sequence[float] = (1.0, 16.0, 256.0),
        seed: int = 0,
        dtype: torch.dtype | None = None,
    ) -> None:
        num_features = check_count("num_features", num_features, most=2**16)
        if (
            isinstance(sigmas, str | bytes)
            or not isinstance(sigmas, Sequence)
            or not 0 < len(sigmas) <= 64
            or not all(0 < check_number("a sigma", sigma) < math.inf for sigma in sigmas)
        ):
            raise ValueError(f"sigmas must be 1 to 64 positive finite numbers, got {sigmas!r}")
        super().__init__(2 * num_features * len(sigmas), dtype=dtype)
        generator = torch.Generator().manual_seed(check_count("seed", seed, least=0))
        drawn = torch.randn(len(sigmas), num_features, 2, generator=generator, dtype=torch.float64, device="cpu")
        widths = torch.tensor(sigmas, dtype=torch.float64, device="cpu")
        self.register_buffer("directions", drawn * widths[:, None, None])

    def waves(self) -> tuple[Tensor, tuple[int, ...], float]:
        """Directions in half turns per radius of the sphere."""
        widths, count, _ = self.directions.shape
        frequencies = self.directions.to(torch.float64).flatten(0, 1) * exact(2 * self.SCALE)
        blocks = [(ELEMENTWISE, width, function, 0, ONE) for width in range(widths) for function in (COS, SIN)]
        layout = (EQUAL_EARTH, FAR, widths, *[count, OBLIQUE] * widths, *(field for block in blocks for field in block))
        return frequencies, layout, 1.0
