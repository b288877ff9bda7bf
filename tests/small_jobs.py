"""Jobs that can be continued, so small that they are run hundreds of times: the folders of their input and output."""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import torch

import locenc
from locenc_csp.finetuning import finetune
from locenc_csp.pretraining import pretrain
from locenc_csp.recipes import Encoder, Finetune, Pretrain, Schedule

sys.path.append(str(Path(__file__).resolve().parent.parent))  # scripts are not installed

from scripts.faults.jobs import prepare_table

ENCODER = Encoder(dim=8, network="residual", network_options={"depth": 1, "dropout": 0.2})
SCHEDULE = Schedule(steps=4, batch_size=64, save_every=2, log_every=2)


def prepare(folder: Path) -> None:
    """Write what all of them read."""
    folder.mkdir()
    prepare_table(folder)
    points = geopandas.points_from_xy(np.linspace(-180, 180, 1500), np.linspace(-90, 90, 1500))
    geopandas.GeoDataFrame({"number": range(1500)}, geometry=points, crs=4326).to_parquet(folder / "in.parquet")
    torch.manual_seed(0)
    locenc.create("sphere2vec-sphereC", dim=8, num_scales=4).save_pretrained(folder / "encoder")


def run_pretrain(given: Path, out: Path) -> None:
    recipe = Pretrain(given / "table.parquet", given / "features", out=out, split="split", encoder=ENCODER)
    pretrain(
        dataclasses.replace(
            recipe, objective="MC-BLD", image_components=4, validation_pairs=20, schedule=SCHEDULE, device="cpu"
        ),
        progress=False,
    )


def run_finetune(given: Path, out: Path) -> None:
    recipe = Finetune(given / "table.parquet", out, "label", encoder=ENCODER, modes=("frozen", "full"), device="cpu")
    finetune(dataclasses.replace(recipe, steps=4, save_every=3), progress=False)


def run_parquet(given: Path, out: Path) -> None:
    """Chunks are of 512 rows: ``locenc.parquet.source.MOST`` must be that."""
    encoder = locenc.from_pretrained(given / "encoder")
    locenc.embed_parquet(given / "in.parquet", out / "out.parquet", encoder, overwrite=True, progress=False)


JOBS: dict[str, Callable[[Path, Path], None]] = {
    "pretrain": run_pretrain,
    "finetune": run_finetune,
    "embed_parquet": run_parquet,
}
