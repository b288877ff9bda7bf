"""Memory of the trainer by the number of rows: import, pre-training, fine-tuning and evaluation of a made-up table.

The table has ids, places, a label, roles and a file name that differs in each row; its image features lie in a file,
256 bytes a row. Each stage runs in a process of its own, which watches its anonymous memory (pages of mapped files are
not in it: the system takes them back as it needs them).
"""

import dataclasses
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet

from benchmarks import machine, memory
from benchmarks.command import options
from benchmarks.report import Report
from locenc_csp.datasets.importing import import_table
from locenc_csp.evaluating import evaluate
from locenc_csp.finetuning import finetune
from locenc_csp.pretraining import pretrain
from locenc_csp.recipes import Encoder, Evaluate, Finetune, ImportTable, Pretrain, Schedule

SIZES = {"1e5": 100_000, "1e6": 1_000_000, "1e7": 10_000_000}
QUICK = {"2e3": 2_000}
FEATURES, CLASSES, BLOCK, LABELS = 64, 100, 100_000, 5_000
ENCODER = Encoder(name="space2vec-grid", dim=64)
ROLES = np.array(["test", "val", *["train"] * 6, *["pool"] * 2])


def main(arguments: Sequence[str] | None = None) -> Report:
    """Run the command; see ``--help``."""
    given = options("rows", __doc__, arguments, parts=tuple(SIZES))
    report = Report("rows", "Memory by the number of rows", {"threads": given.threads, "quick": given.quick})
    sizes: Mapping[str, int] = QUICK if given.quick else {name: SIZES[name] for name in given.only}
    rows = []
    for name, count in sizes.items():
        with tempfile.TemporaryDirectory(prefix="locenc-rows-") as folder:
            make(Path(folder), count)
            for stage in STAGES:
                found = _run(stage, folder, given.threads)
                report.keep(f"{stage} {name}", found._asdict())
                print(f"{stage}, {count:,} rows: {found}", file=sys.stderr, flush=True)
                grown = found.anonymous - found.before
                rows.append((stage, count, grown / 1e6, grown / count, found.resident / 1e6, found.seconds))
    heads = ("stage", "rows", "anonymous, MB", "bytes a row", "all resident, MB", "seconds")
    note = (
        "Anonymous: by how much it grew at most (looked at every 2 ms) over that of a process that has imported the "
        "library. All resident: the most that the process held, pages of mapped files and the library included."
    )
    report.table("Peak memory", heads, rows, note=note)
    report.finish(path=given.json, save=given.save)
    return report


def make(folder: Path, count: int) -> None:
    """Write a table and its image features, block by block."""
    rng = np.random.default_rng(0)
    values = np.lib.format.open_memmap(folder / "given.npy", "w+", np.float32, (count, FEATURES))
    mixing = rng.normal(size=(2, FEATURES)).astype(np.float32)
    writer = None
    for start in range(0, count, BLOCK):
        rows = np.arange(start, min(start + BLOCK, count))
        lon, lat = rng.uniform(-180, 180, len(rows)), np.rad2deg(np.arcsin(rng.uniform(-1, 1, len(rows))))
        noise = rng.normal(size=(len(rows), FEATURES)).astype(np.float32)
        values[rows] = np.sin(np.deg2rad(np.stack([lon, lat], 1)).astype(np.float32) @ mixing) + 0.1 * noise
        kinds = (lon + 180) / 360 * CLASSES
        block = pyarrow.table(
            {
                "id": [f"place-{row:08d}" for row in rows],
                "lon": lon,
                "lat": lat,
                "species": [f"a species with number {kind}" for kind in kinds.astype(int) % CLASSES],
                "role": ROLES[rows % len(ROLES)],
                "file": [f"images/{row % 1000:03d}/{row:012d}.jpg" for row in rows],
            }
        )
        if writer is None:
            writer = pyarrow.parquet.ParquetWriter(folder / "given.parquet", block.schema)
        writer.write_table(block)
    if writer is not None:
        writer.close()
    values.flush()


def _import(folder: Path) -> None:
    import_table(
        ImportTable(
            folder / "given.parquet",
            folder / "data",
            label="species",
            split="role",
            features=folder / "given.npy",
        )
    )


def _pretrain(folder: Path) -> None:
    schedule = Schedule(steps=20, batch_size=1024)
    recipe = Pretrain(
        folder / "data" / "table.parquet", folder / "data" / "features", out=folder / "run", split="split"
    )
    recipe = dataclasses.replace(
        recipe, encoder=ENCODER, objective="MC-BLD", image_components=32, schedule=schedule, device="cpu"
    )
    pretrain(recipe, progress=False)


def _finetune(folder: Path) -> None:
    recipe = Finetune(folder / "data" / "table.parquet", folder / "tuned", "species", pretrained=folder / "run")
    ratio = min(1.0, LABELS / len(np.load(folder / "given.npy", mmap_mode="r")))
    finetune(dataclasses.replace(recipe, steps=20, label_ratio=ratio, device="cpu"), progress=False)


def _evaluate(folder: Path) -> None:
    table, features = folder / "data" / "table.parquet", folder / "data" / "features"
    evaluate(Evaluate(folder / "tuned", table, features=features, device="cpu"))


STAGES: dict[str, Callable[[Path], None]] = {
    "import": _import,
    "pretrain": _pretrain,
    "finetune": _finetune,
    "evaluate": _evaluate,
}


def stage(name: str, folder: str) -> None:
    """Run one stage and print what it took; in a process of its own."""
    with memory.Watch() as watch:
        STAGES[name](Path(folder))
    print(json.dumps(watch.found))


def _run(name: str, folder: str, threads: int) -> memory.Found:
    code = (
        f"import torch; torch.set_num_threads({threads}); from benchmarks import rows; rows.stage({name!r}, {folder!r})"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=machine.ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return memory.Found(*json.loads(result.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
