"""`locenc.embed` of dask's frames: nothing is computed at once, and then the bytes, order and index of one process."""

from collections.abc import Iterator
from pathlib import Path

import dask
import dask.dataframe
import dask_geopandas
import geopandas
import numpy as np
import pandas as pd
import pytest
import torch
from catalogue import globe
from count_loads import Counted
from distributed import Client, LocalCluster

import locenc

WAIT = 60  # seconds, after which a test of processes fails


def build() -> locenc.LocationEncoder:
    return locenc.create("sphere2vec-sphereM", dim=16, num_scales=4, network={"name": "ffn", "hidden_dim": 32})


def table(count: int) -> pd.DataFrame:
    lonlat = globe(count).numpy()
    names = [f"place {row}" for row in range(count)]
    return pd.DataFrame({"x": lonlat[:, 0], "y": lonlat[:, 1], "other": 1}, index=pd.Index(sorted(names), name="id"))


def places(count: int, crs: object = 4326) -> geopandas.GeoDataFrame:
    frame = table(count)
    frame["x"], frame["y"] = frame.x.clip(-180, 180), frame.y.clip(-80, 80)  # what EPSG:3857 reaches
    made = geopandas.GeoDataFrame(frame, geometry=geopandas.points_from_xy(frame.x, frame.y), crs=4326)
    return made.to_crs(crs)


@pytest.fixture
def no_network() -> None:
    """Here processes talk through the loopback device."""


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with (
        dask.config.set({"distributed.worker.daemon": True}),
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        Client(cluster, timeout=WAIT) as client,
    ):
        yield client


@pytest.mark.parametrize("crs", [4326, 3857])
def test_two_processes_give_what_one_gives(client: Client, crs: int) -> None:
    data, encoder = places(900, crs), build().train()
    frame = locenc.embed(data, encoder, as_frame=True)
    cut = dask_geopandas.from_geopandas(data, npartitions=7, sort=False)
    lazily = locenc.embed(cut, encoder, as_frame=True)
    computed = client.compute(lazily).result(timeout=WAIT)
    assert list(computed.index) == list(frame.index)  # dask has a dtype of its own for text
    assert list(computed.columns) == list(frame.columns)
    assert computed.to_numpy().tobytes() == frame.to_numpy().tobytes()
    array = client.compute(locenc.embed(cut.geometry, encoder)).result(timeout=WAIT)
    assert array.dtype == np.float32
    assert array.tobytes() == frame.to_numpy().tobytes()
    assert all(module.training for module in encoder.modules())


def test_each_worker_gets_the_encoder_once(client: Client, tmp_path: Path) -> None:
    plain = build()
    encoder = Counted(plain.position, plain.network)
    encoder.log = str(tmp_path / "loads")
    cut = dask.dataframe.from_pandas(table(400), npartitions=12)
    lazily = locenc.embed(cut, encoder, lon="x", lat="y")
    (tmp_path / "loads").unlink(missing_ok=True)
    client.compute(lazily).result(timeout=WAIT)
    loads = (tmp_path / "loads").read_text().split()
    workers = {str(pid) for pid in client.run(__import__("os").getpid).values()}
    assert all(loads.count(pid) <= 1 for pid in workers)
    assert workers & set(loads)


def test_an_error_of_a_worker_is_the_plain_one(client: Client) -> None:
    data = table(40)
    data.loc["place 30", "y"] = 95.0
    cut = dask.dataframe.from_pandas(data, npartitions=4)
    lazily = locenc.embed(cut, build(), lon="x", lat="y")
    with pytest.raises(ValueError, match=r"\(index 'place 30'\) has 95 .*\(in partition \d"):
        client.compute(lazily).result(timeout=WAIT)


# In this process


