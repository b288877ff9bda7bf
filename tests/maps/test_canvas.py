"""Maps without content: projections there and back, cuts, edges, axes of cartopy."""

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from locenc.maps.built_in import world
from locenc.maps.canvas import Canvas, projection_of
from locenc.maps.proj import from_crs

ROBINSON = "+proj=robin +lon_0=150"
WORLDS = [None, ROBINSON, "ESRI:54009", "EPSG:3857", 4326, "+proj=moll +lon_0=-100"]
PARTS = [
    "EPSG:3031",
    "EPSG:3413",
    "EPSG:3035",
    "EPSG:32633",
    "+proj=ortho +lat_0=40 +lon_0=10",
    "+proj=laea +lat_0=-90",
]
PARTS += ["+proj=lcc +lat_1=33 +lat_2=45 +lon_0=-96", "+proj=geos +h=35785831 +lon_0=140", "+proj=aeqd +lat_0=48"]


def canvas(crs=None, bounds=None):
    return Canvas(Figure().add_subplot(), projection_of(crs, bounds))


def lines(axes):
    return [path for part in axes.collections if isinstance(part, LineCollection) for path in part.get_segments()]


@given(st.floats(-180, 180), st.floats(-89, 89))
def test_equal_earth_is_that_of_pyproj_and_turns_back(lon, lat):
    place = np.array([[lon, lat]])
    theirs = np.array(pyproj.Proj("+proj=eqearth +R=6378137")(lon, lat)) / 6378137
    assert np.allclose(world().project(place)[0], theirs, atol=1e-9)
    assert np.allclose(world().places(world().project(place)), place, atol=1e-9)


@pytest.mark.parametrize("crs", WORLDS + PARTS)
def test_pixels_lie_where_they_should_and_those_beside_the_map_nowhere(crs):
    drawn = canvas(crs)
    places = drawn.pixels(90)
    there = np.isfinite(places).all(-1)
    left, right, bottom, top = drawn.frame
    x = left + (np.arange(90) + 0.5) * (right - left) / 90
    y = top - (np.arange(len(places)) + 0.5) * (top - bottom) / len(places)
    points = np.stack(np.meshgrid(x, y), -1)
    assert np.allclose(drawn.projection.project(places)[there], points[there], atol=2e-3 * drawn.projection.reach)
    inside = drawn._clip.get_path().contains_points(points.reshape(-1, 2)).reshape(there.shape)
    assert (inside == there).mean() > 0.97  # but for pixels on the edge
    assert 0.1 < there.mean() <= 1


@pytest.mark.parametrize("crs", WORLDS + PARTS)
def test_no_line_spans_the_map(crs):
    drawn = canvas(crs)
    if crs is None:  # parallels are two points, the southern shore runs along the edge
        return
    steps = np.concatenate([np.hypot(*np.diff(path, axis=0).T) for path in lines(drawn.axes)])
    assert steps.max() < 0.12 * drawn.projection.reach
    assert len(steps) > 30


def test_lines_across_the_cut_reach_both_edges():
    drawn = canvas(ROBINSON)
    west, east = drawn.projection.paths(np.array([(-60.0, 0.0), (0.0, 0.0)]))
    left, right, _, _ = drawn.frame
    assert west[-1, 0] == pytest.approx(right, rel=1e-6)
    assert east[0, 0] == pytest.approx(left, rel=1e-6)


def test_the_shore_has_no_line_along_the_antimeridian():
    drawn = canvas(ROBINSON)
    x = drawn.projection.project([(180.0, -80.0)])[0, 0]
    upright = [path for path in lines(drawn.axes) if len(path) > 5 and np.ptp(path[:, 0]) < 1e-3 * abs(x)]
    assert not upright


def test_places_that_a_projection_does_not_show_are_not_drawn():
    drawn = canvas("+proj=ortho +lat_0=40 +lon_0=10")
    offsets = drawn.points([(10.0, 40.0), (-170.0, -40.0)]).get_offsets()
    assert np.ma.getmaskarray(offsets).all(1).tolist() == [False, True]
    assert drawn.place((-170, -40), "far away") is not None
    assert not drawn.axes.texts


def test_a_marker_is_where_the_place_is_and_has_its_name():
    drawn = canvas()
    offset = drawn.place((2.35, 48.86), "Paris").get_offsets()[0]
    assert np.allclose(offset, world().project([2.35, 48.86]))
    assert [text.get_text() for text in drawn.axes.texts] == ["Paris"]


@pytest.mark.parametrize("bounds", [(170, -20, -170, 0), (170, -20, 190, 0), (-190 + 360, -20, -170, 0)])
def test_bounds_across_the_antimeridian(bounds):
    drawn = canvas(bounds=bounds)
    lon = drawn.pixels(40)[..., 0]
    assert np.isfinite(lon).all()
    assert np.abs((lon - 180 + 180) % 360 - 180).max() < 10
    assert (np.diff(lon, axis=1) > 0).all()


class GeoAxes(Axes):
    """Stands in for cartopy's: has a projection, and notes what is drawn in which coordinates."""

    def __init__(self, figure, rect, projection):
        self.projection = pyproj.CRS(projection)
        self.transforms = []
        super().__init__(figure, rect)
        edge = from_crs(self.projection).outline
        self.set(xlim=(edge[:, 0].min(), edge[:, 0].max()), ylim=(edge[:, 1].min(), edge[:, 1].max()))

    def imshow(self, *args, **kwargs):
        self.transforms.append(kwargs["transform"])
        return super().imshow(*args, **kwargs)

    def scatter(self, *args, **kwargs):
        self.transforms.append(kwargs["transform"])
        return super().scatter(*args, **kwargs)


def geo_axes(projection=ROBINSON):
    figure = Figure()
    axes = GeoAxes(figure, (0.1, 0.1, 0.8, 0.8), projection)
    figure.add_axes(axes)
    return axes


def test_axes_of_cartopy_keep_their_projection_and_what_they_show():
    axes = geo_axes()
    axes.set(xlim=(-2e6, 3e6), ylim=(-3e6, 1e6))
    drawn = Canvas(axes)
    assert drawn.frame == (-2e6, 3e6, -3e6, 1e6)
    places = drawn.pixels(30)
    drawn.picture(places[..., 1])
    drawn.place((150, -20), "here")
    assert axes.transforms == [axes.transData] * 2
    assert (axes.get_xlim(), axes.get_ylim()) == ((-2e6, 3e6), (-3e6, 1e6))
    x, y = pyproj.Transformer.from_crs(axes.projection, 4326, always_xy=True).transform(-2e6 + 5e6 / 60, 1e6 - 5e6 / 60)
    assert np.allclose(places[0, 0], (x, y), atol=1e-6)
    FigureCanvasAgg(axes.figure).draw()
    with pytest.raises(ValueError, match="projection of their own"):
        Canvas(axes, world())


@pytest.mark.parametrize(
    ("crs", "bounds", "message"),
    [
        ("+proj=nothing", None, "crs must be a map projection that pyproj knows, got '.proj=nothing'"),
        ("EPSG:999999", None, "crs must be a map projection that pyproj knows"),
        (ROBINSON, (-60, -10, 0, 10), "cross -30° of longitude, where the map .* is cut"),
        (None, (0, 10, 20), "west, south, east, north"),
        (None, (0, 40, 20, 10), "south < north"),
        ("+proj=ortho", (150, -10, 170, 10), "shows nothing of the bounds"),
    ],
)
def test_errors(crs, bounds, message):
    with pytest.raises(ValueError, match=message):
        Canvas(Figure().add_subplot(), projection_of(crs, bounds))
