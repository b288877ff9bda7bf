"""Which arrays of other projects belong to which of our encoders, and how their weights are named."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def _geometric(num_scales: int, min_radius: float, max_radius: float) -> dict[str, Any]:
    return {"num_scales": num_scales, "min_radius": min_radius, "max_radius": max_radius}


# (key in position_encoders.npz, our encoder, its options). TorchSpatial's sphereM+ and dfs use another list
# of frequencies and are left out; sphere2vec's are the papers'.
PEER_FEATURES: list[tuple[str, str, dict[str, Any]]] = [
    *(
        (f"torchspatial/{kind}|S{s}|min{low:g}|max{high:g}", f"{family}{kind}", _geometric(s, low, high))
        for family, kind, high in [
            ("", "space2vec-grid", 360.0),
            ("", "space2vec-theory", 360.0),
            ("sphere2vec-", "sphereC", 1.0),
            ("sphere2vec-", "sphereC+", 1.0),
            ("sphere2vec-", "sphereM", 1.0),
        ]
        for s, low, high in [(16, 1e-3, high), (32, 1e-6, 1.0), (64, 1e-4, high)]
    ),
    ("torchspatial/gridcellnorm|S16|min0.001|max360", "space2vec-grid", _geometric(16, 1e-3, 360.0)),
    ("sphere2vec/sphereM+|S16|min0.001|max1", "sphere2vec-sphereM+", _geometric(16, 1e-3, 1.0)),
    ("sphere2vec/sphereM+|S32|min1e-06|max1", "sphere2vec-sphereM+", _geometric(32, 1e-6, 1.0)),
    ("sphere2vec/dfs|S4|min0.01|max1", "sphere2vec-dfs", _geometric(4, 1e-2, 1.0)),
    ("sphere2vec/dfs|S8|min0.001|max1", "sphere2vec-dfs", _geometric(8, 1e-3, 1.0)),
    ("torchspatial/wrap_ffn", "wrap", {}),
]

PEER_FFN = [
    "ffn|in48|hidden32|layers1|out16|relu|lnTrue|skipTrue",
    "ffn|in32|hidden32|layers3|out32|leakyrelu|lnTrue|skipTrue",
    "ffn|in24|hidden32|layers2|out16|gelu|lnTrue|skipTrue",
    "ffn|in24|hidden24|layers2|out24|tanh|lnFalse|skipTrue",
    "ffn|in24|hidden24|layers2|out24|sigmoid|lnTrue|skipFalse",
    "ffn|in24|hidden-1|layers0|out24|relu|lnTrue|skipTrue",
]


def tolerance(options: Mapping[str, Any]) -> float:
    """How far the peers' own float64 may be off: their phases are rounded before they are reduced."""
    return 1e-9 if options.get("min_radius", 1.0) >= 1e-4 else 1e-7


def ffn_state(arrays: Mapping[str, Any], key: str) -> dict[str, np.ndarray]:
    """Weights of the peers' FFN under our names."""
    names = [name for name in arrays if name.startswith(f"{key}/layers.")]
    return {name.removeprefix(f"{key}/").replace("layernorm", "norm"): arrays[name] for name in names}


def residual_fcnet_state(arrays: Mapping[str, Any], key: str) -> dict[str, np.ndarray]:
    """Weights of the peers' FCNet under our names; its heads (class_emb, user_emb) stay out."""
    state = {f"input.{part}": arrays[f"{key}/feats.0.{part}"] for part in ("weight", "bias")}
    for block in range(4):
        for ours, theirs in (("first", "w1"), ("second", "w2")):
            for part in ("weight", "bias"):
                state[f"blocks.{block}.{ours}.{part}"] = arrays[f"{key}/feats.{block + 2}.{theirs}.{part}"]
    return state
