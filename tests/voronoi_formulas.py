"""The spherical Voronoi encoder again, from the description of TTE, in float64 or in 50 digits."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from arithmetic import DEGREE, Arithmetic, Array, mp


def spherical_voronoi(
    on: Arithmetic, *, gate: float, cosine_attention: bool, weights: Mapping[str, Array]
) -> list[Array]:
    """TTE, Cher et al. 2026: softmax over sites, softmax over tokens, a fixed mixture, layer norm."""
    place = on.values(
        lambda lon, lat: [
            mp.cos(lat * DEGREE) * mp.cos(lon * DEGREE),
            mp.cos(lat * DEGREE) * mp.sin(lon * DEGREE),
            mp.sin(lat * DEGREE),
        ]
    )
    exact = place.dtype == object
    exp, root = (np.vectorize(f, otypes=[object]) if exact else g for f, g in ((mp.exp, np.exp), (mp.sqrt, np.sqrt)))

    def real(name: str) -> Any:
        values = np.asarray(weights[name], dtype=np.float64)
        return np.vectorize(mp.mpf, otypes=[object])(values) if exact else values

    def unit(rows: Array) -> Array:
        return rows / np.maximum(root((rows * rows).sum(1, keepdims=True)), 1e-12)

    def softmax(rows: Array) -> Array:
        powers = exp(rows - rows.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)

    scores = (place @ unit(real("directions")).T) * exp(real("log_tau"))
    site = softmax(scores) @ real("embeddings")
    temperature = min(max(exp(real("log_temperature")).item(), 0.01), 10)
    if cosine_attention:
        choice = unit(site) @ unit(real("choice.weight")).T
    else:
        choice = site @ real("choice.weight").T + real("choice.bias")
    tokens = softmax(choice / temperature) @ real("tokens")
    if "projection.weight" in weights:
        site = site @ real("projection.weight").T + real("projection.bias")
    mixed = (1 - gate) * site + gate * tokens
    centred = mixed - mixed.sum(1, keepdims=True) / mixed.shape[1]
    spread = (centred * centred).sum(1, keepdims=True) / mixed.shape[1]
    return [centred / root(spread + 1e-5) * real("norm.weight") + real("norm.bias")]


def voronoi_weights(
    rng: np.random.Generator, *, sites: int, site_dim: int, dim: int, tokens: int, sharpness: float = 3.0
) -> dict[str, Array]:
    """Random tensors of the encoder, float64: features of order one, and of moderate slopes."""
    shapes: dict[str, tuple[int, ...]] = {
        "directions": (sites, 3),
        "embeddings": (sites, site_dim),
        "tokens": (tokens, dim),
        "choice.weight": (tokens, site_dim),
        "choice.bias": (tokens,),
        "projection.weight": (dim, site_dim),
        "projection.bias": (dim,),
        "norm.bias": (dim,),
    }
    weights = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    weights["log_tau"] = np.log(sharpness) + 0.3 * rng.normal(size=sites)
    weights["norm.weight"] = rng.uniform(0.5, 1, dim)
    weights["log_temperature"] = np.array(-0.5)
    return weights
