"""Checkpoints of TorchSpatial: every encoder kind that its get_spa_encoder can build."""

import math
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from locenc.compat._build import feed_forward, one_layer
from locenc.compat._checkpoint import Checkpoint, read_checkpoint
from locenc.compat._columns import axis_major, double_fourier, interleaved
from locenc.compat._kinds import (
    SHARED,
    Kind,
    geo_prior,
    load,
    m_plus_order,
    multiscale,
    nerf,
    plain,
    radii,
    theory_order,
)
from locenc.compat._loaded import Loaded
from locenc.location_encoder import LocationEncoder


def load_torchspatial(path: str | Path, *, anchors: Any = None, extent: Any = None) -> Loaded:
    """Load a checkpoint of TorchSpatial.

    The file's ``params`` decide how the encoder is built; its name does not. Feature columns are put into our order,
    and the weights with them.

    Parameters
    ----------
    path : str or Path
        The ``.pth.tar`` file; or a ``.safetensors`` file with the settings beside it, ``<same name>.params.json``.
    anchors : array, optional
        For kind ``rbf``, whose files lack them: ``(number of anchors, 2)`` longitude and latitude in degrees, the rows
        ``params["rbf_anchor_pt_ids"]`` of the training locations. Other kinds do not look at it.
    extent : sequence of float, optional
        For kinds ``rff`` and ``naive``: (west, east, south, north) in degrees, instead of ``params["map_range"]``.
        Files that an evaluation wrote again (``num_epochs`` 0) have a wrong one; for these the whole globe is taken.
        Other kinds do not look at it.

    Returns
    -------
    Loaded
        The encoder in evaluation mode; the head, embeddings ``(..., dim)`` to P(class | location) ``(..., classes)``,
        each class by itself; and the file's params.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If the file is damaged or unsafe, its settings and its weights disagree, it has no encoder here, or an rbf
        file comes without anchors.

    Notes
    -----
    TorchSpatial rounds coordinates to float32 first; give these to compare its outputs to the last digits. For
    ``theorydiag``, whose two linear layers become one, dropout between them is left out in training.

    References
    ----------
    Wu et al. 2024, "TorchSpatial", NeurIPS Datasets and Benchmarks.

    Examples
    --------
    >>> encoder, head, params = load_torchspatial("model_fmow_Sphere2Vec-sphereM.pth.tar")  # doctest: +SKIP
    >>> head(encoder(lonlat)).shape  # doctest: +SKIP
    torch.Size([1000, 62])
    """
    checkpoint = read_checkpoint(path, anchors=anchors, extent=extent)
    return load(checkpoint, TORCHSPATIAL, hint=_hint(checkpoint))


def _hint(checkpoint: Checkpoint) -> str:
    if checkpoint.params.get("spa_enc_type") == "theorynorm":
        return "TorchSpatial lists theorynorm, but has no such class."
    return f"There are: {', '.join(TORCHSPATIAL)}. Files of Sphere2Vec and CSP are for load_sphere2vec and load_csp."


