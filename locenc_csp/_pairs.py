"""What the terms ask of their inputs, in one wording."""

from torch import Tensor

from locenc_csp._tensors import check_tensors
from locenc_csp.contrastive import unit


def per_pair(negatives: Tensor, image: Tensor, plain: bool) -> Tensor:
    """Return the unit vectors of the negatives, (C, B, d)."""
    size, dim = check_matrix("image", image)
    rows, width = check_matrix("negatives", negatives)
    if width != dim:
        raise ValueError(f"negatives have {width} columns, the image embeddings {dim}: both must be of one dimension")
    if rows % size:
        raise ValueError(
            f"negatives must be C whole batches (row c*B + i belongs to pair i), but {rows} rows are no "
            f"multiple of {size}"
        )
    return unit(negatives, plain=plain).view(-1, size, dim)


def check_pairs(location: Tensor, name: str, other: Tensor) -> None:
    """Check that two matrices hold one pair in each row; ValueError where they do not."""
    size, dim = check_matrix("location", location)
    rows, width = check_matrix(name, other)
    if rows != size:
        raise ValueError(f"row i of location and {name} must be one pair, but they have {size} and {rows} rows")
    if width != dim:
        raise ValueError(f"location has {dim} columns and {name} {width}: both must be of one dimension")


def check_matrix(name: str, rows: Tensor) -> tuple[int, int]:
    """Check a matrix of embeddings, and return its shape; ValueError for anything else, or no rows."""
    check_tensors(**{name: rows})
    if rows.ndim != 2 or not rows.is_floating_point():
        raise ValueError(
            f"{name} must be a floating-point matrix, one row per pair, got shape {tuple(rows.shape)} of {rows.dtype}"
        )
    if len(rows) == 0:
        raise ValueError(f"the batch is empty: {name} has shape {tuple(rows.shape)}; skip such a batch")
    return rows.shape[0], rows.shape[1]
