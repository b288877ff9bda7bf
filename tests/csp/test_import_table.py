"""Any table: CSV, Parquet and GeoParquet against the same places, and each fault with its row."""

import datetime
import json
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from published_files import probabilities_of, write_sparse

from locenc_csp.datasets.foreign_table import read_foreign_table
from locenc_csp.datasets.importing import import_table
from locenc_csp.datasets.probabilities import open_probabilities
from locenc_csp.datasets.table_files import read_table
from locenc_csp.features import open_features
from locenc_csp.recipes import ImportTable

CSV = """key,longitude,latitude,species,count,seen,extra
a,2.35,48.86,wren,3,2020-05-01,
b,,,tit,,2021-01-01,x
c,-77.04,-12.05,"tit, great",5,,
d,10,,wren,1,2020-05-02,
"""
COLUMNS = {"id": "key", "lon": "longitude", "lat": "latitude"}
LONLAT = np.array([[2.35, 48.86], [np.nan, np.nan], [-77.04, -12.05], [np.nan, np.nan]])


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "places.csv"
    path.write_text(CSV)
    return path


def imported(path: Path, **settings):
    return import_table(ImportTable(file=path, out=path.parent / "out", **COLUMNS, **settings))


def test_a_csv_file_becomes_our_table(csv):
    done = imported(csv, label="species")
    table = read_table(done.table)
    assert table.ids.tolist() == list("abcd")
    assert np.array_equal(table.lonlat, LONLAT, equal_nan=True)
    assert table.columns["species"].tolist() == ["wren", "tit", "tit, great", "wren"]
    assert table.columns["seen"].tolist() == ["2020-05-01", "2021-01-01", "", "2020-05-02"]
    assert table.labels("count").codes.tolist() == [1, -1, 2, 0]
    assert done.meta["classes"] == ["tit", "tit, great", "wren"]
    assert done.meta["without_location"] == 2
    assert done.features is None


@pytest.mark.parametrize("suffix", [".tsv", ".parquet", ".geoparquet"])
def test_other_files_of_the_same_places(csv, suffix):
    expected = read_foreign_table(csv, **COLUMNS)
    path = csv.with_suffix(suffix)
    if suffix == ".tsv":
        path.write_text(CSV.replace('"tit, great"', "TIT").replace(",", "\t").replace("TIT", '"tit, great"'))
    else:
        data = pa.table(
            {
                "key": list("abcd"),
                "longitude": [2.35, None, -77.04, 10.0],
                "latitude": [48.86, None, -12.05, None],
                "species": pa.array(expected.columns["species"]).dictionary_encode(),
                "count": [3, None, 5, 1],
                "seen": [datetime.date(2020, 5, 1), datetime.date(2021, 1, 1), None, datetime.date(2020, 5, 2)],
                "extra": [None, "x", None, None],
            }
        )
        pq.write_table(data, path)
    found = read_foreign_table(path, **COLUMNS)
    assert found.ids.tolist() == expected.ids.tolist()
    assert np.array_equal(found.lonlat, expected.lonlat, equal_nan=True)
    assert {name: column.tolist() for name, column in found.columns.items() if name != "count"} == {
        name: column.tolist() for name, column in expected.columns.items() if name != "count"
    }


def wkb(lon: float, lat: float, *, order: str = "<", kind: int = 1, srid: int | None = None) -> bytes:
    """A point in well-known binary; with an SRID as PostGIS writes it."""
    head = struct.pack(f"{order}BI", order == "<", kind | (0x20000000 if srid else 0))
    rest = b"" if srid is None else struct.pack(f"{order}I", srid)
    more = [7.0] * {1001: 1, 2001: 1, 3001: 2, 0x80000001: 1}.get(kind, 0)
    return head + rest + struct.pack(f"{order}{2 + len(more)}d", lon, lat, *more)


