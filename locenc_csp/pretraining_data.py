"""What a recipe of pre-training reads: rows to train on and to hold out, and the images that belong to them."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from locenc_csp._hashes import file_hash
from locenc_csp.balance import Balance
from locenc_csp.datasets.table import PlaceTable
from locenc_csp.datasets.table_files import read_table
from locenc_csp.device_rows import image_rows
from locenc_csp.features import FeatureMatrix, open_features
from locenc_csp.joint_images import JointImages, open_images
from locenc_csp.recipes import Pretrain

Rows = NDArray[np.int64]


def needed_table(recipe: Pretrain) -> PlaceTable:
    """Read the columns that are needed, no other."""
    files = None if recipe.image_network is None else recipe.image_column
    return read_table(recipe.table, columns={one for one in (recipe.split, recipe.label, files) if one is not None})


def unlabelled_rows(table: PlaceTable, split: str | None) -> Rows:
    """Return the rows that pre-training may use: those with a location whose role is not test."""
    allowed = table.has_location.copy()
    if split is not None:
        allowed &= ~table.has_role(split, "test")
    return np.flatnonzero(allowed)


def pairs(table: PlaceTable, recipe: Pretrain) -> tuple[Rows, Rows]:
    """Choose rows to train on, and rows held out for validation; at most a tenth is held out."""
    rows = unlabelled_rows(table, recipe.split)
    if len(rows) < 2:
        raise ValueError(f"{len(rows)} rows to train on: every other row has no location or has role 'test'")
    count = min(recipe.validation_pairs, len(rows) // 10)
    order = np.random.default_rng([recipe.schedule.seed, 10]).permutation(rows)
    return np.sort(order[count:]), np.sort(order[:count])


def make_balance(table: PlaceTable, rows: Rows, recipe: Pretrain) -> Balance | None:
    """Make what an epoch holds of each class, where the recipe says so."""
    if recipe.max_per_class is None or recipe.label is None:
        return None
    return Balance(torch.from_numpy(table.labels(recipe.label).codes[rows]), recipe.max_per_class)


def shuffled(count: int, rows: Rows, recipe: Pretrain) -> Rows | None:
    """Return the row of another's image for each place, in the shuffled control; None where each place has its own."""
    if not recipe.shuffle_pairs:
        return None
    image_of = np.arange(count)
    image_of[rows] = np.random.default_rng([recipe.schedule.seed, 11]).permutation(rows)
    return image_of


def images_and_checksum(recipe: Pretrain, table: PlaceTable) -> tuple[FeatureMatrix | JointImages, str]:
    """Open features of the table's images, or images and the network to be trained on them; and their checksum."""
    if recipe.features is None:
        images = open_images(recipe, table)
        return images, images.checksum()
    features = open_features(recipe.features)
    features.check_ids(table)
    return features, file_hash(recipe.features / "meta.json")


def image_reader(
    images: FeatureMatrix | JointImages, device: torch.device, image_of: Rows | None
) -> Callable[[Tensor], Tensor]:
    """Make a function from rows of the table (B,) to what the image branch takes for them, on a device."""
    if isinstance(images, JointImages):
        return images.reader(device, image_of)
    return image_rows(images, device, image_of=image_of)
