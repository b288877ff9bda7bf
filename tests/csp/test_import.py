"""Published data sets: files in exactly their formats become one table, one matrix, and probabilities by name."""

import json
import tracemalloc
import typing
from pathlib import Path

import numpy as np
import published_files as files
import pytest

from locenc_csp import writing_features
from locenc_csp.datasets.importing import import_published
from locenc_csp.datasets.probabilities import open_probabilities
from locenc_csp.datasets.published import PUBLISHED
from locenc_csp.datasets.table_files import read_table
from locenc_csp.features import open_features
from locenc_csp.recipes import Import
from locenc_csp.writing_features import copy_features

TRAIN, VAL, TEST = (files.COUNTS[part] for part in ("train", "val", "test"))


@pytest.fixture
def inat(tmp_path: Path) -> Path:
    return files.write_inat2018(tmp_path / "inat_2018")


def inat2018(folder: Path, **settings):
    return import_published(Import(dataset="inat2018", folder=folder, out=folder.parent / "out", **settings))


def test_every_published_data_set_is_offered():
    assert set(typing.get_args(typing.get_type_hints(Import)["dataset"])) == set(PUBLISHED)


def test_inat2018_becomes_a_table_in_the_order_of_its_images(inat):
    done = inat2018(inat)
    table = read_table(done.table)
    contents = [json.loads((inat / f"{part}2018.json").read_text()) for part in ("train", "val")]
    ids = [
        f"{part}-{one['id']}"
        for part, content in zip(("train", "val"), contents, strict=True)
        for one in content["images"]
    ]
    assert table.ids.tolist() == ids
    places = {
        f"{part}-{one['id']}": one
        for part in ("train", "val")
        for one in json.loads((inat / f"{part}2018_locations.json").read_text())
    }
    for row, one in enumerate(ids):
        expected = [np.nan if places[one][axis] is None else places[one][axis] for axis in ("lon", "lat")]
        assert np.array_equal(table.lonlat[row], expected, equal_nan=True)
    assert table.has_location.tolist() == [row not in (3, TRAIN + 3) for row in range(TRAIN + VAL)]
    assert table.columns["label"].tolist() == [files.SPECIES[row % 3] for part in (TRAIN, VAL) for row in range(part)]
    assert table.columns["user_id"].tolist()[:6] == [10, 11, 12, 13, -1, 15]
    assert table.columns["date"].tolist() == [places[one]["date_c"] for one in ids]
    assert table.columns["file"][0] == contents[0]["images"][0]["file_name"]
    assert table.split("official").tolist() == ["train"] * TRAIN + ["test"] * VAL
    assert done.meta["classes"] == files.SPECIES
    assert (done.meta["rows"], done.meta["without_location"]) == ({"train": TRAIN - 1, "val": 1, "test": VAL}, 2)


def test_a_folder_may_be_named_from_where_one_is(inat, monkeypatch):
    monkeypatch.chdir(inat.parent)
    done = inat2018(inat.relative_to(inat.parent))
    assert sorted(done.probabilities) == ["features_inception", "fewshot-ratio0.050"]


def test_features_follow_the_table(inat):
    done = inat2018(inat)
    matrix = open_features(done.features)
    matrix.check_ids(read_table(done.table))
    matrix.check_values()
    assert np.array_equal(
        matrix.values, np.concatenate([files.features_of(part, files.COUNTS[part]) for part in ("train", "val")])
    )
    assert matrix.values.dtype == np.float32


def test_other_features_of_the_same_images(inat):
    done = inat2018(inat, features="features_inception")
    assert open_features(done.features).values[0] == pytest.approx(files.features_of("train", TRAIN)[0] + 1)


def test_sparse_probabilities_are_found_by_id_and_class(inat):
    done = inat2018(inat)
    table = read_table(done.table)
    assert sorted(done.probabilities) == ["features_inception", "fewshot-ratio0.050"]
    labels = table.labels("label")
    for name, part in (("features_inception", "val"), ("fewshot-ratio0.050", "few")):
        values = open_probabilities(done.probabilities[name])
        assert values.meta["form"] == "sparse"
        rows = np.array([TRAIN + 2, 0, TRAIN])
        found = values.of(table.ids[rows], labels.classes)
        order = [files.SPECIES.index(one) for one in labels.classes]  # labels are sorted, columns are not
        assert order != sorted(order)
        expected = files.probabilities_of(part, VAL)[:, order]
        assert np.array_equal(found[[0, 2]], expected[[2, 0]])
        assert np.isnan(found[1]).all()