def write_geoparquet(path: Path, geometry: pa.Array, *, crs: object = ..., encoding: str = "WKB") -> Path:
    column: dict[str, object] = {"encoding": encoding, "geometry_types": ["Point"]}
    if crs is not ...:
        column["crs"] = crs
    geo = {"version": "1.1.0", "primary_column": "place", "columns": {"place": column}}
    ids = [f"p{row}" for row in range(len(geometry))]
    data = pa.table({"id": ids, "place": geometry}).replace_schema_metadata({"geo": json.dumps(geo)})
    pq.write_table(data, path)
    return path


POINTS = [(2.35, 48.86), (-180.0, -90.0), (151.2, -33.9), (0.0, 0.0), (1.0, 2.0), (3.0, 4.0)]
FORMS = [{}, {"order": ">"}, {"srid": 4326}, {"kind": 1001}, {"kind": 3001, "order": ">"}, {"kind": 0x80000001}]


@pytest.mark.parametrize("binary", [pa.binary(), pa.large_binary()])
def test_points_of_geoparquet_in_every_form(tmp_path, binary):
    geometry = [wkb(*point, **form) for point, form in zip(POINTS, FORMS, strict=True)]
    geometry[3:3] = [None, wkb(np.nan, np.nan)]
    path = write_geoparquet(tmp_path / "a.parquet", pa.array(geometry, binary))
    table = read_foreign_table(path)
    assert table.has_location.tolist() == [True] * 3 + [False] * 2 + [True] * 3
    assert table.lonlat[table.has_location].tolist() == [list(point) for point in POINTS]
    assert table.columns == {}


@given(st.lists(st.tuples(st.floats(-180, 180), st.floats(-90, 90)), max_size=20))
def test_points_of_geoparquet_are_exact(tmp_path_factory, points):
    path = tmp_path_factory.mktemp("points") / "a.parquet"
    write_geoparquet(path, pa.array([wkb(*point) for point in points], pa.binary()))
    assert read_foreign_table(path).lonlat.tolist() == [list(point) for point in points]


def test_points_of_geoparquet_as_two_numbers(tmp_path):
    geometry = pa.array([{"x": 1.0, "y": 2.0}, None, {"x": 3.0, "y": 4.0}])
    path = write_geoparquet(tmp_path / "a.parquet", geometry, encoding="point")
    assert np.array_equal(read_foreign_table(path).lonlat, [[1, 2], [np.nan] * 2, [3, 4]], equal_nan=True)


@pytest.mark.parametrize(
    "crs",
    [
        ...,
        None,
        {"name": "WGS 84", "id": {"authority": "EPSG", "code": 4326}},
        {"id": {"authority": "OGC", "code": "CRS84"}},
    ],
)
def test_degrees_of_geoparquet(tmp_path, crs):
    path = write_geoparquet(tmp_path / "a.parquet", pa.array([wkb(1, 2)]), crs=crs)
    assert read_foreign_table(path).lonlat.tolist() == [[1, 2]]


def test_other_geometries_and_systems_are_refused(tmp_path):
    line = struct.pack("<BII4d", 1, 2, 2, 0, 0, 1, 1)
    path = write_geoparquet(tmp_path / "a.parquet", pa.array([wkb(1, 2), line, line]))
    with pytest.raises(
        ValueError, match=r"a\.parquet: geometries must be points, but that of row 1 is none, and 1 more"
    ):
        read_foreign_table(path)
    for short in (b"", b"\x01\x01", b"\x05" * 21):
        write_geoparquet(path, pa.array([wkb(1, 2), short]))
        with pytest.raises(ValueError, match="that of row 1 is none"):
            read_foreign_table(path)
    mercator = {"name": "WGS 84 / Pseudo-Mercator", "id": {"authority": "EPSG", "code": 3857}}
    write_geoparquet(path, pa.array([wkb(1, 2)]), crs=mercator)
    with pytest.raises(ValueError, match=r"the geometry is in WGS 84 / Pseudo-Mercator, not in .*to_crs\(4326\)"):
        read_foreign_table(path)
    write_geoparquet(path, pa.array([1.0]))
    with pytest.raises(ValueError, match=r"column 'place' must hold points .*, not double"):
        read_foreign_table(path)
    pq.write_table(pa.table({"id": [1]}).replace_schema_metadata({"geo": "{"}), path)
    with pytest.raises(ValueError, match="geo metadata are damaged"):
        read_foreign_table(path)


