"""The encoder that a command works with: an id with options, or a folder of a saved one."""

import argparse
import sys
from pathlib import Path
from typing import Any

from locenc.commands.values import count, setting

OWN = ("set", "dim", "network", "network_set", "features", "seed")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options that say how an encoder named by its id is built."""
    parser.add_argument("--set", nargs="+", type=setting, metavar="NAME=VALUE", help="options, such as num_scales=32")
    parser.add_argument("--dim", type=count, help="columns of the embedding (256)")
    parser.add_argument("--network", help="network behind the features, such as ffn or siren (the encoder's usual)")
    parser.add_argument("--network-set", nargs="+", type=setting, metavar="NAME=VALUE", help="hidden_dim=256 ...")
    parser.add_argument("--features", "--no-network", action="store_true", default=None, help="features, no network")
    parser.add_argument("--seed", type=int, help="of untrained weights (0)")


def add_encoder(parser: argparse.ArgumentParser) -> None:
    """``--encoder`` and what belongs to it."""
    parser.add_argument("--encoder", required=True, metavar="ID|FOLDER", help="an id of `locenc list`, or a folder")
    add_options(parser)


def build(named: str, arguments: argparse.Namespace) -> Any:
    """The encoder, in evaluation mode; says on stderr where its weights are untrained."""
    import torch

    import locenc
    from locenc._names import unknown

    folder = _folder(named)
    if folder is not None:
        given = [f"--{name.replace('_', '-')}" for name in OWN if getattr(arguments, name) is not None]
        if given:
            raise ValueError(f"{named} is a saved encoder and has its own options: leave {', '.join(given)} out")
        return locenc.from_pretrained(folder)
    if named not in locenc.list_encoders():
        hint = f"`locenc list` lists them, and there is no folder {named!r}."
        raise ValueError(unknown("encoder", named, locenc.list_encoders(), hint=hint))
    options = dict(arguments.set or [])
    torch.manual_seed(arguments.seed or 0)
    if arguments.features:
        if arguments.dim or arguments.network or arguments.network_set:
            raise ValueError("--features has no network: leave --dim, --network and --network-set out")
        encoder: Any = locenc.position_encoder(named, **options)
    else:
        from locenc.registry import default_network

        network = {"name": arguments.network or default_network(named), **dict(arguments.network_set or [])}
        encoder = locenc.create(named, dim=arguments.dim or 256, network=network, **options)
    if next(encoder.parameters(), None) is not None:
        print(f"the weights are untrained, drawn with seed {arguments.seed or 0}", file=sys.stderr)
    return encoder.eval()


def _folder(named: str) -> str | Path | None:
    """The folder of a saved encoder, also inside a run of fine-tuning; None for an id."""
    import locenc

    if named.startswith("hf://"):
        return named
    if named in locenc.list_encoders() or not ("/" in named or Path(named).exists()):
        return None
    inner = Path(named) / "encoder"
    return inner if (inner / "model.safetensors").is_file() else Path(named)
