"""Compute image features: which images, through which network. What the command ``features`` does."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import nn

from locenc._devices import resolve
from locenc._names import unknown
from locenc_csp.datasets.text import Texts
from locenc_csp.image_files import ImageFiles
from locenc_csp.image_networks import FrozenNetwork
from locenc_csp.named_networks import load_network
from locenc_csp.random_conv import SAMPLE, RandomConvFeatures
from locenc_csp.recipes import FILE_SIZE, RANDOM_CONV, Features
from locenc_csp.writing_features import Images, write_features

__all__ = ["build_features"]


class _Source(NamedTuple):
    """Images, the ids of their places, their height and width, and a checksum of where they come from."""

    images: Images
    ids: Texts
    size: tuple[int, int]
    checksum: str


def build_features(recipe: Features) -> Path:
    """Compute the features of a data set's patches or of a table's image files, or find them computed.

    Parameters
    ----------
    recipe : Features
        Images, network, and where to.

    Returns
    -------
    Path
        The folder of the features.

    Raises
    ------
    ImportError
        If the network's package is missing.
    FileNotFoundError, ValueError, TypeError, OSError
        If images, weights or what stands in the folder are missing, damaged, or do not fit together, or the folder
        cannot be written.
    """
    if recipe.model == RANDOM_CONV:
        source = _source(recipe, recipe.size or FILE_SIZE)
        extractor: nn.Module = RandomConvFeatures.fit(
            _patches(source.images, recipe.seed), num_filters=recipe.num_filters, seed=recipe.seed
        )
        settings, batch_size = None, None
    else:
        network = load_network(recipe.model, weights=recipe.weights, seed=recipe.seed)
        size = recipe.size or network.size
        source = _source(recipe, size or FILE_SIZE)
        mean, std = recipe.mean or network.mean, recipe.std or network.std
        extractor = FrozenNetwork(
            network.module,
            image_size=source.size,
            size=size,
            mean=mean,
            std=std,
            channels_last=recipe.channels_last,
        )
        settings = {"model": recipe.model, "size": size or source.size[0], "mean": list(mean), "std": list(std)}
        batch_size = recipe.batch_size
    out = recipe.out or (recipe.data if recipe.table is None else recipe.table.parent) / "features"
    features = write_features(
        out,
        extractor,
        source.images,
        ids=source.ids,
        source=source.checksum,
        settings=settings,
        batch_size=batch_size,
        device=resolve(recipe.device),
    )
    features.check_values()
    return out


def _source(recipe: Features, size: int) -> _Source:
    if recipe.table is None:
        from locenc_csp.datasets.bluemarble import checksum, open_patches

        data = open_patches(recipe.data)
        height, width = data.patches.shape[1:3]
        return _Source(data.patches, data.table.held_ids, (height, width), checksum(recipe.data))
    from locenc_csp.datasets.table_files import read_table

    table = read_table(recipe.table)
    if recipe.column not in table.columns:
        raise ValueError(unknown("column of image files", recipe.column, table.columns) + " Name it with --column")
    names = table.columns[recipe.column].astype(np.str_)
    files = ImageFiles(recipe.images or recipe.table.parent, names.tolist(), size=size, workers=recipe.workers)
    digest = hashlib.sha256(f"{files.checksum()} {size}".encode()).hexdigest()
    return _Source(files, table.held_ids, (size, size), digest)


def _patches(images: Images, seed: int) -> NDArray[np.uint8]:
    """Patches to cut filters out of: all of an array, a sample of image files."""
    if isinstance(images, np.ndarray):
        return images
    rows = np.sort(np.random.default_rng(seed).permutation(len(images))[:SAMPLE])
    sample: NDArray[np.uint8] = images[rows]  # type: ignore[index]
    return sample
