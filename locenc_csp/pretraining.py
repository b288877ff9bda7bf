"""Contrastive spatial pre-training: locations against image features, without a label."""

import dataclasses
import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from locenc._devices import resolve
from locenc._files import only_one, write_text
from locenc_csp import negatives
from locenc_csp._hashes import file_hash
from locenc_csp.checkpoints import CHECKPOINT, read_checkpoint
from locenc_csp.criterion import Criterion
from locenc_csp.dual_encoder import DualEncoder
from locenc_csp.jitter import jitter
from locenc_csp.joining import joined
from locenc_csp.joint_images import ImageBranch, save_network
from locenc_csp.loop import Step, fit
from locenc_csp.optimisers import Group
from locenc_csp.pretraining_data import image_reader, images_and_checksum, make_balance, needed_table, pairs, shuffled
from locenc_csp.pretraining_model import build_criterion, build_model
from locenc_csp.processes import ALONE, Ranks, sharing_losses
from locenc_csp.recipes import Pretrain
from locenc_csp.search import retrieval
from locenc_csp.spread_encoder import SpreadEncoder

ENCODER, RECIPE, IMAGE_NETWORK = "encoder", "recipe.json", "image-network.safetensors"


def pretrain(recipe: Pretrain, *, progress: bool = True) -> Path:
    """Pre-train a location encoder; a run that stopped is continued, a finished one trains no further.

    Under torchrun all processes work at one run, in the batches of one process; the first of them alone writes, prints
    and validates.

    Parameters
    ----------
    recipe : Pretrain
        What to train on, and how.
    progress : bool
        Whether to show a progress bar (on a terminal only).

    Returns
    -------
    Path
        The encoder's folder, for `locenc.from_pretrained`. Beside it in ``recipe.out``: ``recipe.json``,
        ``metrics.jsonl`` (loss, each term, learning rate, samples per second, retrieval of held-out pairs) and
        ``checkpoint.pt``.

    Raises
    ------
    FileNotFoundError, ValueError
        For a table, features or a checkpoint that are missing, damaged or do not fit together.
    OSError
        If the output folder cannot be written, another process is at work in it, or one of this run has failed.

    References
    ----------
    Mai et al. 2023, "CSP: Self-supervised contrastive spatial pre-training for geospatial-visual
    representations", ICML.
    """
    with joined(recipe.device) as ranks:
        return _pretrain(recipe, ranks, progress=progress)


def _pretrain(recipe: Pretrain, ranks: Ranks, *, progress: bool) -> Path:
    table = needed_table(recipe)
    images, source = images_and_checksum(recipe, table)
    rows, held_out = pairs(table, recipe)
    model, objective = build_model(recipe, images, rows)
    criterion = build_criterion(recipe, objective)
    device = resolve(recipe.device)
    model.to(device)
    criterion.to(device)
    lonlat = torch.from_numpy(table.lonlat).to(device)
    sampler = negatives.make(recipe.negatives, lonlat=table.lonlat[rows], min_km=recipe.min_negative_km)
    step = make_step(
        model,
        criterion,
        lonlat,
        image_reader(images, device, shuffled(len(table), rows, recipe)),
        sampler=sampler,
        num_negatives=recipe.num_negatives,
        bfloat16=recipe.bfloat16,
        jitter_m=recipe.jitter_m,
        ranks=ranks,
    )

    def validate() -> dict[str, float]:
        if len(held_out) == 0:
            return criterion.values()
        places = lonlat[torch.from_numpy(held_out).to(device)]
        location, image, _, _ = model(places, images.rows(held_out).to(device))
        found = retrieval(location, image, places)
        return {**criterion.values(), **{f"validation_{name}": value for name, value in found.items()}}

    with only_one(recipe.out, "pre-training") if ranks.is_first else nullcontext():
        fit(
            step,
            nn.ModuleList([model, criterion]) if criterion.keeps_something else model,
            torch.from_numpy(rows),
            recipe.schedule,
            folder=recipe.out,
            fingerprint=_fingerprint(recipe, source),
            validate=validate if len(held_out) or criterion.values() else None,
            balance=make_balance(table, rows, recipe),
            groups=[Group(model.image.network, recipe.image_lr_factor)] if isinstance(model.image, ImageBranch) else (),
            label=f"pre-training {recipe.objective}",
            progress=progress,
            ranks=ranks,
        )
        if ranks.is_first:
            model.location.save_pretrained(recipe.out / ENCODER)  # type: ignore[operator]
            if isinstance(model.image, ImageBranch):
                save_network(recipe.out / IMAGE_NETWORK, model.image)
            write_text(recipe.out / RECIPE, json.dumps(dataclasses.asdict(recipe), indent=2, default=str) + "\n")
    ranks.wait()
    return recipe.out / ENCODER