def test_a_share_of_the_training_rows_is_held_out(inat):
    table = read_table(inat2018(inat, val_share=0.25).table)
    roles = table.split("split")
    assert [(roles == role).sum() for role in ("train", "val", "test")] == [9, 3, VAL]
    assert (roles[TRAIN:] == "test").all()
    assert set(table.split("official")) == {"train", "test"}


def test_the_table_alone(inat):
    for path in (inat / "features_inception_pretrain").iterdir():
        path.unlink()
    done = inat2018(inat, table_only=True)
    assert done.features is None
    assert done.probabilities == {}
    assert sorted(path.name for path in done.folder.iterdir()) == [".lock", "meta.json", "table.parquet"]


def test_categories_and_locations_under_the_names_of_the_competition(inat):
    (inat / "categories2018.json").rename(inat / "categories.json")
    (inat / "inat2018_locations").mkdir()
    for part in ("train", "val"):
        (inat / f"{part}2018_locations.json").rename(inat / "inat2018_locations" / f"{part}2018_locations.json")
    assert len(read_table(inat2018(inat).table)) == TRAIN + VAL


def test_locations_in_another_order_are_matched_by_id(inat):
    expected = read_table(inat2018(inat, table_only=True).table)
    path = inat / "train2018_locations.json"
    files.write_json(path, json.loads(path.read_text())[::-1])
    again = import_published(Import(dataset="inat2018", folder=inat, out=inat.parent / "again", table_only=True))
    assert np.array_equal(read_table(again.table).lonlat, expected.lonlat, equal_nan=True)


def test_half_a_location_is_none(inat):
    change(inat / "train2018_locations.json", lambda places: places[0].update(lon=None))
    table = read_table(inat2018(inat).table)
    assert np.isnan(table.lonlat[0]).all()


def test_fmow_counts_both_parts_from_zero_and_has_dense_probabilities(tmp_path):
    folder = files.write_fmow(tmp_path / "fmow")
    done = import_published(Import(dataset="fmow", folder=folder, out=tmp_path / "out"))
    table = read_table(done.table)
    assert done.meta["classes"] == ["airport", "crop_field", "zoo"]
    assert table.columns["label"][:3].tolist() == ["airport", "crop_field", "zoo"]
    assert len(set(table.ids)) == TRAIN + VAL
    assert open_features(done.features).values[0] == pytest.approx(files.features_of("train", TRAIN)[0])
    values = open_probabilities(done.probabilities["feature_moco"])
    assert values.meta["form"] == "dense"
    assert np.array_equal(values.of(table.ids[TRAIN:], values.classes), files.probabilities_of("val", VAL))


@pytest.mark.parametrize("inner", ["", "data", "geo_prior_data/data"])
def test_locbench_is_found_in_its_archive(tmp_path, inner):
    files.write_inat2018(tmp_path / "archive" / inner / "inat_2018")
    done = import_published(Import(dataset="inat2018", folder=tmp_path / "archive", out=tmp_path / "out"))
    assert done.meta["num_rows"] == TRAIN + VAL


@pytest.mark.parametrize(
    ("dataset", "prefix"), [("birdsnap", "birdsnap"), ("birdsnap-ebird", "birdsnap"), ("nabirds", "nabirds")]
)
def test_birds_leave_out_images_that_were_not_found(tmp_path, dataset, prefix):
    folder = files.write_birds(tmp_path / "data" / prefix, prefix)
    done = import_published(Import(dataset=dataset, folder=tmp_path, out=tmp_path / "out"))
    table = read_table(done.table)
    assert done.meta["rows"] == {"train": TRAIN - 1, "val": VAL - 1, "test": TEST - 1}
    assert table.ids[:3].tolist() == ["train-0", "train-2", "train-3"]
    assert table.has_location[:3].tolist() == [True, False, True]
    content = json.loads((folder / f"{prefix}_with_loc_2019.json").read_text())
    kind = "orig_meta" if dataset == "birdsnap" else "ebird_meta"
    assert table.lonlat[2].tolist() == [content["train"][3][kind][axis] for axis in ("lon", "lat")]
    assert table.columns["user_id"][:3].tolist() == [0, -1, 3]
    assert np.array_equal(table.split("split"), table.split("official"))  # val rows are published
    assert open_probabilities(done.probabilities["features_inception"]).values.shape == (len(table), 3)
    assert np.array_equal(open_features(done.features).values[TRAIN - 1], files.features_of("val", VAL - 1)[0])


