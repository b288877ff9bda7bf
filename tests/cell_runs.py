"""What tests let the study's workers run: a module of its own, so that a new process can import it."""

import json
import os
import time

import numpy as np  # noqa: F401 (its BLAS is looked at)
import torch
from threadpoolctl import threadpool_info

from locenc_csp.study.cells import Cell, Workplace


def note_threads(place: Workplace, cell: Cell) -> None:
    """Write how many threads a worker has; ``broken`` cells fail, ``slow`` and ``endless`` ones take their time."""
    if cell.method.key == "broken":
        raise ValueError(f"broken on purpose, seed {cell.seed}")
    if cell.method.key == "slow":
        time.sleep(0.3)
    if cell.method.key == "endless":
        (place.out / "begun").touch()
        time.sleep(600)
    seen = {
        "threads": torch.get_num_threads(),
        "omp": os.environ["OMP_NUM_THREADS"],
        "blas": max(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"),
        "process": os.getpid(),
    }
    (place.out / f"{cell.method.key}-{cell.seed}.json").write_text(json.dumps(seen))
