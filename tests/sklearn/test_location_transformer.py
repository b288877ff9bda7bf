"""`locenc.LocationTransformer`: scikit-learn's own checks, pipelines, tables, seeds, errors."""

import pickle
import warnings
from pathlib import Path

import geopandas
import numpy as np
import pandas
import pytest
import torch
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import locenc
from locenc import LocationTransformer

COLUMNS = "its data have other than two columns: a place has longitude and latitude"
DEGREES = "its data lie around 100, beyond the poles"
FAILS = {
    "check_dict_unchanged": COLUMNS,
    "check_dont_overwrite_parameters": COLUMNS,
    "check_dtype_object": COLUMNS,
    "check_estimators_dtypes": COLUMNS,
    "check_estimators_nan_inf": COLUMNS,
    "check_estimators_pickle": COLUMNS,
    "check_f_contiguous_array_estimator": COLUMNS,
    "check_fit2d_predict1d": COLUMNS,
    "check_fit_check_is_fitted": DEGREES,
    "check_fit_idempotent": DEGREES,
    "check_fit_score_takes_y": COLUMNS,
    "check_methods_sample_order_invariance": COLUMNS,
    "check_methods_subset_invariance": COLUMNS,
    "check_n_features_in": DEGREES,
    "check_n_features_in_after_fitting": COLUMNS,
    "check_pipeline_consistency": COLUMNS,
    "check_positive_only_tag_during_fit": COLUMNS,
    "check_transformer_data_not_an_array": COLUMNS,
    "check_transformer_general": COLUMNS,
}


@pytest.fixture
def places() -> geopandas.GeoDataFrame:
    lonlat = np.random.default_rng(0).uniform((-180, -60), (180, 80), (60, 2))
    index = pandas.Index([f"p{row}" for row in range(60)])
    table = {"height": np.arange(60.0), "presence": lonlat[:, 1] > 10}
    return geopandas.GeoDataFrame(table, geometry=geopandas.points_from_xy(*lonlat.T), index=index, crs=4326)


def degrees(places: geopandas.GeoDataFrame) -> np.ndarray:
    return np.stack([places.geometry.x, places.geometry.y], 1)


def test_checks_of_scikit_learn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)
        results = check_estimator(LocationTransformer(), expected_failed_checks=FAILS, on_fail=None)
    status = {name: {one["status"] for one in results if one["check_name"] == name} for name in FAILS}
    assert sum(one["status"] == "passed" for one in results) >= 24
    assert [one for one in results if one["status"] == "failed"] == []
    assert {name for name, found in status.items() if found != {"xfail"}} == set()  # none is listed that passes


# Pipelines