def make_step(
    model: DualEncoder,
    criterion: Criterion,
    lonlat: Tensor,
    images_of: Callable[[Tensor], Tensor],
    *,
    sampler: negatives.Sampler,
    num_negatives: int = 1,
    bfloat16: bool = False,
    jitter_m: float | None = None,
    ranks: Ranks = ALONE,
) -> Step:
    """Make the step of pre-training: all that it reads is where the model is, so that the host need not wait for it.

    Parameters
    ----------
    model, criterion : Module
        Of the embeddings, and of the loss.
    lonlat : Tensor (N, 2)
        (longitude, latitude) in degrees.
    images_of : callable
        From rows (B,) to image features (B, F).
    sampler : Sampler
        Of random locations, if the objective needs them.
    num_negatives : int
        How many for each pair.
    bfloat16 : bool
        Whether matrices are multiplied in bfloat16.
    jitter_m : float, optional
        By how many metres places are moved at most.
    ranks : Ranks
        Processes that share each batch; the images of its own part are all that one reads.
    """
    needs_negatives, device = criterion.objective.needs_negatives, lonlat.device.type
    embed = model if ranks.size == 1 else SpreadEncoder(model, ranks)

    def step(rows: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        places, images = lonlat[rows], images_of(rows[ranks.part(len(rows))])
        if jitter_m is not None:
            places = jitter(places, jitter_m, generator)
        random = sampler(places, num_negatives, generator) if needs_negatives else None
        with sharing_losses(ranks), torch.autocast(device, torch.bfloat16, enabled=bfloat16):
            return criterion(embed, places, images, random)  # type: ignore[no-any-return]

    return step


def load_dual_encoder(recipe: Pretrain) -> DualEncoder:
    """Load location encoder and image branch of a run, as its last checkpoint has them, in evaluation mode.

    Parameters
    ----------
    recipe : Pretrain
        The recipe of that run; its features, or its image network, say how wide the image branch is.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no checkpoint, it is damaged, or of another model.
    """
    saved = read_checkpoint(recipe.out / CHECKPOINT)["model"]
    table = needed_table(recipe)
    model, objective = build_model(recipe, images_and_checksum(recipe, table)[0], pairs(table, recipe)[0])
    if build_criterion(recipe, objective).keeps_something:  # it was trained beside the model
        saved = {name.removeprefix("0."): value for name, value in saved.items() if name.startswith("0.")}
    try:
        model.load_state_dict(saved)
    except RuntimeError as error:
        raise ValueError(f"{recipe.out / CHECKPOINT} is not of this recipe: {error}") from error
    return model.eval()


def _fingerprint(recipe: Pretrain, source: str) -> dict[str, Any]:
    """Everything that decides the weights: the recipe but its paths and intervals, and hashes of the data."""
    settings = dataclasses.asdict(recipe)
    unused = {name for name in settings if name.startswith("image_") and name != "image_components"}
    for name in ("table", "features", "out", "device", "images", "image_weights", "image_workers"):
        settings.pop(name)
    for name in unused if recipe.image_network is None else ():
        settings.pop(name, None)
    for name in ("save_every", "log_every"):
        del settings["schedule"][name]
    region = negatives.identity(recipe.negatives)
    return {**settings, "negatives": region, "table": file_hash(recipe.table), "features": source[:16]}
