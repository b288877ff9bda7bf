"""Doors of encoders: making, describing and calling them."""

import contextlib
import inspect
import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import locenc
from locenc.wrap import WrapWithDate
from scripts.fuzz import values
from scripts.fuzz.calls import Call, finite
from scripts.fuzz.table import door
from scripts.fuzz.values import some

NETWORKS = ("ffn", "residual", "siren", "linear", "identity", "residual-mlp", "geoclip")
OPTIONS: dict[str, tuple[Any, ...]] = {
    "num_scales": (1, 2, 5, 0, -1, 2.5),
    "min_radius": (1e-3, 0.1, 1.0, 1e-9, 0, -1),
    "max_radius": (1.0, 360.0, 1e-3, 0, -1, 1e300),
    "finest_km": (None, 50, 1e-3, 0, -1, 1e9),
    "seamless": (True, False),
    "frequency_list": ("geometric", "power", "no such"),
    "num_degrees": (1, 2, 5, 0, -1),
    "normalization": ("orthonormal", "satclip", "no such"),
    "convention": ("torchspatial", "satclip", "no such"),
    "extent": ((-180, 180, -90, 90), [0, 1, 0, 1], (0, 0, 0, 0), (1, 0, 1, 0), (0, 1)),
    "date": (True, False),
    "dtype": (None, torch.float32, torch.float64, torch.float16, torch.int64, "float32"),
    "num_features": (1, 2, 4, 0, -1),
    "kernel_size": (1.0, 30.0, 0, -1, 1e-300),
    "seed": (0, 1, 2**40, -1),
    "sigmas": ((1.0, 16.0), [2.0], (), (0,), (-1, 1)),
    "num_anchors": (1, 3, 0),
    "anchors": (None, [[0, 0]], [[1, 2], [3, 95]], [], [[1]]),
    "distance": ("planar", "great-circle", "no such"),
    "cell_size": (1.0, 90, 0.5, 0, -1),
    "num_sites": (1, 4, 0),
    "num_tokens": (0, 1, 3, -1),
    "gate": (0.5, 0.0, 1.0, 2.0),
    "dropout": (0.0, 0.5, 1.0, -0.1),
    "hidden_dim": (1, 4, 0, -1),
    "num_hidden_layers": (0, 1, 2, -1),
    "depth": (0, 1, 2, -1),
    "activation": ("relu", "leakyrelu", "gelu", "no such"),
    "layer_norm": (True, False),
    "skip": (True, False),
    "omega_0": (30.0, 1, 0, -1),
    "num_branches": (1, 2, 0),
    "normalize": (True, False),
}


def options(rng: random.Random, function: Callable[..., Any], *, most: int = 3) -> dict[str, Any]:
    """Some of the keyword arguments of a function."""
    parameters = inspect.signature(function).parameters.values()
    known = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY and one.name in OPTIONS]
    chosen = rng.sample(known, min(len(known), rng.randrange(most + 1)))
    found = {name: some(rng, rng.choice(OPTIONS[name]), share=0.93) for name in chosen}
    return found | ({"no_such_option": 1} if rng.random() < 0.02 else {})


def network(rng: random.Random) -> Any:
    """A network by its name or its configuration."""
    name = rng.choice(NETWORKS)
    config = {
        "name": name,
        **{key: rng.choice(OPTIONS[key]) for key in rng.sample(("hidden_dim", "depth", "dropout"), 1)},
    }
    return some(rng, rng.choice((name, name, config)), torch.nn.Linear(3, 2), {"name": 3}, {}, "no such")


def embeds(made: Any) -> str | None:
    """An encoder that was made embeds a place."""
    with torch.no_grad():
        made.eval()
        position = made.position if isinstance(made, locenc.LocationEncoder) else made
        dated = {"date": torch.zeros(1)} if isinstance(position, WrapWithDate) else {}
        found = made(torch.tensor([[2.35, 48.86]], dtype=torch.float64), **dated)
    if tuple(found.shape) != (1, values.dim_of(made)):
        return f"an embedding of shape {tuple(found.shape)}"
    if found.dtype == torch.float16 or (found.abs() > 1e30).any():
        return None
    return None if finite(found) else "an embedding that is not finite"


def _maker(public: str, share: float) -> None:
    """A door of a class of encoders."""

    @door(f"locenc.{public}", share)
    def make(rng: random.Random, _: Path) -> Call:
        made = getattr(locenc, public)
        arguments: tuple[Any, ...] = ()
        if public in ("Sphere2Vec", "Space2Vec"):
            arguments = (some(rng, rng.choice(("sphereC", "sphereM+", "dfs", "grid", "theory")), "sphereX"),)
        elif public == "SphericalHarmonics":
            arguments = (some(rng, rng.choice((1, 3, 6)), 0, -1, 2.5),)
        more = {"network": network(rng)} if rng.random() < 0.5 else {}
        dim = {"dim": some(rng, rng.choice((1, 3, 8)), 0, -1)}
        return Call(made, arguments, options(rng, made) | more | dim, embeds)


for one in ("Sphere2Vec", "Space2Vec", "SphericalHarmonics", "Wrap"):
    _maker(one, 2)


@door("locenc.create", 6)
def create(rng: random.Random, _: Path) -> Call:
    from locenc import registry

    name = rng.choice(locenc.list_encoders())
    more = {"network": network(rng)} if rng.random() < 0.7 else {}
    found = options(rng, registry._ENTRIES[name].build) | more | {"dim": some(rng, rng.choice((1, 3, 8)), 0, -1)}
    return Call(locenc.create, (some(rng, name, "sphere2vec", "Wrap", share=0.97),), found, embeds)


