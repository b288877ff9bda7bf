"""One meaning, several implementations: the torch operator around kernels.

A call of eager torch goes straight to the kernels of its device. While torch traces, the call goes through the
registered operator, so that the graph holds one node and its gradients others. The reference, plain torch, takes what
is forced, exported, under functional transforms or forward-mode differentiation, and gradients that the kernels do not
make.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from locenc.kernels.choice import chosen, default, exporting

_LIBRARY = torch.library.Library("locenc", "DEF")


class Kernel(Protocol):
    """What a module of kernels offers."""

    @staticmethod
    def forward(lonlat: Tensor, *arguments: Any, out: Tensor | None) -> Tensor:
        """Features of coordinates on the kernels' device, in new memory or in ``out``."""

    @staticmethod
    def backward(gradient: Tensor, lonlat: Tensor, *arguments: Any) -> Tensor:
        """Gradient of the coordinates, in their dtype, from that of the features."""

    @staticmethod
    def backward_arguments(gradient: Tensor, lonlat: Tensor, *arguments: Any) -> Sequence[Tensor]:
        """Gradients of the arguments that are learned, for operators that have some; those that are None left out."""


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
        Of the operator, ``torch.ops.locenc.<name>``; its gradients are ``<name>_backward`` and, where it has learned
        arguments, ``<name>_backward_arguments``.
    arguments : str
        The arguments after the coordinates and before dtype, as torch's schemas write them.
    reference : callable
        The meaning, in plain torch: ``reference(lonlat, *arguments, dtype)``.
    columns : callable
        The number F, of ``*arguments``.
    kernels : mapping of str to str
        Modules with kernels, a `Kernel` each, by implementation (``"numba"``, ``"triton"``); they are imported when
        first used. The reference stands in for those that are not there.
    learned : sequence of int
        Places, in ``*arguments``, of tensors whose gradients the Triton kernels make. Those of other tensors, and
        those on the CPU, are the reference's.
    """

    def __init__(
        self,
        name: str,
        arguments: str,
        *,
        reference: Callable[..., Tensor],
        columns: Callable[..., int],
        kernels: Mapping[str, str],
        learned: Sequence[int] = (),
    ) -> None:
        self._reference, self._columns, self._modules, self._learned = reference, columns, dict(kernels), tuple(learned)
        inputs = f"Tensor lonlat, {arguments}, ScalarType dtype"
        self._name, self._names = name, [argument.rpartition(" ")[2] for argument in arguments.split(", ")]
        _LIBRARY.define(f"{name}({inputs}) -> Tensor")
        _LIBRARY.define(f"{name}_backward(Tensor gradient, {inputs}) -> Tensor")
        _LIBRARY.define(f"{name}_backward_arguments(Tensor gradient, {inputs}) -> Tensor[]")
        _LIBRARY.impl(name, reference, "CompositeExplicitAutograd")
        for device in ("CPU", "CUDA"):
            _LIBRARY.impl(name, self._forward, device)
            _LIBRARY.impl(f"{name}_backward", self._backward_coordinates, device)
            _LIBRARY.impl(f"{name}_backward_arguments", self._backward_arguments, device)
        self._traced, self._traced_backward, self._traced_backward_arguments = (
            getattr(torch.ops.locenc, name + suffix).default for suffix in ("", "_backward", "_backward_arguments")
        )
        qualified = f"locenc::{name}"
        torch.library.register_fake(qualified, self._fake, lib=_LIBRARY)
        torch.library.register_fake(f"{qualified}_backward", _fake_backward, lib=_LIBRARY)
        torch.library.register_fake(f"{qualified}_backward_arguments", self._fake_backward_arguments, lib=_LIBRARY)
        torch.library.register_autograd(qualified, self._backward, setup_context=_save, lib=_LIBRARY)
        self._function = _autograd_function(name, self._forward, self._backward)

    def __call__(self, lonlat: Tensor, *arguments: Any, out: Tensor | None = None) -> Tensor:
        """Features of ``(N, 2)`` degrees, float32 or float64; ``out`` (contiguous, without gradients) is filled.

        Tensors on several devices are a ValueError of the kernels, which names the first; of torch's in the reference.
        """
        if self._wants_reference(lonlat, arguments):
            features = self._reference(lonlat, *arguments)
            return features if out is None else out.copy_(features)
        if not concrete(lonlat):
            features = cast(Tensor, self._traced(lonlat, *arguments))
            return features if out is None else out.copy_(features)
        if torch.is_grad_enabled() and (lonlat.requires_grad or self._learns(arguments)):
            return cast(Tensor, self._function.apply(lonlat, *arguments))
        return self._forward(lonlat, *arguments, out=out)

    def fused(self, lonlat: Tensor, *arguments: Any) -> Tensor | None:
        """What a call gives, or None where the reference would make it: who can then does it in another way."""
        return None if self._wants_reference(lonlat, arguments) else self(lonlat, *arguments)

    def _wants_reference(self, lonlat: Tensor, arguments: tuple[Any, ...]) -> bool:
        name = chosen(lonlat.device.type)
        if not self._runs(name, arguments) or exporting():
            return True
        if torch.is_grad_enabled():
            for place, value in enumerate(arguments):
                if (
                    isinstance(value, Tensor)
                    and value.requires_grad
                    and not (name == "triton" and place in self._learned)
                ):
                    return True
        return (
            torch._C._are_functorch_transforms_active()
            or forward_ad._current_level >= 0
            or (not torch.compiler.is_compiling() and torch._C._get_tracing_state() is not None)
        )

    def _runs(self, name: str, arguments: tuple[Any, ...]) -> bool:
        """Whether an implementation has kernels for these arguments: Triton's have no float64 features."""
        return name in self._modules and not (name == "triton" and arguments[-1] == torch.float64)

    def _learns(self, arguments: tuple[Any, ...]) -> bool:
        return any(isinstance(arguments[place], Tensor) and arguments[place].requires_grad for place in self._learned)

    def _kernels(self, device: str, arguments: tuple[Any, ...]) -> Kernel | None:
        """Kernels that run for a device, or None for the reference."""
        name = chosen(device)
        if name == "reference":  # asked for, or a forward without: what was recorded by kernels goes back by them
            name = default(device)
        return _imported(self._modules[name]) if self._runs(name, arguments) else None

    def _forward(self, lonlat: Tensor, *arguments: Any, out: Tensor | None = None) -> Tensor:
        """What the registered operator does."""
        kernels = self._kernels(lonlat.device.type, arguments)
        if kernels is None:
            return self._reference(lonlat, *arguments)
        self._check_devices(lonlat, arguments)
        return kernels.forward(lonlat.resolve_neg(), *arguments, out=out)

    def _check_devices(self, lonlat: Tensor, arguments: tuple[Any, ...]) -> None:
        """Check that all tensors are where the coordinates are: kernels read memory, whosever it is."""
        for name, value in zip(self._names, arguments, strict=False):
            if isinstance(value, Tensor) and value.device != lonlat.device:
                raise ValueError(
                    f"{self._name}: the coordinates are on {lonlat.device}, but {name} is on {value.device}: move "
                    "either, or the whole encoder with encoder.to(device)"
                )

    def _backward_coordinates(self, gradient: Tensor, lonlat: Tensor, *arguments: Any) -> Tensor:
        kernels = cast(Kernel, self._kernels(lonlat.device.type, arguments))
        return kernels.backward(gradient.resolve_neg(), lonlat.resolve_neg(), *arguments)

    def _backward_arguments(self, gradient: Tensor, lonlat: Tensor, *arguments: Any) -> list[Tensor]:
        kernels = cast(Kernel, self._kernels(lonlat.device.type, arguments))
        return list(kernels.backward_arguments(gradient.resolve_neg(), lonlat.resolve_neg(), *arguments))

    def _fake(self, lonlat: Tensor, *arguments: Any) -> Tensor:
        return lonlat.new_empty((lonlat.shape[0], self._columns(*arguments)), dtype=arguments[-1])

    def _fake_backward_arguments(self, gradient: Tensor, lonlat: Tensor, *arguments: Any) -> list[Tensor]:
        tensors = (arguments[place] for place in self._learned)
        return [value.new_empty(value.shape) for value in tensors if value is not None]

    def _backward(self, ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the inputs, by the reference where they have a graph of their own or kernels make none."""
        tensors = iter(ctx.saved_tensors)
        inputs = [next(tensors) if isinstance(value, _Saved) else value for value in ctx.inputs]
        to_lonlat, *to_arguments = ctx.needs_input_grad
        graph = torch.is_grad_enabled()
        batched = torch._C._functorch.is_legacy_batchedtensor(gradient)  # is_grads_batched=True
        kernels = None if graph or batched else self._kernels(gradient.device.type, tuple(inputs[1:]))
        learned = self._learned if hasattr(kernels, "backward_arguments") else ()
        if kernels is None or any(need and place not in learned for place, need in enumerate(to_arguments)):
            with torch.enable_grad():
                features = self._reference(*inputs)
            wanted = [value for value, needed in zip(inputs, ctx.needs_input_grad, strict=True) if needed]
            found = iter(torch.autograd.grad(features, wanted, gradient, create_graph=graph))
            return tuple(next(found) if needed else None for needed in ctx.needs_input_grad)
        plain = concrete(gradient)
        result: list[Tensor | None] = [None] * len(inputs)
        if to_lonlat:
            result[0] = (self._backward_coordinates if plain else self._traced_backward)(gradient, *inputs)
        if any(to_arguments):
            made = (self._backward_arguments if plain else self._traced_backward_arguments)(gradient, *inputs)
            places = [place for place in learned if inputs[1 + place] is not None]
            for place, value in zip(places, made, strict=True):
                result[1 + place] = value if to_arguments[place] else None
        return tuple(result)


@cache
def _imported(module: str) -> Kernel:
    return cast(Kernel, import_module(module))


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
