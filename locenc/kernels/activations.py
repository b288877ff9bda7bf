"""Activations that the fused first layer can apply as it stores a number: a kind and a parameter.

`LEAKY` is x for x >= 0, parameter * x below (0: ReLU); `SINE` is sin(parameter * x).
"""

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

NONE, LEAKY, SINE = 0, 1, 2


def apply(hidden: Tensor, kind: int, parameter: float) -> Tensor:
    """The activation of a tensor, in plain torch."""
    if kind == LEAKY:
        return leaky_relu(hidden, parameter)
    return torch.sin(parameter * hidden) if kind == SINE else hidden
