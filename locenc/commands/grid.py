"""``locenc grid``: embeddings of the cells of a grid, as netCDF or GeoTIFF."""

import argparse
from pathlib import Path
from typing import Any

from locenc.commands import encoders

WORLD = (-180.0, -90.0, 180.0, 90.0)


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("grid", help="embed the cells of a grid")
    parser.add_argument("target", metavar="OUT.nc|OUT.tif")
    encoders.add_encoder(parser)
    parser.add_argument("--resolution", type=float, default=1.0, help="side of a cell in degrees (1)")
    edges = ("WEST", "SOUTH", "EAST", "NORTH")
    parser.add_argument("--bounds", type=float, nargs=4, default=WORLD, metavar=edges, help="in degrees (the world)")
    parser.add_argument("--land", action="store_true", help="leave the sea out")
    parser.add_argument("--device", help="auto, cpu or cuda")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Write the result of `locenc.embed_grid`."""
    import locenc
    from locenc._extras import require
    from locenc._files import atomic_write

    kind = Path(arguments.target).suffix.lower()
    if kind not in (".nc", ".tif", ".tiff"):
        raise ValueError(f"expected a file that ends in .nc or .tif, got {arguments.target!r}")
    if kind != ".nc":
        require("rioxarray", extra="raster")
    grid = locenc.embed_grid(
        encoders.build(arguments.encoder, arguments),
        bounds=arguments.bounds,
        resolution=arguments.resolution,
        mask="land" if arguments.land else None,
        device=arguments.device,
    )

    def write(path: Path) -> None:
        if kind == ".nc":
            grid.to_dataset(promote_attrs=True).to_netcdf(path, engine="h5netcdf")
        else:
            grid.transpose("feature", "lat", "lon").rio.to_raster(path, driver="GTiff")

    atomic_write(arguments.target, write)
    print(f"grid: {arguments.target}")