def test_yfcc(tmp_path):
    files.write_yfcc(tmp_path / "yfcc")
    done = import_published(Import(dataset="yfcc", folder=tmp_path, out=tmp_path / "out"))
    table = read_table(done.table)
    assert done.meta["rows"] == files.COUNTS
    assert done.meta["classes"] == ["beach", "bridge", "church, old"]
    lines = [line.split(",") for line in (tmp_path / "yfcc" / "train_test_split.csv").read_text().splitlines()[1:]]
    expected = [line for part in ("train", "val", "test") for line in lines if line[4] == part]
    assert table.lonlat.tolist() == [[float(line[1]), float(line[2])] for line in expected]
    assert table.labels("label").codes.tolist() == [int(line[3]) for line in expected]
    values = open_probabilities(done.probabilities["features_inception"])
    assert values.ids.tolist() == table.ids[-TEST:].tolist()


def change(path: Path, edit) -> None:
    """Edit a JSON file in place."""
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def archive(path: Path) -> None:
    with open(path, "wb") as file:
        np.savez(file, np.zeros((5, 6)))


def swap(places) -> None:
    for one in places:
        one["lon"], one["lat"] = one["lat"], one["lon"]


PRETRAIN = "features_inception_pretrain/inat2018_{}_pretrain_net_feats.npy"
PREDICTIONS = "features_inception/inat2018_val_preds_sparse.npz"

