"""``locenc embed``: a Parquet file with a column of embeddings."""

import argparse
from typing import Any

from locenc.commands import encoders
from locenc.commands.values import count


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("embed", help="append a column of embeddings to a (Geo)Parquet file")
    parser.add_argument("source", metavar="IN", help="Parquet or GeoParquet")
    parser.add_argument("target", metavar="OUT", help="Parquet; an interrupted run goes on")
    encoders.add_encoder(parser)
    parser.add_argument("--lon", help="column of longitudes in degrees")
    parser.add_argument("--lat", help="column of latitudes in degrees")
    parser.add_argument("--column", default="embedding", help="name of the new column (embedding)")
    parser.add_argument("--dtype", default="float32", choices=("float32", "float16", "int8"))
    parser.add_argument("--batch", type=count, help="most rows at a time, such as 1M")
    parser.add_argument("--device", help="auto, cpu or cuda")
    parser.add_argument("--missing", default="raise", choices=("raise", "nan"), help="nan keeps rows without a place")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT")
    parser.add_argument("--restart", action="store_true", help="begin an interrupted run anew")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Call `locenc.embed_parquet` and print its report."""
    import locenc

    names = ("lon", "lat", "column", "dtype", "device", "missing", "overwrite", "restart")
    options = {name: getattr(arguments, name) for name in names}
    encoder = encoders.build(arguments.encoder, arguments)
    print(locenc.embed_parquet(arguments.source, arguments.target, encoder, batch_size=arguments.batch, **options))
