"""Generated values: coordinates in every container, numbers good and bad, encoders, probabilities."""

import contextlib
import random
from functools import cache
from typing import Any

import geopandas
import numpy as np
import pandas
import polars
import shapely
import torch

import locenc

JUNK: tuple[Any, ...] = (
    None, True, False, 0, -1, 3, 1.5, -0.0, float("nan"), float("inf"), 10**30, 2j, "", "x", "é\u202e\0", b"x", [],
    (), {}, [[]], [1, "a"], {"a": 1}, {1, 2}, object(), len, int, np.float32(1), np.int64(2), np.array(3.0),
    np.zeros(0), np.zeros((2, 2, 2)), np.array(["a"]), np.array([None, 1], dtype=object), torch.zeros(0),
    torch.tensor(1.0), torch.zeros(2, 3, dtype=torch.bool), torch.ones(2, 2, dtype=torch.complex64), slice(1),
    range(3), Ellipsis,
)  # fmt: skip
CRS = (4326, 4326, 3857, 32631, 4269, 3035, 2154, 4979, 4978, None)
NAMES = ("lon", "lat", "x", "y", "longitude", "", "geometry", "é", "lon ", 0, 1, "embedding_0")


def some(rng: random.Random, good: Any, *bad: Any, share: float = 0.9) -> Any:
    """A good value mostly, else a bad one of its kind or of any."""
    if rng.random() < share:
        return good
    return rng.choice(bad) if bad and rng.random() < 0.7 else rng.choice(JUNK)


def numbers(rng: random.Random) -> np.random.Generator:
    """Random numbers of NumPy."""
    return np.random.default_rng(rng.getrandbits(32))


def degrees(rng: random.Random, rows: int | None = None) -> np.ndarray:
    """(N, 2) longitudes and latitudes: most on the globe, others at its edges or off it."""
    count = rng.choice((0, 1, 2, 3, 5, 9)) if rows is None else rows
    draw = numbers(rng)
    points = np.stack([draw.uniform(-180, 180, count), draw.uniform(-90, 90, count)], 1)
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2)) if count else 0):
        row, column = rng.randrange(count), rng.randrange(2)
        points[row, column] = rng.choice(
            (
                0,
                -0.0,
                90,
                -90,
                180,
                -180,
                360,
                540,
                -540,
                1e-300,
                5e-324,
                90.00001,
                1e6,
                1e300,
                -1e308,
                *[np.nan] * 3,
                np.inf,
                -np.inf,
            )
        )
    return points[:, ::-1] if rng.random() < 0.05 else points


def array(rng: random.Random, points: np.ndarray) -> Any:
    """Points as an array, a list or a tensor, of many types and layouts."""
    ways = (
        lambda: points,
        lambda: points.copy(),
        lambda: points.tolist(),
        lambda: [tuple(row) for row in points.tolist()],
        lambda: np.asfortranarray(points),
        lambda: np.repeat(points, 2, axis=0)[::2],
        lambda: points[::-1],
        lambda: np.broadcast_to(points[:1], points.shape),
        lambda: points.clip(-1e30, 1e30).astype(np.float32),
        lambda: points.astype(">f8"),
        lambda: np.nan_to_num(points).clip(-180, 180).astype(rng.choice((np.int8, np.int16, np.int64, np.uint8))),
        lambda: points.clip(-400, 400).astype(np.float16),
        lambda: points.astype(np.longdouble),
        lambda: points.astype(object),
        lambda: points.astype(str),
        lambda: points.astype(complex),
        lambda: points > 0,
        lambda: np.ma.masked_invalid(points),
        lambda: np.ma.masked_array(points, points > 60),
        lambda: frozen(points),
        lambda: torch.from_numpy(points.copy()),
        lambda: torch.from_numpy(points.copy()).float(),
        lambda: torch.from_numpy(points.copy()).bfloat16(),
        lambda: torch.from_numpy(points.copy()).requires_grad_(),
        lambda: torch.from_numpy(points.copy()).T.contiguous().T,
        lambda: torch.from_numpy(np.nan_to_num(points).clip(-180, 180)).to(torch.int32),
        lambda: torch.from_numpy(points.copy()).to_sparse(),
        lambda: torch.empty(points.shape, device="meta"),
        lambda: points[:, :1],
        lambda: np.concatenate([points, points], 1),
        lambda: np.concatenate([points, points[:, :1]], 1),
        lambda: points[None],
        lambda: points.ravel(),
        lambda: points[0].tolist() if len(points) else [],
        lambda: [*points.tolist(), [1.0]],
        lambda: [*points.tolist(), None],
        lambda: points.view([("lon", "f8"), ("lat", "f8")]) if points.flags.c_contiguous else points,
    )  # fmt: skip
    return rng.choice(ways)() if rng.random() < 0.7 else points