def test_rows_without_ids_are_numbered(tmp_path):
    path = tmp_path / "places.csv"
    path.write_text("lon,lat\n" + "1,2\n" * 11)
    assert read_foreign_table(path).ids.tolist() == [f"{row:02d}" for row in range(11)]
    path.write_text("id,lon,lat\n7,1,2\n8,1,2\n")
    assert read_foreign_table(path).ids.tolist() == ["7", "8"]


def test_tables_without_rows_or_places(tmp_path):
    path = tmp_path / "places.csv"
    path.write_text("id,lon,lat,label\n")
    assert len(read_foreign_table(path)) == 0
    path.write_text("id,lon,lat,label\n1,,,wren\n2,,,tit\n")
    table = read_foreign_table(path)
    assert not table.has_location.any()
    assert table.columns["label"].tolist() == ["wren", "tit"]


FAULTS = [
    ("id,lon,lat\na,1,2\na,1,2\n", {}, r"ids must be unique, but 'a' stands in row 0 and in row 1"),
    ("id,lon,lat\na,1,2\n,1,2\n", {}, r"every place needs an id, but row 1 has none"),
    ("id,lon,lat\n1.5,1,2\n", {}, r"column 'id' of ids must hold text or whole numbers, not double"),
    ("id,lon,lat\na,1,2\n", {"id": "key"}, r"unknown column of ids 'key'.*There are: id, lon, lat\. Name it with --id"),
    ("id,lng,lat\na,1,2\n", {}, r"unknown column of longitudes 'lon'.*There are: id, lng, lat\. Name it with --lon"),
    (
        "id,lon,latitude\na,1,2\n",
        {},
        r"unknown column of latitudes 'lat'\. There are: id, lon, latitude\. Name it with --lat",
    ),
    ("id,lon,lat\na,1,2\nb,3°,4\n", {}, r"column 'lon' must hold numbers \(degrees\), not string: row 1 has '3°'"),
    ("id,lon,lat\na,1,2\nb,-33.9,151.2\n", {}, r"row 1 has 151\.2 (.|\n)*look swapped"),
    ("id,lon,lat\na,1,2\nb,500000,4500000\n", {}, r"row 1 has 4500000"),
    ("id,lon,lat\na,1\n", {}, r"is not a readable CSV file with a header line, or damaged"),
    ("", {}, r"is not a readable CSV file with a header line, or damaged"),
    ("id,lon,lat,x,y\na,1,2,3,4\n", {"lon": "x", "lat": "y"}, r"column 'lon' would stand beside the one that is used"),
]


@pytest.mark.parametrize(("text", "settings", "message"), FAULTS)
def test_a_fault_is_named(tmp_path, text, settings, message):
    path = tmp_path / "places.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_foreign_table(path, **settings)
    assert str(caught.value).startswith(str(path))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"cannot tell what .*places\.xlsx is: expected a file that ends in \.csv, \.tsv"
    ):
        read_foreign_table(tmp_path / "places.xlsx")
    with pytest.raises(FileNotFoundError, match=r"no table at .*places\.csv"):
        read_foreign_table(tmp_path / "places.csv")
    (tmp_path / "places.parquet").write_text("id,lon,lat")
    with pytest.raises(ValueError, match=r"places\.parquet is not a readable Parquet file"):
        read_foreign_table(tmp_path / "places.parquet")


def test_roles_are_taken_or_made(csv):
    csv.write_text(CSV.replace("extra", "part").replace(",x\n", ",val\n").replace(",\n", ",train\n"))
    table = read_table(imported(csv, split="part").table)
    assert table.split("split").tolist() == ["train", "val", "train", "train"]
    for way, places in (("random", 4), ("blocks", 2)):
        out = csv.parent / way
        done = import_table(ImportTable(file=csv, out=out, **COLUMNS, make_split=way))
        roles = read_table(done.table).split("split")
        assert sum(done.meta["rows"].values()) == len(roles) == 4
        if way == "blocks":
            assert (roles == "pool").sum() >= 4 - places
    csv.write_text(CSV)
    with pytest.raises(ValueError, match="must hold train, val, test, pool, but row 0 has 'wren'"):
        import_table(ImportTable(file=csv, out=csv.parent / "other", **COLUMNS, split="species"))


