"""Encoders with the weights of a checkpoint: position encoder and network by name, then the tensors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from locenc.compat._checkpoint import Checkpoint
from locenc.compat._columns import reorder
from locenc.compat._files import check_floating
from locenc.location_encoder import LocationEncoder
from locenc.registry import create


def build(
    path: Path,
    name: str,
    options: Mapping[str, Any],
    network: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    *,
    dim: int,
    buffers: Mapping[str, Tensor] | None = None,
) -> LocationEncoder:
    """Create a location encoder and give it weights.

    Parameters
    ----------
    path : Path
        For messages.
    name, options
        The position encoder, as `locenc.create` takes it.
    network, dim
        Likewise.
    weights, buffers
        Tensors of the network and of the position encoder, by their names there.

    Raises
    ------
    ValueError
        If a tensor is missing, left over, or of another shape.
    """
    check_floating(path, {**weights, **(buffers or {})})
    try:
        with torch.random.fork_rng(devices=[]):  # what is drawn here is replaced: the caller's numbers stay
            encoder = create(name, dim=dim, network=network, **options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    tensors = {f"network.{key}": value for key, value in weights.items()}
    tensors |= {f"position.{key}": value for key, value in (buffers or {}).items()}
    expected = {key: tuple(value.shape) for key, value in encoder.state_dict().items()}
    if not buffers:
        tensors |= {key: value for key, value in encoder.state_dict().items() if key.startswith("position.")}
    found = {key: tuple(value.shape) for key, value in tensors.items()}
    for key in sorted({*expected, *found}):
        if expected.get(key) != found.get(key):
            raise ValueError(
                f"{path}: its settings do not fit its weights: as {name} with {dict(options)}, {key} would be "
                f"{expected.get(key, 'absent')}, but it is {found.get(key, 'absent')}"
            )
    encoder.load_state_dict({key: _own(value) for key, value in tensors.items()}, assign=True)
    return encoder.requires_grad_(True).eval()


def feed_forward(
    checkpoint: Checkpoint,
    name: str,
    options: Mapping[str, Any] | None = None,
    *,
    order: Tensor | None = None,
    buffers: Mapping[str, Tensor] | None = None,
) -> LocationEncoder:
    """Build a position encoder with the checkpoint's feed-forward network, ``spa_enc.ffn``.

    Parameters
    ----------
    checkpoint : Checkpoint
        Its params decide; its shapes are compared with them.
    name, options
        The position encoder.
    order : Tensor, optional
        Which of their feature columns each of ours is.
    buffers : mapping, optional
        Tensors of the position encoder.
    """
    theirs = checkpoint.under("spa_enc.ffn.")
    weights = {key.replace(".layernorm.", ".norm."): value for key, value in theirs.items()}
    layers = [weights[key] for key in weights if key.endswith(".linear.weight")]
    if "layers.0.linear.weight" not in weights or any(layer.ndim != 2 for layer in layers):
        raise checkpoint.error("it has no feed-forward network, spa_enc.ffn.layers.0.linear.weight")
    num_hidden = len(layers) - 1
    first, last = weights["layers.0.linear.weight"], checkpoint.tensor(f"spa_enc.ffn.layers.{num_hidden}.linear.weight")
    layer_norm = "layers.0.norm.weight" in weights
    _compare(checkpoint, "num_hidden_layer", num_hidden, lambda value: max(int(value), 0))
    _compare(checkpoint, "num_filts", len(last), int)
    if num_hidden:
        _compare(checkpoint, "hidden_dim", len(first), int)
        _compare(checkpoint, "use_layn", layer_norm, lambda _: checkpoint.flag("use_layn", layer_norm))
    skip = checkpoint.flag("skip_connection", True)
    if order is not None:
        if len(order) != first.shape[1]:
            raise checkpoint.error(
                f"its params give {len(order)} feature columns ({checkpoint.setting('spa_enc_type')}, "
                f"{dict(options or {})}), but its first layer takes {first.shape[1]}"
            )
        try:
            weights = reorder(weights, order, skip=skip)
        except IndexError as error:
            raise checkpoint.error("the layers of its feed-forward network do not fit one another") from error
    network = {
        "name": "ffn",
        "hidden_dim": len(first),
        "num_hidden_layers": num_hidden,
        "activation": _activation(checkpoint),
        "dropout": checkpoint.number("dropout", 0.5),
        "layer_norm": layer_norm,
        "skip": skip,
    }
    return build(checkpoint.path, name, options or {}, network, weights, dim=len(last), buffers=buffers)


def one_layer(
    checkpoint: Checkpoint, name: str, options: Mapping[str, Any], weight: Tensor, bias: Tensor
) -> LocationEncoder:
    """Build a position encoder with one linear layer, activation and dropout, and no feed-forward network."""
    network = {
        "name": "ffn",
        "num_hidden_layers": 0,
        "activation": _activation(checkpoint),
        "dropout": checkpoint.number("dropout", 0.5),
    }
    weights = {"layers.0.linear.weight": weight, "layers.0.linear.bias": bias}
    return build(checkpoint.path, name, options, network, weights, dim=len(weight))


def residual_weights(theirs: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], int]:
    """Tensors of a residual network ``feats.*`` under our names, and its number of blocks."""
    weights = {}
    for key, value in theirs.items():
        part, _, rest = key.removeprefix("feats.").partition(".")
        if not key.startswith("feats.") or not part.isdigit():
            continue
        if part == "0":
            weights[f"input.{rest}"] = value
        else:
            rest = rest.replace("w1.", "first.").replace("w2.", "second.")
            weights[f"blocks.{int(part) - 2}.{rest}"] = value
    return weights, sum(key.endswith("first.weight") for key in weights)


def residual(checkpoint: Checkpoint, name: str, options: Mapping[str, Any]) -> LocationEncoder:
    """Build a position encoder with the residual network of Mac Aodha et al., ``feats``."""
    width = len(checkpoint.matrix("feats.0.weight"))
    weights, depth = residual_weights(checkpoint.state)
    return build(checkpoint.path, name, options, {"name": "residual", "depth": depth}, weights, dim=width)


def class_head(checkpoint: Checkpoint) -> nn.Module:
    """Sigmoid of a linear layer ``class_emb``, (classes, dim): (..., dim) to P(class), (..., classes)."""
    weight, bias = checkpoint.matrix("class_emb.weight"), checkpoint.state.get("class_emb.bias")
    check_floating(checkpoint.path, {"class_emb.weight": weight})
    if bias is not None and (bias.shape != weight.shape[:1] or bias.dtype != weight.dtype):
        raise checkpoint.error(f"class_emb.bias does not fit class_emb.weight, {tuple(weight.shape)}")
    with torch.device("meta"):
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    state = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    linear.load_state_dict({key: _own(value) for key, value in state.items()}, assign=True)
    return nn.Sequential(linear, nn.Sigmoid()).requires_grad_(True).eval()


def _activation(checkpoint: Checkpoint) -> Any:
    name = checkpoint.setting("spa_f_act")
    return name.lower() if isinstance(name, str) else name


def _own(tensor: Tensor) -> Tensor:
    """A copy in plain memory order, which a saved and loaded encoder has too: the same sums, bit by bit."""
    return tensor.detach().clone(memory_format=torch.contiguous_format)


def _compare(checkpoint: Checkpoint, name: str, found: Any, read: Any) -> None:
    value = checkpoint.params.get(name)
    if value is None:
        return
    try:
        same = read(value) == found
    except (TypeError, ValueError):
        same = False
    if not same:
        raise checkpoint.error(
            f"its params say {name}={value!r}, but its weights have {found}: settings and weights are of two models"
        )
