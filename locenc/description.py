"""What an encoder is: facts for the command line, the documentation and curious users, measured where they can be."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from locenc._devices import home
from locenc.embedding import embed, embedding_dim
from locenc.location_encoder import LocationEncoder
from locenc.networks import Identity
from locenc.position import PositionEncoder
from locenc.wrap import WrapWithDate

SAMPLES = 721  # a quarter of a degree of latitude, half a degree of longitude
NUMBERS = 2**22  # features that are compared at a time
ROUNDING = 1e-6  # differences below are rounding
RADII = ("min_radius", "max_radius")


@dataclass(frozen=True)
class Description:
    """Facts about an encoder; ``str()`` is the text that ``locenc info`` prints.

    Attributes
    ----------
    name : str or None
        Id of the position encoder; None if it was not built by name.
    options : dict
        Of the position encoder, defaults included.
    radius_unit : str or None
        Of ``min_radius`` and ``max_radius``: ``"radians"`` or ``"degrees"``; None where there are no such options.
    features : int
        Number of feature columns.
    resolution_km : float or None
        Shortest wavelength of the features along the equator, in km; None where there is none.
    antimeridian_jump : float
        Largest difference of a feature between longitudes 180 and -180, over all latitudes; 0 where they are
        continuous.
    pole_jump : float
        Largest difference of a feature between two longitudes at a pole; 0 where they are continuous.
    network : dict or None
        Name and options of the network, its class for one that was not built by name; None without a network.
    dim : int
        Number of columns of the embedding, or of the features without a network.
    dtype : str
        Of what a call of the encoder gives; `locenc.embed` gives float32.
    num_parameters, num_trainable : int
        Numbers in all parameters, and in those that gradients train.
    backend : str
        What makes the features: ``"numba"``, ``"triton"``, or ``"reference"``, which is plain torch.
    device : str
        Where the encoder is.
    """

    name: str | None
    options: dict[str, Any]
    radius_unit: str | None
    features: int
    resolution_km: float | None
    antimeridian_jump: float
    pole_jump: float
    network: dict[str, Any] | None
    dim: int
    dtype: str
    num_parameters: int
    num_trainable: int
    backend: str
    device: str

    def __str__(self) -> str:
        lines = {
            "encoder": self.name or "not registered",
            "options": _told(self._options()) or "none",
            "features": f"{self.features:,} columns",
            "resolution": self._resolution(),
            "at ±180°": _continuity(self.antimeridian_jump, "between longitudes 180 and -180"),
            "at the poles": _continuity(self.pole_jump, "between two longitudes at a pole"),
            "network": self._network(),
            "embedding": f"{self.dim:,} columns, {self.dtype}",
            "parameters": self._parameters(),
            "backend": f"{'plain torch' if self.backend == 'reference' else self.backend} on {self.device}",
        }
        return "\n".join(f"{title:12}  {text}" for title, text in lines.items())

    def _options(self) -> dict[str, Any]:
        """Options that count, radii with their unit."""
        options = dict(self.options)
        if "finest_km" in options:
            options.pop("min_radius", None)
        radii = {key: f"{value} {self.radius_unit}" for key, value in options.items() if key in RADII}
        return options | radii

    def _resolution(self) -> str:
        if self.resolution_km is None:
            return "no wavelength to tell it by"
        length = f"{self.resolution_km:,.0f}" if self.resolution_km >= 1000 else f"{self.resolution_km:.4g}"
        return f"{length} km, the shortest wavelength along the equator"

    def _network(self) -> str:
        if self.network is None:
            return "none: the features are the embedding"
        options = {key: value for key, value in self.network.items() if key != "name"}
        return f"{self.network['name']}{f' ({_told(options)})' if options else ''}"

    def _parameters(self) -> str:
        if self.num_parameters == 0:
            return "none"
        trainable = "all" if self.num_trainable == self.num_parameters else f"{self.num_trainable:,}"
        return f"{self.num_parameters:,}, {trainable} trainable"


def describe(encoder: LocationEncoder | PositionEncoder) -> Description:
    """Facts about an encoder: sizes, resolution, what is continuous, parameters, and what computes it.

    Parameters
    ----------
    encoder : LocationEncoder or PositionEncoder
        Is left as it is.

    Returns
    -------
    Description
        Plain values; ``print`` shows them as text. Continuity is measured at 721 latitudes, and at 721 longitudes of
        each pole, on the features, before the network.

    Raises
    ------
    TypeError
        For another kind of encoder.

    Examples
    --------
    >>> found = describe(locenc.create("space2vec-theory", dim=64, num_scales=16, finest_km=50))
    >>> found.features, found.dim, round(found.resolution_km), found.antimeridian_jump > 1
    (96, 64, 50, True)
    """
    dim = embedding_dim(encoder)
    position: Any = encoder.position if isinstance(encoder, LocationEncoder) else encoder
    network = encoder.network if isinstance(encoder, LocationEncoder) else None
    config = dict(getattr(position, "config", None) or {})
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in encoder.parameters()]
    dtype = encoder.feature_dtype if isinstance(encoder, LocationEncoder) else None
    return Description(
        name=config.pop("name", None),
        options=config,
        radius_unit=getattr(position, "radius_unit", None),
        features=int(position.out_dim),
        resolution_km=getattr(position, "resolution_km", None),
        antimeridian_jump=antimeridian_jump(position),
        pole_jump=pole_jump(position),
        network=None if network is None else _network_config(network),
        dim=dim,
        dtype=str(dtype or getattr(position, "dtype", torch.float32)).removeprefix("torch."),
        num_parameters=sum(size for size, _ in sizes),
        num_trainable=sum(size for size, trains in sizes if trains),
        backend=getattr(position, "backend", "reference"),
        device=str(home(encoder)),
    )


def antimeridian_jump(position: nn.Module) -> float:
    """Largest difference of a feature between longitudes 180 and -180, over all latitudes; 0 if it is rounding."""
    largest = 0.0
    for lat in _parts(-90, 90, int(position.out_dim)):  # type: ignore[arg-type]
        east, west = (_features(position, np.full_like(lat, lon), lat) for lon in (180.0, -180.0))
        largest = max(largest, float(np.abs(east - west).max()))
    return largest if largest >= ROUNDING else 0.0


def pole_jump(position: nn.Module) -> float:
    """Largest difference of a feature between two longitudes at a pole; 0 if it is rounding."""
    largest = 0.0
    for pole in (90.0, -90.0):
        low, high = np.inf, -np.inf
        for lon in _parts(-180, 180, int(position.out_dim)):  # type: ignore[arg-type]
            values = _features(position, lon, np.full_like(lon, pole))
            low, high = np.minimum(low, values.min(0)), np.maximum(high, values.max(0))
        largest = max(largest, float(np.max(high - low)))
    return largest if largest >= ROUNDING else 0.0


def _parts(start: float, stop: float, columns: int) -> list[NDArray[np.float64]]:
    """Evenly spaced degrees, in parts of which the features are not too many."""
    return np.array_split(np.linspace(start, stop, SAMPLES), min(SAMPLES, -(-SAMPLES * columns // NUMBERS)))


def _features(position: nn.Module, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float32]:
    if isinstance(position, WrapWithDate):  # the columns of the date know no place
        position = position.place
    if not isinstance(position, PositionEncoder):
        position = LocationEncoder(position, Identity(position.out_dim, position.out_dim))  # type: ignore[arg-type]
    features: NDArray[np.float32] = embed(np.stack([lon, lat], 1), position)
    return features


def _network_config(network: nn.Module) -> dict[str, Any]:
    config = getattr(network, "config", None)
    return dict(config) if isinstance(config, Mapping) else {"name": type(network).__name__}


def _continuity(jump: float, where: str) -> str:
    return "continuous" if jump == 0 else f"features differ by up to {jump:.2g} {where}"


def _told(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in options.items())
