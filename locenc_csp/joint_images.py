"""Image files through a network that is trained beside the location encoder."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from locenc._files import write_bytes
from locenc_csp.datasets.table import PlaceTable
from locenc_csp.gradient_cache import embed_in_chunks
from locenc_csp.image_files import ImageFiles
from locenc_csp.image_networks import ImageNetwork
from locenc_csp.named_networks import load_network
from locenc_csp.recipes import FILE_SIZE, Pretrain

__all__ = ["ImageBranch", "JointImages", "open_images", "save_network"]


class ImageBranch(nn.Module):
    """Images to embeddings: a network that is trained, by chunks, then one linear layer with bias.

    Parameters
    ----------
    network : ImageNetwork
        Maps bytes (B, H, W, 3) to features (B, F).
    dim : int
        Size of the embedding.
    chunk_size : int
        Images in the network at a time.
    """

    def __init__(self, network: ImageNetwork, dim: int, *, chunk_size: int) -> None:
        super().__init__()
        self.network, self.linear, self.chunk_size = network, nn.Linear(network.dim, dim), chunk_size

    def forward(self, images: Tensor) -> Tensor:
        """Embed images: uint8 (B, H, W, 3) to (B, dim)."""
        embedding: Tensor = self.linear(embed_in_chunks(self.network, images, self.chunk_size))
        return embedding


@dataclass(frozen=True)
class JointImages:
    """Images of the rows of a table, and the network that is trained on them.

    Attributes
    ----------
    files : ImageFiles
        One for each row.
    network : ImageNetwork
        For images of their size.
    """

    files: ImageFiles
    network: ImageNetwork

    def rows(self, rows: NDArray[np.int64]) -> Tensor:
        """Read some images: positions (M,) -> uint8 (M, H, W, 3)."""
        return torch.from_numpy(self.files[rows])

    def reader(self, device: torch.device, image_of: NDArray[np.int64] | None = None) -> Callable[[Tensor], Tensor]:
        """Make a function from rows of the table (B,) to their images on a device; or to those of other rows."""

        def read(rows: Tensor) -> Tensor:
            own = rows.cpu().numpy()
            return self.rows(own if image_of is None else image_of[own]).to(device)

        return read

    def branch(self, dim: int, *, chunk_size: int) -> ImageBranch:
        """Make the image branch of a `DualEncoder`, with the network in it."""
        return ImageBranch(self.network, dim, chunk_size=chunk_size)

    def checksum(self) -> str:
        """Checksum of names and sizes of the files, and of the weights that the network starts from."""
        digest = hashlib.sha256(self.files.checksum().encode())
        for name, value in self.network.state_dict().items():
            digest.update(name.encode())
            digest.update(value.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def open_images(recipe: Pretrain, table: PlaceTable) -> JointImages:
    """Open the image files of a recipe, and load its network.

    Raises
    ------
    FileNotFoundError, ImportError, TypeError, ValueError
        If images, their column, the network or its weights are missing, damaged, or do not fit together.
    """
    assert recipe.image_network is not None
    found = load_network(recipe.image_network, weights=recipe.image_weights, seed=recipe.schedule.seed)
    size = recipe.image_size or found.size or FILE_SIZE
    names = table.columns[recipe.image_column].astype(np.str_).tolist()
    files = ImageFiles(recipe.images or recipe.table.parent, names, size=size, workers=recipe.image_workers)
    network = ImageNetwork(found.module, image_size=(size, size), mean=found.mean, std=found.std)
    return JointImages(files, network)


def save_network(path: Path, branch: ImageBranch) -> None:
    """Write the weights of the trained network, as ``locenc-csp features --weights`` reads them.

    Raises
    ------
    OSError
        If the file cannot be written; what was there is untouched.
    """
    from safetensors.torch import save

    state = branch.network.network.state_dict()
    # clones: no two tensors of the file may share memory
    write_bytes(path, save({name: value.cpu().contiguous().clone() for name, value in state.items()}))
