"""Features: filters against plain loops, files that stop and go on, ids, components against scikit-learn."""

import contextlib
import hashlib
import json

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn

from locenc._files import only_one
from locenc_csp import projection, writing_features
from locenc_csp.datasets import bluemarble
from locenc_csp.datasets.table import PlaceTable
from locenc_csp.datasets.table_files import write_table
from locenc_csp.extracting import build_features
from locenc_csp.features import FeatureMatrix, open_features
from locenc_csp.projection import FrozenProjection
from locenc_csp.random_conv import RandomConvFeatures
from locenc_csp.recipes import Features
from locenc_csp.writing_features import write_features

PATCHES = np.random.default_rng(0).integers(0, 256, (40, 12, 10, 3), dtype=np.uint8)
IDS = np.array([f"place-{row}" for row in range(40)])

REMEDY = r"remove .*meta\.json and compute the features again \(`locenc-csp features`\)"


def table_of(ids):
    return PlaceTable(ids, np.zeros((len(ids), 2)))


class Meaning(nn.Module):
    """Mean and largest value of a patch; stops when told to."""

    dim = 2

    def __init__(self, stop_after=None):
        super().__init__()
        self.calls, self.stop_after = 0, stop_after

    def forward(self, patches):
        if self.calls == self.stop_after:
            raise KeyboardInterrupt
        self.calls += 1
        values = patches.flatten(1).float()
        return torch.stack([values.mean(1), values.amax(1)], dim=1)


def test_random_filters_against_plain_loops():
    module = RandomConvFeatures.fit(PATCHES, num_filters=4, size=3, seed=1)
    found = module(torch.from_numpy(PATCHES[:2])).double().numpy()
    mean, scale, filters = (tensor.double().numpy() for tensor in (module.mean, module.scale, module.filters))
    for image, features_of_image in zip(PATCHES[:2], found, strict=True):
        x = (image - mean) / scale
        responses = [
            [
                np.sum(x[top : top + 3, left : left + 3] * weight.transpose(1, 2, 0))
                for top in range(10)
                for left in range(8)
            ]
            for weight in filters
        ]
        expected = [np.maximum(r, 0).mean() for r in responses] + [
            np.maximum(np.negative(r), 0).mean() for r in responses
        ]
        assert features_of_image == pytest.approx(expected, rel=1e-5)


def test_random_filters_are_cut_from_the_patches_and_have_unit_length():
    module = RandomConvFeatures.fit(PATCHES, num_filters=6, seed=0)
    assert module.dim == 12
    assert module.filters.flatten(1).norm(dim=1) == pytest.approx(torch.ones(6), rel=1e-4)
    x = (PATCHES - module.mean.numpy()) / module.scale.numpy()
    windows = np.lib.stride_tricks.sliding_window_view(x, (5, 5), axis=(1, 2)).reshape(-1, 75)
    windows /= np.linalg.norm(windows, axis=1, keepdims=True)
    best = (windows @ module.filters.flatten(1).numpy().T).max(axis=0)
    assert best == pytest.approx(np.ones(6), abs=1e-4)


