"""The jobs that are killed: small, on real land cover, each with what it has reached, read from its files."""

import dataclasses
import multiprocessing
from collections.abc import Callable
from multiprocessing import parent_process
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import geopandas  # type: ignore[import-untyped]
import numpy as np
import torch

import locenc
from locenc.data import LAND_COVER_CLASSES, land_cover, sample_raster
from locenc_csp.checkpoints import CHECKPOINT, read_checkpoint
from locenc_csp.datasets.table import PlaceTable
from locenc_csp.datasets.table_files import write_table
from locenc_csp.finetuned import RESULT
from locenc_csp.finetuning import finetune
from locenc_csp.pretraining import RECIPE, pretrain
from locenc_csp.recipes import Encoder, Finetune, Pretrain, Schedule, Table
from locenc_csp.study import methods
from locenc_csp.table import run_table
from locenc_csp.writing_features import copy_features

PLACES, FEATURES, STEPS, PARQUET_ROWS, CHUNK = 600, 16, 300, 500_000, 4096
ENCODER = Encoder("sphere2vec-sphereC", dim=32, options={"num_scales": 8}, network_options={"hidden_dim": 64})


class Job(NamedTuple):
    """Work that can be continued.

    Attributes
    ----------
    what : str
        In a few words.
    prepare : callable
        Writes what it reads into a folder.
    run : callable
        Does it: the folder of its input, the folder of its output.
    reached : callable
        Says from the folder of its output how far it is.
    """

    what: str
    prepare: Callable[[Path], None]
    run: Callable[[Path, Path], None]
    reached: Callable[[Path], str]


