"""The networks again, in plain numpy and without dropout: weights by the names of our state dictionaries."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda x: np.maximum(x, 0.0),
    "leakyrelu": lambda x: np.where(x > 0, x, 0.2 * x),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "gelu": lambda x: x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2,
}


def ffn(x: Array, state: Mapping[str, Array], *, activation: str, skip: bool) -> Array:
    """Space2Vec's feed-forward network, without dropout.

    Keys ``layers.<i>.linear.{weight,bias}``, ``layers.<i>.norm.{weight,bias}``. A layer is act(W x + b); all
    but the last add their input where the widths agree (``skip``), then normalise (where they have a norm).
    """
    num_layers = sum(key.endswith("linear.weight") for key in state)
    for i in range(num_layers):
        y = ACTIVATIONS[activation](x @ state[f"layers.{i}.linear.weight"].T + state[f"layers.{i}.linear.bias"])
        if i < num_layers - 1:
            if skip and y.shape == x.shape:
                y = y + x
            if f"layers.{i}.norm.weight" in state:
                centred = y - y.mean(axis=-1, keepdims=True)
                y = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
                y = y * state[f"layers.{i}.norm.weight"] + state[f"layers.{i}.norm.bias"]
        x = y
    return x


def residual_fcnet(x: Array, state: Mapping[str, Array]) -> Array:
    """Residual network of Mac Aodha et al. 2019, no dropout: relu(W x + b), then x + relu(W2 relu(W1 x)).

    Keys ``input.{weight,bias}``, ``blocks.<i>.{first,second}.{weight,bias}``.
    """

    def relu_linear(x: Array, name: str) -> Array:
        return np.maximum(x @ state[f"{name}.weight"].T + state[f"{name}.bias"], 0.0)

    x = relu_linear(x, "input")
    for i in range(sum(key.endswith("first.weight") for key in state)):
        x = x + relu_linear(relu_linear(x, f"blocks.{i}.first"), f"blocks.{i}.second")
    return x


def siren(x: Array, state: Mapping[str, Array], *, omega_0: float) -> Array:
    """Sitzmann et al. 2020: sines of linear layers, the first scaled by omega_0; then a linear layer.

    Keys ``layers.<i>.{weight,bias}``, ``last.{weight,bias}``.
    """
    for i in range(sum(key.startswith("layers.") and key.endswith("weight") for key in state)):
        x = np.sin((omega_0 if i == 0 else 1.0) * (x @ state[f"layers.{i}.weight"].T + state[f"layers.{i}.bias"]))
    return x @ state["last.weight"].T + state["last.bias"]


def geoclip(x: Array, state: Mapping[str, Array]) -> Array:
    """GeoCLIP's location network: for each third of the columns linear layers with ReLU but the last; the sum.

    Keys ``branches.<i>.<2 j>.{weight,bias}``: linear layers stand at even numbers, ReLUs between them.
    """
    num_branches = 1 + max(int(key.split(".")[1]) for key in state)
    total = np.zeros(())
    for i, part in enumerate(np.split(x, num_branches, axis=-1)):
        last = max(int(key.split(".")[2]) for key in state if key.startswith(f"branches.{i}."))
        for j in range(0, last + 1, 2):
            part = part @ state[f"branches.{i}.{j}.weight"].T + state[f"branches.{i}.{j}.bias"]
            part = np.maximum(part, 0.0) if j < last else part
        total = total + part
    return total
