"""The kinds of encoder that TorchSpatial, Sphere2Vec and CSP share, and how a checkpoint becomes one.

A kind takes a checkpoint and returns the encoder. The projects name them differently: see their modules.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from locenc._names import unknown
from locenc.compat._build import class_head, feed_forward, residual
from locenc.compat._checkpoint import Checkpoint
from locenc.compat._columns import axis_major, double_fourier, interleaved
from locenc.compat._loaded import Loaded
from locenc.coords import as_lonlat
from locenc.location_encoder import LocationEncoder
from locenc.random_fourier import WORLD

Kind = Callable[[Checkpoint], LocationEncoder]

theory_order = partial(interleaved, 6)
m_plus_order = partial(interleaved, 8)


def load(checkpoint: Checkpoint, kinds: Mapping[str, Kind], *, hint: str = "") -> Loaded:
    """Build the encoder that ``params["spa_enc_type"]`` names, and its class head where it was trained.

    A model that was pre-trained with images holds the location model under ``loc_enc.``, and once more without it.
    """
    model = checkpoint.under("loc_enc.")
    checkpoint = replace(checkpoint, state=model) if model else checkpoint
    name = str(checkpoint.params.get("spa_enc_type"))
    if name == "None" and "feats.0.weight" in checkpoint.state:
        name = "geo_net"
    if name not in kinds:
        raise checkpoint.error(unknown("spa_enc_type", name, kinds, hint=hint))
    encoder = kinds[name](checkpoint)
    trained = "class_emb.weight" in checkpoint.state and _head_was_trained(checkpoint)
    return Loaded(encoder, class_head(checkpoint) if trained else None, checkpoint.params)


def _head_was_trained(checkpoint: Checkpoint) -> bool:
    """Whether Adam holds moments of the class embeddings' shape; where it holds none at all, nothing is known."""
    state = checkpoint.optimizer.get("state")
    entries = [entry for entry in state.values() if isinstance(entry, Mapping)] if isinstance(state, Mapping) else []
    moments = [entry["exp_avg"].shape for entry in entries if isinstance(entry.get("exp_avg"), torch.Tensor)]
    weight = checkpoint.state.get("class_emb.weight")
    return not moments or weight is None or weight.shape in moments


def multiscale(name: str, order: Callable[[int], torch.Tensor], **fixed: Any) -> Kind:
    """Encoders of S scales between two radii, their columns in an order of their own."""

    def kind(checkpoint: Checkpoint) -> LocationEncoder:
        num_scales = checkpoint.count("frequency_num")
        options = {"num_scales": num_scales, **radii(checkpoint), **fixed}
        return feed_forward(checkpoint, name, options, order=order(num_scales))

    return kind


def radii(checkpoint: Checkpoint) -> dict[str, float]:
    """Options min_radius and max_radius.

    Raises
    ------
    ValueError
        If the frequencies were drawn: they are not in the file.
    """
    if checkpoint.setting("freq_init", "geometric") != "geometric":
        raise checkpoint.error(
            f"its frequencies were made with freq_init={checkpoint.setting('freq_init')!r} and are not in the file; "
            "only 'geometric' ones can be made again"
        )
    return {name: checkpoint.number(name) for name in ("min_radius", "max_radius")}


def plain(name: str) -> Kind:
    """Encoders without a setting."""
    return lambda checkpoint: feed_forward(checkpoint, name)


