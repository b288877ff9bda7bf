"""Runs of the same pre-training in one process and in several; what a process of `several` executes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import distributed

from locenc_csp.datasets.table import PlaceTable
from locenc_csp.datasets.table_files import read_table, write_table
from locenc_csp.joining import end_if_several
from locenc_csp.pretraining import pretrain
from locenc_csp.recipes import Encoder, Pretrain, Schedule

NETWORK = {"hidden_dim": 32, "dropout": 0.2}
ENCODER = Encoder(dim=16, network="ffn", network_options=NETWORK)
#: 33 rows are no whole number of parts for two processes.
SCHEDULE = Schedule(steps=12, batch_size=33, save_every=5, log_every=1)
JOINT = "CLIP-BD"
CASES = {
    JOINT: {"image_size": 9, "image_chunk": 7},
    "MC-BLD": {"num_negatives": 2},
    "NCE-BLD": {},
    "CLIP-B": {"learn": "B"},
    "MSE": {},
    "SIGLIP-BLD": {"learn": "BL", "same_place_km": 800.0},
    "GEOCLIP-B": {"learn": "B", "queue_size": 50, "same_place_km": 0.0},
    "MC-B": {"symmetric": "sum", "same_place_km": 800.0, "encoder": Encoder(dim=16, network="residual")},
}


def recipe(folder: Path, objective: str, out: str) -> Pretrain:
    settings = {"encoder": ENCODER, "schedule": SCHEDULE, "image_components": 8, **CASES[objective]}
    paths = {"table": folder / "table.parquet", "out": folder / out}
    if objective == JOINT:
        paths["image_network"] = f"{folder / 'network.py'}:tiny"
    else:
        paths["features"] = folder / "features"
    return Pretrain(**paths, split="split", objective=objective, device="cpu", **settings)


def write_images(folder: Path) -> None:
    """Image files of the table's rows, and a network for them."""
    table, draw = read_table(folder / "table.parquet"), np.random.default_rng(0)
    names = [f"{row}.png" for row in range(len(table))]
    for name in names:
        Image.fromarray(draw.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(folder / name)
    columns = {"split": table.columns["split"], "file": np.array(names)}
    write_table(PlaceTable(table.ids, table.lonlat, columns), folder / "table.parquet")
    (folder / "network.py").write_text(
        "from torch import nn\n\ndef tiny():\n"
        "    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.GELU(), nn.Conv2d(8, 12, 3), nn.Dropout(0.5))\n"
    )


def several(code: str, *arguments: object, size: int = 2) -> list[subprocess.Popen[str]]:
    """Start processes as torchrun does; they talk over the loopback interface."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = {"WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    if sys.platform == "linux":
        said["GLOO_SOCKET_IFNAME"] = "lo"
    processes = []
    for rank in range(size):
        given = {name: str(value) for name, value in {**said, "RANK": rank, "LOCAL_RANK": rank}.items()}
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", f"import rank_runs\n{code}", *map(str, arguments)],
                env={**os.environ, **given, "OMP_NUM_THREADS": "1"},
                cwd=Path(__file__).parent,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return processes


def results(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """What each process returned, printed and complained of."""
    try:
        said = [process.communicate(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *texts) for process, texts in zip(processes, said, strict=True)]


def run_all(folder: str, names: str) -> None:
    """All cases, and one that is continued, by a process of a group that is there already."""
    torch.set_num_threads(1)
    rank, size = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE"))
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=size)
    for name in names.split():
        objective, _, out = name.partition(":")
        pretrain(recipe(Path(folder), objective, out), progress=False)
    end_if_several()
