"""``locenc list``, ``info`` and ``versions``."""

import argparse
from typing import Any

from locenc.commands import encoders


def add(commands: Any) -> None:
    """Add the three commands."""
    commands.add_parser("list", help="ids of the encoders").set_defaults(run=show_list)
    info = commands.add_parser("info", help="what an encoder is: sizes, resolution, continuity, parameters")
    info.add_argument("encoder", metavar="ID|FOLDER", help="an id of `locenc list`, or a folder of a saved encoder")
    encoders.add_options(info)
    info.set_defaults(run=show_info)
    commands.add_parser("versions", help="what is installed, and what runs").set_defaults(run=show_versions)


def show_list(arguments: argparse.Namespace) -> None:
    """Print the ids, one a line."""
    import locenc

    print("\n".join(locenc.list_encoders()))


def show_info(arguments: argparse.Namespace) -> None:
    """Print what `locenc.describe` finds."""
    import locenc

    print(locenc.describe(encoders.build(arguments.encoder, arguments)))


def show_versions(arguments: argparse.Namespace) -> None:
    """Print `locenc.show_versions`."""
    import locenc

    locenc.show_versions()
