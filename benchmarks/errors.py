"""How far features are from exact ones: the library's and the naive forms'."""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.exact import EXACT
from benchmarks.naive import FORMS
from benchmarks.report import Report, shown


class Row(NamedTuple):
    """An encoder whose error is measured, at its finest: what is allowed of float64 features, and how many points."""

    form: str
    size: int
    options: dict[str, Any]
    float64: float = 1e-9
    share: float = 1.0


RADIANS, DEGREES, FINE = (
    {"min_radius": least, "max_radius": most} for least, most in [(1e-6, 1.0), (6e-5, 360.0), (1e-6, 360.0)]
)
ROWS = (
    *(Row(name, 64, RADIANS) for name in ("sphereC", "sphereC+", "sphereM", "sphereM+")),
    Row("dfs", 64, RADIANS, share=0.1),
    *(Row(name, 64, DEGREES) for name in ("grid", "theory")),
    *(Row(name, 64, FINE, float64=5e-8) for name in ("grid", "theory")),
    Row("nerf", 21, {}),
    Row("rff", 64, {"kernel_size": 1e10}),
    Row("geoclip", 64, {}),
    Row("wrap", 1, {}),
    Row("xyz", 1, {}),
)
FLOAT32 = 2.5e-7


def table(report: Report, count: int) -> None:
    """Measure at random points, the poles and ±180, and add the table and its targets to a report."""
    rows = []
    for row in ROWS:
        lonlat, form = points(max(20, int(row.share * count))), FORMS[row.form]
        position = form.build(row.size, **row.options)
        drawn = [value.numpy() for value in position.state_dict().values()]
        expected, largest = EXACT[row.form](lonlat.numpy(), position.config, *drawn)
        errors = {}
        for dtype in (torch.float32, torch.float64):
            name = str(dtype).removeprefix("torch.")
            naive = form.features(lonlat.to(dtype), *form.constants(position, dtype))
            errors[name] = _error(position(lonlat, dtype=dtype), expected)
            errors[f"naive {name}"] = _error(naive, expected)
        finest = f", finest {row.options['min_radius']:g}" if "min_radius" in row.options else ""
        label = f"{row.form}{finest}"
        rows.append((label, expected.shape[1], f"2^{math.log2(largest):.1f}", *map(_short, errors.values())))
        report.keep(f"error of {label}", {"half turns": largest, **errors})
        report.target(f"error of float32 features, {label}", errors["float32"], most=FLOAT32, unit="")
        report.target(f"error of float64 features, {label}", errors["float64"], most=row.float64, unit="")
    columns = ("encoder", "columns", "half turns", "float32", "float32, naive", "float64", "float64, naive")
    report.table(
        "Largest error against exact features",
        columns,
        rows,
        note=f"At {count:,} random places (dfs: a tenth), the poles and ±180; phases exact to more than 40 digits. "
        "Radii are in radians for Sphere2Vec, in degrees for Space2Vec. Naive float32 gets its coordinates in float32.",
    )


def points(count: int) -> Tensor:
    """Random places, and the edges of the map; (N, 2) degrees."""
    generator = torch.Generator().manual_seed(0)
    places = (torch.rand(count, 2, generator=generator, dtype=torch.float64) - 0.5) * torch.tensor([360.0, 180.0])
    edges = [(lon, lat) for lon in (-180.0, -90.0, 0.0, 90.0, 180.0) for lat in (-90.0, 0.0, 90.0)]
    return torch.cat([places, torch.tensor(edges, dtype=torch.float64)])


def _error(features: Tensor, expected: Any) -> float:
    return float(np.abs(features.double().numpy() - expected).max())


def _short(error: float) -> str:
    return shown(error) if error > 0.01 else f"{error:.2g}"