def test_random_filters_repeat_by_seed_and_travel_as_a_state_dict():
    one, same, other = (RandomConvFeatures.fit(PATCHES, num_filters=4, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one.filters, same.filters)
    assert not torch.equal(one.filters, other.filters)
    fresh = RandomConvFeatures(4)
    fresh.load_state_dict(one.state_dict())
    images = torch.from_numpy(PATCHES)
    assert torch.equal(fresh(images), one(images))
    assert one(images[:0]).shape == (0, 8)


def test_random_filters_of_one_colour_stay_finite():
    plain = np.full((5, 8, 8, 3), 7, dtype=np.uint8)
    assert torch.isfinite(RandomConvFeatures.fit(plain, num_filters=3)(torch.from_numpy(plain))).all()


@pytest.mark.parametrize("bad", [PATCHES[..., :2], PATCHES[0], PATCHES.astype(np.float32), PATCHES[:, :4]])
def test_random_filters_refuse_what_is_no_patch(bad):
    with pytest.raises(ValueError, match=r"expected patches \(N, H, W, 3\) of uint8, H and W at least 5, got \("):
        RandomConvFeatures.fit(bad)
    with pytest.raises(ValueError, match="of uint8"):
        RandomConvFeatures.fit(PATCHES, num_filters=2)(torch.from_numpy(bad))
    with pytest.raises(ValueError, match="there are none"):
        RandomConvFeatures.fit(PATCHES[:0])


def test_random_filters_need_whole_positive_numbers():
    with pytest.raises(ValueError, match="num_filters must be a whole number of at least 1, got 0"):
        RandomConvFeatures.fit(PATCHES, num_filters=0)
    with pytest.raises(ValueError, match="num_filters must be a whole number of at least 1, got 0"):
        RandomConvFeatures(0)
    with pytest.raises(ValueError, match="size must be a whole number of at least 1, got 0"):
        RandomConvFeatures.fit(PATCHES, size=0)
    with pytest.raises(ValueError, match="seed must be a whole number of at least 0, got -1"):
        RandomConvFeatures.fit(PATCHES, seed=-1)


def test_features_are_written_in_order_and_found_again(tmp_path):
    matrix = write_features(tmp_path / "new", Meaning(), PATCHES, ids=IDS, source="abc")
    assert matrix.values.dtype == np.float32
    assert matrix.values == pytest.approx(np.stack([PATCHES.mean((1, 2, 3)), PATCHES.max((1, 2, 3))], axis=1))
    assert matrix.meta["source_sha256"] == "abc"
    assert matrix.rows(np.array([3, 0])).numpy() == pytest.approx(matrix.values[[3, 0]])
    matrix.check_ids(table_of(IDS))
    again = Meaning(stop_after=0)
    assert np.array_equal(write_features(tmp_path / "new", again, PATCHES, ids=IDS, source="abc").values, matrix.values)


def test_stopped_features_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(writing_features, "ROWS_PER_CHUNK", 8)
    monkeypatch.setattr(writing_features, "ROWS_PER_BATCH", 4)
    with pytest.raises(KeyboardInterrupt):
        write_features(tmp_path / "a", Meaning(stop_after=5), PATCHES, ids=IDS, source="abc")
    with pytest.raises(
        FileNotFoundError, match=r"no finished features in .*meta\.json is missing.*`locenc-csp features`"
    ):
        open_features(tmp_path / "a")
    rest = Meaning()
    found = write_features(tmp_path / "a", rest, PATCHES, ids=IDS, source="abc")
    assert rest.calls == 10 - 4  # two chunks of two batches were finished
    assert np.array_equal(
        found.values, write_features(tmp_path / "b", Meaning(), PATCHES, ids=IDS, source="abc").values
    )


def test_two_computations_in_one_folder(tmp_path, monkeypatch):
    with (
        only_one(tmp_path, "computing features"),
        pytest.raises(BlockingIOError, match="another process is computing features in"),
    ):
        write_features(tmp_path, Meaning(), PATCHES, ids=IDS, source="abc")
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]

    @contextlib.contextmanager
    def after_the_first(path, work):
        monkeypatch.undo()
        write_features(path, Meaning(), PATCHES, ids=IDS, source="abc")
        yield

    monkeypatch.setattr(writing_features, "only_one", after_the_first)
    write_features(tmp_path, Meaning(stop_after=0), PATCHES, ids=IDS, source="abc")
    with only_one(tmp_path, "computing features"):  # finished features are only read
        write_features(tmp_path, Meaning(stop_after=0), PATCHES, ids=IDS, source="abc")