def test_a_pipeline_on_a_geo_data_frame(places: geopandas.GeoDataFrame) -> None:
    model = Pipeline([("where", LocationTransformer()), ("what", LogisticRegression(max_iter=1000))])
    model.fit(places, places.presence)
    expected = LogisticRegression(max_iter=1000).fit(
        locenc.embed(places, locenc.position_encoder("sphere2vec-sphereC")), places.presence
    )
    assert np.array_equal(model.predict_proba(places)[:, 1], expected.predict_proba(model[0].transform(places))[:, 1])
    assert len(cross_val_score(model, places, places.presence, cv=3)) == 3
    names = model[:-1].get_feature_names_out()
    assert len(set(names)) == model[0].transform(places).shape[1]
    for other in (clone(model).fit(places, places.presence), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(other.predict_proba(places), model.predict_proba(places))


@pytest.mark.parametrize("columns", ["geometry", ["geometry"]])
def test_beside_other_columns(columns: object, places: geopandas.GeoDataFrame) -> None:
    parts = [("where", LocationTransformer("xyz"), columns), ("rest", StandardScaler(), ["height"])]
    table = ColumnTransformer(parts).set_output(transform="pandas").fit_transform(places)
    assert table.index.equals(places.index)
    names = [f"where__locationtransformer{column}" for column in range(3)]
    assert list(table.columns) == [*names, "rest__height"]
    assert np.array_equal(table[names], locenc.embed(places, locenc.position_encoder("xyz")))


# Data


def test_every_form_of_places(places: geopandas.GeoDataFrame) -> None:
    lonlat = degrees(places)
    transformer = LocationTransformer("xyz")
    expected = locenc.embed(lonlat, locenc.position_encoder("xyz"))
    table = pandas.DataFrame(lonlat, columns=["Longitude", "Latitude"], index=places.index)
    for data in (places, places.geometry, lonlat, lonlat.tolist(), table):
        embedding = transformer.fit_transform(data)
        assert embedding.dtype == np.float32
        assert np.array_equal(embedding, expected)
    np.testing.assert_allclose(transformer.fit_transform(places.to_crs(3857)), expected, atol=1e-6)
    wide = table.assign(height=1.0)
    assert np.array_equal(LocationTransformer("xyz", lon="Longitude", lat="Latitude").fit_transform(wide), expected)


def test_pandas_keeps_the_index(places: geopandas.GeoDataFrame) -> None:
    transformer = LocationTransformer("xyz").set_output(transform="pandas")
    for data in (places, places.geometry):
        table = transformer.fit_transform(data)
        assert table.index.equals(places.index)
        assert list(table.columns) == list(transformer.get_feature_names_out())


def test_what_fit_saw(places: geopandas.GeoDataFrame) -> None:
    transformer = LocationTransformer("xyz").fit(places)
    assert transformer.n_features_in_ == 3
    assert list(transformer.feature_names_in_) == list(places.columns)
    with pytest.raises(ValueError, match="feature names"):
        transformer.transform(places.rename(columns={"height": "depth"}))


def test_missing_places(places: geopandas.GeoDataFrame) -> None:
    broken = places.copy()
    broken.loc["p7", "geometry"] = None
    with pytest.raises(ValueError, match=r"row 7 \(index 'p7'\)"):
        LocationTransformer("xyz").fit(broken)
    embedding = LocationTransformer("xyz", missing="nan").fit_transform(broken)
    assert np.array_equal(np.isnan(embedding).all(1), np.arange(60) == 7)
    lonlat = degrees(places)
    lonlat[7, 0] = np.nan
    assert np.array_equal(LocationTransformer("xyz", missing="nan").fit_transform(lonlat), embedding, equal_nan=True)


# Encoders


def test_drawn_weights_follow_the_seed() -> None:
    lonlat = [[2.35, 48.86], [-77.04, -12.05]]
    state = torch.get_rng_state()
    one, same, other = (
        LocationTransformer("xyz", dim=5, options={"network": "ffn"}, random_state=seed).fit_transform(lonlat)
        for seed in (1, 1, 2)
    )
    assert one.shape == (2, 5)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_encoders_that_are_ready_or_saved(tmp_path: Path) -> None:
    lonlat = [[2.35, 48.86], [-77.04, -12.05]]
    encoder = locenc.create("xyz", dim=4)
    expected = locenc.embed(lonlat, encoder)
    encoder.save_pretrained(tmp_path)
    ready = LocationTransformer(encoder).fit(lonlat)
    assert ready.encoder_ is encoder
    for transformer in (ready, clone(ready), LocationTransformer(tmp_path), LocationTransformer(str(tmp_path))):
        assert np.array_equal(transformer.fit_transform(lonlat), expected)


# Errors


@pytest.mark.parametrize(
    ("options", "data", "error", "message"),
    [
        ({"encoder": "xyzz"}, [[0, 0]], ValueError, "unknown encoder 'xyzz'. Did you mean 'xyz'"),
        ({"encoder": "no/such/folder"}, [[0, 0]], FileNotFoundError, "no/such/folder"),
        ({"encoder": 5}, [[0, 0]], TypeError, "a name, a folder or an encoder, got int"),
        ({"encoder": "xyz", "options": {"scales": 5}}, [[0, 0]], TypeError, "scales"),
        ({"dim": 0}, [[0, 0]], ValueError, "dim must be .* got 0"),
        ({"missing": "drop"}, [[0, 0]], ValueError, "missing"),
        ({}, [[0, 0, 0]], ValueError, r"two columns, .* 1 sample\(s\) and 3 feature\(s\)"),
        ({}, [[0, 95]], ValueError, r"row 0 has 95"),
        ({}, pandas.DataFrame({"lat": [1], "lon": [2]}), ValueError, "look swapped: give lon= and lat="),
        ({}, pandas.DataFrame({"a": [1], "b": [2], "c": [3]}), ValueError, "which columns"),
        ({"lon": "a", "lat": "z"}, pandas.DataFrame({"a": [1], "b": [2]}), ValueError, "'z'"),
    ],
)
def test_errors(options: dict[str, object], data: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        LocationTransformer(**options).fit(data)


def test_a_ready_encoder_has_its_own_options() -> None:
    with pytest.raises(ValueError, match="one that is ready has its own"):
        LocationTransformer(locenc.position_encoder("xyz"), dim=5).fit([[0, 0]])


def test_transform_comes_after_fit() -> None:
    with pytest.raises(NotFittedError):
        LocationTransformer().transform([[0, 0]])