def test_features_and_their_ids(csv, tmp_path):
    values = np.arange(12.0).reshape(4, 3)
    np.save(tmp_path / "values.npy", values)
    np.save(tmp_path / "ids.npy", np.array(list("abcd")))
    done = imported(csv, features=tmp_path / "values.npy", feature_ids=tmp_path / "ids.npy")
    matrix = open_features(done.features)
    assert np.array_equal(matrix.values, values)
    matrix.check_ids(read_table(done.table))


def test_faults_of_features(csv, tmp_path):
    values, ids = tmp_path / "values.npy", tmp_path / "ids.npy"
    np.save(values, np.zeros((4, 3)))
    for found, message in (
        (
            np.array(list("abdc")),
            r"ids\.npy: expected the 4 ids of the table.*found 'd' in row 2, .*has 'c' \(2 differ\)",
        ),
        (np.array(list("abc")), r"ids\.npy: expected the 4 ids of the table, in its order; found shape \(3,\)"),
        (np.array([None]), r"ids\.npy: expected .*; found a file that is damaged or no array of ids"),
    ):
        np.save(ids, found)
        with pytest.raises(ValueError, match=message):
            imported(csv, features=values, feature_ids=ids)
    np.save(values, np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"values\.npy: expected \(4, …\) numbers, a row for each row of places\.csv"):
        imported(csv, features=values)
    with pytest.raises(FileNotFoundError, match=r"missing: .*none\.npy: \(4, …\) numbers"):
        imported(csv, features=tmp_path / "none.npy")


@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_probabilities_with_the_order_of_their_classes(csv, tmp_path, form):
    values = probabilities_of("any", 4, 4)
    path = tmp_path / ("p.npy" if form == "dense" else "p.npz")
    np.save(path, values) if form == "dense" else write_sparse(path, values)
    (tmp_path / "classes.txt").write_text("wren\nowl\ntit\ntit, great\n")
    done = imported(csv, label="species", probabilities=path, classes=tmp_path / "classes.txt")
    found = open_probabilities(done.probabilities["p"])
    assert found.meta["form"] == form
    table = read_table(done.table)
    assert np.array_equal(found.of(table.ids, table.labels("species").classes), values[:, [2, 3, 0]])


def test_faults_of_probabilities(csv, tmp_path):
    path, classes = tmp_path / "p.npy", tmp_path / "classes.txt"
    np.save(path, np.full((4, 3), 0.5))
    imported(csv, label="species", probabilities=path)  # sorted labels
    for text, message in (
        (
            "wren\nowl\ntit\n",
            r"classes\.txt: expected each class once, all 3 labels among them; found 3 .*none 'tit, great'",
        ),
        ("wren\ntit\ntit, great\nwren\n", "found 4 lines, 3 different"),
    ):
        classes.write_text(text)
        with pytest.raises(ValueError, match=message):
            imported(csv, label="species", probabilities=path, classes=classes)
    np.save(path, np.full((4, 2), 0.5))
    with pytest.raises(ValueError, match=r"p\.npy: expected P\(class \| image\), .* each of 3 classes; found \(4, 2\)"):
        imported(csv, label="species", probabilities=path)
    np.save(path, np.full((4, 3), np.nan))
    with pytest.raises(ValueError, match=r"p\.npy: expected probabilities in \[0, 1\]; found nan in row 0, column 0"):
        imported(csv, label="species", probabilities=path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"probabilities": Path("p.npy")}, "probabilities need a label"),
        ({"feature_ids": Path("i.npy")}, "feature_ids belong to features"),
        ({"split": "part", "make_split": "random"}, "give one of them"),
        ({"seed": -1}, "seed must be a whole number"),
    ],
)
def test_settings_that_do_not_go_together(settings, message):
    with pytest.raises(ValueError, match=message):
        ImportTable(file=Path("a.csv"), out=Path("out"), **settings)
