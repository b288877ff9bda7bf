"""Lightning checkpoints of SatCLIP: ``le_type`` names the position encoder, ``pe_type`` the network."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from locenc._names import unknown
from locenc.compat._build import build, residual_weights
from locenc.compat._checkpoint import Checkpoint, read_checkpoint
from locenc.compat._columns import axis_major, fold
from locenc.compat._loaded import Loaded


def load_satclip(path: str | Path) -> Loaded:
    """Load SatCLIP's location encoder.

    Parameters
    ----------
    path : str or Path
        The ``.ckpt`` file.

    Returns
    -------
    Loaded
        The encoder, in the file's dtype (SatCLIP's is float64); no head; the file's hyper-parameters.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged or unsafe, or its encoder has none here: ``spherem`` and ``spheremplus``, whose unscaled
        angles are degrees used as radians, and discretised harmonics.

    Notes
    -----
    Harmonics are evaluated exactly. SatCLIP's own expanded polynomials are exact to 1e-8 for up to 10 degrees; for 40
    they are off by up to 0.6 beyond 60° of latitude, and embeddings differ there. The layers of ``mlp`` that share a
    weight are separate copies here.

    References
    ----------
    Klemmer et al. 2025, "SatCLIP", AAAI; Rußwurm et al. 2024, "Geographic location encoding with spherical harmonics
    and sinusoidal representation networks", ICLR.
    """
    checkpoint = read_checkpoint(path, settings="hyper_parameters")
    kind, network = checkpoint.setting("le_type"), checkpoint.setting("pe_type")
    for name, value, known in (("le_type", kind, _POSITIONS), ("pe_type", network, _NETWORKS)):
        if not isinstance(value, str) or value not in known:
            raise checkpoint.error(unknown(name, value, known))
    weights = {key[key.index("nnet.") + 5 :]: value for key, value in checkpoint.state.items() if "nnet." in key}
    config, weights, first, dim = _NETWORKS[network](checkpoint, weights)
    position = _POSITIONS[kind](checkpoint)
    names = (f"{first}weight", f"{first}bias")
    weight, bias = (_take(checkpoint, weights, name) for name in names)
    weights |= dict(zip(names, _adapt(checkpoint, position, weight, bias), strict=True))
    encoder = build(checkpoint.path, position.name, position.options, config, weights, dim=dim)
    return Loaded(encoder, None, checkpoint.params)


class _Position(NamedTuple):
    """Our encoder, and SatCLIP's columns in terms of ours: column c = scale[c] · ours[source[c]] + shift[c]."""

    name: str
    options: dict[str, Any]
    source: Tensor | None = None
    scale: Tensor | None = None
    shift: Tensor | None = None


