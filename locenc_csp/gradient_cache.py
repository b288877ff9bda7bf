"""Large batches through a network that trains, in the memory of a small one: gradient caching."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from locenc._names import check_count
from locenc_csp._tensors import check_tensors

__all__ = ["embed_in_chunks"]


def embed_in_chunks(network: Callable[[Tensor], Tensor], inputs: Tensor, chunk_size: int) -> Tensor:
    """Embed a batch chunk by chunk, without keeping what lies between the network's layers.

    Embeddings of all chunks go into one loss, so that each row is compared with the whole batch. In the backward pass
    the gradients by embeddings are at hand, and each chunk is embedded once more, with its graph, one after another.
    Gradients are those of ``network(inputs)``; random numbers, such as dropout masks, are drawn once and replayed.

    Parameters
    ----------
    network : callable
        Maps (n, ...) to (n, d), on the device of ``inputs``; a row depends on its own input alone (batch norm must not
        be in training mode: it would see chunks, and count each twice).
    inputs : Tensor (B, ...)
        Such as images; may be bytes.
    chunk_size : int
        Rows at a time.

    Returns
    -------
    Tensor (B, d)
        With a graph, if gradients are recorded.

    Raises
    ------
    ValueError
        If there are no rows, or the chunk size is no whole number of at least 1.

    Notes
    -----
    It takes the time of a further forward pass. Memory is that of one chunk, beside inputs and embeddings.

    References
    ----------
    Gao et al. 2021, "Scaling deep contrastive learning batch size under memory limited setup", RepL4NLP (GradCache).

    Examples
    --------
    >>> from locenc_csp import contrastive_loss
    >>> network, images, locations = torch.nn.Linear(3, 2), torch.ones(6, 3), torch.eye(6, 2)
    >>> embeddings = embed_in_chunks(network, images, chunk_size=4)
    >>> contrastive_loss(locations, embeddings).backward()  # each image against all six
    """
    chunk_size = check_count("chunk_size", chunk_size)
    check_tensors(inputs=inputs)
    if inputs.ndim == 0 or len(inputs) == 0:
        raise ValueError(f"there must be rows to embed, got inputs of shape {tuple(inputs.shape)}")
    chunks = torch.split(inputs, chunk_size)
    if not torch.is_grad_enabled() or len(chunks) == 1:
        return torch.cat([network(chunk) for chunk in chunks])
    return torch.cat([checkpoint(network, chunk, use_reentrant=False) for chunk in chunks])
