"""`locenc.embed_grid`: where the cells are, their bytes, and what netCDF and GeoTIFF keep of them."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio
import rioxarray  # noqa: F401 (registers .rio)
import torch
import xarray
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import locenc
from locenc import grids
from locenc.data import land_mask


def build(**options: object) -> locenc.LocationEncoder:
    return locenc.create("sphere2vec-sphereM+", dim=6, num_scales=8, **options)


def assert_embedded(grid: xarray.DataArray, encoder: locenc.LocationEncoder) -> None:
    """Each cell has the bytes of its place, with the longitude that the globe knows it by."""
    lon, lat = np.meshgrid(grid.lon, grid.lat)
    lonlat = np.stack([np.where(lon > 180, lon - 360, lon), lat], -1)
    expected = locenc.embed(lonlat.reshape(-1, 2), encoder).reshape(*lon.shape, -1)
    assert grid.dtype == np.float32
    assert grid.values.tobytes() == expected.tobytes()


# Cells


def test_the_globe() -> None:
    encoder = build()
    grid = locenc.embed_grid(encoder, resolution=5)
    assert grid.dims == ("lat", "lon", "feature")
    assert grid.shape == (36, 72, 6)
    assert np.array_equal(grid.lat, np.arange(87.5, -90, -5))
    assert np.array_equal(grid.lon, np.arange(-177.5, 180, 5))
    assert_embedded(grid, encoder)


def test_across_the_antimeridian() -> None:
    encoder = build()
    grid = locenc.embed_grid(encoder, bounds=(170, -20, -170, 0), resolution=(2.5, 4))
    assert np.array_equal(grid.lon, np.arange(171.25, 190, 2.5))
    assert np.array_equal(grid.lat, [-2, -6, -10, -14, -18])
    assert_embedded(grid, encoder)
    world = locenc.embed_grid(encoder, bounds=(-180, -20, 180, 0), resolution=(2.5, 4))
    assert np.array_equal(grid.sel(lon=slice(180, None)), world.sel(lon=slice(None, -170)))
    assert np.array_equal(grid.sel(lon=slice(None, 180)), world.sel(lon=slice(170, None)))


def test_longitudes_beyond_a_whole_turn_are_those_of_the_globe() -> None:
    encoder = locenc.position_encoder("direct", dtype=torch.float64)
    grid = locenc.embed_grid(encoder, bounds=(300, 0, 200, 10), resolution=10, mask=lambda lonlat: lonlat[:, 0] <= 180)
    assert grid.lon.values[-1] == 555
    world = locenc.embed_grid(encoder, bounds=(-180, 0, 180, 10), resolution=10)
    same = world.sel(lon=[(lon + 180) % 360 - 180 for lon in grid.lon.values.tolist()])
    assert np.array_equal(grid.values, same.values)


def test_longitudes_as_climate_data_count_them() -> None:
    encoder = build()
    grid = locenc.embed_grid(encoder, bounds=(0, -90, 360, 90), resolution=10)
    world = locenc.embed_grid(encoder, resolution=10)
    assert np.array_equal(grid.lon, np.arange(5, 360, 10))
    assert np.array_equal(grid, world.roll(lon=18))


@given(
    columns=st.integers(1, 12),
    rows=st.integers(1, 9),
    west=st.integers(-1800, 1800),
    south=st.integers(-900, 0),
    side=st.sampled_from(["0.1", "0.3", "0.7", "2.5", "1/3", "1/7"]),
)
def test_a_place_is_the_same_number_in_every_grid(columns: int, rows: int, west: int, south: int, side: str) -> None:
    step = Fraction(side)
    left, low = Fraction(west, 10), Fraction(south, 10)
    bounds = [float(edge) for edge in (left, low, left + columns * step, low + rows * step)]
    encoder = locenc.position_encoder("direct", dtype=torch.float64)
    grid = locenc.embed_grid(encoder, bounds=bounds, resolution=float(step))
    # The centres by exact arithmetic on the edges as they are written.
    edges = [Fraction(repr(edge)) for edge in bounds]
    lon = [float(edges[0] + (edges[2] - edges[0]) * Fraction(2 * i + 1, 2 * columns)) for i in range(columns)]
    lat = [float(edges[3] - (edges[3] - edges[1]) * Fraction(2 * i + 1, 2 * rows)) for i in range(rows)]
    assert grid.lon.values.tolist() == lon
    assert grid.lat.values.tolist() == lat


def test_seamless_encoders_show_no_seam() -> None:
    """The step from the last column to the first is like the others; without `seamless` it stands out."""
    steps = {}
    for seamless in (True, False):
        position = locenc.position_encoder("sphere2vec-sphereC", num_scales=4, min_radius=0.1, seamless=seamless)
        grid = locenc.embed_grid(position, resolution=1, bounds=(-180, -60, 180, 60))
        size = np.abs(grid - grid.roll(lon=1)).max(("lat", "feature"))  # of column i - 1 to i
        steps[seamless] = float(size[0] / size[1:].max())
    assert steps[True] < 1.01
    assert steps[False] > 3


# Masks


def test_oceans_are_nan() -> None:
    encoder = build()
    grid = locenc.embed_grid(encoder, resolution=2.25, mask="land")
    side = 45  # cells of the mask in a cell of the grid
    land = land_mask()[side // 2 :: side, side // 2 :: side]
    assert np.array_equal(grid.notnull().all("feature"), land)
    assert np.array_equal(grid.isnull().all("feature"), ~land)
    assert grid.where(land[..., None]).identical(grid)
    whole = locenc.embed_grid(encoder, resolution=2.25)
    assert grid.values[land].tobytes() == whole.values[land].tobytes()


@pytest.mark.parametrize("moved", [1, 7, 10**6])
def test_a_callable_says_which_cells(moved: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grids, "MOVED", moved)
    encoder = build()

    def far_east(lonlat: np.ndarray) -> np.ndarray:
        kept = (lonlat[:, 0] < 0) & (lonlat[:, 1] % 2 > 0.9)
        lonlat[:] = 0  # its own copy
        return kept

    bounds = (170, -10, -170, 10)
    grid = locenc.embed_grid(encoder, bounds=bounds, mask=far_east)
    whole = locenc.embed_grid(encoder, bounds=bounds)
    assert grid.identical(whole.where((whole.lon > 180) & (whole.lat % 2 > 0.9)).assign_attrs(grid.attrs))
    nowhere = locenc.embed_grid(encoder, bounds=bounds, mask=lambda lonlat: np.zeros(len(lonlat), bool))
    assert nowhere.isnull().all()


# Attributes and files


def test_attributes_follow_the_conventions() -> None:
    encoder = build()
    grid = locenc.embed_grid(encoder, resolution=10)
    for name, standard, units, axis in [
        ("lat", "latitude", "degrees_north", "Y"),
        ("lon", "longitude", "degrees_east", "X"),
    ]:
        attributes = grid[name].attrs
        assert (attributes["standard_name"], attributes["units"], attributes["axis"]) == (standard, units, axis)
    assert pyproj.CRS.from_cf(grid[grid.attrs["grid_mapping"]].attrs) == pyproj.CRS.from_epsg(4326)
    assert json.loads(grid.attrs["encoder"]) == encoder.config
    assert "resolution=10" in grid.attrs["history"]
    assert grid.identical(locenc.embed_grid(encoder, resolution=10))  # no clock in it


def test_an_encoder_without_configuration() -> None:
    class Halved(nn.Module):
        out_dim = 64

        def forward(self, features: Tensor) -> Tensor:
            return features / 2

    position = build().position
    own = locenc.LocationEncoder(position, Halved())
    grid = locenc.embed_grid(own, resolution=30)
    assert "encoder" not in grid.attrs
    assert np.array_equal(grid, locenc.embed_grid(position, resolution=30) / 2)


@pytest.mark.parametrize("mask", [None, "land"])
def test_net_cdf_reads_back_equal(mask: str | None, tmp_path: Path) -> None:
    grid = locenc.embed_grid(build(), resolution=10, mask=mask)
    grid.to_netcdf(tmp_path / "grid.nc", engine="h5netcdf")
    with xarray.open_dataarray(tmp_path / "grid.nc") as read:
        assert read.identical(grid)
        assert read.dtype == np.float32
        assert "_FillValue" not in read.lat.encoding
    with xarray.open_dataarray(tmp_path / "grid.nc", decode_coords="all") as read:
        assert read.rio.crs.to_epsg() == 4326
    grid.to_dataset(promote_attrs=True).to_netcdf(tmp_path / "grid.nc")
    with xarray.open_dataset(tmp_path / "grid.nc") as read:
        assert read.attrs["Conventions"] == "CF-1.11"


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # of affine, in rioxarray
@pytest.mark.parametrize("bounds", [(-180, -90, 180, 90), (170, -20, -170, 0)])
def test_geo_tiff(bounds: tuple[float, ...], tmp_path: Path) -> None:
    encoder, path = build(), tmp_path / "grid.tif"
    grid = locenc.embed_grid(encoder, bounds=bounds, resolution=(2.5, 5))
    grid.transpose("feature", "lat", "lon").rio.to_raster(path)
    with rasterio.open(path) as raster:
        assert raster.crs.to_epsg() == 4326
        assert tuple(raster.transform)[:6] == (2.5, 0, bounds[0], 0, -5, bounds[3])  # north is up
        assert raster.count == 6
        places = [(171.25, -2.5), (178.75, -17.5), (173.75, -12.5)]
        assert np.array_equal(list(raster.sample(places)), locenc.embed(places, encoder))


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # of affine, in rioxarray
def test_masked_cells_are_no_data(tmp_path: Path) -> None:
    path = tmp_path / "grid.tif"
    grid = locenc.embed_grid(build(), resolution=5, mask="land")
    grid.transpose("feature", "lat", "lon").rio.to_raster(path)
    with rasterio.open(path) as raster:
        assert np.isnan(raster.nodata)
        assert np.array_equal(raster.dataset_mask() > 0, grid[..., 0].notnull())


# A classifier's probabilities on the grid


def test_probabilities_of_a_classifier(tmp_path: Path) -> None:
    """Presence on a grid: the classifier sees the cells that are on land, the others stay NaN."""
    from sklearn.linear_model import LogisticRegression

    encoder = locenc.position_encoder("xyz")
    seen = np.random.default_rng(0).uniform((-180, -60), (180, 80), (300, 2))
    model = LogisticRegression().fit(locenc.embed(seen, encoder), seen[:, 1] > 0)

    grid = locenc.embed_grid(encoder, resolution=5, mask="land")
    presence = grid[..., 0].copy().rename("presence").assign_attrs(long_name="probability of presence")
    land = presence.notnull()
    presence.values[land] = model.predict_proba(grid.values[land])[:, 1]

    presence.to_netcdf(tmp_path / "presence.nc")
    with xarray.open_dataarray(tmp_path / "presence.nc") as read:
        assert read.notnull().equals(land)
        assert float(read.sel(lon=-102.5, lat=42.5)) > 0.5 > float(read.sel(lon=132.5, lat=-22.5))


# Errors


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"resolution": 7}, ValueError, "360 degrees of longitude are 51.4286 cells of 7; .* is 6.923076923076923$"),
        ({"resolution": 400}, ValueError, r"0.9 cells of 400; the nearest that does is \(360.0, 180.0\)$"),
        ({"resolution": (1, 0.7)}, ValueError, r"180 degrees of latitude .* is \(1.0, 0.700389105058365\d*\)$"),
        ({"resolution": 1, "bounds": (0, 0, 10.1, 3.37)}, ValueError, r"is \(1.01, 1.123333333333333\d*\)$"),
        ({"resolution": 0}, ValueError, "positive number of degrees, .* got 0"),
        ({"resolution": -1}, ValueError, "got -1"),
        ({"resolution": (1, 1, 1)}, ValueError, r"got \(1, 1, 1\)"),
        ({"resolution": float("nan")}, ValueError, "resolution must be finite, got nan"),
        ({"resolution": "1"}, TypeError, "resolution must be a number, got '1'"),
        ({"bounds": (-180, 90, 180, -90)}, ValueError, r"-90 <= south < north <= 90, got \(-180, 90, 180, -90\)"),
        ({"bounds": (-90, -180, 90, 180)}, ValueError, "south < north <= 90, got"),
        ({"bounds": (10, 0, 10, 10)}, ValueError, "two different longitudes"),
        ({"bounds": (-181, 0, 10, 10)}, ValueError, "from -180 to 360"),
        ({"bounds": (-180, 0, 300, 10)}, ValueError, "at most 360 degrees of longitude, .*: 480"),
        ({"bounds": (0, 0, 10)}, ValueError, "west, south, east, north"),
        ({"bounds": 5}, ValueError, "west, south, east, north"),
        ({"bounds": (0, 0, 10, float("inf"))}, ValueError, "bounds must be finite, got inf"),
        ({"mask": "sea"}, TypeError, "mask must be \"land\" or a callable, got 'sea'"),
        ({"mask": np.ones((18, 36), bool)}, TypeError, r"grid\.where"),
        ({"mask": lambda lonlat: lonlat[:, 0]}, ValueError, r"648 booleans, one a cell, got float64 of shape \(648,\)"),
        ({"mask": lambda lonlat: True}, ValueError, r"got bool of shape \(\)"),
    ],
)
def test_errors(options: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        locenc.embed_grid(build(), **{"resolution": 10, **options})


def test_what_the_message_names_divides_the_bounds() -> None:
    assert locenc.embed_grid(build(), resolution=6.923076923076923).shape == (26, 52, 6)
    assert locenc.embed_grid(build(), resolution=(360.0, 180.0)).shape == (1, 1, 6)


def test_what_is_no_encoder() -> None:
    with pytest.raises(TypeError, match=r"got Linear; locenc\.create"):
        locenc.embed_grid(nn.Linear(2, 2))


def test_a_grid_that_fits_no_memory() -> None:
    with pytest.raises(MemoryError, match=r"180,000 x 360,000 cells with 256 features each takes 6\d,\d{3} GiB; "):
        locenc.embed_grid(locenc.create("xyz"), resolution=0.001)