def _adapt(checkpoint: Checkpoint, position: _Position, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Weight and bias of the first layer for our columns."""
    for columns in (position.source, position.scale):
        if columns is not None and len(columns) != weight.shape[1]:
            raise checkpoint.error(
                f"its hyper-parameters give {len(columns)} feature columns (le_type {checkpoint.setting('le_type')!r}, "
                f"{position.options}), but its first layer takes {weight.shape[1]}"
            )
    if bias.shape != weight.shape[:1]:
        raise checkpoint.error(f"its first layer has {len(weight)} rows, but a bias of shape {tuple(bias.shape)}")
    exact = weight.double()
    if position.shift is not None:
        bias = (bias.double() + exact @ position.shift).to(bias.dtype)
    if position.scale is not None:
        exact = exact * position.scale
    if position.source is not None:
        exact = fold(exact, position.source, int(position.source.max()) + 1)
    return exact.to(weight.dtype), bias


def _scales(checkpoint: Checkpoint, unit: float = 1.0) -> dict[str, Any]:
    radii = {name: checkpoint.number(name) * unit for name in ("min_radius", "max_radius")}
    return {"num_scales": checkpoint.count("frequency_num"), **radii}


def _direct(checkpoint: Checkpoint) -> _Position:
    """Radians less π; ours are the halves of the globe."""
    scale = torch.tensor([math.pi, math.pi / 2], dtype=torch.float64)
    return _Position("direct", {}, scale=scale, shift=torch.full((2,), -math.pi, dtype=torch.float64))


def _grid(checkpoint: Checkpoint) -> _Position:
    options = _scales(checkpoint)
    return _Position("space2vec-grid", options, axis_major(options["num_scales"]).argsort())


def _theory(checkpoint: Checkpoint) -> _Position:
    """Each half of the columns begins with a sine: for an odd number of scales the second half's functions swap."""
    options = _scales(checkpoint)
    num_scales = options["num_scales"]
    column = torch.arange(6 * num_scales)
    direction, function, scale = column % 6 // 2, column % (3 * num_scales) % 2, column // 6
    return _Position("space2vec-theory", options, (2 * direction + function) * num_scales + scale)


def _sphere(variant: str, blocks: int) -> Callable[[Checkpoint], _Position]:
    """Sphere2Vec on degrees used as radians, and every block twice."""

    def position(checkpoint: Checkpoint) -> _Position:
        options = _scales(checkpoint, unit=math.pi / 180)
        num_scales = options["num_scales"]
        column = torch.arange(2 * blocks * num_scales)
        source = column % (2 * blocks) // 2 * num_scales + column // (2 * blocks)
        return _Position(f"sphere2vec-{variant}", options, source)

    return position


def _mixed(checkpoint: Checkpoint) -> _Position:
    raise checkpoint.error(
        f"le_type {checkpoint.setting('le_type')!r} multiplies with sines of degrees used as radians, which no encoder "
        "here does; of this family 'spherec' and 'spherecplus' can be loaded"
    )


def _harmonics(checkpoint: Checkpoint) -> _Position:
    """The analytic form; the closed form has Condon and Shortley's sign, and no factor π for order 0."""
    num_degrees = checkpoint.count("legendre_polys")
    options = {"num_degrees": num_degrees, "normalization": "satclip"}
    form = checkpoint.setting("harmonics_calculation", "analytic")
    if form == "analytic":
        return _Position("spherical-harmonics", options)
    if form != "closed-form":
        raise checkpoint.error(f"harmonics_calculation is {form!r}; 'analytic' and 'closed-form' can be loaded")
    order = torch.cat([torch.arange(-degree, degree + 1) for degree in range(num_degrees)])
    sign = 1.0 - 2.0 * (order.abs() % 2).double()
    return _Position("spherical-harmonics", options, scale=torch.where(order == 0, 1 / math.pi, sign))


_POSITIONS: dict[str, Callable[[Checkpoint], _Position]] = {
    "sphericalharmonics": _harmonics,
    "direct": _direct,
    "cartesian3d": lambda checkpoint: _Position("xyz", {}),
    "wrap": lambda checkpoint: _Position("wrap", {"convention": "satclip"}),
    "grid": _grid,
    "theory": _theory,
    "spherec": _sphere("sphereC", 3),
    "spherecplus": _sphere("sphereC+", 6),
    "spherem": _mixed,
    "spheremplus": _mixed,
}

#: Configuration, weights by our names, prefix of the first layer, size of the embedding.
_Network = tuple[dict[str, Any], dict[str, Tensor], str, int]


def _take(checkpoint: Checkpoint, weights: dict[str, Tensor], key: str) -> Tensor:
    if key not in weights:
        raise checkpoint.error(f"its network {checkpoint.setting('pe_type')!r} has no tensor {key!r}")
    if key.endswith("weight") and weights[key].ndim != 2:
        raise checkpoint.error(f"its tensor {key!r} should be a matrix, is {tuple(weights[key].shape)}")
    return weights[key]


def _siren(checkpoint: Checkpoint, theirs: dict[str, Tensor]) -> _Network:
    last = _take(checkpoint, theirs, "last_layer.weight")
    weights = {key.replace("last_layer.", "last."): value for key, value in theirs.items()}
    num_hidden = sum(key.startswith("layers.") and key.endswith("weight") for key in weights)
    config = {"name": "siren", "hidden_dim": last.shape[1], "num_hidden_layers": num_hidden}
    return config, weights, "layers.0." if num_hidden else "last.", len(last)


def _fcnet(checkpoint: Checkpoint, theirs: dict[str, Tensor]) -> _Network:
    last = _take(checkpoint, theirs, "class_emb.weight")
    weights, depth = residual_weights(theirs)
    weights["output.weight"] = last
    config = {"name": "residual-mlp", "hidden_dim": last.shape[1], "depth": depth, "normalize": False}
    return config, weights, "input.", len(last)


def _mlp(checkpoint: Checkpoint, theirs: dict[str, Tensor]) -> _Network:
    layers = sorted(int(key.split(".")[1]) for key in theirs if key.startswith("features.") and key.endswith("weight"))
    if len(layers) < 2 or layers != list(range(0, 2 * len(layers), 2)):
        raise checkpoint.error("its network 'mlp' should have nnet.features.0.weight, nnet.features.2.weight and so on")
    weights = {key.replace("features.", "branches.0."): value for key, value in theirs.items()}
    last = _take(checkpoint, theirs, f"features.{layers[-1]}.weight")
    config = {
        "name": "geoclip",
        "num_branches": 1,
        "hidden_dim": last.shape[1],
        "num_hidden_layers": len(layers) - 1,
    }
    return config, weights, "branches.0.0.", len(last)


def _linear(checkpoint: Checkpoint, theirs: dict[str, Tensor]) -> _Network:
    return {"name": "linear"}, theirs, "", len(_take(checkpoint, theirs, "weight"))


_NETWORKS: dict[str, Callable[[Checkpoint, dict[str, Tensor]], _Network]] = {
    "siren": _siren,
    "fcnet": _fcnet,
    "mlp": _mlp,
    "linear": _linear,
}
