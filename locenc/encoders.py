"""The location encoders by class: each a name of the registry with its options spelt out."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from locenc.location_encoder import LocationEncoder
from locenc.random_fourier import WORLD
from locenc.registry import create

Network = str | Mapping[str, Any] | nn.Module


class _Named(LocationEncoder):
    def __init__(self, name: str, **options: Any) -> None:
        encoder = create(name, **options)
        super().__init__(encoder.position, encoder.network)


class Sphere2Vec(_Named):
    """Sphere2Vec: multi-scale sinusoids on the sphere, then a network.

    Parameters
    ----------
    variant : str
        ``"sphereC"``, ``"sphereC+"``, ``"sphereM"``, ``"sphereM+"`` or ``"dfs"``.
    dim : int
        Size of the embedding.
    num_scales : int
        Number of scales.
    min_radius, max_radius : float
        Finest and coarsest radius, in radians (1e-3 resolves 40 km along the equator).
    finest_km : float, optional
        Sets ``min_radius`` by the shortest wavelength along the equator, in km.
    seamless : bool
        Move the frequencies so that there is no jump at the antimeridian, nor for sphereC and sphereM at the poles.
    frequency_list : str
        ``"geometric"``, or TorchSpatial's ``"power"`` for sphereM+ and dfs.
    network : str, mapping or Module
        As `locenc.networks.build_network` takes it.
    dtype : torch.dtype, optional
        Of the position features when the network has no weights.

    References
    ----------
    Mai et al. 2023 (ISPRS).

    Examples
    --------
    >>> encoder = Sphere2Vec("sphereM+", dim=256, num_scales=32, min_radius=1e-3)
    >>> encoder(torch.tensor([[2.35, 48.86]], dtype=torch.float64)).shape
    torch.Size([1, 256])
    """

    def __init__(
        self,
        variant: str = "sphereC+",
        *,
        dim: int = 256,
        num_scales: int = 32,
        min_radius: float = 1e-3,
        max_radius: float = 1.0,
        finest_km: float | None = None,
        seamless: bool = False,
        frequency_list: str = "geometric",
        network: Network = "ffn",
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            f"sphere2vec-{variant}",
            dim=dim,
            num_scales=num_scales,
            min_radius=min_radius,
            max_radius=max_radius,
            finest_km=finest_km,
            seamless=seamless,
            frequency_list=frequency_list,
            network=network,
            dtype=dtype,
        )


class Space2Vec(_Named):
    """Space2Vec: multi-scale sinusoids on the plane of longitude and latitude, then a network.

    Parameters
    ----------
    variant : str
        ``"grid"`` or ``"theory"``.
    dim : int
        Size of the embedding.
    num_scales : int
        Number of scales.
    min_radius, max_radius : float
        Finest and coarsest radius, in degrees (0.1 resolves 70 km along the equator).
    finest_km : float, optional
        Sets ``min_radius`` by the shortest wavelength along the equator, in km.
    seamless : bool
        Move grid's frequencies so that there is no jump at the antimeridian.
    network : str, mapping or Module
        As `locenc.networks.build_network` takes it.
    dtype : torch.dtype, optional
        Of the position features when the network has no weights.

    References
    ----------
    Mai et al. 2020 (ICLR).
    """

    def __init__(
        self,
        variant: str = "grid",
        *,
        dim: int = 256,
        num_scales: int = 32,
        min_radius: float = 0.1,
        max_radius: float = 360.0,
        finest_km: float | None = None,
        seamless: bool = False,
        network: Network = "ffn",
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            f"space2vec-{variant}",
            dim=dim,
            num_scales=num_scales,
            min_radius=min_radius,
            max_radius=max_radius,
            finest_km=finest_km,
            seamless=seamless,
            network=network,
            dtype=dtype,
        )


class SphericalHarmonics(_Named):
    """Spherical harmonics, then a network; with the sinusoidal network it is the model of SatCLIP.

    Parameters
    ----------
    num_degrees : int
        Degrees 0 to ``num_degrees`` - 1, 1,000 at most; ``num_degrees ** 2`` features.
    dim : int
        Size of the embedding.
    normalization : str
        ``"orthonormal"``, or ``"satclip"`` for what SatCLIP's weights were trained on.
    network : str, mapping or Module
        As `locenc.networks.build_network` takes it.
    dtype : torch.dtype, optional
        Of the position features when the network has no weights.

    References
    ----------
    Rußwurm et al. 2024 (ICLR).

    Examples
    --------
    >>> encoder = SphericalHarmonics(20, dim=128)
    >>> encoder(torch.tensor([[2.35, 48.86]], dtype=torch.float64)).shape
    torch.Size([1, 128])
    """

    def __init__(
        self,
        num_degrees: int = 40,
        *,
        dim: int = 256,
        normalization: str = "orthonormal",
        network: Network = "siren",
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            "spherical-harmonics",
            dim=dim,
            num_degrees=num_degrees,
            normalization=normalization,
            network=network,
            dtype=dtype,
        )


class Wrap(_Named):
    """The wrap encoder of Mac Aodha et al.: one sine and cosine of each coordinate, then a residual network.

    Parameters
    ----------
    dim : int
        Size of the embedding.
    convention : str
        ``"torchspatial"`` (latitude doubled) or ``"satclip"``.
    extent : sequence of float
        (west, east, south, north) in degrees, for the first convention: one turn along each axis.
    date : bool
        Whether calls take ``date=`` in [-1, 1] too.
    network : str, mapping or Module
        As `locenc.networks.build_network` takes it.
    dtype : torch.dtype, optional
        Of the position features when the network has no weights.

    References
    ----------
    Mac Aodha et al. 2019 (ICCV); the model of geo_prior and, with other inputs, of SINR.
    """

    def __init__(
        self,
        *,
        dim: int = 256,
        convention: str = "torchspatial",
        extent: Sequence[float] = WORLD,
        date: bool = False,
        network: Network = "residual",
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__("wrap", dim=dim, convention=convention, extent=extent, date=date, network=network, dtype=dtype)
