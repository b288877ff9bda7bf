"""Places out of tables, geometries and arrays: values, missing places, and each error with its row."""

import warnings

import geopandas
import numpy as np
import pandas
import pyproj
import pytest
import shapely
import torch
from hypothesis import given
from hypothesis import strategies as st

import locenc
from locenc.crs import to_degrees
from locenc.places import read

TOWNS = np.array([[2.3522, 48.8566], [-77.0428, -12.0464], [151.2093, -33.8688], [37.6173, 55.7558]])
LABELS = ["Paris", "Lima", "Sydney", "Moscow"]
# Lambert's azimuthal equal-area projection around a place of nobody's: no authority has a code for it.
OWN_CRS = pyproj.CRS.from_proj4("+proj=laea +lat_0=11 +lon_0=23 +datum=WGS84 +units=m")
ENCODER = locenc.position_encoder("xyz")


def towns(crs: object = 4326, index: list[str] | None = LABELS) -> geopandas.GeoDataFrame:
    frame = geopandas.GeoDataFrame({"mass": range(4)}, geometry=geopandas.points_from_xy(*TOWNS.T), crs=4326)
    frame.index = pandas.Index(index if index is not None else range(4))
    return frame.to_crs(crs)


@pytest.mark.parametrize("crs", [4326, "OGC:CRS84", 3857, 8857, 4269, OWN_CRS, OWN_CRS.to_wkt()])
def test_any_crs_gives_longitude_and_latitude(crs: object) -> None:
    frame = towns(crs)
    for data in (frame, frame.geometry):
        places = read(data)
        assert np.array_equal(places.lonlat, frame.to_crs(4326).get_coordinates().to_numpy())
        assert np.allclose(places.lonlat, TOWNS, atol=1e-7)
        assert places.index.equals(frame.index)
    assert np.array_equal(locenc.embed(frame, ENCODER), locenc.embed(frame.to_crs(4326), ENCODER))


def test_degrees_are_taken_to_the_last_bit() -> None:
    assert np.array_equal(read(towns()).lonlat, TOWNS)


@given(st.lists(st.tuples(st.floats(-179, 179), st.floats(-85, 85)), max_size=20))
def test_tables_and_arrays_agree(rows: list[tuple[float, float]]) -> None:
    lonlat = np.array(rows).reshape(-1, 2)
    table = pandas.DataFrame(lonlat, columns=["x", "y"])[["y", "x"]]
    points = geopandas.GeoSeries(geopandas.points_from_xy(*lonlat.T), crs=4326)
    for places in (read(lonlat), read(table, lon="x", lat="y"), read(points), read(torch.from_numpy(lonlat))):
        assert np.array_equal(places.lonlat, lonlat)
        assert not places.missing.any()


@pytest.mark.parametrize("dtype", ["int64", "int8", "float32", "Int64", "Float64", "int64[pyarrow]"])
def test_columns_of_numbers(dtype: str) -> None:
    table = pandas.DataFrame({"lon": [2, -77], "lat": [48, -12]}, dtype=dtype)
    assert read(table, lon="lon", lat="lat").lonlat.tolist() == [[2, 48], [-77, -12]]


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "float64"])
def test_missing_numbers_are_missing_places(dtype: str) -> None:
    table = pandas.DataFrame({"lon": pandas.array([2, None], dtype=dtype), "lat": [48, 7]}, index=["a", "b"])
    assert read(table, lon="lon", lat="lat", missing="nan").missing.tolist() == [False, True]
    with pytest.raises(ValueError, match=r"row 1 \(index 'b'\) has no place"):
        read(table, lon="lon", lat="lat")


def test_a_table_of_polars() -> None:
    polars = pytest.importorskip("polars")
    table = polars.DataFrame({"lon": [2.5, None], "lat": [48, 7]})
    places = read(table, lon="lon", lat="lat", missing="nan")
    assert places.lonlat[0].tolist() == [2.5, 48]
    assert places.missing.tolist() == [False, True]
    with pytest.raises(TypeError, match="must hold numbers in degrees, not String"):
        read(polars.DataFrame({"lon": ["2"], "lat": ["4"]}), lon="lon", lat="lat")


@pytest.mark.parametrize("package", ["pandas", "polars", "pyarrow"])
def test_tables_of_any_package_take_names_not_an_order(package: str) -> None:
    module = pytest.importorskip(package)
    columns = {"lat": [48.0, 7.0], "lon": [2.5, None], "name": ["a", "b"]}
    table = module.table(columns) if package == "pyarrow" else module.DataFrame(columns)
    places = read(table, lon="lon", lat="lat", missing="nan")
    assert places.lonlat[0].tolist() == [2.5, 48]
    assert places.missing.tolist() == [False, True]
    with pytest.raises(TypeError, match=r"Give lon= and lat=; there are lat, lon$"):
        read(table[["lat", "lon"]] if package != "pyarrow" else table.select(["lat", "lon"]))
    with pytest.raises(TypeError, match="column 'name' must hold numbers in degrees"):
        read(table, lon="name", lat="lat")
    with pytest.raises(ValueError, match=r"unknown column 'lng'.* There are: lat, lon, name\.$"):
        read(table, lon="lng", lat="lat")


