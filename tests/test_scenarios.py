"""What users do on day one, from their data to vectors and maps, each in as few lines as they would write.

Streams of Parquet are in tests/parquet, the interactive map in tests/test_html_map.py, dask in tests/test_lazy.py,
training and weights of others in tests/csp and tests/compat.
"""

import pickle

import geopandas
import numpy as np
import pytest
import shapely
import torch
import xarray
from matplotlib.figure import Figure
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from torch import nn

import locenc
from locenc.data import land_cover, sample_raster

RAINFOREST = 2  # evergreen broadleaf forest
HARMONICS = {"num_degrees": 8}


@pytest.fixture(scope="module")
def occurrences() -> geopandas.GeoDataFrame:
    """1,200 places on land in Web Mercator, and whether each is rainforest."""
    generator = np.random.default_rng(0)
    lonlat = np.stack(
        [generator.uniform(-180, 180, 5000), np.rad2deg(np.arcsin(generator.uniform(-0.8, 0.9, 5000)))], 1
    )
    cover = sample_raster(land_cover(), lonlat)
    lonlat, cover = lonlat[cover > 0][:1200], cover[cover > 0][:1200]
    points = geopandas.points_from_xy(*lonlat.T, crs=4326)
    frame = geopandas.GeoDataFrame({"present": cover == RAINFOREST}, geometry=points)
    frame.index = [f"record {number}" for number in range(1200)]
    return frame.to_crs(3857)


@pytest.fixture(scope="module")
def encoder() -> locenc.PositionEncoder:
    return locenc.position_encoder("spherical-harmonics", **HARMONICS)


def presence_head(frame: geopandas.GeoDataFrame, encoder: locenc.PositionEncoder) -> nn.Linear:
    """A logistic regression on the embedding, as a layer of two logits."""
    model = LogisticRegression(max_iter=1000).fit(locenc.embed(frame, encoder), frame["present"])
    head = nn.Linear(encoder.out_dim, 2)
    with torch.no_grad():
        head.weight[0], head.bias[0] = 0, 0
        head.weight[1], head.bias[1] = torch.from_numpy(model.coef_[0]), float(model.intercept_[0])
    return head


def test_a1_a_frame_in_any_crs(occurrences: geopandas.GeoDataFrame, encoder: locenc.PositionEncoder) -> None:
    embedding = locenc.embed(occurrences, encoder)
    assert embedding.dtype == np.float32
    assert embedding.shape == (1200, 64)
    assert np.array_equal(embedding, locenc.embed(occurrences.to_crs(4326), encoder))
    assert locenc.embed(occurrences, encoder, as_frame=True).index.equals(occurrences.index)


@pytest.mark.parametrize(
    ("point", "message"),
    [
        (None, r"row 7 \(index 'record 7'\) has no place .*missing=\"nan\""),
        (shapely.Point(), r"row 7 \(index 'record 7'\) has no place .*drop such rows"),
        (shapely.Point(10, 95), r"latitude must lie in \[-90, 90\] .* row 7 \(index 'record 7'\) has 95"),
        (shapely.Point(48.9, 137.6), r"row 7 \(index 'record 7'\) has 137.6 .*this row looks swapped"),
    ],
)
def test_a2_broken_rows(
    point: shapely.Point | None,
    message: str,
    occurrences: geopandas.GeoDataFrame,
    encoder: locenc.PositionEncoder,
) -> None:
    frame = occurrences.to_crs(4326)
    frame.geometry = [*frame.geometry[:7], point, *frame.geometry[8:]]
    frame = frame.set_crs(4326)
    before = frame.copy(deep=True)
    with pytest.raises(ValueError, match=message) as caught:
        locenc.embed(frame, encoder)
    assert "\n" not in str(caught.value)
    assert frame.equals(before)
    assert frame.crs == before.crs


