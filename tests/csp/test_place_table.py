"""The table of places: what is read is what was written, and each fault is named with its row."""

import errno
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from locenc_csp.datasets.table import PlaceTable
from locenc_csp.datasets.table_files import read_table, write_table


def make_table(**columns):
    lonlat = [(2.35, 48.86), (np.nan, np.nan), (-180.0, -90.0)]
    return PlaceTable(
        ["paris", "nowhere", "pole"], lonlat, {name: np.array(column) for name, column in columns.items()}
    )


def write_parquet(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


def test_a_table_survives_its_file(tmp_path):
    table = make_table(
        label=["a", "", "b"], height=[35.5, np.nan, 2835.0], count=[1, 2, 3], split=["train", "val", "test"]
    )
    write_table(table, tmp_path / "new" / "table.parquet")
    back = read_table(tmp_path / "new" / "table.parquet")
    assert back.ids.tolist() == table.ids.tolist()
    assert np.array_equal(back.lonlat, table.lonlat, equal_nan=True)
    assert list(back.columns) == list(table.columns)
    for name, column in table.columns.items():
        assert back.columns[name].dtype.kind == column.dtype.kind
        assert np.array_equal(back.columns[name], column, equal_nan=column.dtype.kind == "f")
    assert len(back) == 3
    assert back.has_location.tolist() == [True, False, True]


def test_an_empty_table_survives_its_file(tmp_path):
    write_table(PlaceTable(np.array([], str), np.empty((0, 2))), tmp_path / "table.parquet")
    assert len(read_table(tmp_path / "table.parquet")) == 0


def test_foreign_files_are_read(tmp_path):
    path = write_parquet(
        tmp_path / "foreign.parquet",
        geometry=pa.array([b"\x00", b"\x01", b"\x02"]),
        lat=pa.array([1, 2, None], pa.int32()),
        lon=pa.array([1.5, 2.5, None], pa.float32()),
        id=pa.array([7, 8, 9]),
        species=pa.array(["wren", None, "tit"]).dictionary_encode(),
        native=pa.array([True, False, None]),
        category=pa.array([3, None, 10]),
    )
    table = read_table(path)
    assert table.ids.tolist() == ["7", "8", "9"]
    assert table.lonlat.dtype == np.float64
    assert table.lonlat[:2].tolist() == [[1.5, 1.0], [2.5, 2.0]]
    assert table.has_location.tolist() == [True, True, False]
    assert set(table.columns) == {"species", "native", "category"}
    assert table.labels("species").codes.tolist() == [1, -1, 0]
    assert table.labels("species").classes == ("tit", "wren")
    assert table.labels("native").codes.tolist() == [1, 0, -1]
    assert table.labels("category").codes.tolist() == [0, -1, 1]
    assert table.labels("category").classes == ("3", "10")


def test_text_and_unsigned_numbers_of_every_width_are_read(tmp_path):
    path = write_parquet(
        tmp_path / "a.parquet",
        id=pa.array([7, 8], pa.uint32()),
        lon=pa.array([1, 2], pa.uint8()),
        lat=pa.array([3.0, 4.0]),
        short=pa.array(["a", None]),
        long=pa.array(["a", None], pa.large_string()),
        view=pa.array(["a", None], pa.string_view()),
    )
    table = read_table(path)
    assert table.ids.tolist() == ["7", "8"]
    assert table.lonlat.tolist() == [[1, 3], [2, 4]]
    assert {name: column.tolist() for name, column in table.columns.items()} == {
        name: ["a", ""] for name in ("short", "long", "view")
    }


def test_missing_labels_are_never_a_class():
    table = make_table(text=["b", "", "a"], number=[5, -1, 5], real=[np.nan, 2.0, -1.0])
    assert table.labels("text") == (pytest.approx(np.array([1, -1, 0])), ("a", "b"))
    assert table.labels("number").codes.tolist() == [0, -1, 0]
    assert table.labels("real").codes.tolist() == [-1, 0, -1]
    assert table.labels("real").classes == ("2",)
    assert table.labels("text").codes.dtype == np.int64


def test_labels_that_are_none_are_refused():
    table = make_table(height=[0.0, 1.0, 2.5], nothing=["", "", ""])
    with pytest.raises(ValueError, match=r"'height' is no label: row 2 has 2\.5"):
        table.labels("height")
    with pytest.raises(ValueError, match=r"'nothing' has no label in any of its 3 rows"):
        table.labels("nothing")
    with pytest.raises(ValueError, match=r"unknown label column 'hight'\. Did you mean 'height'\?"):
        table.labels("hight")
    with pytest.raises(ValueError, match=r"^column 'lat' is no label column: id, lon and lat say .*: height, nothing$"):
        table.labels("lat")


def test_split_values_are_checked():
    table = make_table(good=["train", "pool", "test"], bad=["train", "valid", ""])
    assert table.split("good").tolist() == ["train", "pool", "test"]
    with pytest.raises(ValueError, match=r"must hold train, val, test, pool, but row 1 has 'valid', and 1 more row"):
        table.split("bad")
    with pytest.raises(ValueError, match=r"unknown split column 'block'.*There are: good, bad"):
        table.split("block")


@pytest.mark.parametrize(
    ("lonlat", "message"),
    [
        ([(0, 0), (151.2, -33.9), (-33.9, 151.2)], r"row 2 has 151\.2 .*looks swapped"),
        ([(0, 0), (0, 95), (0, 96)], r"row 1 has 95 .*and 1 more row"),
        ([(0, 0), (np.nan, 5), (0, 0)], r"row 1 has half a location \(longitude nan, latitude 5\)"),
        ([(0, 0), (np.inf, 5), (0, 0)], r"row 1 has .*longitude inf"),
        ([(np.nan, np.nan), (0, 0), (0, -91)], r"row 2 has -91"),
        ([(0, 0, 0)] * 3, r"got \(3,\) and \(3, 3\)"),
    ],
)
def test_bad_locations_are_named(lonlat, message):
    with pytest.raises(ValueError, match=message):
        PlaceTable(["a", "b", "c"], lonlat)


def test_bad_ids_and_columns_are_named():
    zeros = np.zeros((4, 2))
    with pytest.raises(ValueError, match=r"'b' stands in row 1 and in row 3; 1 ids occur"):
        PlaceTable(["a", "b", "c", "b"], zeros)
    with pytest.raises(ValueError, match="row 2 has none"):
        PlaceTable(["a", "b", "", "d"], zeros)
    with pytest.raises(ValueError, match=r"'x' has shape \(3,\), but there are 4 ids"):
        PlaceTable(list("abcd"), zeros, {"x": np.zeros(3)})
    with pytest.raises(ValueError, match="'lon' is not a name for a further column"):
        PlaceTable(list("abcd"), zeros, {"lon": np.zeros(4)})
    with pytest.raises(TypeError, match="'x' must hold text or numbers, not object"):
        PlaceTable(list("abcd"), zeros, {"x": np.array([None] * 4)})


def test_bad_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no table at .*expected a Parquet file with the columns id, lon, lat"):
        read_table(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("id,lon,lat")
    with pytest.raises(ValueError, match=r"text\.parquet is not a readable Parquet file"):
        read_table(tmp_path / "text.parquet")
    path = write_parquet(tmp_path / "a.parquet", id=["a"], lng=[1.0], latitude=[2.0])
    with pytest.raises(ValueError, match="lacks the column lon, lat; columns found: id, lng, latitude"):
        read_table(path)
    path = write_parquet(tmp_path / "b.parquet", id=["a"], lon=["2.35"], lat=[2.0])
    with pytest.raises(ValueError, match=r"column lon must hold numbers \(degrees\), not string"):
        read_table(path)
    path = write_parquet(tmp_path / "c.parquet", id=[1, None], lon=[2.35, 0], lat=[2.0, 0])
    with pytest.raises(ValueError, match=r"c\.parquet: every place needs an id, but row 1 has none$"):
        read_table(path)
    path = write_parquet(tmp_path / "c.parquet", id=["a", None, None], lon=[2.35, 0, 0], lat=[2.0, 0, 0])
    with pytest.raises(ValueError, match=r"c\.parquet: every place needs an id, but row 1 has none, and 1 more row"):
        read_table(path)
    path = write_parquet(tmp_path / "c.parquet", id=[1.5, 2.5], lon=[2.35, 0], lat=[2.0, 0])
    with pytest.raises(ValueError, match=r"c\.parquet: column id must hold text or whole numbers, not double"):
        read_table(path)
    latin = pa.array([b"caf\xe9"]).view(pa.string())
    path = write_parquet(tmp_path / "latin.parquet", id=["a"], lon=[2.35], lat=[2.0], label=latin)
    with pytest.raises(ValueError, match=r"latin\.parquet is not a readable Parquet file, or damaged: .*UTF8"):
        read_table(path)
    path = write_parquet(tmp_path / "d.parquet", id=["a"], lon=[2.35], lat=[95.0])
    with pytest.raises(ValueError, match=r"d\.parquet: latitude must lie in \[-90, 90\]"):
        read_table(path)


@pytest.mark.parametrize("where", np.linspace(0, 0.999, 40))
def test_a_damaged_file_is_named_or_read_as_it_was(tmp_path, where):
    path = tmp_path / "table.parquet"
    rows = np.random.default_rng(0).uniform(-90, 90, (500, 2))
    table = PlaceTable([f"place {row}" for row in rows], rows, {"label": np.array(["a", "b"] * 250)})
    write_table(table, path)
    data = bytearray(path.read_bytes())
    start = int(where * len(data))
    data[start : start + 20] = bytes(255 - byte for byte in data[start : start + 20])
    path.write_bytes(data)
    try:
        found = read_table(path)
    except ValueError as error:
        assert str(path) in str(error)  # noqa: PT017
    else:
        assert np.array_equal(found.lonlat, rows)
        assert found.ids.tolist() == table.ids.tolist()


def test_the_file_is_read_without_python_in_arrows_threads(tmp_path, monkeypatch):
    write_table(make_table(), tmp_path / "table.parquet")
    sources, opened = [], pq.ParquetFile
    monkeypatch.setattr(
        pq, "ParquetFile", lambda source, **options: (sources.append(source), opened(source, **options))[1]
    )
    read_table(tmp_path / "table.parquet")
    assert {type(source) for source in sources} == {pa.OSFile}  # a Python file aborts the process now and then


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "table.parquet"
    write_table(make_table(), path)
    before = path.read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"cannot write .*table\.parquet: No space left"):
        write_table(make_table(extra=[1, 2, 3]), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["table.parquet"]