def test_nothing_is_computed_at_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(part: pd.DataFrame) -> pd.DataFrame:
        raise AssertionError("computed")

    cut = dask.dataframe.from_pandas(table(10), npartitions=2)
    cut = cut.map_partitions(fail, meta=cut._meta)
    lazily = locenc.embed(cut, build(), lon="x", lat="y")
    assert lazily.dtype == np.float32
    assert lazily.shape[1] == 16
    assert list(locenc.embed(cut, build(), lon="x", lat="y", as_frame=True).columns)[:2] == [
        "embedding_0",
        "embedding_1",
    ]
    with pytest.raises(AssertionError, match="computed"):
        lazily.compute(scheduler="sync")


@pytest.mark.parametrize("count", [0, 1, 30])
def test_few_rows_and_empty_partitions(count: int) -> None:
    data, encoder = table(count), build()
    expected = locenc.embed(data, encoder, lon="x", lat="y")
    parts = [data.iloc[:0], data.iloc[:7], data.iloc[7:7], data.iloc[7:]]
    cut = dask.dataframe.from_map(lambda number: parts[number], range(4), meta=data.iloc[:0])
    array = locenc.embed(cut, encoder, lon="x", lat="y").compute(scheduler="sync")
    assert (array.dtype, array.shape) == (np.float32, expected.shape)
    assert array.tobytes() == expected.tobytes()
    frame = locenc.embed(cut, encoder, lon="x", lat="y", as_frame=True).compute(scheduler="sync")
    assert list(frame.index) == list(data.index)


def test_the_encoder_is_that_of_the_call() -> None:
    data, encoder = table(20), build()
    expected = locenc.embed(data, encoder, lon="x", lat="y")
    lazily = locenc.embed(dask.dataframe.from_pandas(data, npartitions=3), encoder, lon="x", lat="y")
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.zero_()
    assert lazily.compute(scheduler="sync").tobytes() == expected.tobytes()


def test_without_a_crs_there_is_one_warning() -> None:
    data, encoder = places(20), build()
    cut = dask_geopandas.from_geopandas(data.set_crs(None, allow_override=True), npartitions=3, sort=False)
    with pytest.warns(UserWarning, match="no CRS") as warned:
        lazily = locenc.embed(cut, encoder)
    assert len(warned) == 1
    assert lazily.compute(scheduler="sync").tobytes() == locenc.embed(data, encoder).tobytes()


def test_missing_places_and_batches_reach_the_partitions() -> None:
    data, encoder = table(20), build()
    data.iloc[5, 0] = np.nan
    cut = dask.dataframe.from_pandas(data, npartitions=3)
    expected = locenc.embed(data, encoder, lon="x", lat="y", missing="nan")
    lazily = locenc.embed(cut, encoder, lon="x", lat="y", missing="nan", batch_size=4, device="cpu")
    np.testing.assert_array_equal(lazily.compute(scheduler="sync"), expected)
    with pytest.raises(ValueError, match=r"row \d+ \(index 'place .*'\) has no place"):
        locenc.embed(cut, encoder, lon="x", lat="y").compute(scheduler="sync")


def test_what_is_refused_at_once() -> None:
    cut, encoder = dask.dataframe.from_pandas(table(20), npartitions=3), build()
    with pytest.raises(ValueError, match="unknown column 'z'"):
        locenc.embed(cut, encoder, lon="x", lat="z")
    with pytest.raises(TypeError, match="Give lon= and lat="):
        locenc.embed(cut, encoder)
    with pytest.raises(ValueError, match="out= does not go with a dask frame"):
        locenc.embed(cut, encoder, lon="x", lat="y", out=np.zeros((20, 16), np.float32))
    with pytest.raises(ValueError, match="progress=True does not go"):
        locenc.embed(cut, encoder, lon="x", lat="y", progress=True)
    with pytest.raises(ValueError, match="batch_size"):
        locenc.embed(cut, encoder, lon="x", lat="y", batch_size=0)
    with pytest.raises(TypeError, match="not Array; dask"):
        locenc.embed(dask.array.zeros((4, 2)), encoder)