def nerf(checkpoint: Checkpoint) -> LocationEncoder:
    """NeRF; the number of scales is that of its columns, whatever frequency_num says (TorchSpatial never passes it)."""
    columns = checkpoint.matrix("spa_enc.ffn.layers.0.linear.weight").shape[1]
    return feed_forward(checkpoint, "nerf", {"num_scales": columns // 6})


def naive(checkpoint: Checkpoint) -> LocationEncoder:
    """Coordinates scaled to [-1, 1]."""
    return feed_forward(checkpoint, "direct", {"extent": extent(checkpoint)})


def rff(checkpoint: Checkpoint) -> LocationEncoder:
    """Random Fourier features, their drawn directions in the file."""
    directions = checkpoint.matrix("spa_enc.position_encoder.dirvec", "spa_enc.dirvec").double()
    shift = checkpoint.tensor("spa_enc.position_encoder.shift", "spa_enc.shift").double()
    options = {
        "num_features": directions.shape[-1],
        # The directions are in the file, whatever they were drawn with.
        "kernel_size": checkpoint.number("rbf_kernel_size", 1.0) or 1.0,
        "extent": extent(checkpoint),
    }
    return feed_forward(checkpoint, "rff", options, buffers={"directions": directions, "shift": shift})


def rbf(checkpoint: Checkpoint) -> LocationEncoder:
    """Gaussians around anchors, which the caller gives: the file names rows of a data set alone."""
    count = checkpoint.matrix("spa_enc.ffn.layers.0.linear.weight").shape[1]
    if checkpoint.anchors is None:
        raise checkpoint.error(
            f"an rbf encoder needs its {count} anchors, and the file has only their rows in the training set "
            "(params['rbf_anchor_pt_ids']). Take these rows of the training locations and pass them: "
            f"anchors=, ({count}, 2) longitude and latitude in degrees"
        )
    anchors = as_lonlat(checkpoint.anchors)
    if anchors.shape != (count, 2):
        raise checkpoint.error(f"anchors must be ({count}, 2), one for each column, got {tuple(anchors.shape)}")
    options = {
        "anchors": anchors.tolist(),
        "kernel_size": checkpoint.number("rbf_kernel_size"),
        "distance": "planar",
    }
    return feed_forward(checkpoint, "rbf", options)


def extent(checkpoint: Checkpoint) -> list[float]:
    """(west, east, south, north): the caller's, or the file's.

    A file with ``num_epochs`` 0 was written again by an evaluation, with that run's extent: then the whole globe.
    """
    if checkpoint.extent is not None:
        return [float(value) for value in checkpoint.extent]
    if checkpoint.params.get("num_epochs") == 0:
        return list(WORLD)
    value = checkpoint.setting("map_range", WORLD)
    try:
        numbers = [] if isinstance(value, str) else [float(number) for number in value]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != 4:
        raise checkpoint.error(f"its settings say map_range={value!r}, which is not (west, east, south, north)")
    return numbers


def geo_prior(checkpoint: Checkpoint) -> LocationEncoder:
    """The model of Mac Aodha et al. 2019: wrapped coordinates, a date where it has one, a residual network."""
    encode = checkpoint.setting("loc_encode", "encode_cos_sin")
    date = checkpoint.flag("use_date_feats", False)
    if encode == "encode_none" and not date:
        return residual(checkpoint, "direct", {})
    if encode != "encode_cos_sin" or (date and checkpoint.setting("date_encode", "encode_cos_sin") != encode):
        raise checkpoint.error(
            f"its inputs are loc_encode={encode!r}, use_date_feats={date}, "
            f"date_encode={checkpoint.params.get('date_encode')!r}; only 'encode_cos_sin' of place and date, and "
            "'encode_none' of the place alone, have an encoder here"
        )
    return residual(checkpoint, "wrap", {"date": date})


SHARED: dict[str, Kind] = {
    "gridcellnorm": multiscale("space2vec-grid", axis_major),
    "xyz": plain("xyz"),
    "naive": naive,
    "rbf": rbf,
    "rff": rff,
}

#: As the Sphere2Vec and CSP repositories name them: their M+ and dfs have the paper's geometric list.
SIBLINGS: dict[str, Kind] = {
    "gridcell": multiscale("space2vec-grid", axis_major),
    "theory": multiscale("space2vec-theory", theory_order),
    "sphere": multiscale("sphere2vec-sphereC", partial(interleaved, 3)),
    "spheregrid": multiscale("sphere2vec-sphereC+", partial(interleaved, 6)),
    "spheremixscale": multiscale("sphere2vec-sphereM", partial(interleaved, 5)),
    "spheregridmixscale": multiscale("sphere2vec-sphereM+", m_plus_order),
    "dft": multiscale("sphere2vec-dfs", double_fourier),
    "nerf": nerf,
    "geo_net_fft": plain("wrap"),
    "geo_net": geo_prior,
    **SHARED,
}
