"""Reading checkpoint files of other projects: nothing in them is run, and none may fill the memory."""

import pickle
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from locenc.compat._rehearsal import ForeignError, rehearse

#: Largest checkpoint that is read unless told otherwise: 4 GiB when unpacked.
MAX_BYTES = 4 << 30

_SCALAR: Any = np.float64().__reduce__()[0]


def _check_kind(dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "biufU":
        raise pickle.UnpicklingError(f"NumPy values of dtype {dtype}")


def _scalar(dtype: np.dtype[Any], data: bytes) -> Any:
    _check_kind(dtype)
    return _SCALAR(dtype, data)


class _Array(np.ndarray[Any, np.dtype[Any]]):
    """Stands for NumPy's own array in a file: what is made is empty, and what fills it is plain numbers or text."""

    def __new__(cls, *_: Any) -> "_Array":
        return super().__new__(cls, (0,), np.uint8)

    def __setstate__(self, state: Any) -> None:
        _check_kind(state[2])
        super().__setstate__(state)


def _array(*_: Any) -> _Array:
    return _Array()


def _no_bytes() -> bytes:
    return b""


# Values of NumPy stand among the settings of some checkpoints; its functions have had two addresses.
_ALLOWED: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    *((_scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    *((_array, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
    (_Array, "numpy.ndarray"),
    (_no_bytes, "builtins.bytes"),  # the content of an empty array
    np.dtype,
    *{type(np.dtype(code)) for code in "?" + np.typecodes["AllInteger"] + np.typecodes["Float"] + "U"},
]
_ALLOWED_NAMES = {one[1] if isinstance(one, tuple) else f"{one.__module__}.{one.__qualname__}" for one in _ALLOWED}


def read_pickle(path: str | Path, *, max_bytes: int = MAX_BYTES) -> Any:
    """Read a file that ``torch.save`` wrote, on the CPU, without running code from it.

    Tensors, plain Python values and NumPy's numbers, texts and arrays of them are read.

    Parameters
    ----------
    path : str or Path
        Such as ``model.pth.tar``, ``model.pt`` or ``model.ckpt``.
    max_bytes : int
        Largest size of the unpacked file, and of its tensors.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no such file, or a folder.
    ValueError
        If the file is damaged, of another kind, larger than ``max_bytes`` when unpacked, or holds objects other than
        those above.
    """
    path = Path(path)
    _check_archive(path, max_bytes)
    try:
        size = rehearse(path, _ALLOWED_NAMES)
        if size <= max_bytes:
            with torch.serialization.safe_globals(_ALLOWED):
                return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged archive or pickle fails in many ways
        raise ValueError(_reason(path, error)) from error
    raise ValueError(_too_large(path, size, max_bytes))


def room(path: Path) -> int:
    """Largest size of a file of one's own, whose networks may be of any size: `MAX_BYTES`, or four times the file."""
    return max(MAX_BYTES, 4 * path.stat().st_size)


def read_safetensors(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a ``.safetensors`` file, on the CPU.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no such file, or a folder.
    ValueError
        If the file is damaged or of another kind.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(path)
    _check_file(path)
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file or is damaged ({error}); download it again") from error


def check_stored(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Refuse tensors that are sparse, quantised or without numbers.

    Raises
    ------
    ValueError
        Naming the file and the tensor.
    """
    for key, value in tensors.items():
        if value.layout is not torch.strided or value.is_meta or value.is_quantized:
            raise ValueError(f"{path}: {key} is a sparse or quantised tensor, or has no numbers; plain ones are needed")


def check_floating(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Refuse weights that are no floating-point numbers.

    Raises
    ------
    ValueError
        Naming the file and the tensor.
    """
    for key, value in tensors.items():
        if not value.is_floating_point():
            raise ValueError(f"{path}: weights must be floating-point numbers, not {value.dtype}, which {key} has")


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: name the file of weights in it")
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: download the weights first, and pass their path")


def _check_archive(path: Path, max_bytes: int) -> None:
    _check_file(path)
    with open(path, "rb") as file:
        start = file.read(16)
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError, struct.error) as error:
        if start.startswith(b"PK"):
            raise ValueError(f"{path} is damaged or cut short ({error}); download it again") from error
        if start.startswith(b"\x80"):
            raise ValueError(
                f"{path} is a bare pickle, which PyTorch wrote before version 1.6; its size when unpacked cannot be "
                "known beforehand. If you trust it, convert it once: "
                "torch.save(torch.load(path, weights_only=True, map_location='cpu'), new_path)"
            ) from error
        raise ValueError(
            f"{path} was not written by torch.save (it begins with {start!r}): a web page or a pointer to a large "
            "file may have been saved in its place; download it again"
        ) from error
    if size > max_bytes:
        raise ValueError(_too_large(path, size, max_bytes))
    if start[:4] != b"PK\x03\x04" or size > path.stat().st_size:
        raise ValueError(
            f"{path} was not written by torch.save: it begins with something else, or is compressed and unpacks to "
            f"{size:,} bytes; download it again"
        )


def _too_large(path: Path, size: int, max_bytes: int) -> str:
    return (
        f"{path} unpacks to {size:,} bytes, more than the {max_bytes:,} that are allowed; weights of a location "
        "encoder are far smaller. If you trust it, load it with torch.load and save the weights alone"
    )


def _reason(path: Path, error: Exception) -> str:
    """Tell code in a file, which is refused, from damage."""
    if isinstance(error, ForeignError):
        return (
            f"{path} holds more than weights and plain values: {', '.join(error.args)}. Loading that can run any "
            "code, so it is refused. If you trust the file, load it once with torch.load(path, weights_only=False), "
            "keep what is needed (usually checkpoint['state_dict'] and plain settings) and torch.save that"
        )
    _, unpickler, problem = str(error).partition("WeightsUnpickler error: ")
    if unpickler:
        return (
            f"{path} holds content that is not supported ({problem.strip().splitlines()[0]}): weights, plain Python "
            "values and numbers of NumPy are; or it is damaged"
        )
    return (
        f"{path} is damaged ({str(error).splitlines()[0] if str(error) else type(error).__name__}); download it again"
    )
