"""The candidates of a fine-tuning: each trains a head, with the encoder or without, or fits a probe."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from locenc import LocationEncoder
from locenc._devices import home
from locenc_csp import negatives
from locenc_csp.balance import Balance
from locenc_csp.checkpoints import CHECKPOINT
from locenc_csp.early_stop import EarlyStop
from locenc_csp.finetuned import location_classes
from locenc_csp.heads import HEADS, Head, Predictor
from locenc_csp.loop import fit
from locenc_csp.neighbour_head import NeighbourHead
from locenc_csp.optimisers import Group
from locenc_csp.probes import linear_probe
from locenc_csp.recipes import Finetune, Schedule

FROZEN_LR = 1e-2
CANDIDATES = "candidates"


class Examples(NamedTuple):
    """Labelled places: degrees and classes of those that train, and of those that choose."""

    lonlat: NDArray[np.float64]
    codes: NDArray[np.int64]
    val_lonlat: NDArray[np.float64]
    val_codes: NDArray[np.int64]
    num_classes: int


class Way(NamedTuple):
    """One way to fine-tune: a mode of `Finetune`, and the settings that its candidates differ in."""

    mode: str
    settings: dict[str, float | int]

    @property
    def name(self) -> str:
        """Of its folder."""
        return "-".join([self.mode, *(f"{value:g}" for value in self.settings.values())])


def ways(recipe: Finetune) -> list[Way]:
    """All candidates of a recipe, in the order in which ties are decided: probes from the smoothest on.

    Raises
    ------
    ValueError
        If there is none.
    """
    settings: dict[str, list[dict[str, float | int]]] = {
        "frozen": [{"lr": FROZEN_LR}],
        "full": [{"lr": lr} for lr in recipe.lrs],
        "linear-probe": [{"penalty": penalty} for penalty in recipe.penalties],
        "knn-probe": [{"k": k, "temperature": t} for k in recipe.neighbours for t in recipe.neighbour_temperatures],
    }
    found = [Way(mode, one) for mode in recipe.modes for one in settings[mode]]
    if not found:
        raise ValueError(
            "no candidate to train: modes must name one at least, and full needs lrs, linear-probe penalties, "
            "knn-probe neighbours and neighbour_temperatures"
        )
    return found


def run_way(
    way: Way,
    start: LocationEncoder,
    recipe: Finetune,
    examples: Examples,
    *,
    fingerprint: Mapping[str, Any],
    progress: bool,
) -> tuple[LocationEncoder, Predictor]:
    """Train or fit one candidate; encoder and head are in evaluation mode.

    Parameters
    ----------
    way : Way
        What to do.
    start : LocationEncoder
        Left as it is.
    recipe : Finetune
        How, and where checkpoints go.
    examples : Examples
        Of what.
    fingerprint : mapping
        Plain values that identify the run.
    progress : bool
        Whether to show a bar.
    """
    if way.mode.endswith("-probe"):
        return start.eval(), _probe(way, start, examples).to(home(start))
    encoder, head = copy.deepcopy(start), _head(recipe, start.dim, examples.num_classes).to(home(start))
    _train(encoder, head, way, recipe, examples, fingerprint=fingerprint, progress=progress)
    return encoder, head


def top1(encoder: nn.Module, head: Predictor, examples: Examples) -> float | None:
    """Share of the val rows whose class is found; None where there are none."""
    if len(examples.val_codes) == 0:
        return None
    return float((location_classes(encoder, head, examples.val_lonlat) == examples.val_codes).mean())


def _probe(way: Way, encoder: LocationEncoder, examples: Examples) -> Predictor:
    encoder.eval()
    with torch.no_grad():
        embedding = encoder(torch.from_numpy(examples.lonlat).to(home(encoder)))
    if way.mode == "linear-probe":
        return linear_probe(embedding.cpu().numpy(), examples.codes, examples.num_classes, way.settings["penalty"])
    codes = torch.from_numpy(examples.codes).to(embedding.device)
    k, temperature = int(way.settings["k"]), way.settings["temperature"]
    return NeighbourHead(embedding, codes, examples.num_classes, k=k, temperature=temperature).eval()


def _train(
    encoder: LocationEncoder,
    head: Head,
    way: Way,
    recipe: Finetune,
    examples: Examples,
    *,
    fingerprint: Mapping[str, Any],
    progress: bool,
) -> None:
    """Train the head alone on fixed embeddings, or encoder and head together."""
    device = home(head)
    lonlat = torch.from_numpy(examples.lonlat).to(device)
    codes = torch.from_numpy(examples.codes).to(device)
    sampler = negatives.make(recipe.negatives, lonlat=examples.lonlat)
    frozen = way.mode == "frozen"
    encoder.requires_grad_(not frozen).train(not frozen)
    with torch.no_grad():
        fixed = encoder(lonlat) if frozen else None

    def step(batch: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        embedding = encoder(lonlat[batch]) if fixed is None else fixed[batch]
        background = encoder(sampler(lonlat[batch], 1, generator)) if head.needs_background else None
        return head.loss(embedding, codes[batch], background), {}

    def validate() -> dict[str, float]:
        return {"val_top1": top1(encoder, head, examples) or 0.0}

    model = nn.ModuleList([head] if frozen else [encoder, head])
    own = [] if frozen else [Group(encoder, recipe.encoder_lr_factor, recipe.encoder_weight_decay)]
    patient = recipe.patience is not None
    fit(
        step,
        model,
        torch.arange(len(lonlat)),
        _schedule(recipe, way, len(lonlat)),
        folder=recipe.out / CANDIDATES / way.name,
        fingerprint={**fingerprint, "way": json.loads(json.dumps(way._asdict()))},
        validate=validate if patient else None,
        validate_every=recipe.validate_every,
        early_stop=None if recipe.patience is None else EarlyStop(model, "val_top1", recipe.patience),
        groups=own,
        balance=None if recipe.max_per_class is None else Balance(codes, recipe.max_per_class),
        label=f"fine-tuning, {way.mode}",
        progress=progress,
    )
    encoder.requires_grad_(True).eval()
    head.eval()


def _schedule(recipe: Finetune, way: Way, num_labels: int) -> Schedule:
    return Schedule(
        epochs=recipe.epochs or 1,
        steps=recipe.steps or (None if recipe.epochs else _steps(num_labels)),
        batch_size=recipe.batch_size,
        lr=way.settings["lr"],
        lr_decay=recipe.lr_decay,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        seed=recipe.seed,
        save_every=recipe.save_every,
    )


def _steps(num_labels: int) -> int:
    """Steps by number of labels: few labels are learnt, and overlearnt, soon."""
    return 200 if num_labels < 500 else 400 if num_labels < 2000 else 800


def _head(recipe: Finetune, dim: int, num_classes: int) -> Head:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return HEADS[recipe.head](dim, num_classes)


def forget_checkpoints(folder: Path) -> None:
    """Delete the checkpoints of a finished run; its metrics stay."""
    for path in folder.glob(f"{CANDIDATES}/*/{CHECKPOINT}"):
        path.unlink()
