"""A location encoder is a position encoder, then a network."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from locenc._weights import write_folder


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

    def forward(self, lonlat: Tensor, *, check: bool | None = None, **inputs: Tensor) -> Tensor:
        """Embed coordinates.

        Parameters
        ----------
        lonlat : Tensor
            ``(..., 2)`` longitude and latitude in degrees; float64 keeps their metres, whatever the network's dtype.
        check : bool, optional
            As in the position encoder: on for CPU tensors outside compilation unless said otherwise.
        **inputs : Tensor
            What else the position encoder takes, such as ``date``.

        Returns
        -------
        Tensor
            ``(..., dim)`` in the dtype of the network's weights, or of autocast.

        Raises
        ------
        TypeError, ValueError
            For coordinates that `locenc.coords.check_lonlat` refuses.
        """
        embedding: Tensor = self.network(self.position(lonlat, dtype=self._feature_dtype(), check=check, **inputs))
        return embedding

    def _feature_dtype(self) -> torch.dtype | None:
        weight = next(self.network.parameters(), None)
        return None if weight is None else weight.dtype
