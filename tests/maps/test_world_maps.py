"""Maps of scales, similarity, probabilities and places; `plot` on fine grids and given axes: numbers and structure."""

import io

import geopandas
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from torch import nn
from torch.nn.functional import cosine_similarity

import locenc
from locenc.compat._loaded import Loaded
from locenc.coords import equal_earth
from locenc.maps.feature_columns import columns
from locenc.maps.land import land_grid
from locenc.maps.patterns import clusters

PLACES = [(-100.5, 40.0), (25.0, 3.0), (135.0, -25.0), (100.0, 60.0)]


def png(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=60)
    return buffer.getvalue()


def pixel(axes, lonlat):
    """Value drawn at a place, and the longitude and latitude of the centre of its pixel, on Equal Earth."""
    (image,) = axes.images
    left, right, bottom, top = image.get_extent()
    values = image.get_array()
    rows, columns = values.shape[:2]
    x, y = equal_earth(torch.tensor(lonlat, dtype=torch.float64)).tolist()
    row, column = int((top - y) / (top - bottom) * rows), int((x - left) / (right - left) * columns)
    return values[row, column], row, column


def canvas_places(axes, columns):
    from locenc.maps.built_in import world
    from locenc.maps.canvas import Canvas

    return Canvas(Figure((8, 4)).add_subplot(), world()).pixels(columns)


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return locenc.create("sphere2vec-sphereC", dim=16, num_scales=8, finest_km=3000).eval()


@pytest.mark.parametrize("lonlat", PLACES)
def test_similarity_is_the_cosine_at_the_centre_of_a_pixel(encoder, lonlat):
    figure = locenc.maps.similarity(encoder, (2.35, 48.86), name="Paris", pixels=240)
    value, row, column = pixel(figure.axes[0], lonlat)
    centre = torch.from_numpy(canvas_places(figure.axes[0], 240)[row, column])
    assert np.allclose(centre, lonlat, atol=1.5)
    with torch.no_grad():
        expected = cosine_similarity(*encoder(torch.stack([centre, torch.tensor([2.35, 48.86]).double()]))[:, None])
    assert value == pytest.approx(expected.item(), abs=1e-5)


def test_similarity_says_what_it_shows_and_leaves_the_sea_out(encoder):
    figure = locenc.maps.similarity(encoder, (2.35, 48.86), name="Paris", pixels=240)
    panel, bar = figure.axes
    assert panel.get_title(loc="left") == "Similarity to Paris (LocationEncoder)"
    assert "cosine" in bar.get_xlabel()
    assert [text.get_text() for text in panel.get_legend().get_texts()] == ["Paris"]
    marker = next(part for part in panel.collections if part.get_label() == "Paris")
    assert np.allclose(marker.get_offsets()[0], equal_earth(torch.tensor([2.35, 48.86]).double()))
    assert np.ma.is_masked(pixel(panel, (-30.0, 20.0))[0])
    everywhere = locenc.maps.similarity(encoder, (2.35, 48.86), over="globe", pixels=240)
    assert not np.ma.is_masked(pixel(everywhere.axes[0], (-30.0, 20.0))[0])
    assert panel.images[0].get_cmap().name == "cividis"


def test_maps_are_the_same_bytes_again(encoder):
    head = nn.Linear(16, 3)
    for draw in (
        lambda: locenc.maps.similarity(encoder, (2.35, 48.86), pixels=100),
        lambda: locenc.maps.scales(encoder, pixels=60),
        lambda: locenc.maps.probability(encoder, head, label=1, pixels=100),
        lambda: locenc.maps.points(PLACES, encoder),
    ):
        assert png(draw()) == png(draw())


def test_scales_show_each_scale_from_the_coarsest():
    position = locenc.position_encoder("sphere2vec-sphereC", num_scales=3, min_radius=0.1)
    figure = locenc.maps.scales(position, pixels=160)
    panels = figure.axes[:3]
    assert [axes.get_title(loc="left").partition(":")[0] for axes in panels] == ["40,075 km", "12,673 km", "4,008 km"]
    for axes, turns in zip(panels, (1, 10**0.5, 10), strict=True):
        value, row, column = pixel(axes, (25.0, 3.0))
        lon, lat = np.deg2rad(canvas_places(axes, 160)[row, column])
        assert value == pytest.approx(np.cos(turns * lat) * np.sin(turns * lon), abs=1e-5)
        assert axes.images[0].get_clim() == (-1, 1)