def test_other_features_are_not_overwritten(tmp_path):
    write_features(tmp_path, Meaning(), PATCHES, ids=IDS, source="abc")
    with pytest.raises(ValueError, match=r"holds other features \(they differ in source_sha256\)"):
        write_features(tmp_path, Meaning(), PATCHES, ids=IDS, source="abd")
    with pytest.raises(ValueError, match=r"they differ in ids"):
        write_features(tmp_path, Meaning(), PATCHES, ids=IDS[::-1], source="abc")
    with pytest.raises(ValueError, match=r"they differ in extractor, extractor_sha256, dim"):
        write_features(tmp_path, RandomConvFeatures.fit(PATCHES, num_filters=2), PATCHES, ids=IDS, source="abc")
    with pytest.raises(ValueError, match="40 patches, but 39 ids"):
        write_features(tmp_path, Meaning(), PATCHES, ids=IDS[1:], source="abc")


def test_features_that_are_not_finite_are_named(tmp_path):
    class Broken(Meaning):
        def forward(self, patches):
            return super().forward(patches) / (patches[:, 0, 0, 0] != PATCHES[33, 0, 0, 0])[:, None]

    first = np.flatnonzero(PATCHES[:, 0, 0, 0] == PATCHES[33, 0, 0, 0])[0]
    with pytest.raises(ValueError, match=rf"the features of row {first} \(place-{first}\) are not finite"):
        write_features(tmp_path, Broken(), PATCHES, ids=IDS, source="abc")


def test_damaged_features_are_named(tmp_path):
    write_features(tmp_path, Meaning(), PATCHES, ids=IDS, source="abc")
    whole = (tmp_path / "features.npy").read_bytes()
    (tmp_path / "features.npy").write_bytes(whole[:-5])
    with pytest.raises(ValueError, match=rf"features\.npy is damaged or cut short \(.*mmap length.*\); {REMEDY}"):
        open_features(tmp_path)
    np.save(tmp_path / "features.npy", np.zeros((40, 2)))
    with pytest.raises(ValueError, match=r"expected features \(N, F\) float32 .*got \(40, 2\) float64.*; " + REMEDY):
        open_features(tmp_path)
    for name in ("features.npy", "ids.npy"):
        (tmp_path / name).unlink()
        with pytest.raises(FileNotFoundError, match=rf"{name} is missing; {REMEDY}"):
            write_features(tmp_path, Meaning(), PATCHES, ids=IDS, source="abc")
        (tmp_path / name).write_bytes(b"damage")
        with pytest.raises(ValueError, match=rf"{name} is damaged or cut short .*; {REMEDY}"):
            write_features(tmp_path, Meaning(), PATCHES, ids=IDS, source="abc")
        (tmp_path / "meta.json").unlink()
        write_features(tmp_path, Meaning(), PATCHES, ids=IDS, source="abc")
    for text, message in (('{"extr', "is damaged or cut short"), ("[1]", "is damaged: it holds a list")):
        (tmp_path / "meta.json").write_text(text)
        with pytest.raises(ValueError, match=rf"meta\.json {message}.*; {REMEDY}"):
            open_features(tmp_path)


def test_changed_values_are_noticed(tmp_path):
    matrix = write_features(tmp_path, Meaning(), PATCHES, ids=IDS, source="abc")
    matrix.check_values()
    values = np.array(matrix.values)
    assert matrix.meta["values_sha256"] == hashlib.sha256(values.tobytes()).hexdigest()
    values[33, 1] += 1
    np.save(tmp_path / "features.npy", values)
    with pytest.raises(ValueError, match=rf"features\.npy has changed since it was computed: sha256 .*; {REMEDY}"):
        open_features(tmp_path).check_values()
    with pytest.raises(ValueError, match=r"the features have changed since they were computed: .* noted None"):
        FeatureMatrix(values, IDS, {}).check_values()


def test_features_that_are_found_are_checked(tmp_path):
    np.save(tmp_path / "ids.npy", IDS)
    write_table(table_of(IDS), tmp_path / "table.parquet")
    np.save(tmp_path / "patches.npy", np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8))
    (tmp_path / "meta.json").write_text(json.dumps({"sha256": bluemarble._digest(tmp_path)}))
    recipe = Features(data=tmp_path, num_filters=2)
    folder = build_features(recipe)
    assert build_features(recipe) == folder
    np.save(folder / "features.npy", np.zeros((40, 4), np.float32))
    with pytest.raises(ValueError, match="has changed since it was computed"):
        build_features(recipe)


