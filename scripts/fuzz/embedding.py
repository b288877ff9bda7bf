"""Doors of data: coordinates, tables, grids and Parquet files."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

import locenc
from locenc import coords, data
from scripts.fuzz import values
from scripts.fuzz.calls import Call, finite
from scripts.fuzz.table import door
from scripts.fuzz.values import some

MISSING = ("raise", "raise", "nan")


@door("locenc.coords.as_lonlat", 12)
def as_lonlat(rng: random.Random, _: Path) -> Call:
    def check(found: Any) -> str | None:
        whole = found.dtype == torch.float64 and found.ndim == 2 and found.shape[1] == 2
        return None if whole and finite(found) and bool((found[:, 1].abs() <= 90).all()) else f"gives {found}"

    return Call(coords.as_lonlat, (some(rng, values.array(rng, values.degrees(rng)), share=0.95),), {}, check)


@door("locenc.coords.as_pairs", 3)
def as_pairs(rng: random.Random, _: Path) -> Call:
    check = lambda found: None if found.dtype == torch.float64 and found.shape[1] == 2 else f"gives {found}"  # noqa: E731
    return Call(coords.as_pairs, (some(rng, values.array(rng, values.degrees(rng)), share=0.95),), {}, check)


def _tensor(rng: random.Random) -> Any:
    found = values.array(rng, values.degrees(rng))
    if isinstance(found, np.ndarray) and found.dtype == np.float64 and not isinstance(found, np.ma.MaskedArray):
        found = torch.from_numpy(found.copy())
    return some(rng, found, share=0.95)


@door("locenc.coords.check_lonlat", 3)
def check_lonlat(rng: random.Random, _: Path) -> Call:
    return Call(coords.check_lonlat, (_tensor(rng),))


@door("locenc.coords.check_form", 2)
def check_form(rng: random.Random, _: Path) -> Call:
    return Call(coords.check_form, (_tensor(rng),))


@door("locenc.coords.check_values", 2)
def check_values(rng: random.Random, _: Path) -> Call:
    """It looks at no form: tensors of pairs alone."""
    points = values.degrees(rng)
    index = values.index(rng, len(points)) if rng.random() < 0.5 else None
    return Call(coords.check_values, (torch.from_numpy(points.copy()), index))


@door("locenc.coords.check_device", 0.5)
def check_device(rng: random.Random, _: Path) -> Call:
    lonlat = torch.zeros(2, 2, device=rng.choice(("cpu", "meta")))
    tensor = rng.choice((None, torch.zeros(1), torch.zeros(1, device="meta")))
    return Call(coords.check_device, (lonlat, tensor, "encoder"))


@door("locenc.coords.unit_sphere", 1)
def unit_sphere(rng: random.Random, _: Path) -> Call:
    points = torch.from_numpy(np.nan_to_num(values.degrees(rng), posinf=0, neginf=0).clip(-540, 540))
    check = lambda found: None if finite(found) and found.shape == (len(points), 3) else f"gives {found}"  # noqa: E731
    return Call(coords.unit_sphere, (points,), {}, check)


@door("locenc.coords.equal_earth", 1)
def equal_earth(rng: random.Random, _: Path) -> Call:
    points = torch.from_numpy(np.nan_to_num(values.degrees(rng), posinf=0, neginf=0).clip(-90, 90))
    check = lambda found: None if finite(found) and found.shape == points.shape else f"gives {found}"  # noqa: E731
    return Call(coords.equal_earth, (points,), {}, check)


@door("locenc.data.land_cover", 0.1)
def land_cover(rng: random.Random, _: Path) -> Call:
    return Call(data.land_cover, (), {}, lambda found: None if found.shape == (3600, 7200) else "another shape")


@door("locenc.data.land_mask", 0.1)
def land_mask(rng: random.Random, _: Path) -> Call:
    return Call(data.land_mask, (), {}, lambda found: None if found.dtype == bool else "no truth values")


@door("locenc.data.coastline", 0.1)
def coastline(rng: random.Random, _: Path) -> Call:
    return Call(data.coastline, (), {}, lambda found: None if all(map(finite, found)) else "not finite")


@door("locenc.data.sample_raster", 2)
def sample_raster(rng: random.Random, _: Path) -> Call:
    shape = rng.choice(((3, 4), (1, 1), (5, 7, 2)))
    raster = some(rng, np.arange(np.prod(shape)).reshape(shape), np.zeros((0, 3)), np.zeros(3), [[1, 2]], share=0.9)
    return Call(data.sample_raster, (raster, values.array(rng, values.degrees(rng))))


@door("locenc.embed", 20)
def embed(rng: random.Random, _: Path) -> Call:
    found, options = values.places(rng)
    encoder = values.encoder(rng)
    options = dict(options)
    missing = some(rng, rng.choice(MISSING), "drop", 1, share=0.97)
    options["missing"] = missing
    filled: tuple[Any, ...] = ()
    if rng.random() < 0.3:
        options["batch_size"] = some(rng, rng.choice((1, 3, 1000, 2**40)), 0, -1, 2.5)
    if rng.random() < 0.1:
        options["device"] = some(rng, rng.choice(("cpu", "auto", torch.device("cpu"))), "cuda", "tpu", "meta")
    if rng.random() < 0.3:
        options["progress"] = False
    if rng.random() < 0.2:
        options["as_frame"] = rng.choice((True, False))
    if rng.random() < 0.15:
        rows = values.count(found)
        known = isinstance(encoder, (locenc.LocationEncoder, locenc.PositionEncoder))
        columns = values.dim_of(encoder) if known else 3
        bad = (np.empty((rows, columns), "f8"), np.empty((columns, rows), "f4").T, np.empty((rows + 1, columns), "f4"))
        options["out"] = some(
            rng, np.empty((rows, columns), np.float32), *bad, values.frozen(np.empty((rows, columns), "f4"))
        )
        filled = (options["out"],)

    def check(result: Any) -> str | None:
        if hasattr(result, "compute"):
            try:
                result = result.compute(scheduler="synchronous")
            except (ValueError, TypeError):
                return None
        array = np.asarray(result)
        if array.dtype != np.float32 or array.ndim != 2 or array.shape[1] != values.dim_of(encoder):
            return f"{array.dtype} {array.shape} for {values.dim_of(encoder)} columns"
        half = next(encoder.parameters(), torch.zeros(0)).dtype == torch.float16
        return None if finite(array) or missing == "nan" or half else "NaN though missing='raise'"

    return Call(locenc.embed, (found, encoder), options, check, filled)


@door("locenc.nearest", 5)
def nearest(rng: random.Random, _: Path) -> Call:
    candidates, options = values.places(rng)
    place = some(
        rng, rng.choice(((2.35, 48.86), [0, 0], np.array([1.0, 2.0]))), (0, 95), [[0, 0]], [[0, 0], [1, 1]], (1,)
    )
    found = dict(options)
    if rng.random() < 0.5:
        found["count"] = some(rng, rng.choice((1, 2, 100)), 0, -1, 1.5)
    return Call(locenc.nearest, (values.encoder(rng), place, candidates), found)


@door("locenc.embed_grid", 1)
def embed_grid(rng: random.Random, _: Path) -> Call:
    boxes = ((-180, -90, 180, 90), (0, 0, 30, 30), (170, -20, -170, 0), (0, 40, 360, 60))
    bounds = some(
        rng, rng.choice(boxes), (0, 0, 0, 0), (0, 10, 5, 5), (0, 0, 1), "world", (0, -95, 1, 0), [1, 2, 3, np.nan]
    )
    resolution = some(rng, rng.choice((10, 5, (10, 5), 2.5, 7.5)), 0, -1, 7, (1, 2, 3), "1", np.inf)
    masks = (None, None, "land", lambda lonlat: lonlat[..., 0] > 0)
    found = {
        "bounds": bounds,
        "resolution": resolution,
        "mask": rng.choice(masks) if rng.random() < 0.9 else rng.choice(("sea", 3, [], lambda _: 3)),
    }
    return Call(locenc.embed_grid, (values.encoder(rng),), found)


@door("locenc.embed_parquet", 0.6)
def embed_parquet(rng: random.Random, folder: Path) -> Call:
    import pyarrow as pa
    import pyarrow.parquet as pq

    source, target = folder / f"in-{rng.getrandbits(30)}.parquet", folder / f"out-{rng.getrandbits(30)}.parquet"
    points = values.degrees(rng)
    options: dict[str, Any] = {"progress": False, "missing": some(rng, rng.choice(MISSING), "drop")}
    if rng.random() < 0.6:
        frame = values.geo(rng, points)
        frame.index = range(len(frame))
        frame.to_parquet(
            source,
            geometry_encoding=rng.choice(("WKB", "WKB", "geoarrow"))
            if frame.geom_type.eq("Point").all() and len(frame)
            else "WKB",
        )
    else:
        kinds = (pa.float64(), pa.float32(), pa.int8(), pa.string(), pa.list_(pa.float64()))
        columns = {}
        for name, column in zip(("lon", "lat"), points.T, strict=True):
            plain = pa.array(column)
            try:
                columns[name] = plain.cast(rng.choice(kinds)) if rng.random() < 0.3 else plain
            except (pa.ArrowException, NotImplementedError):
                columns[name] = plain
        pq.write_table(pa.table(columns), source, row_group_size=rng.choice((1, 3, 100)))
        options |= {"lon": some(rng, "lon", "x"), "lat": some(rng, "lat", "lon")}
    if rng.random() < 0.3:
        options["dtype"] = some(rng, rng.choice(("float32", "float16", "int8")), "float64", np.float32)
    if rng.random() < 0.2:
        options["column"] = some(rng, rng.choice(("v", "é", "")), "lon", "geometry")
    if rng.random() < 0.2:
        options["batch_size"] = some(rng, 2, 0, "x")
    given = some(rng, source, folder / "absent.parquet", folder, target, "", share=0.95)

    def check(report: Any) -> str | None:
        rows = pq.read_metadata(report.path).num_rows
        return None if rows == len(points) else f"{rows} rows of {len(points)}"

    return Call(
        locenc.embed_parquet,
        (given, some(rng, target, source, folder, share=0.95), values.encoder(rng)),
        options,
        check,
    )
