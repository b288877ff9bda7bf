"""Files as TorchSpatial, Sphere2Vec, CSP, SINR, GeoCLIP and SatCLIP write them, with random weights, and their models.

Features are in the projects' own column order and plain float64; nothing is shared with the library.
"""

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import network_formulas
import numpy as np
import torch

import locenc

Array = np.ndarray[Any, np.dtype[Any]]
Params = Mapping[str, Any]

CITIES = [[2.35, 48.86], [-70.5, -33.4], [151.2, -33.9]]
LONLAT = np.array([[0, 0], [180, 45], [-180, 45], *CITIES, [10, 90], [-100, -90], [179.99, -0.01]], dtype=np.float64)


def geometric(params: Params) -> Array:
    """Sphere2Vec's and Space2Vec's frequencies, the finest first."""
    low, high, count = params["min_radius"], params["max_radius"], params["frequency_num"]
    return 1 / (low * np.exp(np.arange(count) * np.log(high / low) / (count - 1)))


def power(params: Params) -> Array:
    """TorchSpatial's frequencies of M+, dfs and hexagridcell."""
    return params["max_radius"] ** (-np.arange(params["frequency_num"]) / (params["frequency_num"] - 1))


def interleave(*blocks: Array) -> Array:
    """Scale beside scale: column s * K + k."""
    return np.stack(np.broadcast_arrays(*blocks), axis=-1).reshape(len(blocks[0]), -1)


def grid(lonlat: Array, params: Params) -> Array:
    f = geometric(params)
    axes = [lonlat[:, [axis]] * f for axis in (0, 1)]
    return np.concatenate([interleave(np.sin(x), np.cos(x)) for x in axes], axis=1)


def theory(lonlat: Array, params: Params) -> Array:
    lon, lat, f = lonlat[:, [0]], lonlat[:, [1]], geometric(params)
    phases = [lon * f, (-lon / 2 + math.sqrt(3) / 2 * lat) * f, (-lon / 2 - math.sqrt(3) / 2 * lat) * f]
    return interleave(*(wave(phase) for phase in phases for wave in (np.sin, np.cos)))


def sphere(kind: str, frequencies: Callable[[Params], Array], unit: float = math.pi / 180) -> Callable[..., Array]:
    """The five variants of Sphere2Vec; ``unit`` is what a degree becomes."""

    def features(lonlat: Array, params: Params) -> Array:
        f = frequencies(params)
        lon, lat = unit * lonlat[:, [0]], unit * lonlat[:, [1]]
        sin, cos, l, b = np.sin, np.cos, lon * f, lat * f  # noqa: E741
        singles = (sin(b), cos(b), sin(l), cos(l))
        mixed = (cos(b) * cos(lon), cos(lat) * cos(l), cos(b) * sin(lon), cos(lat) * sin(l))
        if kind == "C":
            return interleave(sin(b), cos(b) * cos(l), cos(b) * sin(l))
        if kind == "C+":
            return interleave(*singles, cos(b) * cos(l), cos(b) * sin(l))
        if kind == "M":
            return interleave(sin(b), *mixed)
        if kind == "M+":
            return interleave(*singles, *mixed)
        u, v = np.concatenate([sin(l), cos(l)], 1), np.concatenate([sin(b), cos(b)], 1)
        return np.concatenate([np.einsum("ni,nj->nij", u, v).reshape(len(u), -1), interleave(*singles)], axis=1)

    return features


def xyz(lonlat: Array, params: Params) -> Array:
    lon, lat = np.deg2rad(lonlat).T
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


def nerf(lonlat: Array, params: Params) -> Array:
    scales = math.pi * 2.0 ** np.arange(params["nerf_scales"])
    phases = (xyz(lonlat, params)[:, :, None] * scales).reshape(len(lonlat), -1)
    return np.concatenate([np.sin(phases), np.cos(phases)], axis=1)


def scaled(lonlat: Array, extent: Any) -> Array:
    west, east, south, north = extent
    low, high = np.array([west, south], dtype=float), np.array([east, north], dtype=float)
    return 2 * (lonlat - low) / (high - low) - 1


def naive(lonlat: Array, params: Params) -> Array:
    return scaled(lonlat, params["map_range"])


def rff(lonlat: Array, params: Params) -> Array:
    drawn = params["tensors"]
    count = len(drawn["shift"])
    return np.sqrt(2 / count) * np.cos(scaled(lonlat, params["map_range"]) @ drawn["dirvec"] + drawn["shift"])


def rbf(lonlat: Array, params: Params) -> Array:
    squares = ((lonlat[:, None] - params["anchors"]) ** 2).sum(-1)
    return np.exp(-squares / (2 * params["rbf_kernel_size"] ** 2))


def wrap(lonlat: Array, params: Params) -> Array:
    angle = math.pi * lonlat / np.array([180.0, 90.0])
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)


def tile(lonlat: Array, params: Params) -> Array:
    return np.repeat(params["tensors"]["embedding.weight"], len(lonlat), axis=0)


