"""Embeddings of a grid's cells, as an array of xarray that netCDF and GeoTIFF take as it is."""

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

import locenc
from locenc._extras import require
from locenc.data import land_mask, sample_raster
from locenc.embedding import embed, embedding_dim
from locenc.grid_axes import centres
from locenc.kernels import chunks, memory
from locenc.location_encoder import LocationEncoder
from locenc.position import PositionEncoder

if TYPE_CHECKING:
    from xarray import DataArray

Mask = Literal["land"] | Callable[[NDArray[np.float64]], ArrayLike]

CRS = "spatial_ref"
#: Cells that move at a time when those embedded go to their places among those left out.
MOVED = 4096


def embed_grid(
    encoder: LocationEncoder | PositionEncoder,
    *,
    bounds: Sequence[float] = (-180, -90, 180, 90),
    resolution: float | tuple[float, float] = 1.0,
    mask: Mask | None = None,
    device: str | torch.device | None = None,
    batch_size: int | None = None,
    progress: bool | None = None,
) -> "DataArray":
    """Embed the centres of a grid's cells.

    Parameters
    ----------
    encoder : LocationEncoder or PositionEncoder
        As in `locenc.embed`.
    bounds : (west, south, east, north)
        Outer edges of the grid, in degrees: longitudes from -180 to 360, latitudes from -90 to 90. With west > east
        the grid crosses the antimeridian.
    resolution : float or (float, float)
        Sides of a cell in degrees, along longitude and latitude. It must divide the bounds.
    mask : "land" or callable, optional
        Which cells to embed; the others are NaN. ``"land"``: those whose centre is on land in `locenc.data.land_mask`
        (lakes are water). A callable maps (N, 2) longitudes, from -180 to 180, and latitudes to (N,) bool.
    device, batch_size, progress
        As in `locenc.embed`.

    Returns
    -------
    xarray.DataArray
        float32, (lat, lon, feature), named ``embedding``. Latitudes fall, as the rows of a raster do. Longitudes rise,
        beyond the antimeridian too (179.5, 180.5, ...); the encoder gets them less 360 there. Attributes follow the CF
        conventions and hold the encoder's configuration as JSON; the coordinate ``spatial_ref`` is the CRS, EPSG:4326.
        A place has the same bytes in every grid with a cell centred there, and in `locenc.embed`.

    Raises
    ------
    ImportError
        If xarray or pyproj is missing; for ``mask="land"``, pillow.
    TypeError, ValueError
        For an encoder or device that `locenc.embed` refuses, bounds that are no box on the globe, a resolution that
        does not divide them (the message has the nearest that does), and a mask that gives no booleans.
    MemoryError
        If the result does not fit.

    Notes
    -----
    Takes the memory of the result and some 30 bytes for each cell. ``grid.to_netcdf(path)`` writes netCDF;
    ``grid.to_dataset(promote_attrs=True).to_netcdf(path)`` has ``Conventions``, ``title`` and ``history`` as attributes
    of the file too. With the extra ``raster``, and after ``import rioxarray``,
    ``grid.transpose("feature", "lat", "lon").rio.to_raster(path)`` writes a GeoTIFF with a band for each feature.

    References
    ----------
    NetCDF Climate and Forecast (CF) Metadata Conventions 1.11, sections 2.6, 4 and 5.6.

    Examples
    --------
    >>> import locenc
    >>> grid = embed_grid(locenc.create("xyz", dim=8), bounds=(170, -20, -170, 0), resolution=5)
    >>> grid.sizes["feature"], grid.lon.values.tolist(), grid.lat.values.tolist()
    (8, [172.5, 177.5, 182.5, 187.5], [-2.5, -7.5, -12.5, -17.5])
    """
    xarray = require("xarray", extra="geo")
    crs = require("pyproj", extra="geo").CRS.from_epsg(4326).to_cf()
    dim = embedding_dim(encoder)
    lon, lat = centres(bounds, resolution)
    try:
        values = memory.empty((len(lat) * len(lon), dim), torch.float32).numpy()
        cells = np.empty((len(lat), len(lon), 2))
    except MemoryError as error:
        raise MemoryError(
            f"a grid of {len(lat):,} x {len(lon):,} cells with {dim} features each takes "
            f"{len(lat) * len(lon) * (4 * dim + 16) / 2**30:,.0f} GiB; take a coarser resolution or smaller bounds"
        ) from error
    cells[..., 0] = [float(180 - (180 - degrees) % 360) for degrees in lon]
    cells[..., 1] = np.array(lat, float)[:, None]
    lonlat = cells.reshape(-1, 2)
    kept = None if mask is None else _kept(mask, lonlat)
    some = lonlat if kept is None else lonlat[kept]
    embed(some, encoder, out=values[: len(some)], device=device, batch_size=batch_size, progress=progress)
    if kept is not None:
        _spread(values, kept)
    array: DataArray = xarray.DataArray(
        values.reshape(len(lat), len(lon), dim),
        dims=("lat", "lon", "feature"),
        coords={
            "lat": ("lat", np.array(lat, float), _axis("latitude", "degrees_north", "Y")),
            "lon": ("lon", np.array(lon, float), _axis("longitude", "degrees_east", "X")),
            CRS: ((), 0, crs),
        },
        name="embedding",
        attrs=_attributes(encoder, bounds, resolution, mask),
    )
    array.encoding["_FillValue"] = np.float32(np.nan)
    for axis in ("lat", "lon"):
        array[axis].encoding["_FillValue"] = None  # coordinates are never missing
    return array


def _kept(mask: Any, lonlat: NDArray[np.float64]) -> NDArray[np.bool_]:
    if isinstance(mask, str) and mask == "land":
        return sample_raster(land_mask(), lonlat)
    if not callable(mask):
        raise TypeError(
            f'mask must be "land" or a callable, got {mask!r:.80}; grid.where(...) masks the result by an array'
        )
    kept = np.asarray(mask(lonlat.copy()))
    if kept.dtype != np.bool_ or kept.shape != (len(lonlat),):
        raise ValueError(f"mask must give {len(lonlat)} booleans, one a cell, got {kept.dtype} of shape {kept.shape}")
    return kept


def _spread(rows: NDArray[np.float32], kept: NDArray[np.bool_]) -> None:
    """Move rows from the head of an array to where they belong, NaN elsewhere.

    None belongs before where it is, so that from the end nothing is overwritten that has yet to move.
    """
    places = kept.nonzero()[0]
    for part in reversed(chunks.slices(len(places), MOVED)):
        rows[places[part]] = rows[part].copy()
    rows[~kept] = np.nan


def _axis(name: str, units: str, axis: str) -> dict[str, str]:
    return {"standard_name": name, "long_name": f"{name} of the cell's centre", "units": units, "axis": axis}


def _attributes(encoder: Any, bounds: Any, resolution: Any, mask: Any) -> dict[str, str]:
    call = [f"bounds={tuple(map(float, bounds))}", f"resolution={resolution}"]
    if mask is not None:
        call.append(f"mask={mask!r}" if mask == "land" else f"mask={getattr(mask, '__name__', type(mask).__name__)}")
    try:
        config = encoder.config
    except ValueError:  # a part of it was not built by name
        config = None
    return {
        "long_name": "location embedding",
        "units": "1",
        "grid_mapping": CRS,
        "Conventions": "CF-1.11",
        "title": "Location embedding of the cells of a grid",
        "source": f"locenc {locenc.__version__}, {type(encoder).__name__}",
        "history": f"locenc.embed_grid(encoder, {', '.join(call)})",
        **({} if config is None else {"encoder": json.dumps(config)}),
    }