def test_a3_a_pipeline_of_scikit_learn(occurrences: geopandas.GeoDataFrame) -> None:
    transformer = locenc.LocationTransformer("spherical-harmonics", options=HARMONICS)
    pipeline = Pipeline([("where", transformer), ("what", LogisticRegression(max_iter=1000))])
    pipeline.fit(occurrences, occurrences["present"])
    assert pipeline.score(occurrences, occurrences["present"]) > 0.9
    assert len(pipeline[:-1].get_feature_names_out()) == 64
    copy = clone(pipeline).fit(occurrences, occurrences["present"])
    for other in (copy, pickle.loads(pickle.dumps(pipeline))):
        assert np.array_equal(other.predict_proba(occurrences), pipeline.predict_proba(occurrences))


def test_a4_presence_on_a_grid_as_a_map_and_netcdf(
    occurrences: geopandas.GeoDataFrame, encoder: locenc.PositionEncoder, tmp_path: object
) -> None:
    head = presence_head(occurrences, encoder)
    grid = locenc.embed_grid(encoder, resolution=0.5, mask="land")
    with torch.no_grad():
        present = head(torch.from_numpy(grid.to_numpy())).softmax(-1)[..., 1]
    field = grid.isel(feature=0, drop=True).copy(data=present.numpy()).rename("presence")
    field.to_netcdf(f"{tmp_path}/presence.nc")
    with xarray.open_dataset(f"{tmp_path}/presence.nc") as opened:
        again = opened["presence"].load()
    assert again.shape == (360, 720)
    assert float(again.sel(lon=-60, lat=-5, method="nearest")) > 0.5  # the Amazon
    assert float(again.sel(lon=10, lat=23, method="nearest")) < 0.1  # the Sahara
    assert np.isnan(again.sel(lon=-150, lat=0, method="nearest"))  # the Pacific
    figure = locenc.maps.probability(encoder, head, label="present", classes=["absent", "present"])
    figure.savefig(f"{tmp_path}/presence.png")
    # The seam: a step across the antimeridian is no larger than those between its neighbours.
    with torch.no_grad():
        whole = head(torch.from_numpy(locenc.embed_grid(encoder, resolution=0.5).to_numpy())).softmax(-1)[..., 1]
    assert (whole[:, 0] - whole[:, -1]).abs().max() <= 1.5 * whole.diff(dim=1).abs()[:, [0, -1]].max() + 1e-6


def test_e1_and_e2_a_teacher_draws_maps() -> None:
    encoder = locenc.Sphere2Vec("sphereM+", dim=32)
    for draw in (
        lambda: locenc.maps.plot(encoder, resolution=5),
        lambda: locenc.maps.scales(encoder, most=4),
        lambda: locenc.maps.similarity(encoder, (2.35, 48.86), name="Paris", pixels=300),
    ):
        figures = [draw(), draw()]
        assert all(isinstance(figure, Figure) for figure in figures)
        one, two = (np.asarray(picture(figure)) for figure in figures)
        assert np.array_equal(one, two)


def picture(figure: Figure) -> memoryview:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.buffer_rgba()


def test_d3_and_d4_bytes_and_metres() -> None:
    encoder = locenc.create("sphere2vec-sphereM+", min_radius=1e-6, num_scales=64, dim=16)
    lonlat = np.random.default_rng(0).uniform([-180, -90], [180, 90], (3000, 2))
    embedding = locenc.embed(lonlat, encoder)
    threads = torch.get_num_threads()
    try:
        for count, batch_size in ((1, 7), (2, 1000)):
            torch.set_num_threads(count)
            assert locenc.embed(lonlat, encoder, batch_size=batch_size).tobytes() == embedding.tobytes()
    finally:
        torch.set_num_threads(threads)
    metre = 1 / 111_195
    near = locenc.embed([[10.0, 50.0], [10.0, 50.0 + metre]], encoder.position)
    assert np.abs(near[0] - near[1]).max() > 0.1
