"""Orders of feature columns: other projects put scale beside scale, we put block beside block.

An order is a tensor of indices: our column j is their column ``order[j]``.
"""

from collections.abc import Mapping

import torch
from torch import Tensor


def interleaved(blocks: int, num_scales: int) -> Tensor:
    """Order of columns that stand as scale·K + block, K = ``blocks``."""
    return torch.arange(num_scales * blocks).reshape(num_scales, blocks).T.flatten()


def axis_major(num_scales: int) -> Tensor:
    """Order of Space2Vec's grid: longitude, then latitude, each as scale·2 + (sine, cosine)."""
    return torch.arange(4 * num_scales).reshape(2, num_scales, 2).transpose(1, 2).flatten()


def double_fourier(num_scales: int) -> Tensor:
    """Order of Sphere2Vec's dfs: products of (function, scale) of longitude and of latitude, then four sinusoids."""
    products = torch.arange(4 * num_scales**2).reshape(2, num_scales, 2, num_scales).transpose(1, 2).flatten()
    return torch.cat([products, 4 * num_scales**2 + interleaved(4, num_scales)])


def fold(weight: Tensor, source: Tensor, width: int) -> Tensor:
    """Weight (H, ``width``) for features of which their column c is a copy of our column ``source[c]``."""
    return weight.new_zeros(len(weight), width).index_add(1, source, weight)


def reorder(state: Mapping[str, Tensor], order: Tensor, *, skip: bool) -> dict[str, Tensor]:
    """Weights of a feed-forward network (our names) for features whose column j is the former ``order[j]``.

    Where the first layer adds its features to as many hidden units, these change places too, and with them those of
    every hidden layer behind: all have this width and a skip of their own.
    """
    state = dict(state)
    first = "layers.0.linear.weight"
    num_hidden = sum(key.endswith("linear.weight") for key in state) - 1
    moves = skip and num_hidden > 0 and state[first].shape[0] == state[first].shape[1]
    state[first] = state[first][:, order]
    for layer in range(num_hidden if moves else 0):
        for key in [key for key in state if key.startswith(f"layers.{layer}.")]:
            state[key] = state[key][order]
        following = f"layers.{layer + 1}.linear.weight"
        state[following] = state[following][:, order]
    return state
