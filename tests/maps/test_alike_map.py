"""`locenc.maps.nearest`: the map of similarity, with the candidates that `locenc.nearest` finds marked and named."""

import geopandas
import numpy as np
import pytest
import torch

import locenc
from locenc.coords import equal_earth

PARIS = (2.35, 48.86)
LONLAT = [(-77.04, -12.05), (4.84, 45.76), (10.75, 59.91), (-78.5, -0.2), (7.1, 50.7), (139.7, 35.7)]
CITIES = ["Lima", "Lyon", "Oslo", "Quito", "Bonn", "Tokyo"]


@pytest.fixture
def encoder() -> locenc.LocationEncoder:
    return locenc.create("sphere2vec-sphereM", dim=16, num_scales=4, min_radius=0.1)


@pytest.fixture
def cities() -> geopandas.GeoDataFrame:
    return geopandas.GeoDataFrame({"city": CITIES}, geometry=geopandas.points_from_xy(*np.array(LONLAT).T), crs=4326)


def test_the_nearest_are_marked_and_named(encoder: locenc.LocationEncoder, cities: geopandas.GeoDataFrame) -> None:
    found = locenc.nearest(encoder, PARIS, cities, count=4)
    figure = locenc.maps.nearest(encoder, PARIS, cities, count=4, labels="city", name="Paris", pixels=64)
    axes = figure.axes[0]
    assert axes.get_title(loc="left") == "Most alike to Paris (LocationEncoder)"
    written = [text.get_text() for text in axes.texts]
    expected = [f"{city} ({cosine:.3f})" for city, cosine in zip(found.city, found.similarity, strict=True)]
    assert [text for text in written if "(" in text] == expected
    marks = np.concatenate(
        [np.asarray(mark.get_offsets()) for mark in axes.collections if len(mark.get_offsets()) == 1]
    )
    places = np.array([(point.x, point.y) for point in found.geometry])
    for place in equal_earth(torch.tensor(places)).numpy():
        assert np.abs(marks - place).max(1).min() < 1e-6
    assert any("candidates" in text.get_text() for text in axes.get_legend().get_texts())


def test_names_by_position_or_rank(encoder: locenc.LocationEncoder) -> None:
    first = locenc.nearest(encoder, PARIS, LONLAT, count=1)
    figure = locenc.maps.nearest(encoder, PARIS, LONLAT, count=1, labels=CITIES, pixels=64)
    assert f"{CITIES[first.indices[0]]} ({first.similarities[0]:.3f})" in [
        text.get_text() for text in figure.axes[0].texts
    ]
    figure = locenc.maps.nearest(encoder, PARIS, LONLAT, count=1, pixels=64)
    assert f"1 ({first.similarities[0]:.3f})" in [text.get_text() for text in figure.axes[0].texts]


def test_labels_that_do_not_fit(encoder: locenc.LocationEncoder, cities: geopandas.GeoDataFrame) -> None:
    with pytest.raises(ValueError, match="no column 'town'"):
        locenc.maps.nearest(encoder, PARIS, cities, labels="town")
    with pytest.raises(ValueError, match="each of 6 candidates, got 2"):
        locenc.maps.nearest(encoder, PARIS, cities, labels=["a", "b"])