BROKEN = {
    "a missing file": (
        lambda folder: (folder / "val2018_locations.json").unlink(),
        FileNotFoundError,
        r"missing: val2018_locations\.json or inat2018_locations/val2018_locations\.json: a list of \{id, lon, lat, "
        r"user_id, date_c\}(.|\n)*found: train2018\.json: 12 images, 12 annotations(.|\n)*the folder holds: cat",
    ),
    "missing features": (
        lambda folder: (folder / PRETRAIN.format("train")).unlink(),
        FileNotFoundError,
        r"missing: .*train_pretrain_net_feats\.npy or .*train_net_feats\.npy: \(12, …\) numbers, features, a row for "
        r"each image of train \(--table-only does without\)",
    ),
    "other count of features": (
        lambda folder: np.save(folder / PRETRAIN.format("val"), np.zeros((4, 6), np.float32)),
        ValueError,
        r"wrong: .*val_pretrain_net_feats\.npy: expected \(5, …\) numbers, .*; found \(4, 6\) float32",
    ),
    "other width of features": (
        lambda folder: np.save(folder / PRETRAIN.format("val"), np.zeros((5, 7), np.float32)),
        ValueError,
        r"val_pretrain_net_feats\.npy: expected 6 columns, as in the part before; found 7",
    ),
    "cut features": (
        lambda folder: (folder / PRETRAIN.format("val")).write_bytes(
            (folder / PRETRAIN.format("val")).read_bytes()[:-9]
        ),
        ValueError,
        r"val_pretrain_net_feats\.npy: expected .*; found a file that is damaged or cut short",
    ),
    "an archive of features": (
        lambda folder: archive(folder / PRETRAIN.format("val")),
        ValueError,
        r"val_pretrain_net_feats\.npy: expected .*; found an archive of several arrays",
    ),
    "features of one number each": (
        lambda folder: np.save(folder / PRETRAIN.format("val"), np.zeros(5)),
        ValueError,
        r"val_pretrain_net_feats\.npy: expected \(5, …\) numbers, .*; found \(5,\) float64",
    ),
    "pickled features": (
        lambda folder: np.save(folder / PRETRAIN.format("val"), np.array([None] * 5)),
        ValueError,
        r"val_pretrain_net_feats\.npy: expected .*; found a file that is damaged or cut short",
    ),
    "truncated JSON": (
        lambda folder: (folder / "train2018.json").write_text((folder / "train2018.json").read_text()[:-20]),
        ValueError,
        r"wrong: train2018\.json: expected an object \{images: .*; found a file that is damaged or cut short",
    ),
    "a list instead of an object": (
        lambda folder: (folder / "train2018.json").write_text("[]"),
        ValueError,
        r"train2018\.json: expected an object \{images: .*found a list",
    ),
    "no annotations": (
        lambda folder: change(folder / "train2018.json", lambda content: content.pop("annotations")),
        ValueError,
        r"train2018\.json: expected an object .*; found an object with info, images, licenses",
    ),
    "an entry without an id": (
        lambda folder: change(folder / "train2018.json", lambda content: content["images"][2].pop("id")),
        ValueError,
        r"train2018\.json: expected id in every entry of images; found .* in entry 2",
    ),
    "swapped columns": (
        lambda folder: change(folder / "train2018_locations.json", swap),
        ValueError,
        r"train2018_locations\.json: expected lon and lat in degrees, .*row \d+ has (.|\n)*look swapped",
    ),
    "text for a number": (
        lambda folder: change(folder / "train2018_locations.json", lambda places: places[2].update(lon="12 E")),
        ValueError,
        r"expected numbers or null for lon and lat, in degrees; found longitude '12 E', latitude .* in row 2",
    ),
    "a category that is unknown": (
        lambda folder: change(
            folder / "val2018.json", lambda content: content["annotations"][1].update(category_id=9999)
        ),
        ValueError,
        r"val2018\.json: expected a category_id of the 3 known .*; found category_id 9999 of image 10\d\d \(row 1\)",
    ),
    "an image without a location": (
        lambda folder: change(folder / "val2018_locations.json", lambda places: places.pop(2)),
        ValueError,
        r"val2018_locations\.json: expected one location for each of 5 images; found 4, none for image 10\d\d \(row 2",
    ),
    "an image without a category": (
        lambda folder: change(folder / "val2018.json", lambda content: content["annotations"].pop()),
        ValueError,
        r"val2018\.json: expected one annotation for each of 5 images; found 4, none for image 10\d\d \(row 4\)",
    ),
    "locations of other images": (
        lambda folder: change(folder / "val2018_locations.json", lambda places: places.append({**places[0], "id": 5})),
        ValueError,
        r"expected one location for each of 5 images; found 6, also for 5, which is no image",
    ),
    "an image twice": (
        lambda folder: change(folder / "val2018.json", lambda content: content["images"].append(content["images"][1])),
        ValueError,
        r"val2018\.json: expected each image once; found image 10\d\d again in entry 5 of images",
    ),
    "a location twice": (
        lambda folder: change(folder / "val2018_locations.json", lambda places: places.append(places[0])),
        ValueError,
        r"expected one location for each of 5 images; found 6, image 10\d\d again in entry 5",
    ),
    "a category twice": (
        lambda folder: change(folder / "categories2018.json", lambda content: content.append(content[0])),
        ValueError,
        r"categories2018\.json: expected classes with an id each, .*, and a name; found 4 classes, 3 different ids",
    ),
    "probabilities of other images": (
        lambda folder: files.write_sparse(folder / PREDICTIONS, np.ones((4, 3)) / 3),
        ValueError,
        r"val_preds_sparse\.npz: expected P\(class \| image\), a row for each of 5 images, .*; found \(4, 3\)",
    ),
    "probabilities of other classes": (
        lambda folder: files.write_sparse(folder / PREDICTIONS, np.ones((5, 4)) / 4),
        ValueError,
        r"a column for each of 3 classes; found \(5, 4\)",
    ),
    "no probabilities": (
        lambda folder: files.write_sparse(folder / PREDICTIONS, np.diag([0.5, 0.5, 0.5, 7, 0])[:, 1:4] + 0.1),
        ValueError,
        r"val_preds_sparse\.npz: expected probabilities in \[0, 1\]; found 7\.1 in row 3, column 2",
    ),
    "cut probabilities": (
        lambda folder: (folder / PREDICTIONS).write_bytes((folder / PREDICTIONS).read_bytes()[:-30]),
        ValueError,
        r"val_preds_sparse\.npz: expected .*; found .* is no sparse matrix of SciPy, or damaged",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_fault_is_named_with_what_was_expected_and_found(inat, fault):
    damage, kind, message = BROKEN[fault]
    damage(inat)
    with pytest.raises(kind, match=message) as caught:
        inat2018(inat)
    assert str(caught.value).startswith(f"{inat} does not hold iNat2018 as it is published:\n")
    assert not (inat.parent / "out").exists()


def test_all_faults_come_at_once(inat):
    (inat / "categories2018.json").unlink()
    (inat / "train2018.json").write_text("{")
    np.save(inat / PRETRAIN.format("val"), np.zeros((4, 6), np.float32))
    with pytest.raises(FileNotFoundError) as caught:
        inat2018(inat)
    text = str(caught.value)
    assert "missing: categories2018.json or categories.json: a list of {id, name}" in text
    assert "wrong: train2018.json" in text
    assert "found (4, 6) float32" in text
    assert "docs/data.md" in text


def test_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere: expected iNat2018 in it"):
        inat2018(tmp_path / "nowhere")


@pytest.mark.parametrize("dataset", ["birdsnap", "yfcc"])
def test_unknown_classes_of_the_other_formats(tmp_path, dataset):
    if dataset == "yfcc":
        files.write_yfcc(tmp_path / "yfcc")
        (tmp_path / "yfcc" / "class_names.csv").write_text("id,name\n0,beach\n1,bridge\n")
        message = r"train_test_split\.csv: expected a class of class_names\.csv \(2 ids\); found 2 in row 2"
    else:
        files.write_birds(tmp_path / "birdsnap", "birdsnap")
        change(tmp_path / "birdsnap" / "birdsnap_with_loc_2019.json", lambda content: content["classes"].pop())
        message = r"birdsnap_with_loc_2019\.json: expected a class_id from 0 to 1; found class_id 2 in entry 2 of train"
    with pytest.raises(ValueError, match=message):
        import_published(Import(dataset=dataset, folder=tmp_path, out=tmp_path / "out"))


def test_faults_of_yfcc(tmp_path):
    folder = files.write_yfcc(tmp_path / "yfcc")
    path = folder / "train_test_split.csv"
    text = path.read_text()
    for changed, message in (
        (
            text.replace(",lon,lat,", ",longitude,lat,"),
            "expected a CSV file with the columns lon, lat, class, split; found col",
        ),
        (text.replace("train", "training"), r"expected a split of train, val, test; found 'training' in row \d+"),
        ('id,lon\n1,2,"3', "is not a readable CSV file"),
    ):
        path.write_text(changed)
        with pytest.raises(ValueError, match=message):
            import_published(Import(dataset="yfcc", folder=tmp_path, out=tmp_path / "out"))


def test_names_that_classes_share_are_told_apart(inat):
    change(
        inat / "categories2018.json",
        lambda content: content[0].update(name="Pica pica") or content[1].update(name="Pica pica"),
    )
    done = inat2018(inat)
    assert done.meta["classes"] == ["Turdus merula", "Pica pica (1)", "Pica pica (2)"]


def test_a_finished_import_is_found_and_another_refused(inat):
    done = inat2018(inat)
    before = (done.features / "features.npy").stat().st_mtime_ns
    assert inat2018(inat) == done
    assert (done.features / "features.npy").stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="holds another data set, or one of other settings or other files"):
        inat2018(inat, seed=1)
    np.save(inat / PRETRAIN.format("val"), np.zeros((5, 6), np.float32))
    with pytest.raises(ValueError, match="holds another data set"):
        inat2018(inat)


def test_an_interrupted_import_goes_on(inat, monkeypatch):
    monkeypatch.setattr(writing_features, "ROWS_PER_CHUNK", 4)
    chunks, fill = [], writing_features.fill_array

    def filled(path, make, **options):
        def watched(start, stop):
            if len(chunks) == 2:
                chunks.append("interrupted")
                raise KeyboardInterrupt
            chunks.append((start, stop))
            return make(start, stop)

        fill(path, watched, **options)

    monkeypatch.setattr(writing_features, "fill_array", filled)
    with pytest.raises(KeyboardInterrupt):
        inat2018(inat)
    done = inat2018(inat)
    assert chunks == [(0, 4), (4, 8), "interrupted", (8, 12), (12, 16), (16, 17)]
    open_features(done.features).check_values()


def test_features_that_are_not_finite_are_named(inat):
    values = files.features_of("val", VAL)
    values[2, 3] = np.inf
    np.save(inat / PRETRAIN.format("val"), values)
    with pytest.raises(ValueError, match=rf"the features of row {TRAIN + 2} \(val-10\d\d\) are not finite"):
        inat2018(inat)


def test_features_are_copied_in_little_memory(tmp_path):
    """A sparse file of 164 MB of zeros, as large as 20,000 rows of the published features, in blocks of 17 MB."""
    rows = 20_000
    values = np.lib.format.open_memmap(tmp_path / "features.npy", mode="w+", dtype=np.float32, shape=(rows, 2048))
    del values
    ids = np.array([f"{row:05d}" for row in range(rows)])
    source = np.load(tmp_path / "features.npy", mmap_mode="r")
    tracemalloc.start()
    copy_features(tmp_path / "out", [source], ids=ids, source="zeros")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60e6
