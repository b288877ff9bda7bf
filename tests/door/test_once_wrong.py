"""Calls that once ended in an error from deep inside, or in none: each is named at the door now."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.dataframe
import numpy as np
import pandas
import pyarrow as pa
import pytest
import torch

import locenc
import locenc_csp as csp
from locenc import coords, data

XYZ = locenc.position_encoder("xyz")
POINT = torch.zeros(2, 2, dtype=torch.float64)
TABLE = pandas.DataFrame({"lon": [1.0], "lat": [2.0]})
CALLS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: locenc.embed(POINT.to_sparse(), XYZ), ValueError, "must be a dense tensor"),
    (lambda: locenc.embed(POINT.to("meta"), XYZ), ValueError, "'meta' hold no numbers"),
    (lambda: coords.check_lonlat(POINT.to("meta")), ValueError, "'meta' hold no numbers"),
    (lambda: locenc.embed(np.array(3.0), XYZ), ValueError, r"must have shape \(..., 2\), got \(\)"),
    (lambda: locenc.embed(POINT, XYZ, device="meta"), ValueError, "device 'meta' hold no numbers"),
    (lambda: locenc.embed(POINT, XYZ, device=np.zeros(0)), ValueError, "device must be"),
    (lambda: locenc.embed(POINT, XYZ, device=10**30), ValueError, "device must be"),
    (lambda: locenc.embed(POINT, XYZ, batch_size=10**30), ValueError, "batch_size must be a whole number from 1 to"),
    (lambda: locenc.embed(POINT, XYZ, missing=np.zeros(0)), ValueError, "unknown way of treating missing places"),
    (lambda: locenc.embed(TABLE, XYZ, lon=np.zeros(2), lat="lat"), TypeError, "names of columns, got array"),
    (lambda: data.sample_raster([[1, 2]], POINT), ValueError, "raster must be an array"),
    (lambda: data.sample_raster(np.zeros((0, 3)), POINT), ValueError, "raster must be an array .* not empty"),
    (lambda: locenc.from_pretrained(np.array(3.0)), TypeError, "path must be text or a path, got ndarray"),
    (lambda: locenc.load_csp(3), TypeError, "path must be text or a path, got int"),
    (lambda: locenc.from_pretrained(""), ValueError, "path must name a file or folder"),
    (lambda: locenc.maps.values(lambda at: at[:, 0], label="", title=[[]]), TypeError, "title must be text"),
    (lambda: locenc.maps.probability(XYZ, torch.nn.Linear(3, 2), label=1.5), TypeError, "label must be a class, by"),
    (
        lambda: locenc.LocationTransformer("xyz", random_state=-1).fit([[1.0, 2.0]]),
        ValueError,
        "random_state must be None, a whole number from 0",
    ),
    (
        lambda: csp.relative_information([[1.0, 2.0]] * 3, [0, 1, 0], radius_km=100, ring_km=1e-9),
        ValueError,
        "ring_km=1e-09 cuts a neighbourhood into 100,000,000,00",
    ),
    (
        lambda: csp.relative_information([[1.0, 2.0]] * 3, [0, 1, 0], radius_km=100, num_sectors=4000, bins=4000),
        ValueError,
        "4,000 parts with 4,000 bins are more than",
    ),
    (lambda: locenc.FFN(2.0, 3), ValueError, "in_dim must be a whole number"),
    (lambda: locenc.Siren(2, 0), ValueError, "out_dim must be a whole number"),
    (lambda: locenc.ResidualFCNet(np.zeros(2), 1), ValueError, "in_dim must be a whole number"),
    (lambda: locenc.FFN(2, 3, activation=np.array(["a"])), ValueError, "unknown activation"),
    (lambda: locenc.FFN(2, 3, skip=np.zeros(0)), TypeError, "skip must be True or False"),
    (lambda: locenc.create("tile", extent=object()), TypeError, "extent"),
    (lambda: locenc.create("rff", extent=[1, "a"]), TypeError, "extent must be four numbers"),
    (lambda: locenc.create("rbf", kernel_size="x"), TypeError, "kernel_size must be a number"),
    (lambda: locenc.create("geoclip", sigmas=[1, "a"]), TypeError, "a sigma must be a number"),
    (lambda: locenc.create("geoclip", sigmas=b"x"), ValueError, "sigmas must be 1 to 64 positive"),
    (lambda: locenc.SphericalHarmonics(3, normalization=np.zeros(0)), ValueError, "unknown normalization"),
    (lambda: locenc.Wrap(date=True)([[1.0, 2.0]]), TypeError, "expected a tensor"),
    (lambda: locenc.register({"a": 1}), TypeError, "the name of an encoder must be a text"),
    (lambda: locenc.backend(np.zeros(0)).__enter__(), ValueError, "unknown backend"),
    (lambda: locenc.embed_grid(XYZ, bounds=np.array(3.0)), ValueError, "bounds must be"),
    (
        lambda: locenc.LocationTransformer("xyz").fit(pa.table({"x": [1.0], "y": [2.0]}).to_pandas()[["x", "x"]]),
        ValueError,
        "different names",
    ),
    (lambda: locenc.LocationTransformer("xyz").fit(dask.dataframe.from_pandas(TABLE)), TypeError, "places of dask"),
    (lambda: locenc.LocationTransformer("xyz").fit([[1.0, 2.0], [3.0]]), ValueError, "rows of two numbers"),
    (lambda: locenc.LocationTransformer("xyz").fit(POINT.bfloat16()), TypeError, "must be float64 or float32"),
    (lambda: locenc.LocationTransformer("xyz", options=[[]]).fit(POINT), TypeError, "options must be a mapping"),
    (lambda: csp.contrastive_loss(POINT, {1, 2}), TypeError, "b must be a tensor, got set"),
    (lambda: csp.contrastive_loss(POINT, POINT, mask=3), TypeError, "mask must be what locenc_csp.same_place gives"),
    (lambda: csp.contrastive_loss(POINT, POINT, torch.zeros(0)), ValueError, "temperature must be one number"),
    (lambda: csp.contrastive_loss(POINT, POINT + 0j), TypeError, "b must hold floating-point numbers"),
    (lambda: csp.Objective(["MC-B"]), ValueError, "unknown objective"),
    (lambda: csp.Objective("MC-B", symmetric=np.zeros(0)), ValueError, "symmetric must be"),
    (lambda: csp.Objective("MC-B")(POINT, None), TypeError, "must be a tensor, got NoneType"),
    (lambda: csp.Objective("GEOCLIP-B")(POINT, POINT, queue=3.0), TypeError, "queue must be a tensor"),
    (lambda: csp.LearnedTemperature(torch.zeros(0)), TypeError, "objective must be a locenc_csp.Objective"),
    (lambda: csp.LearnedTemperature(csp.Objective("MC-B"), -1), TypeError, "terms must be letters"),
    (lambda: locenc.maps.points(dask.dataframe.from_pandas(TABLE)), TypeError, "of dask holds no places yet"),
    (lambda: csp.full_loss(POINT + 0j, torch.zeros(2).long()), TypeError, "logits must be floating-point"),
    (lambda: csp.full_loss(POINT, torch.zeros(2).long(), POINT + 0j), TypeError, "background logits must be float"),
    (lambda: csp.ssdl_loss(POINT, torch.zeros(2).long(), POINT > 0), TypeError, "background logits must be float"),
    (lambda: csp.SoftmaxHead(2, 2)(POINT > 0), TypeError, "embeddings must be floating-point"),
    (lambda: csp.within_km(POINT, POINT, km=np.array(3.0)), TypeError, "km must be distances"),
    (lambda: locenc.maps.html(XYZ, "map.html", resolution="x"), TypeError, "resolution must be a number"),
    (
        lambda: locenc.LocationTransformer(XYZ, options=torch.zeros(0)).fit(POINT),
        TypeError,
        "options must be a mapping",
    ),
    (lambda: csp.full_loss(POINT, False), TypeError, "labels must be a tensor, got bool"),
    (lambda: csp.full_loss(POINT, torch.zeros(2).long(), POINT, background_weight="x"), TypeError, "background_weight"),
    (lambda: csp.SoftmaxHead(3, 2).loss(POINT, torch.zeros(2).long()), ValueError, r"embeddings must be \(..., 3\)"),
    (lambda: csp.SoftmaxHead(3, 2.0), ValueError, "num_classes must be a whole number"),
    (lambda: csp.class_scores(np.ones(2, int), [0, 0], {1}), ValueError, "num_classes must be a whole number"),
    (lambda: csp.class_scores(np.zeros(2, int), [0, 0], 1), ValueError, "rank must be whole numbers from 1"),
    (lambda: csp.ranks([[1.0], [1.0, 2.0]], [0, 0]), ValueError, "numbers in rows of one length"),
    (lambda: csp.reliability([[0.5, 0.5]], [0], bins=10**30), ValueError, "bins must be a whole number from 1 to"),
    (lambda: csp.within_km(POINT, POINT, km=5), TypeError, "km must be distances"),
    (lambda: csp.retrieval(POINT, 3.0, POINT), TypeError, "image_embeddings must be a tensor"),
    (lambda: csp.linear_probe(np.eye(2), [0, 1], [[]], 1.0), ValueError, "num_classes must be a whole number"),
    (lambda: csp.Import("inat2018", Path("a"), Path("b"), val_share=""), TypeError, "val_share must be float, got ''"),
    (lambda: csp.Import("no such", Path("a"), Path("b")), TypeError, "dataset must be"),
    (lambda: csp.Finetune(Path("a"), Path("b"), "label", modes="full"), TypeError, "modes must be"),
    (lambda: csp.Evaluate(Path("a"), Path("b"), map="x"), ValueError, "map must be a file that ends in"),
]


@pytest.mark.parametrize(("call", "kind", "message"), CALLS, ids=range(len(CALLS)))
def test_what_is_wrong_is_named(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_texts_are_paths_and_lists_are_tuples_in_recipes() -> None:
    recipe = csp.Finetune("table.parquet", "out", "label", modes=["full"])
    assert recipe == csp.Finetune(Path("table.parquet"), Path("out"), "label", modes=("full",))


def test_a_file_without_directions_is_no_geoclip(tmp_path: Path) -> None:
    torch.save(
        {"LocEnc0.head.0.weight": torch.zeros(2, 2), "LocEnc0.capsule.1.weight": torch.zeros(2, 2)}, tmp_path / "a"
    )
    with pytest.raises(ValueError, match="does not hold GeoCLIP's location encoder"):
        locenc.load_geoclip(tmp_path / "a")


def test_a_chunk_size_may_be_of_numpy() -> None:
    assert csp.embed_in_chunks(torch.nn.Linear(3, 2), torch.zeros(3, 3), np.int64(2)).shape == (3, 2)


def test_a_temperature_may_be_a_tensor() -> None:
    np.testing.assert_array_equal(csp.temper([[0.2, 0.8]], torch.tensor(0.5)), csp.temper([[0.2, 0.8]], 0.5))