def test_fine_scales_are_drawn_in_windows_and_named_features_where_asked():
    position = locenc.position_encoder("space2vec-grid", num_scales=3, min_radius=0.1)
    figure = locenc.maps.scales(position, pixels=60)
    _, _, window = figure.axes[:3]
    assert window.get_title(loc="left").startswith("69.9 km")
    assert any("windows of 12 wavelengths" in text.get_text() for text in figure.texts)
    chosen = locenc.maps.scales(position, features=[2], bounds=(-180, -90, 180, 90), pixels=60)
    assert "finer" not in chosen.axes[0].get_title(loc="left")
    chosen = locenc.maps.scales(position, features=[0], bounds=(-180, -90, 180, 90), pixels=60)
    assert chosen.axes[0].get_title(loc="left").endswith("(finer than the pixels)")


@pytest.mark.parametrize("name", locenc.list_encoders())
def test_every_encoder_has_scales_to_show(name):
    position = locenc.position_encoder(name)
    assert len(columns(position)) == position.out_dim
    figure = locenc.maps.scales(position, most=2, pixels=24)
    assert all(axes.images for axes in figure.axes[:-1])


def test_formulas_of_features_are_what_they_compute():
    lon, lat = 0.3, 0.2  # radians
    for name, radius in (("sphere2vec-sphereC+", 0.25), ("sphere2vec-dfs", 0.25), ("space2vec-grid", 20.0)):
        position = locenc.position_encoder(name, num_scales=2, min_radius=radius)
        values = position(torch.rad2deg(torch.tensor([[lon, lat]]).double()), dtype=torch.float64)[0]
        for column in columns(position):
            text = column.formula.replace(") ", ")*").replace(" l", "*l")
            assert eval(text, {"sin": np.sin, "cos": np.cos, "lon": lon, "lat": lat}) == pytest.approx(
                values[column.number].item(), abs=5e-3
            )  # three digits


def test_probability_is_that_of_the_head(encoder):
    class Own(nn.Linear):
        def probabilities(self, embedding):
            return torch.sigmoid(self(embedding))

    head, own = nn.Linear(16, 3), Own(16, 3)
    for one, expected in ((head, lambda z: head(z).softmax(-1)), (own, lambda z: own(z).sigmoid())):
        figure = locenc.maps.probability(encoder, one, label=["fox", 0], classes=["cat", "owl", "fox"], pixels=120)
        assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == ["P(fox | location)", "P(cat | location)"]
        value, row, column = pixel(figure.axes[0], (25.0, 3.0))
        centre = torch.from_numpy(canvas_places(figure.axes[0], 120)[row, column])
        with torch.no_grad():
            assert value == pytest.approx(expected(encoder(centre[None]))[0, 2].item(), abs=1e-5)
    loaded = Loaded(encoder, nn.Sequential(own, nn.Sigmoid()), {})
    figure = locenc.maps.probability(loaded, label=2, pixels=120)
    assert pixel(figure.axes[0], (25.0, 3.0))[0] == pytest.approx(value, abs=1e-5)


def test_points_in_any_crs_zoomed_to_their_extent(encoder):
    frame = geopandas.GeoDataFrame(
        {"height": [1.0, np.nan, 3.0]}, geometry=geopandas.points_from_xy([178, 179.5, -179], [-18, -17, -16]), crs=4326
    )
    figure = locenc.maps.points(frame.to_crs(3857), values="height")
    panel, bar = figure.axes
    assert bar.get_xlabel() == "height"
    offsets = panel.collections[-1].get_offsets()
    assert (np.diff(offsets[:, 0]) > 0).all()
    left, right = panel.get_xlim()
    assert left < offsets[:, 0].min()
    assert offsets[:, 0].max() < right
    assert right - left < 8  # degrees: the short way round
    coloured = locenc.maps.points(frame, encoder, bounds="globe")
    offsets = coloured.axes[0].collections[-1].get_offsets()
    assert np.allclose(offsets, equal_earth(torch.tensor([[178.0, -18.0], [179.5, -17.0], [-179.0, -16.0]]).double()))
    assert "variance" in coloured.texts[0].get_text()


def test_points_of_one_colour_need_no_bar():
    figure = locenc.maps.points(PLACES, color="#0b5fa5", bounds="globe")
    (panel,) = figure.axes
    assert np.allclose(panel.collections[-1].get_facecolors(), to_rgba("#0b5fa5"))
    assert len(panel.collections[-1].get_offsets()) == len(PLACES)