def test_features_of_another_table_are_refused():
    matrix = FeatureMatrix(np.zeros((3, 2), np.float32), np.array(["a", "b", "c"]), {})
    matrix.check_ids(table_of(["a", "b", "c"]))
    with pytest.raises(
        ValueError, match=r"row 1 is 'b' in the features and 'c' in the table \(2 of the first 3 rows differ; 3 rows"
    ):
        matrix.check_ids(table_of(["a", "c", "b"]))
    with pytest.raises(
        ValueError, match=r"row 2, 'c', is only in the features \(3 rows of features, 2 rows in the table\)"
    ):
        matrix.check_ids(table_of(["a", "b"]))
    with pytest.raises(ValueError, match=r"row 3, 'd', is only in the table"):
        matrix.check_ids(table_of(["a", "b", "c", "d"]))


def correlated(rows=200, columns=12):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(rows, 6)) @ rng.normal(size=(6, columns)) + 0.3 * rng.normal(size=(rows, columns))
    return (values * rng.uniform(0.1, 30, columns) + rng.normal(size=columns)).astype(np.float32)


def test_projection_is_standardised_pca_of_the_given_rows():
    values, rows = correlated(), np.arange(20, 180)
    module = FrozenProjection.fit(values, rows=rows, num_components=5)
    standard = (values - values[rows].mean(0)) / values[rows].std(0)
    expected = PCA(5, svd_solver="full").fit(standard[rows]).transform(standard)
    found = module(torch.from_numpy(values)).numpy()
    sign = np.sign((found * expected).sum(0))
    assert found == pytest.approx(expected * sign, abs=1e-4)
    assert found.dtype == np.float32
    largest = module.components.abs().argmax(0)
    assert (module.components[largest, torch.arange(5)] > 0).all()


def test_projection_does_not_depend_on_order_chunks_or_other_rows(monkeypatch):
    values = correlated()
    mask = np.zeros(200, bool)
    mask[20:180] = True
    one = FrozenProjection.fit(values, rows=np.random.default_rng(0).permutation(np.arange(20, 180)))
    changed = values.copy()
    changed[:20] = 1e6
    same = FrozenProjection.fit(changed, rows=mask)
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, same.state_dict()[name])
    monkeypatch.setattr(projection, "ROWS_PER_CHUNK", 33)
    chunked = FrozenProjection.fit(values, rows=mask)
    assert torch.allclose(one.components, chunked.components, atol=1e-5)
    assert one.dim == one.in_dim == 12


def test_projection_leaves_out_constant_features_and_loads_from_a_state_dict():
    values = correlated()
    values[:, 3] = 0.1
    module = FrozenProjection.fit(values, rows=np.arange(200), num_components=4)
    found = module(torch.from_numpy(values))
    assert torch.isfinite(found).all()
    values[:, 3] = 77.0
    assert torch.equal(found, module(torch.from_numpy(values)))
    fresh = FrozenProjection(12, 4)
    fresh.load_state_dict(module.state_dict())
    assert torch.equal(found, fresh(torch.from_numpy(values)))
    assert not list(module.parameters())


def test_projection_needs_two_rows():
    with pytest.raises(
        ValueError, match=r"need at least two rows, but 1 of 200 is left .*row without a location or of the test split"
    ):
        FrozenProjection.fit(correlated(), rows=np.array([3]))
    with pytest.raises(ValueError, match="but 0 of 200 are left"):
        FrozenProjection.fit(correlated(), rows=np.zeros(200, bool))


def test_projection_needs_a_component():
    with pytest.raises(ValueError, match="num_components must be a whole number of at least 1, got 0"):
        FrozenProjection.fit(correlated(), rows=np.arange(200), num_components=0)
