"""Contrastive spatial pre-training: locations against image features, without a label."""

import dataclasses
import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import locenc
from locenc._devices import resolve
from locenc._files import only_one, write_text
from locenc.registry import default_network
from locenc_csp import negatives
from locenc_csp._hashes import file_hash
from locenc_csp.balance import Balance
from locenc_csp.coordinate_queue import CoordinateQueue
from locenc_csp.criterion import Criterion
from locenc_csp.datasets.table import PlaceTable, read_table
from locenc_csp.device_rows import image_rows
from locenc_csp.dual_encoder import DualEncoder
from locenc_csp.features import FeatureMatrix, open_features
from locenc_csp.jitter import jitter
from locenc_csp.joining import joined
from locenc_csp.joint_images import ImageBranch, JointImages, open_images, save_network
from locenc_csp.learned_temperature import LearnedTemperature
from locenc_csp.loop import CHECKPOINT, Step, fit, read_checkpoint
from locenc_csp.objectives import Objective
from locenc_csp.optimisers import Group
from locenc_csp.processes import ALONE, Ranks, sharing_losses
from locenc_csp.projection import FrozenProjection
from locenc_csp.recipes import Encoder, Pretrain
from locenc_csp.search import retrieval
from locenc_csp.spread_encoder import SpreadEncoder

ENCODER, RECIPE, IMAGE_NETWORK = "encoder", "recipe.json", "image-network.safetensors"
TEMPERATURE = 0.1

Rows = NDArray[np.int64]


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
    table = _read_table(recipe)
    images, source = _images(recipe, table)
    rows, held_out = _pairs(table, recipe)
    model, objective = _model(recipe, images, rows)
    criterion = _criterion(recipe, objective)
    device = resolve(recipe.device)
    model.to(device)
    criterion.to(device)
    lonlat = torch.from_numpy(table.lonlat).to(device)
    sampler = negatives.make(recipe.negatives, lonlat=table.lonlat[rows], min_km=recipe.min_negative_km)
    step = make_step(
        model,
        criterion,
        lonlat,
        _reader(images, device, _shuffled(len(table), rows, recipe)),
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
            balance=_balance(table, rows, recipe),
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
        Of random locations, if the objective needs them. (Those that must lie somewhere are looked at by the host.)
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
    table = _read_table(recipe)
    model, objective = _model(recipe, _images(recipe, table)[0], _pairs(table, recipe)[0])
    if _criterion(recipe, objective).keeps_something:  # it was trained beside the model
        saved = {name.removeprefix("0."): value for name, value in saved.items() if name.startswith("0.")}
    try:
        model.load_state_dict(saved)
    except RuntimeError as error:
        raise ValueError(f"{recipe.out / CHECKPOINT} is not of this recipe: {error}") from error
    return model.eval()


def build_encoder(recipe: Encoder, *, seed: int) -> locenc.LocationEncoder:
    """Build a fresh location encoder with seeded weights; torch's global generator is left as it was."""
    network = {"name": recipe.network or default_network(recipe.name), **recipe.network_options}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return locenc.create(recipe.name, dim=recipe.dim, network=network, **recipe.options)


def _read_table(recipe: Pretrain) -> PlaceTable:
    """The columns that are needed, no other."""
    files = None if recipe.image_network is None else recipe.image_column
    return read_table(recipe.table, columns={one for one in (recipe.split, recipe.label, files) if one is not None})


def unlabelled_rows(table: PlaceTable, split: str | None) -> Rows:
    """Rows that pre-training may use: those with a location whose role is not test."""
    allowed = table.has_location.copy()
    if split is not None:
        allowed &= ~table.has_role(split, "test")
    return np.flatnonzero(allowed)


def _pairs(table: PlaceTable, recipe: Pretrain) -> tuple[Rows, Rows]:
    """Rows to train on, and rows held out for validation; at most a tenth is held out."""
    rows = unlabelled_rows(table, recipe.split)
    if len(rows) < 2:
        raise ValueError(f"{len(rows)} rows to train on: every other row has no location or has role 'test'")
    count = min(recipe.validation_pairs, len(rows) // 10)
    order = np.random.default_rng([recipe.schedule.seed, 10]).permutation(rows)
    return np.sort(order[count:]), np.sort(order[:count])


def _balance(table: PlaceTable, rows: Rows, recipe: Pretrain) -> Balance | None:
    if recipe.max_per_class is None or recipe.label is None:
        return None
    return Balance(torch.from_numpy(table.labels(recipe.label).codes[rows]), recipe.max_per_class)


def _shuffled(count: int, rows: Rows, recipe: Pretrain) -> Rows | None:
    """Row of another's image for each place, in the shuffled control; None where each place has its own."""
    if not recipe.shuffle_pairs:
        return None
    image_of = np.arange(count)
    image_of[rows] = np.random.default_rng([recipe.schedule.seed, 11]).permutation(rows)
    return image_of


def _images(recipe: Pretrain, table: PlaceTable) -> tuple[FeatureMatrix | JointImages, str]:
    """Features of the table's images, or images and the network that is to be trained on them; and their checksum."""
    if recipe.features is None:
        images = open_images(recipe, table)
        return images, images.checksum()
    features = open_features(recipe.features)
    features.check_ids(table)
    return features, file_hash(recipe.features / "meta.json")


def _reader(
    images: FeatureMatrix | JointImages, device: torch.device, image_of: Rows | None
) -> Callable[[Tensor], Tensor]:
    if isinstance(images, JointImages):
        return images.reader(device, image_of)
    return image_rows(images, device, image_of=image_of)


def _model(recipe: Pretrain, images: FeatureMatrix | JointImages, rows: Rows) -> tuple[DualEncoder, Objective]:
    usual = TEMPERATURE if recipe.objective.startswith(("MC-", "NCE-")) else None
    objective = Objective(
        recipe.objective,
        temperature=usual if recipe.temperature is None else recipe.temperature,
        weight=recipe.weight,
        bias=recipe.bias,
        symmetric=recipe.symmetric,
        same_place_km=recipe.same_place_km,
        csp_compat=recipe.csp_compat,
    )
    encoder = build_encoder(recipe.encoder, seed=recipe.schedule.seed)
    if isinstance(images, JointImages):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.schedule.seed + 1)
            return DualEncoder(encoder, images.branch(encoder.dim, chunk_size=recipe.image_chunk)), objective
    projection, width = None, images.values.shape[1]
    if recipe.image_components is not None:
        projection = FrozenProjection.fit(images.values, rows=rows, num_components=recipe.image_components)
        width = projection.dim
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.schedule.seed + 1)
        if objective.needs_decoder:
            return DualEncoder(encoder, decoder=nn.Linear(encoder.dim, width), preprocess=projection), objective
        return DualEncoder(encoder, nn.Linear(width, encoder.dim), preprocess=projection), objective


def _criterion(recipe: Pretrain, objective: Objective) -> Criterion:
    learned = LearnedTemperature(objective, recipe.learn) if recipe.learn else None
    return Criterion(
        objective, learned=learned, queue=CoordinateQueue(recipe.queue_size) if objective.takes_queue else None
    )


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