def frozen(points: np.ndarray) -> np.ndarray:
    """Read-only."""
    copy = points.copy()
    copy.setflags(write=False)
    return copy


def index(rng: random.Random, rows: int) -> Any:
    """An index of pandas."""
    ways = (
        lambda: pandas.RangeIndex(rows),
        lambda: pandas.RangeIndex(7, 7 + rows),
        lambda: pandas.Index([f"row {row}" for row in range(rows)]),
        lambda: pandas.Index([0] * rows),
        lambda: pandas.Index(np.linspace(0, 1, rows)),
        lambda: pandas.Index([None] * rows, dtype=object),
        lambda: pandas.date_range("2024-01-01", periods=rows),
        lambda: pandas.MultiIndex.from_arrays([range(rows), ["a"] * rows], names=["n", None]),
        lambda: pandas.CategoricalIndex(["a"] * rows),
    )
    return rng.choice(ways)()


def frame(rng: random.Random, points: np.ndarray) -> tuple[Any, dict[str, Any]]:
    """A table of places of pandas, geopandas, polars or dask, and the options that name its columns."""
    kind = rng.choice(("pandas", "pandas", "geo", "geo", "geo", "series", "polars", "dask", "dask-geo", "arrow"))
    lon, lat = rng.choice((("lon", "lat"), ("lon", "lat"), tuple(rng.sample(NAMES, 2))))
    options = {"lon": lon, "lat": lat} if rng.random() < 0.9 else {"lon": some(rng, lon), "lat": some(rng, lat)}
    columns = [points[:, 0], points[:, 1]]
    if rng.random() < 0.2:
        way = rng.choice(("Float64", "float32", "string", object, "category", "datetime64[ns]", "Int64", bool))
        with contextlib.suppress(TypeError, ValueError):
            whole = pandas.Series(np.nan_to_num(points[:, 0]).round().clip(-180, 180))
            columns[rng.randrange(2)] = whole.astype(way).array
    table = pandas.DataFrame(dict(zip((lon, lat), columns, strict=True)))
    table.index = index(rng, len(table))
    if rng.random() < 0.1:
        table.insert(0, lon, 1.0, allow_duplicates=True)
    if kind == "pandas":
        return table, options
    if kind == "polars":
        return polars.DataFrame({str(name): np.array(points[:, i]) for i, name in enumerate((lon, lat))}), options
    if kind == "arrow":
        import pyarrow

        return pyarrow.table({"lon": points[:, 0].copy(), "lat": points[:, 1].copy()}), {"lon": "lon", "lat": "lat"}
    if kind == "dask":
        import dask.dataframe as dask

        return dask.from_pandas(pandas.DataFrame({"lon": points[:, 0], "lat": points[:, 1]}), npartitions=2), options
    frame = geo(rng, points)
    if kind == "series":
        return frame.geometry if rng.random() < 0.8 else frame.geometry.to_numpy(), {}
    if kind == "dask-geo" and len(frame):
        import dask_geopandas

        return dask_geopandas.from_geopandas(frame.reset_index(drop=True), npartitions=1), {}
    return frame, ({} if rng.random() < 0.9 else options)


def geo(rng: random.Random, points: np.ndarray) -> geopandas.GeoDataFrame:
    """Geometries in some reference system: points mostly."""
    with np.errstate(invalid="ignore"):
        shapes = list(shapely.points(points))
    if shapes and rng.random() < 0.3:
        odd = (
            None,
            shapely.Point(),
            shapely.Point(1, 2, 3),
            shapely.Point(1, 2, float("nan")),
            shapely.LineString([(0, 0), (1, 1)]),
            shapely.box(0, 0, 1, 1),
            shapely.MultiPoint([(0, 0)]),
            shapely.GeometryCollection(),
        )
        shapes[rng.randrange(len(shapes))] = rng.choice(odd)
    frame = geopandas.GeoDataFrame({"name": range(len(shapes))}, geometry=geopandas.GeoSeries(shapes, dtype="geometry"))
    frame.index = index(rng, len(frame))
    crs = rng.choice(CRS)
    if crs is None:
        return frame
    frame = frame.set_crs(4326)
    if crs != 4326:
        frame = frame.to_crs(crs) if rng.random() < 0.7 else frame.set_crs(crs, allow_override=True)
    return frame.rename_geometry("place") if rng.random() < 0.2 else frame