def harmonics(lonlat: Array, params: Params) -> Array:
    """SatCLIP's analytic harmonics as it writes them: angles shifted by half a turn, order 0 times pi; to degree 7."""
    theta, phi = np.deg2rad(lonlat[:, 1] + 90), np.deg2rad(lonlat[:, 0] + 180)
    cosine, columns = np.cos(theta), []
    for degree in range(params["harmonics"]):
        for order in range(-degree, degree + 1):
            m = abs(order)
            legendre = np.polynomial.legendre.Legendre.basis(degree).deriv(m)(cosine) * np.sin(theta) ** m
            norm = (2 * degree + 1) / (4 * math.pi) * math.factorial(degree - m) / math.factorial(degree + m)
            wave = math.pi if order == 0 else math.sqrt(2) * (np.cos(m * phi) if order > 0 else np.sin(m * phi))
            columns.append(math.sqrt(norm) * legendre * wave)
    return np.stack(np.broadcast_arrays(*columns), axis=1)


def hexagridcell(lonlat: Array, params: Params) -> Array:
    f = power(params)
    thirds = 2 * math.pi / 3 * np.arange(3)
    axes = [lonlat[:, [axis]] * f for axis in (0, 1)]
    return np.concatenate([interleave(*(np.sin(x + third) for third in thirds)) for x in axes], axis=1)


def base_params(**changes: Any) -> dict[str, Any]:
    """What a training run of these projects writes down, as far as it matters, and a few that do not."""
    return {
        "device": "cuda:2",
        "num_epochs": 30,
        "frequency_num": 4,
        "min_radius": 0.02,
        "max_radius": 1.0,
        "freq_init": "geometric",
        "num_hidden_layer": 1,
        "hidden_dim": 7,
        "num_filts": 6,
        "spa_f_act": "leakyrelu",
        "use_layn": True,
        "skip_connection": True,
        "dropout": 0.5,
        "rbf_kernel_size": 30.0,
        "map_range": [-180, 180, -90, 90],
        "rbf_anchor_pt_ids": None,
        "num_classes": 5,
        **changes,
    }


def draw(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Weights of a size that keeps activations near 1."""
    return rng.normal(size=shape) / math.sqrt(shape[-1])


def ffn_state(num_features: int, params: Params, rng: np.random.Generator) -> dict[str, Array]:
    """A feed-forward network as ``spa_enc.ffn`` has it."""
    hidden, count = params["hidden_dim"], params["num_hidden_layer"]
    widths = [num_features, *[hidden] * max(count, 0), params["num_filts"]]
    state = {}
    for i, (a, b) in enumerate(pairwise(widths)):
        state[f"layers.{i}.linear.weight"], state[f"layers.{i}.linear.bias"] = draw((b, a), rng), draw((b,), rng)
        if params["use_layn"] and i < len(widths) - 2:
            state[f"layers.{i}.layernorm.weight"] = 1 + draw((b,), rng)
            state[f"layers.{i}.layernorm.bias"] = draw((b,), rng)
    return state


def ffn(features: Array, state: Mapping[str, Array], params: Params) -> Array:
    """Apply it."""
    ours = {key.replace("layernorm", "norm"): value for key, value in state.items()}
    return network_formulas.ffn(features, ours, activation=params["spa_f_act"], skip=params["skip_connection"])


def fcnet_state(num_features: int, width: int, depth: int, rng: np.random.Generator) -> dict[str, Array]:
    """A residual network as ``feats`` has it."""
    state = {"feats.0.weight": draw((width, num_features), rng), "feats.0.bias": draw((width,), rng)}
    for block in range(2, 2 + depth):
        for layer in ("w1", "w2"):
            state[f"feats.{block}.{layer}.weight"] = draw((width, width), rng)
            state[f"feats.{block}.{layer}.bias"] = draw((width,), rng)
    return state


def fcnet(features: Array, state: Mapping[str, Array]) -> Array:
    """Apply it."""
    x = np.maximum(features @ state["feats.0.weight"].T + state["feats.0.bias"], 0)
    for block in range(2, 2 + sum(key.endswith("w1.weight") for key in state)):
        w1, b1, w2, b2 = (state[f"feats.{block}.{key}"] for key in ("w1.weight", "w1.bias", "w2.weight", "w2.bias"))
        x = x + np.maximum(np.maximum(x @ w1.T + b1, 0) @ w2.T + b2, 0)
    return x


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def tensors(state: Mapping[str, Array], dtype: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    """Arrays as a state dictionary."""
    return {key: torch.from_numpy(np.ascontiguousarray(value)).to(dtype) for key, value in state.items()}


def write(path: Path, state: Mapping[str, Array], params: Params, **more: Any) -> Path:
    """Write a training checkpoint, in float64 so that formulas can be compared to their last digits."""
    content = {"epoch": 31, "state_dict": tensors(state), "optimizer": {"state": {}}, "params": dict(params)}
    torch.save({**content, **more}, path)
    return path


def max_error(found: torch.Tensor, expected: Array) -> float:
    """Largest difference."""
    return float(np.abs(found.detach().double().numpy() - expected).max())


def saved_again(encoder: Any, folder: Path) -> None:
    """A loaded encoder can be saved and loaded as our own, with the same weights and, but for rounding, embeddings."""
    encoder.save_pretrained(folder)
    loaded = locenc.from_pretrained(folder)
    assert loaded.config == encoder.config
    for key, value in encoder.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value)
    lonlat = torch.from_numpy(LONLAT)
    embedding = encoder(lonlat)
    rounding = 20 * torch.finfo(embedding.dtype).eps
    torch.testing.assert_close(loaded(lonlat), embedding, rtol=rounding, atol=rounding)
