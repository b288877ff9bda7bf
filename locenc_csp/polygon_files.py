"""Polygons from a file or a table of geopandas, checked."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locenc._extras import require
from locenc._names import and_more

READERS = {
    ".gpkg": "read_file",
    ".geojson": "read_file",
    ".json": "read_file",
    ".parquet": "read_parquet",
    ".geoparquet": "read_parquet",
}
POLYGONS = ("Polygon", "MultiPolygon")


def read_polygons(region: Any) -> Any:
    """Return polygons as a GeoSeries, from a file, a GeoDataFrame or a GeoSeries.

    Raises
    ------
    ImportError
        If geopandas is not installed.
    FileNotFoundError
        If there is no such file.
    TypeError
        If it is none of these.
    ValueError
        If the file is of another kind or damaged, there is no polygon, or a geometry is missing, empty or no polygon;
        the first is named.
    """
    geopandas = require("geopandas", extra="geo")
    name = "the region"
    if isinstance(region, (str, Path)):
        name = str(region)
        region = _read(geopandas, Path(region))
    if not isinstance(region, (geopandas.GeoDataFrame, geopandas.GeoSeries)):
        raise TypeError(f"polygons must be a file, a GeoDataFrame or a GeoSeries, got {type(region).__name__}")
    series = region.geometry
    if len(series) == 0:
        raise ValueError(f"{name} holds no polygon: no location can be drawn")
    kinds = series.geom_type.to_numpy()
    for bad, what in (
        (series.isna().to_numpy(), "missing"),
        (series.is_empty.to_numpy(), "empty"),
        (~np.isin(kinds, POLYGONS), "no polygon"),
    ):
        _refuse(bad, what, kinds, name)
    return series


def _read(geopandas: Any, path: Path) -> Any:
    if path.suffix.lower() not in READERS:
        raise ValueError(f"polygons must be in a file that ends in {', '.join(READERS)}, got {str(path)!r}")
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: expected polygons (GeoPackage, GeoJSON or GeoParquet)")
    try:
        return getattr(geopandas, READERS[path.suffix.lower()])(path)
    except ImportError:
        raise
    except Exception as error:  # GDAL and Arrow have errors of their own
        raise ValueError(f"{path} holds no polygons that can be read, or is damaged: {error}") from error


def _refuse(bad: NDArray[np.bool_], what: str, kinds: NDArray[Any], name: str) -> None:
    if bad.any():
        row = int(bad.argmax())
        found = f" ({kinds[row]})" if what == "no polygon" else ""
        raise ValueError(
            f"every geometry of {name} must be a polygon, but that of row {row} is {what}{found}"
            f"{and_more(int(bad.sum()))}: drop such rows first"
        )
