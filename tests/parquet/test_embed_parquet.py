"""Vectors beside the rows of a Parquet file: what others read, kills, bad input."""

import json
import os
import signal
import subprocess
import sys
import time

import duckdb
import geopandas
import numpy as np
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from shapely import LineString, Point

import locenc
from locenc.parquet import job, run, source, thrift
from locenc.parquet.precision import reduced

ROWS = 5_000


def encoder(dim=8):
    torch.manual_seed(1)
    return locenc.create("sphere2vec-sphereC", dim=dim, num_scales=4)


def lonlat(rows=ROWS):
    rng = np.random.default_rng(0)
    return np.stack([rng.uniform(-170, 170, rows), rng.uniform(-80, 80, rows)], 1)


def frame(rows=ROWS, crs=4326):
    points = geopandas.points_from_xy(*lonlat(rows).T, crs=4326)
    data = {"name": [f"n{row % 7}" for row in range(rows)], "count": np.arange(rows), "tags": [["a"], []] * (rows // 2)}
    return geopandas.GeoDataFrame(data, geometry=points).to_crs(crs)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(source, "CHUNK", 1)  # the fewest rows


@pytest.fixture
def given_file(tmp_path):
    frame().to_parquet(tmp_path / "in.parquet", row_group_size=700)
    return tmp_path / "in.parquet"


def vectors(path, column="embedding"):
    return np.stack(polars.read_parquet(path)[column].to_numpy()).astype(np.float32)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_others_read_what_is_written(given_file, tmp_path, dtype):
    out = tmp_path / "out.parquet"
    report = locenc.embed_parquet(given_file, out, encoder(), dtype=dtype)
    expected = locenc.embed(lonlat(), encoder())
    found = {
        "polars": vectors(out),
        "duckdb": np.stack(duckdb.read_parquet(str(out)).fetchnumpy()["embedding"]),
        "geopandas": np.stack(geopandas.read_parquet(out)["embedding"]),
        "arrow": np.stack(pq.read_table(out)["embedding"].to_pylist()),
    }
    scale = polars.read_parquet(out)["embedding_scale"].to_numpy()[:, None] if dtype == "int8" else 1
    for values in found.values():
        back = values.astype(np.float32) * scale
        error = np.abs(back - expected)
        assert error.max() == pytest.approx(report.error, rel=1e-6)
        bound = {"float32": 0, "float16": 2**-11 * np.abs(expected) + 2**-25, "int8": 0.500001 * scale}[dtype]
        assert (error <= bound).all()
    notes = json.loads(pq.read_schema(out).metadata[b"locenc"])["embedding"]
    assert notes["largest_error"] == report.error
    assert notes["encoder"] == encoder().config
    assert "10^9 such rows would take" in str(report)


@pytest.mark.parametrize("crs", [4326, 3857, 32633])
def test_columns_and_reference_system_are_kept(tmp_path, crs):
    given = frame(2000, 4326 if crs == 32633 else crs)
    if crs == 32633:  # near its meridian
        given = (
            geopandas.GeoDataFrame(
                given.drop(columns="geometry"),
                geometry=geopandas.points_from_xy(*(lonlat(2000) / [60, 2] + [15, 0]).T),
            )
            .set_crs(4326)
            .to_crs(crs)
        )
    given.to_parquet(tmp_path / "in.parquet")
    locenc.embed_parquet(tmp_path / "in.parquet", tmp_path / "out.parquet", encoder())
    found = geopandas.read_parquet(tmp_path / "out.parquet")
    assert found.crs == given.crs
    assert found.drop(columns="embedding").equals(geopandas.read_parquet(tmp_path / "in.parquet"))
    assert np.array_equal(np.stack(found["embedding"]), locenc.embed(given, encoder()))
    before, after = (pq.read_schema(tmp_path / name).metadata for name in ("in.parquet", "out.parquet"))
    assert {key: after[key] for key in before} == before


def test_the_same_bytes_in_other_batches_and_on_other_threads(given_file, tmp_path):
    threads, files = torch.get_num_threads(), []
    for number, batch_size in ((1, None), (2, 700)):
        torch.set_num_threads(number)
        locenc.embed_parquet(given_file, tmp_path / f"{number}.parquet", encoder(), batch_size=batch_size)
        files.append((tmp_path / f"{number}.parquet").read_bytes())
    torch.set_num_threads(threads)
    assert files[0] == files[1]


CODE = """
import sys, time, torch, locenc
from locenc.parquet import run, source
source.CHUNK = 1
torch.manual_seed(1)
encoder = locenc.create("sphere2vec-sphereC", dim=8, num_scales=4)
embed = run.embed
def slow(*args, **options):
    print("chunk", flush=True)
    time.sleep(0.02)
    return embed(*args, **options)
run.embed = slow
locenc.embed_parquet(sys.argv[1], sys.argv[2], encoder)
"""


@pytest.mark.parametrize("chunks", [1, 4, 8])
def test_a_killed_run_goes_on_behind_its_finished_chunks(given_file, tmp_path, monkeypatch, chunks):
    out, whole = tmp_path / "out.parquet", tmp_path / "whole.parquet"
    locenc.embed_parquet(given_file, whole, encoder())
    with subprocess.Popen([sys.executable, "-c", CODE, str(given_file), str(out)], stdout=subprocess.PIPE) as process:
        for _ in range(chunks):
            assert process.stdout.readline()
        time.sleep(0.005 * chunks)
        process.send_signal(signal.SIGKILL)
    assert not out.exists()
    journal = tmp_path / ".out.parquet.partial" / "finished.jsonl"
    finished = len(journal.read_bytes().splitlines()) if journal.exists() else 0
    assert finished >= chunks - 3
    embedded = []
    embed = run.embed
    monkeypatch.setattr(run, "embed", lambda data, *args, **o: embedded.append(len(data)) or embed(data, *args, **o))
    report = locenc.embed_parquet(given_file, out, encoder())
    assert sum(embedded) == report.embedded == ROWS - finished * 512
    assert out.read_bytes() == whole.read_bytes()
    assert not journal.parent.exists()


def interrupted(given_file, out, monkeypatch, after=3, **options):
    """Stop a run behind some chunks."""
    with monkeypatch.context() as patch:
        calls, embed = [], run.embed

        def stop(*args, **o):
            calls.append(0)
            if len(calls) > after:
                raise KeyboardInterrupt
            return embed(*args, **o)

        patch.setattr(run, "embed", stop)
        with pytest.raises(KeyboardInterrupt):
            locenc.embed_parquet(given_file, out, encoder(), **options)


def test_what_changed_between_two_runs_is_named(given_file, tmp_path, monkeypatch):
    out = tmp_path / "out.parquet"
    interrupted(given_file, out, monkeypatch)
    with pytest.raises(ValueError, match=r"the dtype was float32, is int8\. Give the same again .*restart=True"):
        locenc.embed_parquet(given_file, out, encoder(), dtype="int8")
    torch.manual_seed(2)
    with pytest.raises(ValueError, match="the encoder's weights was"):
        locenc.embed_parquet(given_file, out, locenc.create("sphere2vec-sphereC", dim=8, num_scales=4))
    os.utime(given_file, ns=(0, 0))
    with pytest.raises(ValueError, match="the time of the source's last change was"):
        locenc.embed_parquet(given_file, out, encoder())
    report = locenc.embed_parquet(given_file, out, encoder(), restart=True)
    assert report.embedded == report.rows == ROWS


def test_a_torn_journal_and_lost_data_are_made_again(given_file, tmp_path, monkeypatch):
    out, whole = tmp_path / "out.parquet", tmp_path / "whole.parquet"
    locenc.embed_parquet(given_file, whole, encoder())
    interrupted(given_file, out, monkeypatch, after=5)
    folder = tmp_path / ".out.parquet.partial"
    with open(folder / "finished.jsonl", "ab") as file:
        file.write(b'{"end": 12')
    os.truncate(folder / "data.parquet", (folder / "data.parquet").stat().st_size - 1000)
    report = locenc.embed_parquet(given_file, out, encoder())
    assert 0 < report.embedded < ROWS
    assert out.read_bytes() == whole.read_bytes()


def test_a_kill_behind_the_last_move_leaves_no_job(given_file, tmp_path, monkeypatch):
    out = tmp_path / "out.parquet"
    monkeypatch.setattr(job.Job, "remove", lambda self: None)  # as if killed before
    locenc.embed_parquet(given_file, out, encoder())
    assert (tmp_path / ".out.parquet.partial" / "finished.jsonl").exists()
    monkeypatch.undo()
    with pytest.raises(FileExistsError):
        locenc.embed_parquet(given_file, out, encoder())
    assert sorted(os.listdir(tmp_path)) == ["in.parquet", "out.parquet"]


def test_a_full_disk_loses_nothing(given_file, tmp_path, file_size_limit):
    out, whole = tmp_path / "out.parquet", tmp_path / "whole.parquet"
    locenc.embed_parquet(given_file, whole, encoder())
    with file_size_limit(100_000), pytest.raises(OSError, match=r"cannot write .*out\.parquet: .*is kept in .*partial"):
        locenc.embed_parquet(given_file, out, encoder())
    assert not out.exists()
    assert locenc.embed_parquet(given_file, out, encoder()).embedded < ROWS
    assert out.read_bytes() == whole.read_bytes()


def test_a_target_that_cannot_be_written(given_file, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match=r"cannot write .*file.*free space or choose a folder you can write to"):
        locenc.embed_parquet(given_file, tmp_path / "file" / "out.parquet", encoder())
    (tmp_path / "out.parquet").write_text("precious")
    with pytest.raises(FileExistsError, match="name another target, or overwrite=True"):
        locenc.embed_parquet(given_file, tmp_path / "out.parquet", encoder())
    assert (tmp_path / "out.parquet").read_text() == "precious"
    for overwrite in (False, True):
        with pytest.raises(IsADirectoryError, match="is a folder; give the name of a file"):
            locenc.embed_parquet(given_file, tmp_path, encoder(), overwrite=overwrite)
    assert sorted(os.listdir(tmp_path)) == ["file", "in.parquet", "out.parquet"]


def test_points_as_x_and_y(tmp_path):
    points = frame()
    points.to_parquet(tmp_path / "in.parquet", geometry_encoding="geoarrow", schema_version="1.1.0")
    locenc.embed_parquet(tmp_path / "in.parquet", tmp_path / "out.parquet", encoder())
    assert np.array_equal(vectors(tmp_path / "out.parquet"), locenc.embed(lonlat(), encoder()))
    assert geopandas.read_parquet(tmp_path / "out.parquet").geometry.geom_equals(points.geometry).all()


MEMORY = """
import resource, sys, numpy as np, pyarrow as pa, pyarrow.parquet as pq, locenc
encoder = locenc.position_encoder("sphere2vec-sphereC", num_scales=64)
for rows in (10**5, 10**6):
    x, y = np.random.default_rng(0).uniform(-90, 90, (2, rows))
    pq.write_table(pa.table({"x": x, "y": y}), sys.argv[1] + "/in.parquet", row_group_size=rows)
    del x, y
    folder = sys.argv[1]
    locenc.embed_parquet(f"{folder}/in.parquet", f"{folder}/out.parquet", encoder, lon="x", lat="y", overwrite=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_a_file_of_polars_keeps_its_geo_metadata(given_file, tmp_path):
    geo = pq.read_schema(given_file).metadata[b"geo"].decode()
    rows = polars.from_arrow(pq.read_table(given_file, columns=["name", "geometry"]))
    rows.write_parquet(tmp_path / "polars.parquet", metadata={"geo": geo})
    locenc.embed_parquet(tmp_path / "polars.parquet", tmp_path / "out.parquet", encoder())
    locenc.embed_parquet(given_file, tmp_path / "same.parquet", encoder())
    assert np.array_equal(vectors(tmp_path / "out.parquet"), vectors(tmp_path / "same.parquet"))
    assert geopandas.read_parquet(tmp_path / "out.parquet").geometry.equals(frame().geometry)


def wkb_table(kind, **about):
    table = pa.table({"geometry": pa.array([Point(*place).wkb for place in lonlat(600)]).cast(kind)})
    columns = {"geometry": {"encoding": "WKB", **about}}
    geo = {"version": "1.0.0", "primary_column": "geometry", "columns": columns}
    return table.replace_schema_metadata({"geo": json.dumps(geo)})


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(21)])
def test_every_type_of_bytes(tmp_path, kind):
    try:
        pq.write_table(wkb_table(kind), tmp_path / "in.parquet")
    except pa.ArrowNotImplementedError as error:  # before pyarrow 21
        pytest.skip(str(error))
    locenc.embed_parquet(tmp_path / "in.parquet", tmp_path / "out.parquet", encoder())
    assert np.array_equal(vectors(tmp_path / "out.parquet"), locenc.embed(lonlat(600), encoder()))


def test_a_reference_system_that_is_damaged(tmp_path):
    pq.write_table(wkb_table(pa.binary(), crs={"type": "GeographicCRS", "id": None}), tmp_path / "in.parquet")
    with pytest.raises(ValueError, match="no coordinate reference system that pyproj knows"):
        locenc.embed_parquet(tmp_path / "in.parquet", tmp_path / "out.parquet", encoder())


def test_dictionaries_inside_lists(tmp_path, monkeypatch):
    words = pa.array([f"word {row // 300 * 3 + row % 3}" for row in range(3000)]).dictionary_encode()
    lists = pa.ListArray.from_arrays(pa.array(range(3001), pa.int32()), words)
    table = pa.table({"lon": lonlat(3000)[:, 0], "lat": lonlat(3000)[:, 1], "lists": lists, "words": words})
    given, out, whole = (tmp_path / f"{name}.parquet" for name in ("in", "out", "whole"))
    pq.write_table(table, given, row_group_size=700)
    locenc.embed_parquet(given, whole, encoder(), lon="lon", lat="lat")
    assert pq.read_table(whole).drop_columns("embedding").equals(pq.read_table(given))
    interrupted(given, out, monkeypatch, lon="lon", lat="lat")
    locenc.embed_parquet(given, out, encoder(), lon="lon", lat="lat")
    assert out.read_bytes() == whole.read_bytes()


def test_memory_does_not_grow_with_the_rows(tmp_path):
    done = subprocess.run([sys.executable, "-c", MEMORY, tmp_path], capture_output=True, text=True, check=True)
    few, many = map(int, done.stdout.split())
    assert many - few < 100 * 1024  # of kB; the vectors of the larger are 768 MB


def test_a_second_process_is_refused(given_file, tmp_path):
    out = tmp_path / "out.parquet"
    with subprocess.Popen([sys.executable, "-c", CODE, str(given_file), str(out)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline()
        with pytest.raises(BlockingIOError, match="another process is embedding"):
            locenc.embed_parquet(given_file, out, encoder())
        process.kill()


def test_plain_columns_gaps_and_no_rows(tmp_path):
    path, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pq.write_table(pa.table({"x": [1.0, None, 3.0], "y": [1, 2, 3]}), path)
    with pytest.raises(ValueError, match=r"in\.parquet: row 1 has no place .*missing=\"nan\""):
        locenc.embed_parquet(path, out, encoder(), lon="x", lat="y")
    for dtype in ("float32", "float16", "int8"):
        locenc.embed_parquet(path, out, encoder(), lon="x", lat="y", missing="nan", dtype=dtype, overwrite=True)
        table = polars.read_parquet(out)
        found = vectors(out) * (table["embedding_scale"].to_numpy()[:, None] if dtype == "int8" else 1)
        assert np.isnan(found).all(1).tolist() == [False, True, False]
    pq.write_table(pa.table({"x": pa.array([], pa.float64()), "y": pa.array([], pa.float64())}), path)
    report = locenc.embed_parquet(path, out, encoder(), lon="x", lat="y", overwrite=True)
    assert report.rows == 0
    assert pq.read_table(out)["embedding"].type == pa.list_(pa.field("element", pa.float32(), nullable=False), 8)
    assert len(polars.read_parquet(out)) == len(duckdb.read_parquet(str(out))) == 0


@pytest.mark.parametrize(
    ("points", "crs", "text"),
    [
        ([Point(1, 2)] * 600 + [None], 4326, "row 600 has no place"),
        ([Point(1, 2), Point()], 4326, "row 1 has no place"),
        ([Point(1, 2)] * 600 + [LineString([(0, 0), (1, 1)])] * 2, 4326, "row 600 is a LineString, and 1 more row"),
        ([Point(1, 2)] * 600 + [Point(1, 95)], 4326, r"row 600 has 95 \(longitude 1\)"),
        ([Point(48, 151)], 4326, "look swapped"),
        ([Point(261848, 6250566)], 4326, "projected metres"),
        ([Point(1e30, 1e30)], 32633, r"row 0 has x 1e\+30, y 1e\+30, which is no place"),
    ],
)
def test_bad_places_are_named_before_anything_is_written(tmp_path, points, crs, text):
    geopandas.GeoDataFrame(geometry=points, crs=crs).to_parquet(tmp_path / "in.parquet")
    with pytest.raises(ValueError, match=text):
        locenc.embed_parquet(tmp_path / "in.parquet", tmp_path / "out.parquet", encoder())
    assert os.listdir(tmp_path) == ["in.parquet"]


def test_no_reference_system_is_longitude_and_latitude_with_a_warning(tmp_path):
    geopandas.GeoDataFrame(geometry=[Point(1, 2)]).to_parquet(tmp_path / "in.parquet")
    with pytest.warns(UserWarning, match="no CRS"):
        locenc.embed_parquet(tmp_path / "in.parquet", tmp_path / "out.parquet", encoder())


def test_bad_files_and_names(given_file, tmp_path):
    out = tmp_path / "out.parquet"
    with pytest.raises(ValueError, match="are one file"):
        locenc.embed_parquet(given_file, given_file, encoder())
    with pytest.raises(ValueError, match="has a column 'name' already"):
        locenc.embed_parquet(given_file, out, encoder(), column="name")
    with pytest.raises(TypeError, match="'name' must hold numbers in degrees, not"):
        locenc.embed_parquet(given_file, out, encoder(), lon="name", lat="count")
    with pytest.raises(ValueError, match="unknown column 'lom'"):
        locenc.embed_parquet(given_file, out, encoder(), lon="lom", lat="count")
    with pytest.raises(ValueError, match="unknown dtype 'float64'"):
        locenc.embed_parquet(given_file, out, encoder(), dtype="float64")
    with pytest.raises(FileNotFoundError, match="no file"):
        locenc.embed_parquet(tmp_path / "none.parquet", out, encoder())
    out.write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        locenc.embed_parquet(given_file, out, encoder())
    assert out.read_text() == "mine"
    with pytest.raises(ValueError, match="not a Parquet file"):
        locenc.embed_parquet(out, tmp_path / "other.parquet", encoder())
    plain = tmp_path / "plain.parquet"
    pq.write_table(pa.table({"x": [1.0]}), plain)
    with pytest.raises(ValueError, match=r"no geometry .*lon= and lat="):
        locenc.embed_parquet(plain, tmp_path / "other.parquet", encoder())
    data = bytearray(given_file.read_bytes())
    data[200:4000] = os.urandom(3800)
    given_file.write_bytes(data)
    with pytest.raises(ValueError, match="damaged"):
        locenc.embed_parquet(given_file, tmp_path / "other.parquet", encoder())
    assert not (tmp_path / "other.parquet").exists()


def test_float16_that_overflows(given_file, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "embed", lambda data, *_, out, **__: out.__setitem__(slice(None), 1e5))
    with pytest.raises(ValueError, match="the embedding of row 0 has 100000, and the largest float16"):
        locenc.embed_parquet(given_file, tmp_path / "out.parquet", encoder(), dtype="float16")


floats = st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False).filter(lambda x: x == 0 or abs(x) > 1e-30)


@given(st.lists(st.lists(floats, min_size=3, max_size=3), max_size=5))
def test_int8_is_at_most_half_a_scale_off(rows):
    given = np.array(rows, np.float32).reshape(-1, 3)
    values, scale, error = reduced(given, "int8")
    off = np.abs(values.astype(np.float64) * scale[:, None] - given.astype(np.float64))
    assert (off <= 0.50001 * scale[:, None]).all()
    assert error == pytest.approx(
        float(off.max(initial=0)), rel=1e-3, abs=float(1e-7 * np.abs(given).max(initial=1e-30))
    )


@pytest.mark.parametrize("statistics", [True, False])
def test_footers_come_out_as_they_went_in(tmp_path, statistics):
    path = tmp_path / "a.parquet"
    columns = {f"c{i}": [None, i, 2**40] for i in range(20)} | {"text": ["a", None, "b"], "list": [[1.5], [], None]}
    pq.write_table(pa.table(columns), path, write_statistics=statistics, write_page_index=statistics)
    data = path.read_bytes()
    metadata = data[-8 - int.from_bytes(data[-8:-4], "little") : -8]
    assert thrift.write(thrift.read(metadata)) == metadata


def test_the_name_of_the_column_is_text(given_file, tmp_path):
    with pytest.raises(TypeError, match=r"column must be text, got 1\.5"):
        locenc.embed_parquet(given_file, tmp_path / "new.parquet", encoder(), column=1.5)
    assert not list(tmp_path.glob("*new*"))
