"""The sinusoidal representation network: what SatCLIP puts behind its spherical harmonics."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from locenc._names import check_count, check_dropout, check_number
from locenc.dropout import Dropout


class Siren(nn.Module):
    """Sines of linear layers, then a linear layer: sin(ω (W x + b)) with ω = ``omega_0`` in the first, 1 in the rest.

    Parameters
    ----------
    in_dim, out_dim : int
        Number of features, size of the embedding.
    hidden_dim : int
        Width of the hidden layers.
    num_hidden_layers : int
        Number of layers with a sine; 0 leaves the linear layer alone.
    omega_0 : float
        Frequency of the first layer.
    dropout : float
        Share of entries dropped before each sine.

    References
    ----------
    Sitzmann et al. 2020, "Implicit neural representations with periodic activation functions", NeurIPS. Weights and
    biases start uniform within ±1/in in the first layer, ±√(6/in) in the others, as in SatCLIP (Rußwurm et al. 2024).
    """

    rowwise = True

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        *,
        hidden_dim: int = 512,
        num_hidden_layers: int = 2,
        omega_0: float = 30.0,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        hidden_dim = check_count("hidden_dim", hidden_dim)
        num_hidden_layers = check_count("num_hidden_layers", num_hidden_layers, least=0, most=256)
        dropout = check_dropout(dropout)
        if not 0 < check_number("omega_0", omega_0) < math.inf:
            raise ValueError(f"omega_0 must be positive and finite, got {omega_0!r}")
        in_dim, out_dim = check_count("in_dim", in_dim), check_count("out_dim", out_dim)
        self.out_dim = out_dim
        self.omega_0 = float(omega_0)
        widths = [in_dim, *[hidden_dim] * num_hidden_layers]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.last = nn.Linear(widths[-1], out_dim)
        self.dropout = Dropout(dropout)
        for layer, linear in enumerate([*self.layers, self.last]):
            fan_in = widths[layer]
            bound = 1 / fan_in if layer == 0 else math.sqrt(6 / fan_in)
            for tensor in linear.parameters():
                nn.init.uniform_(tensor, -bound, bound)

    def forward(self, features: Tensor) -> Tensor:
        """Map features ``(..., in_dim)`` to embeddings ``(..., out_dim)``."""
        return self.after_first(self.first_linear(features))

    @property
    def first_linear(self) -> nn.Linear:
        """The layer that the features enter."""
        return cast(nn.Linear, self.layers[0] if len(self.layers) else self.last)

    def after_first(self, hidden: Tensor, add_features: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """The embedding from what `first_linear` gives."""
        for layer, linear in enumerate([*self.layers, self.last][1:]):
            before: Tensor = self.dropout(hidden)
            hidden = linear(torch.sin(before if layer else self.omega_0 * before))
        return hidden
