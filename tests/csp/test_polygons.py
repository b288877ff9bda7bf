"""Random locations inside polygons: all inside, uniform by area, whatever the coordinate reference system."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from locenc_csp._sphere import great_circle_km
from locenc_csp.negatives import at_least, make, polygons
from locenc_csp.pretraining import pretrain
from locenc_csp.recipes import Encoder, Pretrain, Schedule

geopandas, shapely = pytest.importorskip("geopandas"), pytest.importorskip("shapely")

RING = shapely.Polygon([(0, 40), (60, 40), (60, 80), (0, 80)], [[(20, 50), (40, 50), (40, 70), (20, 70)]])
FIJI = shapely.box(177, -20, 182, -15)


def series(*shapes, crs=4326):
    return geopandas.GeoSeries(list(shapes), crs=crs)


def draw(region, size=20_000, seed=0):
    points = polygons(region)(torch.zeros(size, 2), 1, torch.Generator().manual_seed(seed))
    assert points.shape == (size, 2)
    assert points[:, 0].abs().max() <= 180
    return points.numpy()


def share_by_area(points, west, south, east, north, bands=6, columns=6):
    """Counts in cells of equal area of a box, by bands of equal height and columns of equal width; and what is left."""
    height = np.sin(np.deg2rad(points[:, 1]))
    low, high = np.sin(np.deg2rad([south, north]))
    band = np.floor((height - low) / (high - low) * bands).astype(int)
    column = np.floor((points[:, 0] - west) / (east - west) * columns).astype(int)
    return np.bincount(band * columns + column, minlength=bands * columns)


def assert_uniform(counts):
    expected = counts.sum() / len(counts)
    freedom = len(counts) - 1
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert abs(statistic - freedom) < 4 * np.sqrt(2 * freedom)


def test_uniform_by_area():
    assert_uniform(share_by_area(draw(series(shapely.box(-30, 10, 60, 85))), -30, 10, 60, 85))


def test_a_triangle_keeps_its_edges_straight_in_degrees():
    triangle = shapely.Polygon([(0, 0), (80, 60), (0, 60)])
    lon, lat = draw(series(triangle)).T
    assert (lon <= lat * 80 / 60 + 1e-4).all()
    # density by latitude is its width times the cosine: ∫ φ cos φ = φ sin φ + cos φ
    phi = np.deg2rad(np.sort(lat))
    top = np.deg2rad(60)
    theory = (phi * np.sin(phi) + np.cos(phi) - 1) / (top * np.sin(top) + np.cos(top) - 1)
    assert np.abs(theory - (np.arange(len(phi)) + 0.5) / len(phi)).max() < 1.63 / np.sqrt(len(phi))  # Kolmogorov, 1 %


def test_holes_overlaps_and_parts_count_once():
    region = series(RING, shapely.box(0, 40, 20, 80), shapely.MultiPolygon([shapely.box(50, 45, 60, 60), FIJI]))
    points = draw(region)
    inside = shapely.contains_xy(shapely.union_all([RING, FIJI, shapely.box(-183, -20, -178, -15)]), *points.T)
    assert inside.all()
    ring = points[points[:, 1] > 0]
    counts = share_by_area(ring, 0, 40, 60, 80, bands=1, columns=3)
    height = np.sin(np.deg2rad([40, 50, 70, 80]))
    full, holed = height[3] - height[0], height[1] - height[0] + height[3] - height[2]
    expected = len(ring) * np.array([full, holed, full]) / (2 * full + holed)
    assert ((counts - expected) ** 2 / expected).sum() < 13.8  # 2 degrees of freedom, 0.1 %


def test_across_the_antimeridian():
    points = draw(series(FIJI))
    east = points[points[:, 0] < 0]
    assert len(east) / len(points) == pytest.approx(0.4, abs=0.02)
    assert east[:, 0].max() < -178
    cut = series(shapely.MultiPolygon([shapely.box(177, -20, 180, -15), shapely.box(-180, -20, -178, -15)]))
    assert_uniform(share_by_area(np.column_stack([points[:, 0] % 360, points[:, 1]]), 177, -20, 182, -15))
    again = draw(cut)
    assert (again[:, 0] < 0).mean() == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize(("region", "crs"), [(RING, 3857), (RING, 6933), (FIJI, 3832), (FIJI, 4269)])
def test_reprojected_polygons_are_the_same_region(region, crs):
    here = series(region).segmentize(0.5)
    first, second = draw(here, 5000), draw(here.to_crs(crs), 5000)
    near = shapely.buffer([region, shapely.transform(region, lambda points: points - [360, 0])], 5e-4)  # degrees
    assert shapely.contains_xy(shapely.union_all(near), *second.T).all()
    for axis in (first[:, 0] % 360, second[:, 0] % 360), (first[:, 1], second[:, 1]):
        ranks = np.searchsorted(np.sort(axis[1]), np.sort(axis[0])) / 5000
        assert np.abs(ranks - np.arange(5000) / 5000).max() < 1.63 * np.sqrt(2 / 5000)  # Kolmogorov-Smirnov, 1 %


@pytest.mark.parametrize(("crs", "south"), [(3031, True), (3413, False)])
def test_round_a_pole(crs, south):
    centre = shapely.Point(0, 0)
    for inner in (0, 5e5):
        region = centre.buffer(1e6, quad_segs=64)
        region = region.difference(centre.buffer(inner, quad_segs=64)) if inner else region
        points = draw(series(region, crs=crs), 4000)
        moved = geopandas.GeoSeries(geopandas.points_from_xy(*points.T), crs=4326).to_crs(crs)
        away = np.hypot(moved.x, moved.y)
        assert ((away > inner - 1000) & (away < 1e6 + 1000)).all()
        assert ((points[:, 1] < -80) == south).all()
        assert_uniform(np.bincount(((points[:, 0] + 180) / 20).astype(int), minlength=18))
        assert (away < (2 * 5e5 if not inner else 7.9e5)).any()


def test_an_edge_through_a_pole():
    with pytest.raises(ValueError, match="row 0 has an edge through a pole"):
        polygons(series(shapely.box(0, -1e6, 1e6, 1e6), crs=3031))


def test_a_polygon_that_crosses_itself():
    bow = shapely.Polygon([(0, 0), (20, 20), (20, 0), (0, 20)])
    lon, lat = draw(series(bow)).T
    assert (np.abs(lon - 10) >= np.abs(lat - 10) - 1e-4).all()
    assert (lon < 10).mean() == pytest.approx(0.5, abs=0.02)


def test_the_whole_globe():
    assert_uniform(share_by_area(draw(series(shapely.box(-180, -90, 180, 90))), -180, -90, 180, 90))


def test_a_seed_repeats_the_points_and_a_distance_is_kept():
    assert np.array_equal(draw(series(RING), 100), draw(series(RING), 100))
    assert not np.array_equal(draw(series(RING), 100), draw(series(RING), 100, seed=1))
    own = torch.tensor([[10.0, 60.0], [50.0, 45.0]], dtype=torch.float64)
    far = at_least(1000, polygons(series(RING)))(own, 200, torch.Generator().manual_seed(0))
    assert great_circle_km(far, own.repeat(200, 1)).min() >= 1000
    assert shapely.contains_xy(RING, *far.numpy().T).all()


def test_without_a_reference_system():
    with pytest.warns(UserWarning, match=r"no coordinate reference system: taken as longitude and latitude") as caught:
        points = draw(series(RING, crs=None))
    assert len(caught) == 1
    assert np.array_equal(points, draw(series(RING)))
    metres = series(RING).to_crs(3857).set_crs(None, allow_override=True)
    warned = pytest.warns(UserWarning, match="no coordinate reference system")
    with warned, pytest.raises(ValueError, match=r"longitudes from 0 to .*: no degrees; set"):
        polygons(metres)


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".parquet"])
def test_files(tmp_path, suffix):
    path, frame = tmp_path / f"region{suffix}", geopandas.GeoDataFrame({"name": ["ring"]}, geometry=series(RING))
    frame.to_parquet(path) if suffix == ".parquet" else frame.to_file(path)
    assert np.array_equal(draw(path, 50), draw(frame, 50))
    made = make(str(path), min_km=100)(torch.tensor([[10.0, 60.0]]), 50, torch.Generator().manual_seed(1))
    assert shapely.contains_xy(RING, *made.numpy().T).all()
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match="holds no polygons that can be read, or is damaged"):
        polygons(path)


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.gpkg: expected polygons"):
        polygons(tmp_path / "nowhere.gpkg")
    with pytest.raises(ValueError, match=r"ends in \.gpkg, \.geojson, .*got '.*region\.shp'"):
        polygons(tmp_path / "region.shp")
    with pytest.raises(TypeError, match="a GeoDataFrame or a GeoSeries, got Polygon"):
        polygons(RING)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ((), "holds no polygon"),
        ((RING, None, None), "row 1 is missing, and 1 more row"),
        ((RING, shapely.Polygon()), "row 1 is empty"),
        ((RING, shapely.Point(0, 0)), r"row 1 is no polygon \(Point\)"),
        ((shapely.Polygon([(0, 0), (1, 1), (2, 2)]),), "have no area"),
        (
            (shapely.box(-170, -20, 170, -10),),
            "an edge from longitude 170 to -170, .*write longitudes beyond",
        ),
    ],
)
def test_bad_geometries(shapes, message):
    with pytest.raises(ValueError, match=message):
        polygons(series(*shapes))


def test_geopandas_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "geopandas", None)
    with pytest.raises(ImportError, match=r'geopandas is needed for this: pip install "locenc\[geo\]"'):
        polygons("region.gpkg")


def test_a_run_belongs_to_its_file(small, tmp_path):
    path = tmp_path / "region.geojson"
    series(RING).to_file(path)
    job = Pretrain(
        small.table_path,
        small.features,
        out=tmp_path / "run",
        objective="MC-BL",
        negatives=path,
        encoder=Encoder(dim=16, network="residual", network_options={"depth": 1}),
        schedule=Schedule(steps=2, batch_size=16),
        image_components=8,
    )
    pretrain(job, progress=False)
    moved = tmp_path / "moved.geojson"
    path.rename(moved)
    pretrain(replace(job, negatives=moved), progress=False)  # the same bytes elsewhere
    series(FIJI).to_file(path)
    with pytest.raises(ValueError, match="belongs to another run: negatives was"):
        pretrain(replace(job, negatives=path), progress=False)