def test_a_point_and_a_place() -> None:
    assert read(shapely.Point(2, 48)).lonlat.tolist() == read([2, 48]).lonlat.tolist() == [[2, 48]]
    assert read(geopandas.GeoSeries([shapely.Point(2, 48, 300)], crs=4326)).lonlat.tolist() == [[2, 48]]


def test_without_a_crs_there_is_one_warning() -> None:
    frame = geopandas.GeoDataFrame(geometry=geopandas.points_from_xy(*TOWNS.T))
    with pytest.warns(UserWarning, match=r"no CRS: .* taken as \(longitude, latitude\)") as caught:
        embedding = locenc.embed(frame, ENCODER)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert np.array_equal(embedding, locenc.embed(TOWNS, ENCODER))


@pytest.mark.parametrize("gap", [None, shapely.Point(), shapely.Point(np.nan, 3)])
def test_missing_points(gap: shapely.Point | None) -> None:
    frame = towns()
    frame.geometry = geopandas.GeoSeries([*frame.geometry[:2], gap, frame.geometry.iloc[3]], frame.index, crs=4326)
    for each in (frame, frame.to_crs(3857), frame.to_crs(OWN_CRS)):
        with pytest.raises(ValueError, match=r"row 2 \(index 'Sydney'\) has no place .*missing=\"nan\""):
            locenc.embed(each, ENCODER)
        embedding = locenc.embed(each, ENCODER, missing="nan")
        assert np.isnan(embedding[2]).all()
        assert np.allclose(embedding[[0, 1, 3]], locenc.embed(TOWNS[[0, 1, 3]], ENCODER), atol=1e-6)


def test_all_missing_and_none() -> None:
    series = geopandas.GeoSeries([None, None], crs=4326)
    assert np.isnan(locenc.embed(series, ENCODER, missing="nan")).all()
    for empty in (series[:0], geopandas.GeoSeries([], crs=3857), geopandas.GeoSeries([]), []):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert locenc.embed(empty, ENCODER).shape == (0, 3)


POLYGON = shapely.box(0, 0, 1, 1)
LINE = shapely.LineString([(0, 0), (1, 1)])


@pytest.mark.parametrize(
    ("geometries", "message"),
    [
        ([POLYGON, POLYGON], r"row 0 is a Polygon, and 1 more row\. .*representative_point"),
        ([shapely.Point(1, 2), LINE, POLYGON], r"row 1 is a LineString, and 1 more row\."),
        ([shapely.Point(1, 2), shapely.MultiPoint([(0, 0)])], r"row 1 is a MultiPoint\. .*explode"),
        ([shapely.Point(1, 2), shapely.Point(3, 95)], r"latitude must lie in .* row 1 has 95 \(longitude 3\)"),
        ([shapely.Point(48.9, 2.3), shapely.Point(55.8, 137.6)], r"row 1 has 137.6 .*looks? swapped"),
        ([shapely.Point(261848, 6250566)], "row 0 has 6250566 .* projected metres: reproject to EPSG:4326"),
        ([shapely.Point(np.inf, 6)], "must be finite, but row 0 has longitude inf"),
    ],
)
def test_geometries_that_are_no_places(geometries: list[shapely.Geometry], message: str) -> None:
    frame = geopandas.GeoDataFrame({"kept": range(len(geometries))}, geometry=geometries, crs=4326)
    before = frame.copy(deep=True)
    for missing in ("raise", "nan"):
        with pytest.raises(ValueError, match=message):
            locenc.embed(frame, ENCODER, missing=missing)
    assert frame.equals(before)


def test_labels_name_rows_also_where_they_repeat() -> None:
    frame = towns(index=["here", "there", "here", "there"])
    assert len(locenc.embed(frame, ENCODER)) == 4
    assert locenc.embed(frame, ENCODER, as_frame=True).index.tolist() == frame.index.tolist()
    frame.geometry = geopandas.points_from_xy([1, 2, 3, 4], [1, 2, 95, 4], crs=4326)
    with pytest.raises(ValueError, match=r"row 2 \(index 'here'\) has 95"):
        locenc.embed(frame, ENCODER)


def test_missing_points_where_a_transformation_makes_infinity_of_nan() -> None:
    britain = geopandas.GeoSeries([shapely.Point(530000, 180000), None, shapely.Point()], crs=27700)
    places = read(britain, missing="nan")
    assert places.missing.tolist() == [False, True, True]
    assert np.isnan(places.lonlat[1:]).all()
    with pytest.raises(ValueError, match="row 1 has no place"):
        read(britain)


