"""The study that `locenc-csp demo` runs: its cells, each a pre-training and its fine-tunings, and how they run.

A cell is one method on one split. Cells are independent, so they run side by side in processes of one thread each:
the same numbers come out on one core or on many. Every cell keeps its files, so a study that was stopped goes on.
"""

import dataclasses
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from locenc_csp.recipes import Encoder, Evaluate, Finetune, Pretrain, Schedule

RATIOS = (0.01, 0.05, 0.20)
BASELINES = "baselines"
DEVICE = "cpu"  # of each process, so that the numbers are those of any machine

WRAP = Encoder("wrap", network="residual", network_options={"depth": 2, "dropout": 0.1})
_FFN: dict[str, Any] = {"network": "ffn", "network_options": {"hidden_dim": 256, "dropout": 0.1}}
#: Wavelengths of 10° to 360° for both: rough codes would flatter pre-training.
SPHERE_C_PLUS = Encoder(
    "sphere2vec-sphereC+", options={"num_scales": 16, "min_radius": 10 / 360, "max_radius": 1.0}, **_FFN
)
GRID = Encoder("space2vec-grid", options={"num_scales": 16, "min_radius": 1.5915, "max_radius": 57.296}, **_FFN)


@dataclass(frozen=True)
class Method:
    """One row of the table: an encoder, pre-trained with these settings or not at all."""

    title: str
    encoder: Encoder = WRAP
    pretraining: dict[str, Any] | None = None


METHODS = {
    "supervised-wrap": Method("supervised, wrap"),
    "supervised-sphereC+": Method("supervised, Sphere2Vec sphereC+", SPHERE_C_PLUS),
    "supervised-grid": Method("supervised, Space2Vec grid", GRID),
    "mse": Method("MSE", pretraining={"objective": "MSE"}),
    "nce-b": Method("CSP-NCE-B", pretraining={"objective": "NCE-B"}),
    "nce-bld": Method("CSP-NCE-BLD", pretraining={"objective": "NCE-BLD"}),
    "mc-bld": Method("CSP-MC-BLD", pretraining={"objective": "MC-BLD"}),
    "shuffled": Method("CSP-NCE-B, shuffled pairs", pretraining={"objective": "NCE-B", "shuffle_pairs": True}),
}


@dataclass(frozen=True)
class Cell:
    """One method on one split, with its label columns and label shares."""

    method: str
    split: str | None
    seed: int
    labels: tuple[str, ...] = ("land_cover",)
    ratios: tuple[float, ...] = RATIOS


@dataclass(frozen=True)
class Workplace:
    """Where the study reads and writes."""

    table: Path
    features: Path
    out: Path

    def pretraining(self, cell: Cell) -> Path:
        """Folder of a cell's pre-training run."""
        return self.out / (cell.split or "all") / cell.method / "pretraining"

    def tasks(self, cell: Cell) -> list[Finetune]:
        """Return what a cell fine-tunes on: each label column at each share; nothing where there is no split."""
        if cell.split is None:
            return []
        folder = self.out / cell.split / cell.method
        return [
            Finetune(
                self.table,
                folder / f"{label}-{ratio:g}",
                label,
                cell.split,
                label_ratio=ratio,
                seed=cell.seed,
                device=DEVICE,
            )
            for label in cell.labels
            for ratio in cell.ratios
        ]

    def image_probabilities(self, task: Finetune) -> Path:
        """File of P(y | image) that belongs to a task."""
        return self.out / task.split / BASELINES / task.out.name / "image.npy"


def run_cell(place: Workplace, cell: Cell) -> None:
    """Pre-train, then fine-tune and evaluate on every label share; what is finished is left as it is."""
    from locenc_csp.evaluating import evaluate
    from locenc_csp.finetuned import SCORES
    from locenc_csp.finetuning import finetune
    from locenc_csp.pretraining import pretrain

    method = METHODS[cell.method]
    pretrained = None
    if method.pretraining is not None:
        recipe = Pretrain(
            place.table,
            place.features,
            place.pretraining(cell),
            split=cell.split,
            encoder=method.encoder,
            negatives="land",
            device=DEVICE,
            schedule=Schedule(seed=cell.seed),
            **method.pretraining,
        )
        pretrained = pretrain(recipe, progress=False)
    for task in place.tasks(cell):
        modes: dict[str, Any] = (
            {"modes": ("full",), "lrs": (1e-3, 3e-3)} if pretrained is None else {"modes": ("frozen", "full")}
        )
        finetune(
            dataclasses.replace(task, pretrained=pretrained, encoder=method.encoder, **modes),
            progress=False,
        )
        if not (task.out / SCORES).is_file():
            image = place.image_probabilities(task)
            evaluate(Evaluate(task.out, place.table, image_probabilities=image, device=DEVICE))


def run_baselines(place: Workplace, cell: Cell) -> None:
    """Image classifier and 1-nearest-neighbour on every label share: probabilities and scores."""
    from locenc_csp.baselines import baselines

    for task in place.tasks(cell):
        baselines(task, place.features, image_out=place.image_probabilities(task))


def run_cells(
    run: Callable[[Workplace, Cell], None],
    place: Workplace,
    cells: Sequence[Cell],
    *,
    label: str,
    workers: int | None = None,
) -> None:
    """Run cells side by side, in processes of one thread each.

    Parameters
    ----------
    run : callable
        `run_cell` or `run_baselines`.
    place : Workplace
        Where the study reads and writes.
    cells : sequence of Cell
        Begun in this order.
    label : str
        Text before the progress bar.
    workers : int, optional
        Number of processes; the number of cores unless given.

    Raises
    ------
    Exception
        The first error of a cell; cells that have not begun are dropped.
    """
    count = max(1, min(workers or os.cpu_count() or 1, len(cells)))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=_begin_worker) as pool:
        waiting = {pool.submit(run, place, cell) for cell in cells}
        try:
            with tqdm(total=len(cells), desc=label, unit="cell", disable=None) as bar:
                while waiting:
                    done, waiting = wait(waiting, timeout=1, return_when=FIRST_EXCEPTION)
                    for future in done:
                        future.result()
                    bar.update(len(done))
        except BaseException:
            for future in waiting:  # those that no worker has been handed yet
                future.cancel()
            raise


def main_cells(seed: int, num_splits: int, methods: Iterable[str], ratios: tuple[float, ...]) -> list[Cell]:
    """Cells of the main table: every method on every block split; splits, draws and weights change with the seed."""
    return [Cell(method, f"block_{i}", seed + i, ratios=ratios) for i in range(num_splits) for method in methods]


def control_cells(seed: int) -> list[Cell]:
    """Cells where pre-training is expected to bring little: a random split, land cover and climate zones."""
    return [Cell(method, "random_0", seed, labels=("land_cover", "koppen")) for method in ("supervised-wrap", "nce-b")]


def map_cell(seed: int) -> Cell:
    """Pre-training on every patch: the encoder that the demo leaves behind, and draws."""
    return Cell("nce-b", None, seed)


def baseline_cells(cells: Iterable[Cell]) -> list[Cell]:
    """Return one cell for the baselines of each split that the cells use."""
    splits = {cell.split: dataclasses.replace(cell, method=BASELINES) for cell in cells if cell.split is not None}
    return list(splits.values())


def _begin_worker() -> None:
    """Hold a process to one thread, before NumPy and torch are imported in it, and let it end with its parent."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    import torch

    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait for the parent's end; a parent that was killed cannot stop its workers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
