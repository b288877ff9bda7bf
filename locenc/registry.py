"""Every encoder by its name: one line each."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

from torch import nn

from locenc import sinusoidal
from locenc._names import among, plain, settings, unknown
from locenc.cartesian import Direct
from locenc.harmonics import SphericalHarmonics
from locenc.location_encoder import LocationEncoder
from locenc.networks import build_network
from locenc.random_fourier import EqualEarthFourier, RandomFourier
from locenc.rbf import RadialBasis
from locenc.tile import Tile
from locenc.voronoi import SphericalVoronoi
from locenc.wrap import wrap

Builder = TypeVar("Builder", bound=Callable[..., nn.Module])


class _Entry(NamedTuple):
    build: Callable[..., nn.Module]
    network: str


_ENTRIES: dict[str, _Entry] = {}


def register(name: str, *, network: str = "ffn") -> Callable[[Builder], Builder]:
    """Register a position encoder under a name: a decorator for its class or builder.

    Parameters
    ----------
    name : str
        The id, such as ``"sphere2vec-sphereC"``.
    network : str
        The network that `create` puts behind it unless told otherwise.

    Returns
    -------
    decorator
        Takes a callable whose keyword arguments are the encoder's options, plain values that JSON can hold, and which
        returns a module with ``out_dim`` that maps (..., 2) degrees to (..., out_dim); returns it unchanged.

    Raises
    ------
    TypeError, ValueError
        If the name is no text; if it is taken.
    """
    if not isinstance(name, str) or not name:
        raise TypeError(f"the name of an encoder must be a text, got {name!r:.60}")

    def decorate(build: Builder) -> Builder:
        if name in _ENTRIES:
            raise ValueError(f"an encoder named {name!r} is registered already; choose another name")
        _ENTRIES[name] = _Entry(build, network)
        return build

    return decorate


def list_encoders() -> list[str]:
    """Names of all registered encoders, as `create` and `position_encoder` take them."""
    return list(_ENTRIES)


def position_encoder(name: str, **options: Any) -> nn.Module:
    """Build a position encoder: (..., 2) degrees to (..., out_dim) features, without a network.

    Parameters
    ----------
    name : str
        One of `list_encoders`.
    **options
        The encoder's own options, such as ``num_scales``, ``min_radius``, ``max_radius``; and ``dtype``.

    Raises
    ------
    ValueError
        For an unknown name, or an option's value out of range.
    TypeError
        For an option that this encoder does not have.

    Examples
    --------
    >>> position_encoder("sphere2vec-sphereC", num_scales=64).out_dim
    192
    """
    entry = _entry(name)
    options = settings(repr(name), entry.build, options)
    module = entry.build(**options)
    options |= getattr(module, "stored_options", {})
    config = plain({key: value for key, value in options.items() if key != "dtype" and value is not None})
    module.config = {"name": name, **config}  # type: ignore[assignment]
    return module


def create(
    name: str, *, dim: int = 256, network: str | Mapping[str, Any] | nn.Module | None = None, **options: Any
) -> LocationEncoder:
    """Build a location encoder by name.

    Parameters
    ----------
    name : str
        One of `list_encoders`.
    dim : int
        Size of the embedding; a ready network has its own (``network.out_dim``).
    network : str, mapping or Module, optional
        As `locenc.networks.build_network` takes it; the encoder's usual one unless given.
    **options
        Options of the position encoder, as `position_encoder` takes them.

    Raises
    ------
    ValueError, TypeError
        As `position_encoder`.

    Examples
    --------
    >>> create("space2vec-theory", dim=128, network={"name": "ffn", "hidden_dim": 256}, num_scales=16).dim
    128
    """
    position = position_encoder(name, **options)
    network = default_network(name) if network is None else network
    return LocationEncoder(position, build_network(network, int(position.out_dim), dim))  # type: ignore[arg-type]


def default_network(name: str) -> str:
    """Name of the network that `create` puts behind an encoder unless told otherwise."""
    return _entry(name).network


def takes_dtype(name: str) -> bool:
    """Whether an encoder has the option ``dtype``; one that users registered may lack it."""
    return "dtype" in inspect.signature(_entry(name).build).parameters


def _entry(name: str) -> _Entry:
    if not among(name, _ENTRIES):
        raise ValueError(unknown("encoder", name, _ENTRIES, hint="locenc.list_encoders() lists them."))
    return _ENTRIES[name]


for _variant in sinusoidal.SPHERE2VEC:
    register(f"sphere2vec-{_variant}")(partial(sinusoidal.sphere2vec, _variant))
for _variant in sinusoidal.SPACE2VEC:
    register(f"space2vec-{_variant}")(partial(sinusoidal.space2vec, _variant))
register("wrap", network="residual")(wrap)
register("nerf")(sinusoidal.nerf)
register("xyz")(sinusoidal.xyz)
register("direct")(Direct)
register("rff")(RandomFourier)
register("geoclip", network="geoclip")(EqualEarthFourier)
register("rbf")(RadialBasis)
register("tile", network="linear")(Tile)
register("spherical-harmonics", network="siren")(SphericalHarmonics)
register("spherical-voronoi", network="residual-mlp")(SphericalVoronoi)
