"""``locenc map``: a picture of the world, or an HTML file."""

import argparse
from pathlib import Path
from typing import Any

from locenc.commands import encoders

KINDS = ("plot", "scales", "similarity")
PICTURES = (".png", ".pdf", ".svg", ".jpg", ".jpeg", ".webp")
HTML = (".html", ".htm")


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("map", help="draw what an encoder does")
    parser.add_argument("target", metavar="OUT.png|OUT.html")
    encoders.add_encoder(parser)
    parser.add_argument("--kind", choices=KINDS, default="plot", help="of a picture (plot)")
    parser.add_argument("--place", type=float, nargs=2, metavar=("LON", "LAT"), help="for similarity, in degrees")
    parser.add_argument("--resolution", type=float, help="degrees, for plot and HTML (1)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Draw with `locenc.maps`, and write the file."""
    import locenc
    from locenc._files import atomic_write

    suffix = Path(arguments.target).suffix.lower()
    if suffix not in (*PICTURES, *HTML):
        raise ValueError(f"{arguments.target} must end in {', '.join((*PICTURES, *HTML))}")
    html = suffix in HTML
    if html and arguments.kind != "plot":
        raise ValueError("an HTML map shows components, clusters and similarity at once: leave --kind out")
    if (arguments.kind == "similarity") != (arguments.place is not None):
        raise ValueError("--kind similarity and --place LON LAT go together")
    if arguments.kind != "plot" and arguments.resolution is not None:
        raise ValueError(f"--kind {arguments.kind} is computed at each pixel: leave --resolution out")
    resolution = 1.0 if arguments.resolution is None else arguments.resolution
    encoder = encoders.build(arguments.encoder, arguments)
    if html:
        locenc.maps.html(encoder, arguments.target, resolution=resolution, title=arguments.encoder)
    else:
        if arguments.kind == "scales":
            figure = locenc.maps.scales(encoder)
        elif arguments.kind == "similarity":
            figure = locenc.maps.similarity(encoder, arguments.place)
        else:
            figure = locenc.maps.plot(encoder, titles=[arguments.encoder], resolution=resolution)
        atomic_write(arguments.target, lambda path: figure.savefig(path, dpi=150, format=suffix[1:]))
    print(f"map: {arguments.target}")
