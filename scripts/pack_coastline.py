"""Pack the coastline that maps draw into locenc/data/coastline.npz.

Source: Natural Earth 1:110m countries (public domain), the file naturalearth_lowres among the test fixtures of the
pyogrio wheel. The countries are joined; the outlines of what remains, lakes such as the Caspian included, are the
coast. Fetch the wheel and run:

    pip install shapely pyogrio==0.13.0
    pip download --no-deps pyogrio==0.13.0
    python scripts/pack_coastline.py pyogrio-0.13.0-*.whl
"""

import argparse
import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pyogrio
import shapely

SHAPEFILE = "pyogrio/tests/fixtures/naturalearth_lowres/naturalearth_lowres.shp"
SHAPEFILE_SHA256 = "08e341606e8391e458c3f08deb312de664b56bfae376064c5aa0aee6681a5f55"
OUTPUT = Path(__file__).resolve().parent.parent / "locenc" / "data" / "coastline.npz"

SNAP = 1e-6  # degrees (0.1 m): borders of neighbours agree to this, so no slivers are left between them


def read_countries(wheel: Path) -> np.ndarray:
    """Country polygons, longitude and latitude in degrees."""
    with zipfile.ZipFile(wheel) as archive:
        found = hashlib.sha256(archive.read(SHAPEFILE)).hexdigest()
    if found != SHAPEFILE_SHA256:
        raise SystemExit(f"{wheel} holds another shapefile: sha256 {found}, expected {SHAPEFILE_SHA256}")
    _, _, geometry, _ = pyogrio.raw.read(f"/vsizip/{{{wheel.resolve()}}}/{SHAPEFILE}")
    return shapely.make_valid(shapely.from_wkb(geometry))


def coast_rings(countries: np.ndarray) -> list[np.ndarray]:
    """Closed outlines of the joined countries, each (n, 2), largest first."""
    land = shapely.get_parts(shapely.union_all(countries, grid_size=SNAP))
    outer = [polygon.exterior for polygon in land]
    lakes = [ring for polygon in land for ring in polygon.interiors]
    rings = sorted(outer + lakes, key=lambda ring: -shapely.Polygon(ring).area)
    print(f"{len(outer)} outlines, {len(lakes)} lakes")
    return [shapely.get_coordinates(ring) for ring in rings]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    rings = coast_rings(read_countries(options.wheel))
    lengths = np.array([len(ring) for ring in rings], dtype=np.int64)
    np.savez_compressed(options.output, points=np.concatenate(rings), lengths=lengths)
    data = options.output.read_bytes()
    print(f"{options.output}: {len(data):,} bytes, {lengths.sum()} points")
    print(f"sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
