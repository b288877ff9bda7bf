"""A training checkpoint of another project: its settings (``params``) and its tensors (``state_dict``)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from locenc._files import as_path, parse_json, read_settings
from locenc._names import check_count
from locenc.compat._files import check_stored, read_pickle, read_safetensors

_REQUIRED = object()
#: What parallel training and Lightning put before every key.
_WRAPPERS = ("module.", "model.")
_FLAGS: dict[bool, tuple[Any, ...]] = {
    True: (True, "T", "t", "True", "true", "1"),  # 1 and 1.0 equal True
    False: (False, "F", "f", "False", "false", "0"),
}


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds, and what the caller adds to it.

    Attributes
    ----------
    path : Path
        For messages.
    params : dict
        The settings of the training run.
    state : dict of Tensor
        The weights.
    optimizer : dict
        The optimiser's state, empty where there is none.
    anchors, extent
        As `locenc.load_torchspatial` takes them.
    """

    path: Path
    params: dict[str, Any]
    state: dict[str, Tensor]
    optimizer: Mapping[str, Any]
    anchors: Any = None
    extent: Any = None

    def setting(self, name: str, default: Any = _REQUIRED) -> Any:
        """One of ``params``; None is as good as absent.

        Raises
        ------
        ValueError
            If it is not there and has no default.
        """
        value = self.params.get(name)
        value = default if value is None else value
        if value is _REQUIRED:
            raise self.error(f"its settings have no {name!r}, which decides how the encoder is built")
        return value

    def count(self, name: str) -> int:
        """A setting that counts scales or degrees: each has at least one column, or row, in some weight."""
        value = self.setting(name)
        if (isinstance(value, str) and value.isdecimal()) or (isinstance(value, float) and value.is_integer()):
            value = int(value)
        try:
            value = check_count(name, value)
        except ValueError as error:
            raise self.error(str(error)) from error
        largest = max((size for tensor in self.state.values() for size in tensor.shape), default=0)
        if value > largest:
            raise self.error(f"its settings say {name}={value}, but no weight in it has more than {largest} columns")
        return value

    def number(self, name: str, default: Any = _REQUIRED) -> float:
        """A setting that is a number."""
        value = self.setting(name, default)
        try:
            return float(value)
        except (TypeError, ValueError) as error:
            raise self.error(f"its settings say {name}={value!r}, which is no number") from error

    def flag(self, name: str, default: bool) -> bool:
        """A setting that is true or false; command lines of these projects spell it "T" and "F"."""
        value = self.params.get(name)
        if value is None:
            return default
        for flag, spellings in _FLAGS.items():
            if isinstance(value, (str, bool, int, float, np.bool_, np.number)) and value in spellings:
                return flag
        raise self.error(f"its settings say {name}={value!r}, which is neither true nor false")

    def tensor(self, *names: str) -> Tensor:
        """The tensor under the first of these keys that is there.

        Raises
        ------
        ValueError
            If there is none.
        """
        for name in names:
            if name in self.state:
                return self.state[name]
        raise self.error(f"it has no tensor {' or '.join(map(repr, names))}; there are: {', '.join(self.state)}")

    def matrix(self, *names: str) -> Tensor:
        """As `tensor`, of two dimensions."""
        found = self.tensor(*names)
        if found.ndim != 2:
            raise self.error(f"its tensor {' or '.join(names)} should be a matrix, is {tuple(found.shape)}")
        return found

    def under(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose keys begin with a prefix, by the rest of their keys."""
        return {key.removeprefix(prefix): value for key, value in self.state.items() if key.startswith(prefix)}

    def error(self, problem: str) -> ValueError:
        """Build the error for a file that cannot become an encoder."""
        return ValueError(f"{self.path}: {problem}")


def read_checkpoint(
    path: str | Path, *, settings: str = "params", anchors: Any = None, extent: Any = None
) -> Checkpoint:
    """Read a file of ``torch.save``, or a ``.safetensors`` file with its ``.params.json`` beside it.

    Parameters
    ----------
    path : str or Path
        The file.
    settings : str
        Where its settings are.
    anchors, extent
        See `Checkpoint`.

    Raises
    ------
    FileNotFoundError
        If the file, or the settings beside it, is missing.
    ValueError
        If it is damaged, unsafe, or no training checkpoint with ``state_dict`` and ``params``.
    """
    path = as_path(path)
    if path.name.endswith(".params.json"):
        path = path.with_name(path.name.removesuffix(".params.json") + ".safetensors")
    if path.suffix == ".safetensors":
        content: Any = {"state_dict": read_safetensors(path), **_read_json(path)}
    else:
        content = read_pickle(path)
    content = content if isinstance(content, dict) else {type(content).__name__: content}
    state, params = _part(path, content, "state_dict"), _part(path, content, settings)
    optimizer = content.get("optimizer")
    if not isinstance(optimizer, Mapping):
        optimizer = {}
    tensors = {key: value for key, value in state.items() if isinstance(key, str) and isinstance(value, Tensor)}
    while prefix := next((one for one in _WRAPPERS if tensors and all(key.startswith(one) for key in tensors)), ""):
        tensors = {key.removeprefix(prefix): value for key, value in tensors.items()}
    check_stored(path, tensors)
    return Checkpoint(path, params, tensors, optimizer, anchors, extent)


def _part(path: Path, content: dict[str, Any], name: str) -> dict[str, Any]:
    part = content.get(name)
    if not isinstance(part, Mapping):
        raise ValueError(
            f"{path} has no {name!r} (it holds: {', '.join(map(str, content))}): expected a training checkpoint with "
            "weights and settings. Weights alone do not say how their encoder is built"
        )
    return dict(part)


def _read_json(weights: Path) -> dict[str, Any]:
    path = weights.with_name(weights.name.removesuffix(".safetensors") + ".params.json")
    if not path.is_file():
        raise FileNotFoundError(f"no {path}: the settings of {weights.name} are expected beside it")
    try:
        content = parse_json(read_settings(path))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error}); download it again") from error
    return content if isinstance(content, dict) else {}