def count(found: Any) -> int:
    """Rows of what holds places; 1 where it has none."""
    try:
        return len(found)
    except TypeError:
        return 1


def places(rng: random.Random) -> tuple[Any, dict[str, Any]]:
    """Whatever holds places, and the options that say where."""
    points = degrees(rng)
    if rng.random() < 0.03:
        return rng.choice(JUNK), {}
    if rng.random() < 0.6:
        return array(rng, points), {}
    return frame(rng, points)


@cache
def ready() -> tuple[Any, ...]:
    """Encoders, small ones of each kind."""
    torch.manual_seed(0)
    small = {"num_scales": 3, "num_features": 4, "num_degrees": 4, "num_anchors": 5, "num_sites": 6, "num_tokens": 3}
    made: list[Any] = []
    for name in locenc.list_encoders():
        own = {key: value for key, value in small.items() if key in locenc.position_encoder(name).config}
        made.append(locenc.position_encoder(name, **own))
        made.append(locenc.create(name, dim=5, network="linear", **own))
    made.append(locenc.create("wrap", dim=4, network="residual").train())
    made.append(locenc.create("wrap", dim=4, network="ffn").double())
    made.append(locenc.create("xyz", dim=4, network="ffn").half())
    made.append(locenc.Wrap(dim=4, date=True))
    return tuple(made)


def encoder(rng: random.Random) -> Any:
    """An encoder that is ready."""
    return some(rng, rng.choice(ready()), torch.nn.Linear(2, 3), "xyz", locenc.Sphere2Vec, share=0.97)


def dim_of(encoder: Any) -> int:
    """Columns of its embedding."""
    return int(encoder.dim if isinstance(encoder, locenc.LocationEncoder) else encoder.out_dim)


def matrix(rng: random.Random, rows: int, columns: int, *, tensor: bool = True) -> Any:
    """Numbers, near 1 mostly, as a tensor or an array."""
    values = numbers(rng).normal(size=(rows, columns))
    if values.size and rng.random() < 0.15:
        bad = (0.0, 1e30, -1e300, np.nan, np.inf, 1e-320)
        values[rng.randrange(rows), rng.randrange(columns)] = rng.choice(bad)
    if rng.random() < 0.05:
        values[:] = 0
    if not tensor:
        return (
            values.astype(rng.choice(("f8", "f8", "f4", "i8")))
            if np.isfinite(values).all() and abs(values).max(initial=0) < 1e9
            else values
        )
    made = torch.from_numpy(values).to(
        rng.choice((torch.float32, torch.float32, torch.float64, torch.float16, torch.bfloat16))
    )
    if rng.random() < 0.2:
        made = made.T.contiguous().T
    return made.requires_grad_() if rng.random() < 0.2 else made


def sizes(rng: random.Random) -> tuple[int, int]:
    """Numbers of rows and columns."""
    return rng.choice((0, 1, 2, 3, 6)), rng.choice((1, 2, 3, 4))


def probabilities(rng: random.Random, rows: int, classes: int) -> Any:
    """Rows that sum to 1 mostly."""
    values = numbers(rng).dirichlet(np.ones(classes), size=rows)
    if values.size and rng.random() < 0.2:
        values[rng.randrange(rows)] = rng.choice((0, 0.0, 1, 1 / classes))
    if values.size and rng.random() < 0.15:
        values[rng.randrange(rows), rng.randrange(classes)] = rng.choice((np.nan, np.inf, -0.1, 1.5, 1e-320))
    ways = (lambda: values, lambda: values.tolist(), lambda: values.astype("f4"), lambda: torch.from_numpy(values))
    return some(rng, rng.choice(ways)(), values[:, :1], values.ravel(), values[None], values.astype(str), share=0.95)


def labels(rng: random.Random, rows: int, classes: int, *, tensor: bool = False) -> Any:
    """Whole numbers below the number of classes mostly."""
    values = numbers(rng).integers(0, classes, rows)
    if rows and rng.random() < 0.1:
        values[rng.randrange(rows)] = rng.choice((-1, classes, 2**40))
    bad = (values.astype(float), values[:-1], values[:, None], values > 0, values.astype(str), np.append(values, 0))
    good = torch.from_numpy(values) if tensor else rng.choice((values, values.tolist(), values.astype("i4")))
    if tensor:
        bad = tuple(torch.from_numpy(np.ascontiguousarray(one)) for one in bad if one.dtype.kind in "fib")
    return some(rng, good, *bad, share=0.93)
