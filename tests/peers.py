"""Which arrays of other projects belong to which of our encoders, and how their weights are named."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def _radii(num_scales: int, min_radius: float, max_radius: float) -> dict[str, Any]:
    return {"num_scales": num_scales, "min_radius": min_radius, "max_radius": max_radius}


AMERICA = [-162.0, -59.0, 20.0, 56.0]
WORLD = [-180.0, 180.0, -90.0, 90.0]

# (key in position_encoders.npz, our encoder, its options). Sphere2Vec's own sphereM+ and dfs have the papers'
# frequencies, TorchSpatial's the power list.
PEER_FEATURES: list[tuple[str, str, dict[str, Any]]] = [
    *(
        (f"torchspatial/{kind}|S{s}|min{low:g}|max{high:g}", f"{family}{kind}", _radii(s, low, high))
        for family, kind, high in [
            ("", "space2vec-grid", 360.0),
            ("", "space2vec-theory", 360.0),
            ("sphere2vec-", "sphereC", 1.0),
            ("sphere2vec-", "sphereC+", 1.0),
            ("sphere2vec-", "sphereM", 1.0),
        ]
        for s, low, high in [(16, 1e-3, high), (32, 1e-6, 1.0), (64, 1e-4, high)]
    ),
    *(
        (
            f"torchspatial/{kind}|S{s}|min{low:g}|max{high:g}",
            f"sphere2vec-{kind}",
            {**_radii(s, low, high), "frequency_list": "power"},
        )
        for kind, s, low, high in [
            ("sphereM+", 16, 1e-3, 1.0),
            ("sphereM+", 16, 1e-3, 360.0),
            ("sphereM+", 32, 1e-6, 10000.0),
            ("dfs", 4, 1e-3, 1.0),
            ("dfs", 8, 1e-3, 360.0),
        ]
    ),
    ("torchspatial/gridcellnorm|S16|min0.001|max360", "space2vec-grid", _radii(16, 1e-3, 360.0)),
    ("sphere2vec/sphereM+|S16|min0.001|max1", "sphere2vec-sphereM+", _radii(16, 1e-3, 1.0)),
    ("sphere2vec/sphereM+|S32|min1e-06|max1", "sphere2vec-sphereM+", _radii(32, 1e-6, 1.0)),
    ("sphere2vec/dfs|S4|min0.01|max1", "sphere2vec-dfs", _radii(4, 1e-2, 1.0)),
    ("sphere2vec/dfs|S8|min0.001|max1", "sphere2vec-dfs", _radii(8, 1e-3, 1.0)),
    ("torchspatial/wrap_ffn", "wrap", {}),
    ("torchspatial/wrap_ffn|extent-162,-59,20,56", "wrap", {"extent": AMERICA}),
    ("torchspatial/wrap_ffn|float32-input", "wrap", {}),
    ("torchspatial/wrap|encode_cos_sin", "wrap", {}),
    ("torchspatial/wrap|encode_none", "direct", {}),
    ("torchspatial/naive|extent-180,180,-90,90", "direct", {}),
    ("torchspatial/naive|extent-162,-59,20,56", "direct", {"extent": AMERICA}),
    ("torchspatial/xyz", "xyz", {}),
    *((f"torchspatial/nerf|S{s}", "nerf", {"num_scales": s}) for s in (4, 16, 32)),
    ("torchspatial/rff|S64|k1|extent-180,180,-90,90", "rff", {"num_features": 64, "extent": WORLD}),
    ("torchspatial/rff|S32|k2|extent-180,180,-90,90", "rff", {"num_features": 32, "extent": WORLD}),
    ("torchspatial/rff|S64|k1|extent-162,-59,20,56", "rff", {"num_features": 64, "extent": AMERICA}),
    *(
        (f"torchspatial/rbf|N{n}|k{k}", "rbf", {"num_anchors": n, "kernel_size": float(k), "distance": "planar"})
        for n, k in [(50, 1), (200, 2), (200, 40)]
    ),
    ("satclip/wrap", "wrap", {"convention": "satclip"}),
    ("satclip/theory|S16|min1|max360", "space2vec-theory", _radii(16, 1.0, 360.0)),
    ("satclip/grid|S16|min1|max360", "space2vec-grid", _radii(16, 1.0, 360.0)),
    ("satclip/grid|S8|min0.001|max360", "space2vec-grid", _radii(8, 1e-3, 360.0)),
]

#: The peer computed these in float32.
SINGLE = ("/rff|", "/naive|", "/wrap|", "|float32-input")

PEER_FFN = [
    "ffn|in48|hidden32|layers1|out16|relu|lnTrue|skipTrue",
    "ffn|in32|hidden32|layers3|out32|leakyrelu|lnTrue|skipTrue",
    "ffn|in24|hidden32|layers2|out16|gelu|lnTrue|skipTrue",
    "ffn|in24|hidden24|layers2|out24|tanh|lnFalse|skipTrue",
    "ffn|in24|hidden24|layers2|out24|sigmoid|lnTrue|skipFalse",
    "ffn|in24|hidden-1|layers0|out24|relu|lnTrue|skipTrue",
]


def tolerance(key: str, options: Mapping[str, Any]) -> float:
    """How far the peers may be off: float32, or phases in float64 that are rounded before they are reduced.

    NeRF's largest phase is 2^31 pi at 32 scales; at the poles the peer's own coordinates are off by 6e-17.
    """
    if any(part in key for part in SINGLE):
        return 1e-6
    if key == "torchspatial/nerf|S32":
        return 5e-6
    return 1e-9 if options.get("min_radius", 1.0) >= 1e-4 else 1e-7


def peer_points(arrays: Mapping[str, Any], key: str) -> np.ndarray:
    """The coordinates that the peer took: its float32 models round them."""
    lonlat = arrays["lonlat"]
    return lonlat.astype(np.float32).astype(np.float64) if any(part in key for part in SINGLE) else lonlat


def peer_weights(arrays: Mapping[str, Any], key: str) -> dict[str, np.ndarray] | None:
    """Drawn tensors under our names."""
    if "/rff|" in key:
        return {"directions": arrays[f"{key}/dirvec"], "shift": arrays[f"{key}/shift"]}
    if "/rbf|" in key:
        return {"anchors": arrays["torchspatial/rbf/anchors"][: arrays[key].shape[1]]}
    return None


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


def siren_state(arrays: Mapping[str, Any], key: str) -> dict[str, np.ndarray]:
    """Weights of SatCLIP's SIREN under our names."""
    names = [
        name.removeprefix(f"{key}/") for name in arrays if name.startswith(f"{key}/") and not name.endswith("output")
    ]
    return {name.replace("last_layer", "last"): arrays[f"{key}/{name}"] for name in names}