def test_similarity_of_several_encoders_shares_its_colours(encoder):
    coarse = locenc.position_encoder("xyz")
    figure = locenc.maps.similarity({"fine": encoder, "coarse": coarse}, (2.35, 48.86), name="Paris", pixels=120)
    panels = figure.axes[:2]
    assert [panel.get_title(loc="left") for panel in panels] == ["fine", "coarse"]
    assert len({panel.images[0].get_clim() for panel in panels}) == 1
    assert panels[0].images[0].get_clim()[0] <= min(panel.images[0].get_array().min() for panel in panels)
    assert figure.texts[0].get_text() == "Similarity to Paris (star)"
    for panel, one in zip(panels, (encoder, coarse), strict=True):
        alone = locenc.maps.similarity(one, (2.35, 48.86), pixels=120, ax=Figure((10, 5)).add_subplot())
        value = pixel(alone, (100.0, 60.0))[0]
        assert pixel(panel, (100.0, 60.0))[0] == pytest.approx(value, abs=0.05)  # of a pixel beside


def test_values_are_those_of_the_function_at_the_centre_of_a_pixel():
    figure = locenc.maps.values(
        {
            "longitude": lambda lonlat: lonlat[:, 0],
            "latitude": lambda lonlat: np.where(lonlat[:, 1] > 0, lonlat[:, 1], np.nan),
        },
        label="degrees",
        limits=(-90, 90),
        pixels=360,
    )
    panels, bar = figure.axes[:2], figure.axes[2]
    for column, panel in enumerate(panels):
        assert pixel(panel, PLACES[1])[0] == pytest.approx(PLACES[1][column], abs=1)
        assert panel.images[0].get_clim() == (-90, 90)
    assert pixel(panels[1], PLACES[2])[0] is np.ma.masked
    assert pixel(panels[0], (-30.0, 0.0))[0] is np.ma.masked  # sea
    assert bar.get_xlabel() == "degrees"
    alone = locenc.maps.values(lambda lonlat: lonlat[:, 1], label="degrees", title="Latitude", over="globe", pixels=90)
    assert alone.axes[0].get_title(loc="left") == "Latitude"
    (image,) = alone.axes[0].images
    assert image.get_clim() == (image.get_array().min(), image.get_array().max())


def test_one_place_has_no_variance_to_show(encoder):
    figure = locenc.maps.points([(2.35, 48.86)], encoder)
    assert figure.axes[0].get_title(loc="left").startswith("1 place by its embedding")
    assert "grey, as it does not vary" in figure.texts[0].get_text()


def test_a_place_that_the_map_does_not_show_is_said_to_be_elsewhere(encoder):
    for bounds, label in [
        ((140, -45, 150, -30), "37.81° S, 144.96° E"),
        ((0, 40, 10, 50), "37.81° S, 144.96° E (not on this map)"),
    ]:
        axes = locenc.maps.similarity(encoder, (144.96, -37.81), bounds=bounds, pixels=64).axes[0]
        assert [text.get_text() for text in axes.get_legend().get_texts()] == [label]


def test_degrees_are_no_projection_of_a_datum(encoder):
    figure = locenc.maps.similarity(encoder, (2.35, 48.86), crs=4326, pixels=64)
    assert any("Equirectangular projection" in text.get_text() for text in figure.texts)


def test_given_axes_are_drawn_on_and_returned(encoder):
    figure = Figure((9, 9))
    axes = figure.subplots(2, 2)
    assert locenc.maps.plot(encoder, resolution=10, show="clusters", ax=axes[0, 0]) is axes[0, 0]
    assert locenc.maps.similarity(encoder, (0, 0), ax=axes[0, 1], pixels=60) is axes[0, 1]
    both = list(axes[1])
    assert locenc.maps.probability(encoder, nn.Linear(16, 2), label=[0, 1], ax=both, pixels=60) is both
    assert axes[0, 0].get_title(loc="left") == "LocationEncoder: 12 clusters"
    assert all(panel.get_aspect() == 1 for panel in axes.ravel())
    png(figure)


def test_cells_of_a_fine_grid_are_drawn_at_their_places():
    grid = land_grid(0.5)
    values = grid.spread(grid.lonlat)
    rng = np.random.default_rng(0)
    places = grid.lonlat[rng.integers(len(grid.lonlat), size=200)] + rng.uniform(-0.24, 0.24, (200, 2))
    assert np.abs(grid.sample(values, places) - places).max() < 0.25
    assert (grid.sample(values, np.array([(-30.0, 20.0), (0.0, -89.0), (np.nan, np.nan)])) == 0).all()