def test_x_and_y_of_three_are_no_place() -> None:
    with pytest.raises(ValueError, match=r"'WGS 84' is geocentric.*to_crs\(4326\)"):
        read(geopandas.GeoSeries([shapely.Point(4200000, 170000, 4780000)], crs=4978))


def test_heights_are_no_places() -> None:
    with pytest.raises(ValueError, match=r"'EGM96 height' is one of heights.*set_crs"):
        to_degrees(5773)
    compound = to_degrees(5555)  # UTM zone 32N with heights
    assert compound is not None
    np.testing.assert_allclose(compound(np.array([[500_000.0, 5_500_000.0]])), [[9.0, 49.65]], atol=0.01)


def test_a_missing_label_names_its_row() -> None:
    table = pandas.DataFrame({"lon": [2.0], "lat": [99.0]}, index=pandas.array([None], "Int64"))
    with pytest.raises(ValueError, match=r"row 0 \(index <NA>\) has 99"):
        read(table, lon="lon", lat="lat")


def test_places_where_a_projection_does_not_reach() -> None:
    series = geopandas.GeoSeries([shapely.Point(0, 0), shapely.Point(1e9, 1e9)], crs="ESRI:54009")
    with pytest.raises(ValueError, match=r"row 1 has x 1e\+09, y 1e\+09, which is no place in its CRS \(World_Mollw"):
        locenc.embed(series, ENCODER)


def test_metres_that_are_called_degrees_and_no_crs_of_the_earth() -> None:
    with pytest.raises(ValueError, match="projected metres"):
        locenc.embed(towns(3857).set_crs(4326, allow_override=True), ENCODER)
    local = pyproj.CRS.from_wkt(
        'ENGCRS["a hall",EDATUM["its corner"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["metre",1]]'
    )
    with pytest.raises(ValueError, match="'a hall' has no way to longitude and latitude"):
        locenc.embed(towns().set_crs(local, allow_override=True), ENCODER)


TABLE = pandas.DataFrame(
    {"lon": [1.0, 2], "lat": [3.0, 4], "words": ["1", "2"], "flag": [True, False], "when": pandas.Timestamp(0)}
    | {"half": np.array([1, 2], np.float16)},
    index=["a", "b"],
)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({}, TypeError, "which columns hold longitude and latitude.* there are lon, lat, words"),
        ({"lon": "lon"}, TypeError, "go together: give lat= too"),
        ({"lon": "lon", "lat": "latt"}, ValueError, "unknown column 'latt'. Did you mean 'lat'"),
        ({"lon": "words", "lat": "lat"}, TypeError, r"'words' must hold numbers .* '1' in row 0 \(index 'a'\).*to_num"),
        ({"lon": "flag", "lat": "lat"}, TypeError, "'flag' must hold numbers in degrees, not bool"),
        ({"lon": "when", "lat": "lat"}, TypeError, "'when' must hold numbers in degrees, not datetime"),
        ({"lon": "half", "lat": "lat"}, TypeError, "'half' is float16, which moves places by kilometres"),
        ({"lon": "lon", "lat": "lat", "missing": "drop"}, ValueError, "missing places: 'drop'.*raise, nan"),
    ],
)
def test_tables_that_say_no_places(options: dict[str, str], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        locenc.embed(TABLE, ENCODER, **options)


def test_columns_twice_series_and_arrays_with_names() -> None:
    twice = pandas.concat([TABLE, TABLE], axis=1)
    with pytest.raises(ValueError, match="2 columns named 'lon'"):
        locenc.embed(twice, ENCODER, lon="lon", lat="lat")
    with pytest.raises(TypeError, match="name columns of a table, but the data are ndarray"):
        locenc.embed(TOWNS, ENCODER, lon="lon", lat="lat")
    with pytest.raises(TypeError, match=r"geopandas\.GeoSeries"):
        locenc.embed(TABLE["lon"], ENCODER)
    with pytest.raises(ValueError, match="no active geometry column"):
        locenc.embed(geopandas.GeoDataFrame({"a": [1]}), ENCODER)


def test_a_frame_of_embeddings_has_the_index_of_the_data() -> None:
    frame = locenc.embed(towns(3857), ENCODER, as_frame=True)
    assert frame.index.tolist() == LABELS
    assert frame.columns.tolist() == ["embedding_0", "embedding_1", "embedding_2"]
    assert (frame.dtypes == np.float32).all()
    assert np.array_equal(frame.to_numpy(), locenc.embed(towns(3857), ENCODER))
    assert locenc.embed(TOWNS, ENCODER, as_frame=True).index.tolist() == [0, 1, 2, 3]


def test_progress_is_shown_when_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    locenc.embed(TOWNS, ENCODER)
    assert capsys.readouterr().err == ""
    locenc.embed(TOWNS, ENCODER, progress=True)
    assert "4.00 [" in capsys.readouterr().err
