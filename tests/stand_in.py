"""Stand-ins for Triton's kernels, so that what surrounds them is tested anywhere: they do what the reference does."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

import locenc
from locenc import kernels
from locenc.kernels import choice, operator
from locenc.kernels.operator import Operator


@contextmanager
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Triton's kernels are asked for, on the CPU, and stood in for; collects the operators that run."""
    ran: list[str] = []
    operators = {name: value for name, value in vars(kernels).items() if isinstance(value, Operator)}
    modules = {value._modules["triton"]: _kernels(name, value, ran) for name, value in operators.items()}
    monkeypatch.setattr(choice, "missing", lambda name: None)
    monkeypatch.setattr(choice, "interpreted", lambda: True)
    monkeypatch.setattr(operator, "_imported", modules.__getitem__)
    with locenc.backend("triton"):
        yield ran


def _kernels(name: str, stood_for: Operator, ran: list[str]) -> Any:
    reference: Callable[..., Tensor] = stood_for._reference

    def forward(lonlat: Tensor, *arguments: Any, out: Tensor | None = None) -> Tensor:
        ran.append(name)
        with torch.no_grad():
            result = reference(lonlat, *arguments)
        return result if out is None else out.copy_(result)

    def gradients(gradient: Tensor, places: list[int], *inputs: Any) -> list[Tensor]:
        with torch.enable_grad():
            own = [value.detach() if isinstance(value, Tensor) else value for value in inputs]
            wanted = [own[place].requires_grad_() for place in places if own[place] is not None]
            return [found.contiguous() for found in torch.autograd.grad(reference(*own), wanted, gradient)]

    def backward(gradient: Tensor, *inputs: Any) -> Tensor:
        ran.append(f"{name}_backward")
        return gradients(gradient, [0], *inputs)[0]

    def backward_arguments(gradient: Tensor, *inputs: Any) -> list[Tensor]:
        ran.append(f"{name}_backward_arguments")
        return gradients(gradient, [1 + place for place in stood_for._learned], *inputs)

    found = {"forward": forward, "backward": backward}
    return SimpleNamespace(**found, **({"backward_arguments": backward_arguments} if stood_for._learned else {}))
