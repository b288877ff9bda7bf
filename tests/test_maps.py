"""Maps of embeddings: what is on the page, the numbers against independent ones, and what stays untouched."""

import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_rgb
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import normalized_mutual_info_score
from torch import nn

import locenc
from locenc.coords import equal_earth
from locenc.data import land_cover, land_mask, sample_raster
from locenc.maps.canvas import SEA
from locenc.maps.land import land_grid
from locenc.maps.page import PALETTE
from locenc.maps.patterns import mutual_information


class Formula(nn.Module):
    """An encoder without weights: a function of longitude and latitude in degrees."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, lonlat):
        return self.function(*lonlat.unbind(-1))


def sectors(lon, lat):
    return nn.functional.one_hot(((lon + 180) / 30).long(), 12).double()


def by_latitude(lon, lat):
    return torch.stack([lat / 90, (lat / 20).sin(), (lat / 15).cos(), lat.square() / 8100], -1)


def smooth(lon, lat):
    x = torch.stack([lon / 90, lat / 45], -1)
    return torch.cat([x, (2 * x).sin(), (3 * x).cos(), torch.ones_like(x)], -1)


def land_cells(side):
    """Land cells, (N, 2) centres and areas of a grid of whole degrees, without the code under test."""
    rows, pixels = 180 // side, side * 20
    land = land_mask().reshape(rows, pixels, 2 * rows, pixels).mean((1, 3)) >= 0.5
    lat = 90 - (np.arange(rows) + 0.5) * side
    land[lat < -60] = False
    row, column = land.nonzero()
    lonlat = np.stack([(column + 0.5) * side - 180, lat[row]], 1)
    return land, lonlat, np.cos(np.deg2rad(lonlat[:, 1]))


def pixels(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()).copy()


def panels(figure):
    """The maps of a figure, row by row, left to right: (heading, mesh)."""
    meshes = [(axes, child) for axes in figure.axes for child in axes.get_children() if isinstance(child, QuadMesh)]
    return [(axes.get_title(loc="left"), mesh) for axes, mesh in meshes]


def colours(mesh):
    return np.asarray(mesh.get_array())


def words(figure):
    texts = [text for axes in figure.axes for text in axes.texts] + figure.texts
    return "\n".join(text.get_text() for text in texts)


def test_a_row_of_two_maps_for_each_encoder():
    figure = locenc.maps.plot(Formula(smooth), Formula(sectors), titles=["before", "after"], resolution=5)
    assert [heading for heading, _ in panels(figure)] == [
        "before: principal components",
        "before: 12 clusters",
        "after: principal components",
        "after: 12 clusters",
    ]
    assert words(figure).count("Variance shown: ") == 2
    assert words(figure).count("Normalised mutual information with land cover: ") == 2
    assert "Land cells of 5° north of 60° S" in words(figure)


def test_titles_are_class_names_numbered_where_they_repeat():
    figure = locenc.maps.plot(Formula(smooth), locenc.Wrap(dim=4), Formula(sectors), resolution=10, num_clusters=2)
    names = [heading.partition(":")[0] for heading, _ in panels(figure)]
    assert names == ["Formula (1)", "Formula (1)", "Wrap", "Wrap", "Formula (3)", "Formula (3)"]


@pytest.mark.parametrize("side", [2, 5, 10])
def test_cells_are_the_land_and_lie_where_they_should(side):
    land, lonlat, area = land_cells(side)
    grid = land_grid(side)
    assert np.array_equal(grid.land, land[: len(grid.land)])
    assert not land[len(grid.land) :].any()
    assert np.allclose(grid.lonlat, lonlat, rtol=0, atol=1e-9)
    assert np.allclose(grid.area, area / area.sum(), rtol=1e-12)
    for _, mesh in panels(locenc.maps.plot(Formula(sectors), resolution=side)):
        assert np.array_equal(colours(mesh)[..., 3] == 1, grid.land)
        corners = mesh.get_coordinates()
        assert np.diff(corners[..., 0]).max() <= 2.7067 * side / 180 * 1.001  # none spans the map
        assert np.allclose(corners[0, [0, -1]], equal_earth(torch.tensor([[-180.0, 90.0], [180.0, 90.0]])))


@pytest.mark.parametrize("resolution", [0.25, 0.3, 0.36, 0.75, 7.2])
def test_every_resolution_that_divides_the_globe(resolution):
    grid = land_grid(resolution)
    assert grid.area.sum() == pytest.approx(1)
    assert grid.land.shape[1] == round(360 / resolution)
    assert grid.corners.shape == (grid.land.shape[0] + 1, grid.land.shape[1] + 1, 2)
    lat, row = grid.lonlat[:, 1], grid.land.nonzero()[0]
    assert np.allclose(grid.corners[row, 0, 1] - lat, resolution / 2)


def test_mutual_information_on_the_page_is_that_of_scikit_learn():
    _, lonlat, area = land_cells(5)
    labels = ((lonlat[:, 0] + 180) // 30).astype(int)
    classes = sample_raster(land_cover(), lonlat)
    known = classes != 0
    copies = np.rint(area[known] * 1000).astype(int)
    expected = normalized_mutual_info_score(np.repeat(classes[known], copies), np.repeat(labels[known], copies))
    text = words(locenc.maps.plot(Formula(sectors), resolution=5))
    found = float(text.partition("with land cover: ")[2].partition("\n")[0])
    assert found == pytest.approx(expected, abs=1e-3)  # three digits, weights of three


def test_a_reference_of_ones_own_without_the_places_that_it_does_not_know():
    def zones(lonlat):
        assert lonlat.dtype == np.float64
        zone = (lonlat[:, 0] + 180) // 30
        return np.where(lonlat[:, 1] > 60, -1, zone * 1_000_000).astype(np.int64)

    figure = locenc.maps.plot(Formula(sectors), resolution=5, reference=zones, reference_name="zones")
    assert "Normalised mutual information with zones: 1.000" in words(figure)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-3, 3), st.integers(1, 5)), min_size=1, max_size=40))
def test_mutual_information_weighs_rows_as_copies_do(rows):
    labels, classes, weights = np.array(rows).T
    expected = normalized_mutual_info_score(np.repeat(classes, weights), np.repeat(labels, weights))
    assert mutual_information(labels, classes, weights.astype(float)) == pytest.approx(expected, abs=1e-9)


def test_components_of_an_encoder_of_latitude_are_constant_along_parallels():
    (_, mesh), _ = panels(locenc.maps.plot(Formula(by_latitude), resolution=5))
    land = land_grid(5).land
    rows = [image[cells] for image, cells in zip(colours(mesh)[..., :3], land, strict=True) if cells.any()]
    assert max(np.ptp(row, axis=0).max() for row in rows) < 1e-3
    assert len({tuple(np.rint(row[0] * 255)) for row in rows}) == len(rows)


def test_components_are_spread_evenly_over_the_area():
    (_, mesh), _ = panels(locenc.maps.plot(Formula(smooth), resolution=2))
    grid = land_grid(2)
    channels = (colours(mesh)[grid.land][:, :3] - 0.05) / 0.9
    for channel in channels.T:
        below = [grid.area[channel <= level].sum() for level in (0.1, 0.25, 0.5, 0.75, 0.9)]
        assert below == pytest.approx([0.1, 0.25, 0.5, 0.75, 0.9], abs=0.01)


def test_variance_is_that_of_weighted_principal_components():
    _, lonlat, area = land_cells(5)
    rows = nn.functional.normalize(Formula(smooth)(torch.tensor(lonlat))).numpy()
    covariance = np.cov(rows.T, aweights=area)
    shares = np.sort(np.linalg.eigvalsh(covariance))[::-1][:3] / np.trace(covariance)
    text = words(locenc.maps.plot(Formula(smooth), resolution=5))
    red, green, blue = (f"{share:.0%}" for share in shares)
    assert f"Variance shown: {shares.sum():.0%} (red {red}, green {green}, blue {blue}; grey: not shown)" in text


def test_a_rotated_embedding_has_the_colours_of_the_first():
    rotation = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))[0]
    rotated = Formula(lambda lon, lat: 3 * smooth(lon, lat) @ rotation)
    maps = [colours(mesh) for _, mesh in panels(locenc.maps.plot(Formula(smooth), rotated, resolution=5))]
    assert np.allclose(maps[0], maps[2], atol=1e-3)
    assert (maps[1] == maps[3]).all(-1).mean() > 0.99


def test_clusters_are_numbered_by_area():
    (_, mesh) = panels(locenc.maps.plot(Formula(sectors), resolution=5))[1]
    grid = land_grid(5)
    cells = colours(mesh)[grid.land][:, :3]
    areas = [grid.area[np.isclose(cells, to_rgb(colour)).all(1)].sum() for colour in PALETTE[:12]]
    assert sum(areas) == pytest.approx(1)
    assert areas == sorted(areas, reverse=True)


def test_equal_seeds_give_equal_pixels():
    encoder = locenc.Wrap(dim=16)
    assert np.array_equal(*(pixels(locenc.maps.plot(encoder, resolution=5, seed=3)) for _ in range(2)))


def test_a_page_is_small_and_nothing_sticks_out(tmp_path):
    figure = locenc.maps.plot(locenc.Wrap(), locenc.Sphere2Vec(), titles=["Wrap, untrained", "Sphere2Vec, untrained"])
    figure.savefig(tmp_path / "maps.png", dpi=150)
    assert (tmp_path / "maps.png").stat().st_size < 1e6
    image = pixels(figure)
    border = np.concatenate([image[[0, -1]].reshape(-1, 4), image[:, [0, -1]].reshape(-1, 4)])
    assert (border == 255).all()
    texts = [text for axes in figure.axes for text in (axes.title, axes._left_title, *axes.texts)] + figure.texts
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i]), texts[i].get_text()


@pytest.mark.parametrize("columns", [1, 2])
def test_embeddings_of_few_columns(columns):
    figure = locenc.maps.plot(Formula(lambda lon, lat: smooth(lon, lat)[:, :columns]), resolution=10, num_clusters=2)
    (_, mesh), _ = panels(figure)
    assert (colours(mesh)[land_grid(10).land][:, 2] == 0.5).all()
    assert "blue 0%" in words(figure)


@pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
def test_a_constant_embedding_is_grey_and_one_cluster():
    with pytest.warns(ConvergenceWarning, match="distinct clusters"):
        figure = locenc.maps.plot(Formula(lambda lon, lat: torch.ones(len(lon), 5)), resolution=10)
    (_, mesh), _ = panels(figure)
    assert (colours(mesh)[land_grid(10).land][:, :3] == 0.5).all()
    assert "with land cover: 0.000" in words(figure)


class Watcher(nn.Module):
    """Notes how it is called; fails when told to."""

    def __init__(self, fail=False):
        super().__init__()
        self.linear, self.dropout, self.fail = nn.Linear(2, 6), nn.Dropout(0.5), fail
        self.dropout.eval()

    def forward(self, lonlat):
        self.seen = (lonlat.dtype, torch.is_grad_enabled(), self.training, self.linear.training)
        if self.fail:
            raise RuntimeError("broken on purpose")
        return self.dropout(self.linear(lonlat.float()))


def test_the_encoder_is_left_as_it_was():
    encoder = Watcher()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    locenc.maps.plot(encoder, resolution=10)
    assert encoder.seen == (torch.float64, False, False, False)
    assert (encoder.training, encoder.linear.training, encoder.dropout.training) == (True, True, False)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert encoder.linear.weight.grad is None


def test_the_mode_is_restored_after_an_error_too():
    encoder = Watcher(fail=True)
    with pytest.raises(RuntimeError, match="broken on purpose"):
        locenc.maps.plot(encoder, resolution=10)
    assert (encoder.training, encoder.linear.training, encoder.dropout.training) == (True, True, False)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_the_steps_and_a_log_shows_none(monkeypatch, capsys):
    encoders = [Formula(smooth), Formula(sectors)]
    locenc.maps.plot(*encoders, resolution=10)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    monkeypatch.setattr("tqdm.std.tqdm.monitor_interval", 0)  # no thread that outlives the test
    locenc.maps.plot(*encoders, titles=["before", "after"], resolution=10)
    *shown, last = terminal.getvalue().split("\r")
    names = [f"{title}: {step}" for title in ("before", "after") for step in ("embedding", "components", "clusters")]
    assert [name for name in dict.fromkeys(line.rpartition(": ")[0] for line in shown) if name] == names
    assert last.strip() == ""  # the bar is gone


def test_half_precision_encoders():
    encoder = Formula(lambda lon, lat: smooth(lon, lat).bfloat16())
    assert len(panels(locenc.maps.plot(encoder, resolution=10))) == 2


def test_matplotlib_is_loaded_late_and_its_state_is_left_alone():
    code = (
        "import sys, locenc.maps, torch\n"
        "print([name for name in ('matplotlib', 'sklearn', 'scipy', 'PIL') if name in sys.modules])\n"
        "import matplotlib\n"
        "matplotlib.use('svg')\n"
        "before = dict(matplotlib.rcParams)\n"
        "locenc.maps.plot(locenc.Wrap(dim=4), resolution=10)\n"
        "print(dict(matplotlib.rcParams) == before, 'matplotlib.pyplot' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\nTrue False\n"


@pytest.mark.parametrize(
    ("encoders", "options", "error", "message"),
    [
        ((), {}, ValueError, "at least one encoder, got none"),
        ((len,), {}, TypeError, "encoder 0 must be a torch module, got builtin_function"),
        ((Formula(smooth),), {"titles": ["a", "b"]}, ValueError, "one title per encoder: 1 encoders, got 2"),
        ((Formula(smooth),), {"titles": "a"}, ValueError, "one title per encoder: 1 encoders, got one string"),
        ((Formula(smooth),), {"resolution": 0.1}, ValueError, "between 0.25 and 10 degrees, got 0.1"),
        ((Formula(smooth),), {"resolution": 12}, ValueError, "between 0.25 and 10 degrees, got 12"),
        ((Formula(smooth),), {"resolution": float("nan")}, ValueError, "between 0.25 and 10 degrees, got nan"),
        ((Formula(smooth),), {"resolution": 7}, ValueError, "must divide 180 degrees, got 7; .* is 6.92308"),
        ((Formula(smooth),), {"num_clusters": 1}, ValueError, "between 2 and 16, the colours there are, got 1"),
        ((Formula(smooth),), {"num_clusters": 17}, ValueError, "between 2 and 16, the colours there are, got 17"),
        ((Formula(lambda lon, lat: lat),), {}, ValueError, r"\(\d+, 2\) degrees to \(\d+, d\), but gave \(\d+,\)"),
        (
            (Formula(lambda lon, lat: torch.stack([lat / (lat != 25), lon], -1)),),
            {},
            ValueError,
            "NaN or infinite at .* the first at longitude -105, latitude 25",
        ),
        ((Formula(smooth),), {"reference": lambda lonlat: [1, 2]}, ValueError, r"one code per place, .* got \(2,\)"),
        ((Formula(smooth),), {"reference": lambda lonlat: lonlat[:, 0]}, TypeError, "integer codes, .* got float64"),
        (
            (Formula(smooth),),
            {"reference": lambda lonlat: np.full(len(lonlat), -1)},
            ValueError,
            "no class anywhere: every code is negative",
        ),
    ],
)
def test_errors(encoders, options, error, message):
    with pytest.raises(error, match=message):
        locenc.maps.plot(*encoders, **{"resolution": 10, **options})


# How colour-blind eyes see linear RGB: Machado, Oliveira & Fernandes 2009, severity 1.
EYES = {
    "normal": np.eye(3),
    "red-blind": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "green-blind": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "blue-blind": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("eyes", EYES)
def test_colours_of_clusters_differ_for_all_eyes(eyes):
    rgb = np.array([to_rgb(colour) for colour in (*PALETTE, SEA)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ np.transpose(EYES[eyes])
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.119192, 0.9503041]]
    )
    x, y, z = np.cbrt(
        linear.clip(0, 1) @ to_xyz.T / to_xyz.sum(1)
    ).T  # no colour here is dark enough for the linear part
    lab = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)
    distance = np.linalg.norm(lab[:, None] - lab, axis=-1) + 1e3 * np.eye(len(lab))
    assert distance.min() > 15  # CIE 1976 units; 2.3 is just noticeable
