"""A location encoder is a position encoder, then a network."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from locenc import first_layer, fused
from locenc._weights import write_folder
from locenc.coords import check_device, check_form, check_values
from locenc.kernels.choice import backend as use
from locenc.kernels.memory import check_out
from locenc.kernels.operator import concrete, watched
from locenc.tiled import TILE, acts_on_rows, bare, gradients, hooked, infer, undisturbed


class LocationEncoder(nn.Module):
    """(longitude, latitude) to an embedding: a position encoder, then a network.

    Parameters
    ----------
    position : Module
        Maps ``(..., 2)`` degrees to ``(..., position.out_dim)`` features; see `locenc.position_encoder`.
    network : Module
        Maps features to the embedding; has ``out_dim``.

    Attributes
    ----------
    dim : int
        Size of the embedding.
    """

    def __init__(self, position: nn.Module, network: nn.Module) -> None:
        super().__init__()
        self.position = position
        self.network = network
        for part in (position, network):
            if not hasattr(part, "out_dim"):
                raise TypeError(
                    f"{type(part).__name__} has no attribute out_dim: set it to its number of output columns"
                )
        self.dim = int(network.out_dim)  # type: ignore[arg-type]

    @property
    def config(self) -> dict[str, Any]:
        """Plain values that rebuild the encoder: position, network, dim, dtype.

        Raises
        ------
        ValueError
            If a part was not built by name; register it to save the encoder.
        """
        parts = {
            "position": getattr(self.position, "config", None),
            "network": getattr(self.network, "config", None),
        }
        for part, config in parts.items():
            if config is None:
                raise ValueError(
                    f"this encoder's {part} ({type(getattr(self, part)).__name__}) has no configuration: build it by "
                    "name (locenc.create, or network={'name': ...}), or register it with locenc.register"
                )
        dtype = str(getattr(self.position, "dtype", torch.float32)).removeprefix("torch.")
        return {**parts, "dim": self.dim, "dtype": dtype}

    def save_pretrained(self, path: str | Path) -> None:
        """Save configuration and weights; `locenc.from_pretrained` reads them.

        Parameters
        ----------
        path : str or Path
            A folder, made where missing. ``config.json`` and ``model.safetensors`` in it are replaced atomically.

        Raises
        ------
        ValueError
            If a part of the encoder was not built by name.
        OSError
            If the folder cannot be written or the disk is full; an encoder saved there before stays whole.
        """
        write_folder(path, self.config, self.state_dict())

    def forward(
        self,
        lonlat: Tensor,
        *,
        check: bool | None = None,
        backend: str | None = None,
        out: Tensor | None = None,
        **inputs: Tensor,
    ) -> Tensor:
        """Embed coordinates.

        Parameters
        ----------
        lonlat : Tensor
            ``(..., 2)`` longitude and latitude in degrees; float64 keeps their metres, whatever the network's dtype.
        check, backend
            As in the position encoder.
        out : Tensor, optional
            ``(..., dim)``, contiguous, of the embedding's dtype and device: is filled and returned. No gradients flow.
        **inputs : Tensor
            What else the position encoder takes, such as ``date``.

        Returns
        -------
        Tensor
            ``(..., dim)`` in the dtype of the network's weights, or of autocast.

        Raises
        ------
        TypeError, ValueError
            For coordinates that `locenc.coords.check_lonlat` refuses or that are on another device than the encoder,
            and an ``out`` that does not fit.

        Notes
        -----
        The features of many points never exist all at once. On the CPU they are made by tiles, and in inference so is
        all that the network does; on CUDA a chunk of them is made for the first layer, then the next one in its place.
        `locenc.networks` says what a network must promise. The last digits may depend on the batch and the number of
        threads, since matrix products round small batches otherwise; with `locenc.embed` they do not.
        """
        weight = next(self.network.parameters(), None)
        check_device(lonlat, weight, "encoder's network")
        with nullcontext() if backend is None else use(backend):
            if out is not None:
                check_form(lonlat)
                if gradients(self.position, self.network, lonlat):
                    raise ValueError("out= keeps no gradients, but weights or lonlat require them: use torch.no_grad()")
            if not inputs and (embedding := self._by_tiles(lonlat, check, out)) is not None:
                return embedding
            embed = None if inputs else self._fused(lonlat, check)
            if embed is None:
                dtype = None if weight is None else weight.dtype
                features = self.position(lonlat, dtype=dtype, check=check, **inputs)
                embedding = self.network(features)
            else:
                embedding = embed()
            if out is not None:
                check_out(out, tuple(embedding.shape), embedding.dtype, lonlat)
                return out.copy_(embedding)
        return embedding

    def _by_tiles(self, lonlat: Tensor, check: bool | None, out: Tensor | None) -> Tensor | None:
        """What `forward` gives, or None where coordinates, modules or circumstances want it otherwise."""
        position, network = self.position, self.network
        if not concrete(lonlat) or lonlat.numel() <= 2 * TILE or not undisturbed(position, network, lonlat):
            return None
        dtype = self.feature_dtype
        trains = gradients(position, network, lonlat)
        if not (first_layer.fits(position, network, lonlat, dtype) if trains else acts_on_rows(position, network)):
            return None
        points, leading = self._points(lonlat, check)
        if trains:
            return first_layer.embed(position, network, points).reshape(*leading, self.dim)
        return infer(position, network, points, dtype, leading, out)

    def _fused(self, lonlat: Tensor, check: bool | None) -> Callable[[], Tensor] | None:
        """Passes with the first layer fused; None where it cannot be, or need not."""
        position, dtype = self.position, self.feature_dtype
        if dtype is None or not fused.can(position, self.network, lonlat) or not fused.pays(position, lonlat, dtype):
            return None
        points, leading = self._points(lonlat, check)
        return fused.passes(position, self.network, points, leading, dtype)

    def _points(self, lonlat: Tensor, check: bool | None) -> tuple[Tensor, torch.Size]:
        """Checked points ``(N, 2)``, and their leading axes."""
        check_form(lonlat)
        if check is None:
            check = lonlat.is_cpu and not watched()
        if check:
            check_values(lonlat)
        points = lonlat if lonlat.dtype.is_floating_point else lonlat.to(torch.float64)
        if not watched() and points.is_inference() and not torch.is_inference_mode_enabled():
            points = points.clone()  # autograd keeps no tensors of inference mode
        return points.reshape(-1, 2), lonlat.shape[:-1]

    def passes(self, lonlat: Tensor, *, check: bool | None = None) -> Callable[[], Tensor]:
        """Prepare several passes of the same coordinates, under different dropout masks.

        Parameters
        ----------
        lonlat, check
            As in a call.

        Returns
        -------
        callable
            Without arguments; each call gives what ``encoder(lonlat)`` gives, with new masks. The features and the
            first layer are computed once, where the network says which layer that is (`locenc.networks`).
        """
        position, network = self.position, self.network
        own = type(self).forward is LocationEncoder.forward and not hooked(self)
        if not own or not first_layer.known(network) or not bare(position, network):
            return lambda: cast(Tensor, self(lonlat, check=check))
        check_device(lonlat, next(network.parameters(), None), "encoder's network")
        if (embed := self._fused(lonlat, check)) is not None:
            return embed
        if undisturbed(position, network, lonlat) and first_layer.fits(position, network, lonlat, self.feature_dtype):
            points, leading = self._points(lonlat, check)
            by_tiles = first_layer.passes(position, network, points)
            return lambda: by_tiles().reshape(*leading, self.dim)
        features = position(lonlat, dtype=self.feature_dtype, check=check)
        hidden = network.first_linear(features)  # type: ignore[operator]
        version = first_layer.noted(hidden)

        def again() -> Tensor:
            first_layer.check_unchanged(hidden, version)
            embedding: Tensor = network.after_first(hidden, lambda other: other + features)  # type: ignore[operator]
            return embedding

        return again

    @property
    def feature_dtype(self) -> torch.dtype | None:
        """Dtype of the features: that of the network's weights; if there are none, the position encoder decides."""
        weight = next(self.network.parameters(), None)
        return None if weight is None else weight.dtype