@door("locenc.position_encoder", 5)
def position_encoder(rng: random.Random, _: Path) -> Call:
    from locenc import registry

    name = rng.choice(locenc.list_encoders())
    found = options(rng, registry._ENTRIES[name].build)
    return Call(locenc.position_encoder, (some(rng, name, "sphere2vec", share=0.97),), found, embeds)


def _network(public: str) -> None:
    @door(f"locenc.{public}", 2)
    def make(rng: random.Random, _: Path) -> Call:
        made = getattr(locenc, public)
        widths = tuple(some(rng, rng.choice((1, 2, 5)), 0, -1, 2.0) for _ in range(2))

        def check(network: Any) -> str | None:
            found = network.eval()(torch.zeros(3, widths[0]))
            return None if finite(found) and tuple(found.shape) == (3, widths[1]) else f"gives {tuple(found.shape)}"

        return Call(made, widths, options(rng, made), check)


for one in ("FFN", "ResidualFCNet", "Siren"):
    _network(one)


@door("locenc.LocationEncoder", 2)
def location_encoder(rng: random.Random, _: Path) -> Call:
    """Made of two parts, or one that is ready called with places."""
    if rng.random() < 0.3:
        position = some(rng, locenc.position_encoder("xyz"), torch.nn.Linear(2, 3), torch.nn.Identity(), locenc.FFN)
        behind = some(rng, locenc.FFN(rng.choice((3, 3, 4)), 2), torch.nn.Linear(3, 2), torch.nn.Identity(), locenc.FFN)
        return Call(locenc.LocationEncoder, (position, behind))
    made = rng.choice([one for one in values.ready() if isinstance(one, locenc.LocationEncoder)])
    return _call_of(rng, made)


@door("locenc.PositionEncoder", 2)
def position_class(rng: random.Random, _: Path) -> Call:
    if rng.random() < 0.2:
        found = {"dtype": some(rng, torch.float32, torch.int64)} if rng.random() < 0.5 else {}
        return Call(locenc.PositionEncoder, (some(rng, 3, 0, -1),), found)
    return _call_of(rng, rng.choice([one for one in values.ready() if isinstance(one, locenc.PositionEncoder)]))


def _call_of(rng: random.Random, made: Any) -> Call:
    lonlat = values.array(rng, values.degrees(rng))
    if isinstance(lonlat, np.ndarray) and lonlat.dtype == np.float64 and rng.random() < 0.8:
        lonlat = torch.from_numpy(lonlat.copy())
    found = {"check": rng.choice((True, None))} if rng.random() < 0.2 else {}

    def check(result: Any) -> str | None:
        if tuple(result.shape) != (*lonlat.shape[:-1], values.dim_of(made)):
            return f"shape {tuple(result.shape)} for {tuple(lonlat.shape)}"
        return None if finite(result) or result.dtype == torch.float16 else "numbers that are not finite"

    return Call(made, (lonlat,), found, check)


@door("locenc.describe", 0.3)
def describe(rng: random.Random, _: Path) -> Call:
    return Call(locenc.describe, (values.encoder(rng),), {}, lambda found: None if str(found) else "no text")


@door("locenc.list_encoders", 0.1)
def list_encoders(rng: random.Random, _: Path) -> Call:
    return Call(locenc.list_encoders, (), {}, lambda found: None if len(found) == 17 else f"{len(found)} encoders")


@door("locenc.register", 0.5)
def register(rng: random.Random, _: Path) -> Call:
    """Names that are taken, or none; nothing is registered for good."""
    from locenc import registry

    def call(name: Any, **found: Any) -> None:
        before = dict(registry._ENTRIES)
        try:
            locenc.register(name, **found)(lambda: torch.nn.Identity())
        finally:
            registry._ENTRIES.clear()
            registry._ENTRIES.update(before)

    return Call(call, (some(rng, f"fuzz-{rng.random()}", "wrap", "xyz"),), {"network": some(rng, "ffn", "no such")})


@door("locenc.backend", 1)
def backend(rng: random.Random, _: Path) -> Call:
    made, lonlat = locenc.position_encoder("xyz"), torch.zeros(1, 2, dtype=torch.float64)

    def call(name: Any) -> Any:
        with locenc.backend(name):
            return made(lonlat)

    return Call(call, (some(rng, rng.choice(("reference", "numba")), "triton", "cuda"),), {}, lambda found: None)


@door("locenc.show_versions", 0.02)
def show_versions(rng: random.Random, _: Path) -> Call:
    def call() -> str:
        text = io.StringIO()
        with contextlib.redirect_stdout(text):
            locenc.show_versions()
        return text.getvalue()

    return Call(call, (), {}, lambda text: None if "torch" in text else "no versions")


@door("locenc.LocationTransformer", 4)
def transformer(rng: random.Random, _: Path) -> Call:
    data, columns = values.places(rng)
    data = data if rng.random() < 0.7 else data if columns else values.degrees(rng)
    made = locenc.LocationTransformer(
        some(rng, rng.choice(("xyz", "wrap", rng.choice(values.ready()))), "no such", 3, share=0.95),
        dim=some(rng, None, 3, 0, share=0.9),
        options=some(rng, None, {"no such": 1}, {}, share=0.95),
        random_state=some(rng, rng.choice((None, 0)), "x", share=0.97),
        missing=some(rng, rng.choice(("raise", "nan")), "drop", share=0.95),
        **columns,
    )

    def call(data: Any) -> Any:
        return made.fit(data).transform(data)

    return Call(call, (data,), {}, lambda found: None if found.dtype == np.float32 else f"dtype {found.dtype}")
