"""Retrieval of locations by images, and the 1-nearest-neighbour baseline on the sphere."""

import numpy as np
import pytest
import torch

from locenc_csp import search
from locenc_csp._sphere import great_circle_km
from locenc_csp.search import nearest_neighbour, retrieval

LONLAT = np.array([[0.0, 0.0], [1.0, 0.0], [90.0, 0.0], [0.0, 90.0]])
DEGREE = 6371.0088 * np.pi / 180


def test_retrieval_by_hand():
    location = torch.eye(4)
    image = torch.eye(4)[[0, 0, 2, 1]] + 0.1 * torch.eye(4)  # images 1 and 3 point at places 0 and 1
    result = retrieval(location, 5 * image, LONLAT)
    assert result["recall_at_1"] == 0.5
    assert result["recall_at_10"] == 1.0
    assert result["median_km"] == pytest.approx(DEGREE / 2)  # distances 0, 1, 0, 90 degrees


def test_rank_by_hand():
    """Image i has cosine falling with the distance from place i along a half circle; place 12 of 12 is ranked 12."""
    angle = torch.linspace(0, 3, 12)
    location = torch.stack([angle.cos(), angle.sin()], 1)
    image = location[:1].repeat(12, 1)
    result = retrieval(location, image, np.stack([np.arange(12.0), np.zeros(12)], 1))
    assert result["recall_at_1"] == pytest.approx(1 / 12)
    assert result["recall_at_10"] == pytest.approx(10 / 12)
    assert result["median_km"] == pytest.approx(5.5 * DEGREE)


def test_ties_count_against_but_not_at_the_same_place():
    constant = torch.ones(4, 3)
    assert retrieval(constant, constant, LONLAT)["recall_at_1"] == 0
    places = LONLAT[[0, 0, 1, 1]]
    location = torch.eye(2)[[0, 0, 1, 1]]
    assert retrieval(location, location, places) == {"recall_at_1": 1.0, "recall_at_10": 1.0, "median_km": 0.0}


def test_blocks_of_rows_do_not_matter(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    location = torch.randn(50, 6, generator=generator)
    image = location + torch.randn(50, 6, generator=generator)
    lonlat = np.random.default_rng(0).uniform(-80, 80, (50, 2))
    whole = retrieval(location, image, lonlat)
    assert 0 < whole["recall_at_1"] < whole["recall_at_10"] < 1
    monkeypatch.setattr(search, "ROWS", 7)
    assert retrieval(location, image, lonlat) == whole
    cosine = torch.nn.functional.cosine_similarity(image[:, None], location[None], dim=-1)
    rank = (cosine >= cosine.diagonal()[:, None]).sum(1)
    assert whole["recall_at_10"] == pytest.approx((rank <= 10).double().mean().item())
    points = torch.from_numpy(lonlat)
    km = great_circle_km(points[cosine.argmax(1)], points)
    assert whole["median_km"] == pytest.approx(np.median(km.numpy()))


def test_bad_retrieval():
    rows = torch.ones(4, 3)
    with pytest.raises(ValueError, match=r"one shape \(N, d\) .* got \(4, 3\), \(4, 2\) and 4 locations"):
        retrieval(rows, torch.ones(4, 2), LONLAT)
    with pytest.raises(ValueError, match=r"\(4, 3\) and 3 locations"):
        retrieval(rows, rows, LONLAT[:3])
    with pytest.raises(ValueError, match="at least one pair, got none"):
        retrieval(rows[:0], rows[:0], LONLAT[:0])
    broken = rows.clone()
    broken[2, 1] = torch.nan
    with pytest.raises(ValueError, match=r"image embeddings must be finite, but row 2 is not: .* lower learning rate"):
        retrieval(rows, broken, LONLAT)
    with pytest.raises(ValueError, match=r"location embeddings .* row 2 is not: the training has probably diverged"):
        retrieval(broken, rows, LONLAT)
    with pytest.raises(ValueError, match=r"latitude must lie in .* row 0 has 95"):
        retrieval(rows[:1], rows[:1], [[0.0, 95.0]])


def test_nearest_neighbour_crosses_the_date_line_and_the_pole():
    train = [[179.0, 0.0], [-100.0, 0.0], [10.0, 85.0], [10.0, 60.0]]
    query = [[-179.0, 0.0], [-150.0, 0.0], [-170.0, 88.0], [11.0, 70.0]]
    assert nearest_neighbour(train, [5, 6, 7, 8], query).tolist() == [5, 5, 7, 8]
    predicted = nearest_neighbour(train, [5, 6, 7, 8], np.empty((0, 2)))
    assert predicted.shape == (0,)
    assert predicted.dtype == np.int64


def test_nearest_neighbour_agrees_with_all_distances():
    generator = np.random.default_rng(1)
    train, query = (
        np.stack([generator.uniform(-180, 180, n), np.rad2deg(np.arcsin(generator.uniform(-1, 1, n)))], 1)
        for n in (300, 200)
    )
    km = great_circle_km(torch.from_numpy(query)[:, None], torch.from_numpy(train)[None])
    predicted = nearest_neighbour(train, np.arange(300), query)
    assert predicted.tolist() == km.argmin(1).tolist()


def test_bad_neighbours(monkeypatch):
    with pytest.raises(ValueError, match="at least one training location, got none"):
        nearest_neighbour(np.empty((0, 2)), [], LONLAT)
    with pytest.raises(ValueError, match=r"got shape \(2,\) for 4 rows"):
        nearest_neighbour(LONLAT, [0, 1], LONLAT)
    with pytest.raises(ValueError, match=r"labels must be >= 0, but row 2 has -1; -1 means a missing label"):
        nearest_neighbour(LONLAT, [0, 1, -1, 2], LONLAT)
    with pytest.raises(ValueError, match="latitude must lie"):
        nearest_neighbour(LONLAT, [0, 1, 2, 3], [[0.0, -91.0]])

    def missing(name):
        raise ModuleNotFoundError(name, name="sklearn")

    monkeypatch.setattr("locenc._extras.importlib.import_module", missing)
    with pytest.raises(ImportError, match=r'sklearn is needed for this: pip install "locenc\[csp\]"'):
        nearest_neighbour(LONLAT, [0, 1, 2, 3], LONLAT)
