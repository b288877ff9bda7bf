"""One meaning, several implementations: the torch operator around a kernel.

A call of eager torch on the CPU goes straight to the kernel. While torch traces, the call goes through the registered
operator, so that the graph holds one node and its gradient another. The reference, plain torch, takes what is forced,
exported, under functional transforms or forward-mode differentiation, and what wants gradients of other tensors than
the coordinates.
"""

from collections.abc import Callable
from functools import cached_property
from importlib import import_module
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from locenc.kernels.choice import chosen, missing

_LIBRARY = torch.library.Library("locenc", "DEF")


class Kernel(Protocol):
    """What a module of kernels offers."""

    @staticmethod
    def forward(lonlat: Tensor, *arguments: Any, out: Tensor | None) -> Tensor:
        """Features of CPU coordinates, in new memory or in ``out``."""

    @staticmethod
    def backward(gradient: Tensor, lonlat: Tensor, *arguments: Any) -> Tensor:
        """Gradient of the coordinates, in their dtype, from that of the features."""


def watched() -> bool:
    """Whether torch records or transforms what is called now: tensors may hold no numbers to look at."""
    return (
        torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._get_tracing_state() is not None
    )


def concrete(tensor: Tensor) -> bool:
    """Whether a tensor is a plain one that holds numbers to look at."""
    return type(tensor) in (Tensor, nn.Parameter) and not watched()


class Operator:
    """A function of coordinates ``(N, 2)`` and other arguments, dtype last: ``(N, F)`` features.

    Parameters
    ----------
    name : str
        Of the operator, ``torch.ops.locenc.<name>``; its gradient is ``<name>_backward``.
    arguments : str
        The arguments after the coordinates and before dtype, as torch's schemas write them.
    reference : callable
        The meaning, in plain torch: ``reference(lonlat, *arguments, dtype)``.
    columns : callable
        The number F, of ``*arguments``.
    kernels : str
        Module with the CPU kernels, a `Kernel`; it is imported when they are first used.
    """

    def __init__(
        self,
        name: str,
        arguments: str,
        *,
        reference: Callable[..., Tensor],
        columns: Callable[..., int],
        kernels: str,
    ) -> None:
        self._reference, self._columns, self._module = reference, columns, kernels
        inputs = f"Tensor lonlat, {arguments}, ScalarType dtype"
        _LIBRARY.define(f"{name}({inputs}) -> Tensor")
        _LIBRARY.define(f"{name}_backward(Tensor gradient, {inputs}) -> Tensor")
        _LIBRARY.impl(name, reference, "CompositeExplicitAutograd")
        _LIBRARY.impl(name, self._forward, "CPU")
        _LIBRARY.impl(f"{name}_backward", self._kernel_backward, "CPU")
        self._traced = getattr(torch.ops.locenc, name).default
        self._traced_backward = getattr(torch.ops.locenc, f"{name}_backward").default
        qualified = f"locenc::{name}"
        torch.library.register_fake(qualified, self._fake, lib=_LIBRARY)
        torch.library.register_fake(f"{qualified}_backward", _fake_backward, lib=_LIBRARY)
        torch.library.register_autograd(qualified, self._backward, setup_context=_save, lib=_LIBRARY)
        self._function = _autograd_function(name, self._forward, self._backward)

    def __call__(self, lonlat: Tensor, *arguments: Any, out: Tensor | None = None) -> Tensor:
        """Features of ``(N, 2)`` degrees, float32 or float64; ``out`` (contiguous, without gradients) is filled."""
        if self._wants_reference(lonlat, arguments):
            features = self._reference(lonlat, *arguments)
            return features if out is None else out.copy_(features)
        if not concrete(lonlat):
            features = cast(Tensor, self._traced(lonlat, *arguments))
            return features if out is None else out.copy_(features)
        if lonlat.requires_grad and torch.is_grad_enabled():
            return cast(Tensor, self._function.apply(lonlat, *arguments))
        return self._kernels.forward(lonlat.resolve_neg(), *arguments, out=out)

    def _wants_reference(self, lonlat: Tensor, arguments: tuple[Any, ...]) -> bool:
        if chosen(lonlat.device.type) == "reference" or torch.compiler.is_exporting():
            return True
        if torch.is_grad_enabled() and any(isinstance(value, Tensor) and value.requires_grad for value in arguments):
            return True
        return (
            torch._C._are_functorch_transforms_active()
            or forward_ad._current_level >= 0
            or (not torch.compiler.is_compiling() and torch._C._get_tracing_state() is not None)
        )

    @cached_property
    def _kernels(self) -> Kernel:
        return cast(Kernel, import_module(self._module))

    def _forward(self, lonlat: Tensor, *arguments: Any) -> Tensor:
        """What the registered operator does on the CPU."""
        if missing("numba"):
            return self._reference(lonlat, *arguments)
        return self._kernels.forward(lonlat.resolve_neg(), *arguments, out=None)

    def _kernel_backward(self, gradient: Tensor, lonlat: Tensor, *arguments: Any) -> Tensor:
        return self._kernels.backward(gradient.resolve_neg(), lonlat.resolve_neg(), *arguments)

    def _fake(self, lonlat: Tensor, *arguments: Any) -> Tensor:
        return lonlat.new_empty((lonlat.shape[0], self._columns(*arguments)), dtype=arguments[-1])

    def _backward(self, ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the inputs; of others than the coordinates, and with a graph of their own, by the reference."""
        tensors = iter(ctx.saved_tensors)
        inputs = [next(tensors) if isinstance(value, _Saved) else value for value in ctx.inputs]
        graph = torch.is_grad_enabled()
        batched = torch._C._functorch.is_legacy_batchedtensor(gradient)  # is_grads_batched=True
        if graph or any(ctx.needs_input_grad[1:]) or batched or missing("numba") or not gradient.is_cpu:
            with torch.enable_grad():
                features = self._reference(*inputs)
            wanted = [value for value, needed in zip(inputs, ctx.needs_input_grad, strict=True) if needed]
            found = iter(torch.autograd.grad(features, wanted, gradient, create_graph=graph))
            return tuple(next(found) if needed else None for needed in ctx.needs_input_grad)
        of_lonlat = (self._kernel_backward if concrete(gradient) else self._traced_backward)(gradient, *inputs)
        return (of_lonlat, *[None] * (len(inputs) - 1))


class _Saved:
    """Stands for a tensor that autograd keeps."""


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*[value for value in inputs if isinstance(value, Tensor)])
    ctx.inputs = [_Saved() if isinstance(value, Tensor) else value for value in inputs]


def _fake_backward(gradient: Tensor, lonlat: Tensor, *arguments: Any) -> Tensor:
    return lonlat.new_empty(lonlat.shape)


def _autograd_function(
    name: str, forward: Callable[..., Tensor], backward: Callable[..., Any]
) -> type[torch.autograd.Function]:
    """The gradient for eager calls: a third of the registered operator's time."""

    def run(ctx: Any, *inputs: Any) -> Tensor:
        output = forward(*inputs)
        _save(ctx, inputs, output)
        return output

    members = {"forward": staticmethod(run), "backward": staticmethod(backward)}
    return type(name.title().replace("_", ""), (torch.autograd.Function,), members)