def test_clusters_of_many_rows_are_those_of_all_rows():
    generator = np.random.default_rng(0)
    groups = generator.integers(4, size=70_000)
    rows = (np.eye(4)[groups] + 0.01 * generator.normal(size=(70_000, 4))).astype(np.float32)
    found = clusters(rows, np.full(70_000, 1 / 70_000), 4, 0)
    assert len({(a, b) for a, b in zip(groups, found, strict=True)}) == 4
    assert np.array_equal(found, clusters(rows, np.full(70_000, 1 / 70_000), 4, 0))


@pytest.mark.parametrize(
    ("draw", "error", "message"),
    [
        (lambda e: locenc.maps.similarity(e, [(0, 0), (1, 1)]), ValueError, "one place, .* got 2"),
        (lambda e: locenc.maps.similarity(e, (0, 95)), ValueError, "latitude must lie in"),
        (lambda e: locenc.maps.similarity(e, (0, 0), over="sea"), ValueError, "unknown part of the globe: 'sea'"),
        (lambda e: locenc.maps.similarity(len, (0, 0)), TypeError, "must be a torch module, got builtin"),
        (lambda e: locenc.maps.similarity(e, (0, 0), bounds=(-35, 25, -34, 26)), ValueError, "no land on this map"),
        (lambda e: locenc.maps.scales(nn.Linear(2, 2)), TypeError, "LocationEncoder or a PositionEncoder, got Linear"),
        (lambda e: locenc.maps.scales(e, features=[24]), ValueError, "from 0 to 23, got 24"),
        (lambda e: locenc.maps.scales(e, features=[]), ValueError, "1 to 12 columns, .* got 0"),
        (lambda e: locenc.maps.scales(e, ax=Figure().add_subplot()), ValueError, "ax must hold 8 axes, .* got 1"),
        (lambda e: locenc.maps.probability(e, label=0), ValueError, "scores classes, there is none"),
        (lambda e: locenc.maps.probability(e, nn.Linear(16, 2), label=2), ValueError, "from 0 to 1, or a name, got 2"),
        (lambda e: locenc.maps.probability(e, nn.Linear(16, 2), label="a"), ValueError, "give the names of all"),
        (
            lambda e: locenc.maps.probability(e, nn.Linear(16, 2), label="owk", classes=["owl", "cat"]),
            ValueError,
            "unknown label 'owk'. Did you mean 'owl'",
        ),
        (
            lambda e: locenc.maps.probability(e, nn.Linear(16, 2), label=0, classes=["owl"]),
            ValueError,
            "head's 2 classes, got 1",
        ),
        (lambda e: locenc.maps.points([(0, 0)]), ValueError, "by an encoder, by values"),
        (lambda e: locenc.maps.points([(0, 0)], values=[1], color="red"), ValueError, "give one of them"),
        (lambda e: locenc.maps.similarity({}, (0, 0)), ValueError, "1 to 24 encoders, .* got 0"),
        (lambda e: locenc.maps.values({}, label="m"), ValueError, "1 to 24 functions, .* got 0"),
        (lambda e: locenc.maps.values(3, label="m"), TypeError, "must map .* got int"),
        (lambda e: locenc.maps.values(lambda x: x, label="m"), ValueError, r"got float64 of shape \(\d+, 2\)"),
        (lambda e: locenc.maps.values(lambda x: x[:, 0] * np.nan, label="m"), ValueError, "no finite number"),
        (lambda e: locenc.maps.values(lambda x: x[:, 0], label="m", limits=(1, 1)), ValueError, "two rising numbers"),
        (lambda e: locenc.maps.points(np.zeros((0, 2)), e), ValueError, "at least one place to draw, got none"),
        (lambda e: locenc.maps.points([(0, 0)], values=[1, 2]), ValueError, r"shape \(1,\), got \(2,\)"),
        (lambda e: locenc.maps.points([(0, 0)], values=["a"]), TypeError, "values must be numbers"),
        (lambda e: locenc.maps.points([(0, 0)], e, bounds="here"), ValueError, "'data', 'globe' or .* got 'here'"),
        (lambda e: locenc.maps.plot(e, show="all", resolution=10), ValueError, "unknown map: 'all'"),
        (
            lambda e: locenc.maps.plot(e, e, ax=Figure().add_subplot(), resolution=10),
            ValueError,
            "ax takes a map of one encoder, got 2",
        ),
    ],
)
def test_errors(encoder, draw, error, message):
    with pytest.raises(error, match=message):
        draw(encoder)
