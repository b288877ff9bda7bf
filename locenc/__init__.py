"""Location encoders: (longitude, latitude) in degrees in, embeddings out.

Public names load when they are first used, so that importing the package, and its command lines, stay quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from locenc import coords, data, maps
    from locenc.alike import nearest
    from locenc.compat.csp import load_csp
    from locenc.compat.geoclip import load_geoclip
    from locenc.compat.satclip import load_satclip
    from locenc.compat.sinr import load_sinr
    from locenc.compat.sphere2vec import load_sphere2vec
    from locenc.compat.torchspatial import load_torchspatial
    from locenc.compat.tte import load_tte
    from locenc.description import describe
    from locenc.embedding import embed
    from locenc.encoders import Space2Vec, Sphere2Vec, SphericalHarmonics, Wrap
    from locenc.grids import embed_grid
    from locenc.kernels.choice import backend
    from locenc.location_encoder import LocationEncoder
    from locenc.networks import FFN, ResidualFCNet
    from locenc.parquet.run import embed_parquet
    from locenc.position import PositionEncoder
    from locenc.pretrained import from_pretrained
    from locenc.registry import create, list_encoders, position_encoder, register
    from locenc.siren import Siren
    from locenc.sklearn import LocationTransformer
    from locenc.versions import show_versions

_HOME = {
    "FFN": "networks",
    "LocationEncoder": "location_encoder",
    "LocationTransformer": "sklearn",
    "PositionEncoder": "position",
    "ResidualFCNet": "networks",
    "Siren": "siren",
    "Space2Vec": "encoders",
    "Sphere2Vec": "encoders",
    "SphericalHarmonics": "encoders",
    "Wrap": "encoders",
    "backend": "kernels.choice",
    "coords": "",
    "create": "registry",
    "data": "",
    "describe": "description",
    "embed": "embedding",
    "embed_grid": "grids",
    "embed_parquet": "parquet.run",
    "from_pretrained": "pretrained",
    "list_encoders": "registry",
    "load_csp": "compat.csp",
    "load_geoclip": "compat.geoclip",
    "load_satclip": "compat.satclip",
    "load_sinr": "compat.sinr",
    "load_sphere2vec": "compat.sphere2vec",
    "load_torchspatial": "compat.torchspatial",
    "load_tte": "compat.tte",
    "maps": "",
    "nearest": "alike",
    "position_encoder": "registry",
    "register": "registry",
    "show_versions": "versions",
}

__all__ = [
    "FFN",
    "LocationEncoder",
    "LocationTransformer",
    "PositionEncoder",
    "ResidualFCNet",
    "Siren",
    "Space2Vec",
    "Sphere2Vec",
    "SphericalHarmonics",
    "Wrap",
    "backend",
    "coords",
    "create",
    "data",
    "describe",
    "embed",
    "embed_grid",
    "embed_parquet",
    "from_pretrained",
    "list_encoders",
    "load_csp",
    "load_geoclip",
    "load_satclip",
    "load_sinr",
    "load_sphere2vec",
    "load_torchspatial",
    "load_tte",
    "maps",
    "nearest",
    "position_encoder",
    "register",
    "show_versions",
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
