"""Location encoders: (longitude, latitude) in degrees in, embeddings out.

Public names load when they are first used, so that importing the package, and its command lines, stay quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from locenc import coords, data, maps
    from locenc.encoders import Space2Vec, Sphere2Vec, SphericalHarmonics, Wrap
    from locenc.location_encoder import LocationEncoder
    from locenc.networks import FFN, ResidualFCNet
    from locenc.position import PositionEncoder
    from locenc.pretrained import from_pretrained
    from locenc.registry import create, list_encoders, position_encoder, register
    from locenc.siren import Siren

_HOME = {
    "FFN": "networks",
    "LocationEncoder": "location_encoder",
    "PositionEncoder": "position",
    "ResidualFCNet": "networks",
    "Siren": "siren",
    "Space2Vec": "encoders",
    "Sphere2Vec": "encoders",
    "SphericalHarmonics": "encoders",
    "Wrap": "encoders",
    "coords": "",
    "create": "registry",
    "data": "",
    "from_pretrained": "pretrained",
    "list_encoders": "registry",
    "maps": "",
    "position_encoder": "registry",
    "register": "registry",
}

__all__ = [
    "FFN",
    "LocationEncoder",
    "PositionEncoder",
    "ResidualFCNet",
    "Siren",
    "Space2Vec",
    "Sphere2Vec",
    "SphericalHarmonics",
    "Wrap",
    "coords",
    "create",
    "data",
    "from_pretrained",
    "list_encoders",
    "maps",
    "position_encoder",
    "register",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'locenc' has no attribute {name!r}")
    home = _HOME[name]
    value = getattr(import_module(f"locenc.{home}"), name) if home else import_module(f"locenc.{name}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