def _post(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """Tensors ``post_*`` after the features, by the rest of their names, from either of their two places.

    Raises
    ------
    ValueError
        If one name has two values, or is none of "mat", "linear.weight" and "linear.bias": its layer would be left out.
    """
    found: dict[str, torch.Tensor] = {}
    for key, value in checkpoint.under("spa_enc.").items():
        name = key.removeprefix("position_encoder.").replace("spa_postmat", "post_mat")
        if not name.startswith("post_"):
            continue
        name = name.removeprefix("post_")
        if name not in ("mat", "linear.weight", "linear.bias"):
            raise checkpoint.error(f"it has a tensor spa_enc.{key}, which no encoder of this kind has")
        same = found.setdefault(name, value)
        if same.dtype != value.dtype or not torch.equal(same, value):
            raise checkpoint.error(f"it has two different tensors post_{name}, one of them spa_enc.{key}")
    if "linear.bias" in found and found["linear.bias"].ndim != 1:
        raise checkpoint.error(f"post_linear.bias should be a vector, is {tuple(found['linear.bias'].shape)}")
    return found


def _posts(found: Iterable[str]) -> str:
    return ", ".join(f"post_{name}" for name in found) or "none"


def _hexagridcell(checkpoint: Checkpoint) -> LocationEncoder:
    """Three sines, 120 degrees apart, of each coordinate: sums of a sine and a cosine, so weights for grid."""
    found = _post(checkpoint)
    if "linear.weight" not in found or "linear.bias" not in found or "mat" in found:
        raise checkpoint.error(f"hexagridcell has one layer, post_linear.weight and .bias; there are: {_posts(found)}")
    weight, bias = found["linear.weight"], found["linear.bias"]
    num_scales, coarsest = checkpoint.count("frequency_num"), checkpoint.number("max_radius")
    if weight.ndim != 2 or weight.shape[1] != 6 * num_scales:
        raise checkpoint.error(
            f"its params give {6 * num_scales} feature columns (frequency_num={num_scales}), but its layer takes "
            f"{tuple(weight.shape)[1:]}"
        )
    thirds = torch.arange(3, dtype=torch.float64) * (2 * math.pi / 3)
    theirs = weight.double().reshape(-1, 2, num_scales, 3)
    ours = torch.stack([theirs @ thirds.cos(), theirs @ thirds.sin()], 2)  # (d, axis, sine or cosine, scale)
    if coarsest == 1 or num_scales == 1:  # every scale is the same
        ours, options = ours.sum(-1, keepdim=True), {"num_scales": 1, "min_radius": 1.0, "max_radius": 2.0}
    elif coarsest > 1:
        options = {"num_scales": num_scales, "min_radius": 1.0, "max_radius": coarsest}
    else:
        ours, options = ours.flip(-1), {"num_scales": num_scales, "min_radius": coarsest, "max_radius": 1.0}
    return one_layer(checkpoint, "space2vec-grid", options, ours.flatten(1).to(weight.dtype), bias)


def _theorydiag(checkpoint: Checkpoint) -> LocationEncoder:
    """Theory, a block-diagonal matrix and, usually, one linear layer more, without an activation between them."""
    found = _post(checkpoint)
    if "mat" not in found or ("linear.weight" in found) != ("linear.bias" in found):
        raise checkpoint.error(
            f"a theorydiag has post_mat, and post_linear.weight and .bias or neither; there are: {_posts(found)}"
        )
    blocks = found["mat"].double()
    num_scales = checkpoint.count("frequency_num")
    if blocks.ndim != 3 or blocks.shape[:2] != (num_scales, 6):
        raise checkpoint.error(
            f"post_mat should be ({num_scales}, 6, ...) for frequency_num={num_scales}, is {tuple(blocks.shape)}"
        )
    same = torch.eye(num_scales, dtype=torch.float64)
    weight = torch.einsum("skj,st->tjks", blocks, same).flatten(0, 1).flatten(1)  # our columns: block, then scale
    bias = torch.zeros(len(weight))
    if "linear.weight" in found:
        bias = found["linear.bias"]
        if found["linear.weight"].shape != (len(bias), len(weight)):
            raise checkpoint.error(
                f"post_linear.weight should be ({len(bias)}, {len(weight)}), is {tuple(found['linear.weight'].shape)}"
            )
        weight = found["linear.weight"].double() @ weight
    weight = weight.to(bias.dtype)
    return one_layer(checkpoint, "space2vec-theory", {"num_scales": num_scales, **radii(checkpoint)}, weight, bias)


def _tile(checkpoint: Checkpoint) -> LocationEncoder:
    """One vector for the whole globe: TorchSpatial's cells are a million degrees wide, whatever was asked for."""
    table = checkpoint.matrix("spa_enc.position_encoder.embedding.weight", "spa_enc.embedding.weight")
    if len(table) != 1:
        raise checkpoint.error(
            f"its table has {len(table)} cells, but the file does not say how large they are; TorchSpatial's own files "
            "have one cell"
        )
    options = {"cell_degrees": 1e6, "num_features": table.shape[1]}
    return feed_forward(checkpoint, "tile", options, buffers={"table": table})


def _spherical_harmonics(checkpoint: Checkpoint) -> LocationEncoder:
    """SatCLIP's harmonics; the degree is that of the columns (it is 8: TorchSpatial never passes another)."""
    columns = checkpoint.matrix("spa_enc.ffn.layers.0.linear.weight").shape[1]
    options = {"num_degrees": math.isqrt(columns), "normalization": "satclip"}
    return feed_forward(checkpoint, "spherical-harmonics", options)


TORCHSPATIAL: dict[str, Kind] = {
    "Space2Vec-grid": multiscale("space2vec-grid", axis_major),
    "Space2Vec-theory": multiscale("space2vec-theory", theory_order),
    "Sphere2Vec-sphereC": multiscale("sphere2vec-sphereC", partial(interleaved, 3)),
    "Sphere2Vec-sphereC+": multiscale("sphere2vec-sphereC+", partial(interleaved, 6)),
    "Sphere2Vec-sphereM": multiscale("sphere2vec-sphereM", partial(interleaved, 5)),
    "Sphere2Vec-sphereM+": multiscale("sphere2vec-sphereM+", m_plus_order, frequency_list="power"),
    "Sphere2Vec-dfs": multiscale("sphere2vec-dfs", double_fourier, frequency_list="power"),
    "NeRF": nerf,
    "wrap_ffn": plain("wrap"),
    "wrap": geo_prior,
    "geo_net": geo_prior,
    "aodha": geo_prior,
    "geo_net_fft": plain("wrap"),
    "hexagridcell": _hexagridcell,
    "theorydiag": _theorydiag,
    "tile_ffn": _tile,
    "spherical_harmonics": _spherical_harmonics,
    **SHARED,
}
