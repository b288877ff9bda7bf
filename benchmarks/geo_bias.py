"""Geo-bias scores of 50,000 places on one core: even places on land, and places in clusters as photographs are."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.command import options
from benchmarks.report import Report
from locenc.data import land_mask, sample_raster
from locenc_csp.geo_bias import GeoBias
from locenc_csp.geo_bias_relative import relative_information
from locenc_csp.geo_bias_self import self_information

PLACES, SECONDS = 50_000, 60.0
CLUSTERS = 300


def main(arguments: Sequence[str] | None = None) -> Report:
    """Run the command; see ``--help``."""
    given = options("geo_bias", __doc__, arguments)
    count = 1_000 if given.quick else PLACES
    report = Report("geo_bias", "Geo-bias scores", {"threads": given.threads, "quick": given.quick, "places": count})
    self_information([[0.0, 0.0]])  # compiles
    rows = []
    for name, lonlat in (("even", even(count)), ("clustered", clustered(count))):
        hits = np.random.default_rng(1).integers(0, 2, count)
        for case, score in cases(lonlat, hits).items():
            seconds, cpu, found = timed(score)
            rows.append((name, case, float(found.num_places.mean()), seconds, cpu))
            report.target(f"{name} places, {case}", cpu, most=SECONDS, unit="s", note="processor time")
    heads = ("places", "score", "places in a neighbourhood", "seconds", "seconds of the processor")
    report.table(
        f"{count:,} places, each the centre of a neighbourhood",
        heads,
        rows,
        note="Within 100 km, at most the nearest 400; one run each.",
    )
    report.finish(path=given.json, save=given.save)
    return report


def cases(lonlat: NDArray[np.float64], hits: NDArray[np.int64]) -> dict[str, Callable[[], GeoBias]]:
    """Return the scores with their settings."""
    few: dict[str, Any] = {"radius_km": 100, "max_neighbours": 400}
    return {
        "SSI unmarked": lambda: self_information(lonlat, **few),
        "SSI marked": lambda: self_information(lonlat, 1 + hits, **few),
        "SRI, cells of 25 km": lambda: relative_information(lonlat, hits, cell_km=25, **few),
        "SRI, rings of 25 km": lambda: relative_information(lonlat, hits, ring_km=25, **few),
        "SRI, 8 sectors": lambda: relative_information(lonlat, hits, num_sectors=8, **few),
    }


def even(count: int) -> NDArray[np.float64]:
    """Places on land, uniform by area."""
    rng = np.random.default_rng(0)
    lat = np.rad2deg(np.arcsin(rng.uniform(-1, 1, 5 * count)))
    lonlat = np.stack([rng.uniform(-180, 180, 5 * count), lat], axis=1)
    land: NDArray[np.bool_] = sample_raster(land_mask(), lonlat)
    return lonlat[land][:count]


def clustered(count: int) -> NDArray[np.float64]:
    """Places in clusters, some of them large, with tails."""
    rng = np.random.default_rng(0)
    centres = np.stack([rng.uniform(-180, 180, CLUSTERS), rng.uniform(-55, 65, CLUSTERS)], axis=1)
    weights = rng.pareto(1.2, CLUSTERS) + 0.1
    own = rng.choice(CLUSTERS, count, p=weights / weights.sum())
    lonlat = centres[own] + rng.exponential(1.0, count)[:, None] * rng.normal(size=(count, 2))
    return np.clip(lonlat, [-np.inf, -90], [np.inf, 90])


def timed(score: Callable[[], GeoBias]) -> tuple[float, float, GeoBias]:
    """Seconds, seconds of the processor, and the score."""
    start, cpu = time.perf_counter(), time.process_time()
    found = score()
    return time.perf_counter() - start, time.process_time() - cpu, found


if __name__ == "__main__":
    main()