def places(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Random places on land, uniform by area: degrees (count, 2), and the name of the land cover of each."""
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(-180, 180, 5 * count), np.rad2deg(np.arcsin(rng.uniform(-1, 1, 5 * count)))], axis=1)
    codes = sample_raster(land_cover(), lonlat)
    land = np.flatnonzero(codes)[:count]
    return lonlat[land], np.array(LAND_COVER_CLASSES)[codes[land]]


def prepare_table(folder: Path) -> None:
    """Write a table of places with their land cover, and image features that depend on place and class."""
    lonlat, names = places(PLACES)
    rng = np.random.default_rng(1)
    kinds = np.unique(names, return_inverse=True)[1]
    values = np.sin(np.deg2rad(lonlat) @ rng.normal(size=(2, FEATURES))) + np.eye(kinds.max() + 1, FEATURES)[kinds]
    values += 0.1 * rng.normal(size=values.shape)
    roles = np.array(["train", "train", "train", "val", "test"])[np.arange(PLACES) % 5]
    table = PlaceTable(np.array([f"place-{row}" for row in range(PLACES)]), lonlat, {"label": names, "split": roles})
    write_table(table, folder / "table.parquet")
    copy_features(folder / "features", [values.astype(np.float32)], ids=table.held_ids, source="generated")


def run_pretrain(given: Path, out: Path) -> None:
    """Pre-train with all terms and random draws; save and log often."""
    pretrain(
        Pretrain(
            given / "table.parquet", given / "features", out=out, split="split", encoder=ENCODER, objective="MC-BLD",
            image_components=8, validation_pairs=50, device="cpu",
            schedule=Schedule(steps=STEPS, batch_size=64, save_every=7, log_every=3),
        ),
        progress=False,
    )  # fmt: skip


def reached_pretrain(out: Path) -> str:
    """Half of the training that the checkpoint has reached, or what is saved behind it."""
    if (out / RECIPE).exists():
        return "all is saved"
    if not (out / CHECKPOINT).exists():
        return "no checkpoint yet"
    step = read_checkpoint(out / CHECKPOINT)["step"]
    return "encoder is being saved" if step == STEPS else f"{'first' if step < STEPS / 2 else 'second'} half"


def run_finetune(given: Path, out: Path) -> None:
    """Fine-tune three candidates with early stop, a head with background, and a probe."""
    finetune(
        Finetune(
            given / "table.parquet", out, "label", encoder=ENCODER, modes=("frozen", "full", "linear-probe"),
            lrs=(1e-2, 2e-3), penalties=(0.1,), head="presence", batch_size=32, epochs=12, patience=6, save_every=5,
            device="cpu",
        ),
        progress=False,
    )  # fmt: skip


def reached_finetune(out: Path) -> str:
    """Which candidate is being trained, or whether the result is there."""
    if (out / RESULT).exists():
        return "result is saved"
    begun = len(list(out.glob("candidates/*")))
    return f"candidate {begun} of 3" if begun else "before the candidates"


def run_study(given: Path, out: Path) -> None:
    """Run the main part of `locenc-csp table` with one small encoder, one objective, few places and few steps.

    Data set, image features, image classifier, cells in processes of their own, page and picture are the command's;
    those processes are forked, and so need not import the library anew.
    """
    from locenc_csp.study import side_by_side

    schedule = {"epochs": 2, "batch_size": 64, "save_every": 2}
    title, encoder = methods.ENCODERS["wrap"]
    methods.ENCODERS.clear()
    methods.ENCODERS["wrap"] = title, dataclasses.replace(encoder, dim=32)
    chosen = [dataclasses.replace(one, schedule=schedule) for one in methods.compared() if one.key == "nce-b"]
    setattr(methods, "compared", lambda encoder: tuple(chosen))  # noqa: B010
    forking = multiprocessing.get_context("fork")
    instead = SimpleNamespace(get_context=lambda _: forking, parent_process=parent_process)
    setattr(side_by_side, "multiprocessing", instead)  # noqa: B010
    run_table(
        Table(
            out=out / "table", data=out / "data", num_points=300, parts=("main",), num_splits=1, label_ratios=(0.2,),
            workers=1,
        )
    )  # fmt: skip


def reached_study(out: Path) -> str:
    """What the study is at."""
    if (out / "table" / "table.json").exists():
        return "page is written"
    if (out / "table" / "study.json").exists():
        cells = list(out.glob("table/*/*/cell.json"))
        return f"cell {len(cells)} of 2" if cells else "image classifier"
    return "image features" if (out / "data" / "meta.json").exists() else "data set"


def prepare_parquet(folder: Path) -> None:
    """Write GeoParquet: places with their land cover, and an encoder."""
    lonlat, names = places(PARQUET_ROWS)
    geopandas.GeoDataFrame(
        {"land_cover": names}, geometry=geopandas.points_from_xy(*lonlat.T), crs=4326
    ).to_parquet(folder / "in.parquet", row_group_size=30_000)  # fmt: skip
    torch.manual_seed(0)
    locenc.create("sphere2vec-sphereM", dim=32, num_scales=16).save_pretrained(folder / "encoder")


def run_parquet(given: Path, out: Path) -> None:
    """Embed it, replacing a file that is there: so that a kill may hit a target that stands."""
    from locenc.parquet import source

    source.MOST = CHUNK  # rows of a chunk at most, so that there are 123 of them
    out.mkdir(exist_ok=True)
    encoder = locenc.from_pretrained(given / "encoder")
    locenc.embed_parquet(given / "in.parquet", out / "out.parquet", encoder, overwrite=True, progress=False)


def reached_parquet(out: Path) -> str:
    """Quarter of the chunks that are finished."""
    journal = out / ".out.parquet.partial" / "finished.jsonl"
    if not journal.parent.exists():
        return "target is in place" if (out / "out.parquet").exists() else "before the job"
    finished = journal.read_bytes().count(b"\n") if journal.exists() else 0
    chunks = -(-PARQUET_ROWS // CHUNK)
    if finished in (0, chunks):
        return "places are checked" if not finished else "footer is being written"
    return f"{('first', 'second', 'third', 'fourth')[4 * finished // chunks]} quarter of the chunks"


JOBS = {
    "pretrain": Job("`locenc_csp.pretrain`, 300 steps, saved every 7", prepare_table, run_pretrain, reached_pretrain),
    "finetune": Job(
        "`locenc_csp.finetune`, 3 trained candidates and a probe", prepare_table, run_finetune, reached_finetune
    ),
    "table": Job("`locenc-csp table`, 2 cells, data set included", lambda folder: None, run_study, reached_study),
    "embed_parquet": Job("`locenc.embed_parquet`, 123 chunks", prepare_parquet, run_parquet, reached_parquet),
}
