"""What every position encoder shares: the door, leading axes, dtype."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from itertools import chain
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from locenc._devices import home
from locenc.coords import check_device, check_form, check_values
from locenc.kernels.choice import backend as use
from locenc.kernels.choice import default, forced
from locenc.kernels.chunks import CHUNK
from locenc.kernels.memory import check_out
from locenc.kernels.operator import watched


class Layer(NamedTuple):
    """A linear layer: weight ``(H, F)`` and bias ``(H,)``."""

    weight: Tensor
    bias: Tensor | None


class PositionEncoder(nn.Module):
    """Base of the position encoders: (longitude, latitude) in degrees to features.

    Parameters
    ----------
    out_dim : int
        Number of feature columns F.
    dtype : torch.dtype, optional
        Of the features, whatever the coordinates' dtype; `torch.get_default_dtype()` unless given.
        ``.half()``, ``.to(dtype)`` and the like leave it as it is.

    Notes
    -----
    A subclass implements `features`. ``config`` is set by `locenc.position_encoder`: the id and the options
    that rebuild the encoder.
    """

    config: dict[str, Any] | None = None
    #: Options that ``config`` holds instead of those given: such as how many anchors, where the weights hold them.
    stored_options: Mapping[str, Any] = MappingProxyType({})
    #: Whether `features` takes ``out=``, memory to write to; without it, chunks of features are copied there.
    writes_out: bool = False
    #: Whether kernels make the features; plain torch does where they do not.
    compiled: bool = False

    def __init__(self, out_dim: int, *, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        dtype = torch.get_default_dtype() if dtype is None else dtype
        if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
            raise TypeError(f"dtype must be a floating-point torch dtype such as torch.float32, got {dtype!r}")
        self.out_dim = out_dim
        self.dtype = dtype
        self._constants: dict[str, Tensor] = {}

    @abstractmethod
    def features(self, lonlat: Tensor, dtype: torch.dtype) -> Tensor:
        """Features of ``(N, 2)`` checked coordinates: ``(N, F)`` in ``dtype``."""

    def linear(self, lonlat: Tensor, layer: Layer) -> Tensor | None:
        """Features of ``(N, 2)`` checked coordinates through a linear layer; not all of them exist at once.

        Parameters
        ----------
        lonlat : Tensor
            As in `features`.
        layer : Layer
            Features and result have its weight's dtype.

        Returns
        -------
        Tensor or None
            ``(N, H)``; None where nothing makes both at once. Implementing it is optional.
        """
        return None

    def forward(
        self,
        lonlat: Tensor,
        *,
        dtype: torch.dtype | None = None,
        check: bool | None = None,
        backend: str | None = None,
        out: Tensor | None = None,
    ) -> Tensor:
        """Encode coordinates.

        Parameters
        ----------
        lonlat : Tensor
            ``(..., 2)`` longitude and latitude in degrees; float64, float32 or integers.
        dtype : torch.dtype, optional
            Of this call's features instead of the encoder's own.
        check : bool, optional
            Whether to look for NaN, infinity and latitudes outside [-90, 90]. By default on for CPU tensors
            outside `torch.compile`, export, traces and functional transforms. Without it, such values give features
            that mean nothing.
        backend : str, optional
            Which implementation runs this call; see `locenc.backend`.
        out : Tensor, optional
            ``(..., F)``, contiguous, of the features' dtype and device: is filled and returned. No gradients flow.

        Returns
        -------
        Tensor
            ``(..., F)``; empty in, empty out. On the CPU the same bytes whatever the batch and the number of threads,
            but for the layers after spherical-voronoi's attention: with them `locenc.embed` does that.

        Raises
        ------
        TypeError, ValueError
            For coordinates that `locenc.coords.check_lonlat` refuses or that are on another device than the encoder,
            and an ``out`` that does not fit.
        """
        check_form(lonlat)
        check_device(lonlat, next(chain(self._buffers.values(), self._parameters.values()), None), "position encoder")
        if check is None:
            check = lonlat.is_cpu and not watched()
        if check:
            check_values(lonlat)
        if not lonlat.dtype.is_floating_point:
            lonlat = lonlat.to(torch.float64)
        dtype = self.dtype if dtype is None else dtype
        if backend is None and out is None and lonlat.ndim == 2:  # the quickest way for small calls
            return self.features(lonlat, dtype)
        shape = (*lonlat.shape[:-1], self.out_dim)
        if out is not None:
            check_out(out, shape, dtype, lonlat)
        with nullcontext() if backend is None else use(backend):
            if out is None:
                return self.features(lonlat.reshape(-1, 2), dtype).reshape(shape)
            with torch.no_grad():
                self._fill(lonlat.reshape(-1, 2), dtype, out.view(-1, self.out_dim))
        if not watched():
            torch.autograd.graph.increment_version(out)  # kernels write without torch's knowledge
        return out

    def _fill(self, lonlat: Tensor, dtype: torch.dtype, out: Tensor) -> None:
        if self.writes_out:
            self.features(lonlat, dtype, out=out)  # type: ignore[call-arg]
            return
        size = max(1, CHUNK // self.out_dim)
        for start in range(0, len(lonlat), size):
            out[start : start + size] = self.features(lonlat[start : start + size], dtype)

    def register_constant(self, name: str, value: Tensor) -> None:
        """Register a buffer that the options decide: it is not saved, and moves keep its values and its dtype.

        Parameters
        ----------
        name : str
            Of the buffer.
        value : Tensor
            On the CPU, also where the encoder is built under ``torch.device("meta")``.
        """
        self._constants[name] = value
        self.register_buffer(name, value, persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "PositionEncoder":
        """Move buffers, but keep their dtype: frequencies, anchors and the like are never rounded."""
        before = dict(self._buffers)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, buffer in before.items():
            after = self._buffers[name]
            if buffer is not None and after is not None:
                kept = self._constants.get(name, buffer)
                if name in self._constants or after.dtype != buffer.dtype:
                    self._buffers[name] = kept.to(after.device)
        return self

    def extra_repr(self) -> str:
        """Id, options, number of columns, dtype, and the implementation that runs where the buffers are."""
        config = dict(self.config or {})
        name = config.pop("name", "unregistered")
        options = [f"{key}={value!r}" for key, value in config.items()]
        told = [repr(name), *options, f"out_dim={self.out_dim}", f"dtype={self.dtype}"]
        if self.compiled:
            told.append(f"backend={self.backend!r}")
        return ", ".join(told)

    @property
    def backend(self) -> str:
        """What makes the features where the encoder is: "numba", "triton", or "reference", which is plain torch."""
        runs = (forced() or default(home(self).type)) if self.compiled else "reference"
        return "reference" if runs == "triton" and self.dtype == torch.float64 else runs
