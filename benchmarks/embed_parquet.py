"""`locenc.embed_parquet` against the bare encoder on ready coordinates: time, memory and rate by the number of rows.

The file has ids, a text, and points in well-known binary. Each size runs in a process of its own, files on the disk of
the temporary folder: 10^7 rows need 10.5 GB there.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import torch

import locenc
from benchmarks import machine, memory
from benchmarks.command import options
from benchmarks.report import Report
from locenc.wkb import PLAIN

SIZES = {"1e6": 1_000_000, "1e7": 10_000_000}
QUICK = {"2e4": 20_000, "1e5": 100_000}
BLOCK, ROUNDS = 250_000, 5
GEO = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": {"encoding": "WKB"}}}
LIMIT = 1.5e9  # bytes


def main(arguments: Sequence[str] | None = None) -> Report:
    """Run the command; see ``--help``."""
    given = options("embed_parquet", __doc__, arguments, parts=tuple(SIZES))
    threads = 2 if given.threads == 1 else given.threads
    report = Report("embed_parquet", "Parquet to vectors", {"threads of torch": threads, "quick": given.quick})
    sizes = QUICK if given.quick else {name: SIZES[name] for name in given.only}
    smallest, rows, resident = min(sizes.values()), [], {}
    for name, count in sizes.items():
        with tempfile.TemporaryDirectory(prefix="locenc-embed-") as folder:
            make(Path(folder) / "in.parquet", count)
            alone = _run("alone", folder, threads)
            report.keep(f"alone {name}", alone)
            resident[count] = alone["resident"]
            print(f"{count:,} rows: {alone}", file=sys.stderr, flush=True)
            seconds, size = alone["seconds"], alone["size"]
            rows.append((count, seconds, count / seconds, alone["resident"] / 1e6, size / 1e6))
            if count == smallest:
                found = _run("beside", folder, threads)
                report.keep(f"beside {name}", found)
                ratio = float(np.median(np.divide(found["parquet"], found["bare"])))
                what = f"time against the bare encoder, {count:,} rows, median of {ROUNDS} rounds in turn"
                report.target(what, ratio, most=1.3)
    report.target("resident memory, all sizes", max(resident.values()) / 1e9, most=LIMIT / 1e9, unit="GB")
    if len(resident) > 1 and not given.quick:
        grown = resident[max(resident)] / resident[smallest]
        report.target("resident memory, most rows against fewest", grown, most=1.1)
    heads = ("rows", "seconds", "rows/s", "resident at most, MB", "file, MB")
    note = "sphere2vec-sphereM, 32 scales, FFN to 256 columns of float32; the first run of a process."
    report.table("By the number of rows", heads, rows, note=note)
    report.finish(path=given.json, save=given.save)
    return report


def make(path: Path, count: int) -> None:
    """Write a GeoParquet file, block by block."""
    rng = np.random.default_rng(0)
    writer = None
    for start in range(0, count, BLOCK):
        number = np.arange(start, min(start + BLOCK, count))
        points = np.empty(len(number), PLAIN)
        points["order"], points["kind"] = 1, 1
        points["xy"] = np.stack(
            [rng.uniform(-180, 180, len(number)), np.rad2deg(np.arcsin(rng.uniform(-1, 1, len(number))))], 1
        )
        offsets = np.arange(len(number) + 1, dtype=np.int32) * PLAIN.itemsize
        buffers = [None, pyarrow.py_buffer(offsets), pyarrow.py_buffer(points.tobytes())]
        table = pyarrow.table(
            {
                "id": number,
                "name": [f"a place with number {one % 1000}" for one in number],
                "geometry": pyarrow.Array.from_buffers(pyarrow.binary(), len(number), buffers),
            }
        ).replace_schema_metadata({"geo": json.dumps(GEO)})
        if writer is None:
            writer = pyarrow.parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _encoder() -> locenc.LocationEncoder:
    torch.manual_seed(0)
    encoder = locenc.create("sphere2vec-sphereM", dim=256, num_scales=32)
    locenc.embed(np.zeros((20_000, 2)), encoder)  # may compile
    return encoder


def alone(folder: str) -> dict[str, float]:
    """What one run takes, in a process of its own."""
    encoder, target = _encoder(), Path(folder) / "out.parquet"
    with memory.Watch() as watch:
        report = locenc.embed_parquet(Path(folder) / "in.parquet", target, encoder, progress=False)
    target.unlink()
    return {"seconds": report.seconds, "resident": watch.found.resident, "size": report.size}


def beside(folder: str) -> dict[str, list[float]]:
    """Seconds of both, in turn; a process of its own."""
    source, target, encoder = Path(folder) / "in.parquet", Path(folder) / "out.parquet", _encoder()
    geometry = pyarrow.parquet.read_table(source, columns=["geometry"]).column(0).combine_chunks()
    points = np.frombuffer(geometry.buffers()[2], PLAIN)["xy"].astype(np.float64)
    found: dict[str, list[float]] = {"bare": [], "parquet": []}
    for _ in range(ROUNDS):
        start = time.perf_counter()
        locenc.embed(points, encoder, progress=False)
        found["bare"].append(time.perf_counter() - start)
        report = locenc.embed_parquet(source, target, encoder, progress=False, overwrite=True)
        found["parquet"].append(report.seconds)
        target.unlink()
    return found


def _run(what: str, folder: str, threads: int) -> dict[str, Any]:
    code = (
        f"import json, torch; torch.set_num_threads({threads}); from benchmarks import embed_parquet; "
        f"print(json.dumps(embed_parquet.{what}({folder!r})))"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=machine.ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
