"""Who predicts: every encoder in one or two settings, and what it must beat."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import locenc
from benchmarks.location_tasks.protocol import Protocol


class Candidate(NamedTuple):
    """An encoder and its settings.

    Attributes
    ----------
    label : str
        In tables.
    name : str
        As `locenc.create` takes it.
    options : mapping
        Of the position encoder. Encoders that draw something draw it anew for each seed.
    network : mapping
        Its name, and options other than width and dropout, which the protocol sets.
    """

    label: str
    name: str
    options: Mapping[str, Any]
    network: Mapping[str, Any] = {"name": "ffn"}

    def settings(self) -> dict[str, Any]:
        """What it is made of."""
        return {"name": self.name, "options": dict(self.options), "network": dict(self.network)}


def _by_wavelength(name: str, **options: Any) -> list[Candidate]:
    """The finest wavelength 1,000 and 200 km along the equator."""
    return [Candidate(f"{name}, {km} km", name, {**options, "finest_km": km}) for km in (1000, 200)]


def _seamless(name: str, **options: Any) -> list[Candidate]:
    """As many scales as the others, and half of them: odd frequencies lie closer together than a geometric ladder."""
    return [
        Candidate(
            f"{name}, 1000 km, seamless{more}",
            name,
            {"num_scales": count, **options, "finest_km": 1000, "seamless": True},
        )
        for count, more in ((16, ""), (8, ", 8 scales"))
    ]


#: Widths and dropout of the networks by their name; "hidden" and "dropout" stand for the protocol's.
NETWORKS: dict[str, dict[str, str]] = {
    "ffn": {"hidden_dim": "hidden", "dropout": "dropout"},
    "residual": {"dropout": "dropout"},  # as wide as the embedding
    "siren": {"hidden_dim": "hidden", "dropout": "dropout"},
    "geoclip": {"hidden_dim": "hidden"},
}

_SIXTEEN: dict[str, Any] = {"num_scales": 16}
_PLANE: dict[str, Any] = {"num_scales": 16, "max_radius": 60.0}  # the longest wavelength is about the equator's length
CANDIDATES: tuple[Candidate, ...] = (
    Candidate("xyz", "xyz", {}),
    Candidate("direct", "direct", {}),
    Candidate("wrap", "wrap", {}),
    Candidate("wrap, residual", "wrap", {}, {"name": "residual", "depth": 2}),
    *_by_wavelength("sphere2vec-sphereC", **_SIXTEEN),
    *_seamless("sphere2vec-sphereC"),
    Candidate("sphere2vec-sphereC+, 1000 km", "sphere2vec-sphereC+", {**_SIXTEEN, "finest_km": 1000}),
    Candidate("sphere2vec-sphereM, 1000 km", "sphere2vec-sphereM", {**_SIXTEEN, "finest_km": 1000}),
    Candidate("sphere2vec-sphereM+, 1000 km", "sphere2vec-sphereM+", {**_SIXTEEN, "finest_km": 1000}),
    Candidate("sphere2vec-dfs, 1000 km", "sphere2vec-dfs", {"num_scales": 8, "finest_km": 1000}),
    *_by_wavelength("space2vec-grid", **_PLANE),
    *_seamless("space2vec-grid", max_radius=60.0),
    Candidate("space2vec-theory, 1000 km", "space2vec-theory", {**_PLANE, "finest_km": 1000}),
    Candidate("nerf, 5 scales", "nerf", {"num_scales": 5}),
    Candidate("nerf, 7 scales", "nerf", {"num_scales": 7}),
    Candidate("rff, variance 16", "rff", {"num_features": 256, "kernel_size": 16.0}),
    Candidate("rff, variance 256", "rff", {"num_features": 256, "kernel_size": 256.0}),
    Candidate("geoclip, narrow", "geoclip", {"num_features": 64, "sigmas": [0.5, 1.0, 2.0]}),
    Candidate(
        "geoclip, published widths",
        "geoclip",
        {"num_features": 64, "sigmas": [1.0, 16.0, 256.0]},
        {"name": "geoclip", "num_hidden_layers": 1},
    ),
    Candidate("rbf, 200 anchors", "rbf", {"num_anchors": 200, "kernel_size": 10.0}),
    Candidate("rbf, 800 anchors", "rbf", {"num_anchors": 800, "kernel_size": 5.0}),
    Candidate("tile", "tile", {"cell_degrees": 10.0, "num_features": 64}),
    Candidate("spherical-harmonics, 10", "spherical-harmonics", {"num_degrees": 10}),
    Candidate("spherical-harmonics, 20", "spherical-harmonics", {"num_degrees": 20}),
    Candidate("spherical-harmonics, 20, siren", "spherical-harmonics", {"num_degrees": 20}, {"name": "siren"}),
    Candidate(
        "spherical-voronoi",
        "spherical-voronoi",
        {"num_sites": 512, "site_dim": 64, "num_features": 64, "num_tokens": 16},
    ),
)
#: What any encoder must beat; `benchmarks.location_tasks.controls` has them.
CONTROLS = ("majority / mean", "nearest training place")
#: Encoders that draw directions or anchors.
DRAWN = ("rff", "geoclip", "rbf")


def build(candidate: Candidate, protocol: Protocol, seed: int) -> locenc.LocationEncoder:
    """Build a candidate's encoder; its initial weights follow torch's seed."""
    options = {**candidate.options, **({"seed": seed} if candidate.name in DRAWN else {})}
    sizes = {option: getattr(protocol, field) for option, field in NETWORKS[candidate.network["name"]].items()}
    return locenc.create(candidate.name, dim=protocol.hidden, network={**candidate.network, **sizes}, **options)
