"""What a job's folder holds: files that are whole or not, what is left over, and contents without times."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import torch
from PIL import Image
from safetensors.torch import load

TIMES = {"samples_per_second", "seconds"}
#: Lines of a page that tell times.
TIMED = "Processor time of the cells"


def final(folder: Path) -> dict[str, Path]:
    """Files under their final names, by their place in the folder; locks, which stay, are none."""
    return {str(path.relative_to(folder)): path for path in _files(folder) if not _is_temporary(path, folder)}


def left_over(folder: Path) -> dict[str, int]:
    """Temporary files and their bytes."""
    found = [path for path in _files(folder) if _is_temporary(path, folder)]
    return {str(path.relative_to(folder)): path.stat().st_size for path in found}


def broken(folder: Path) -> list[str]:
    """Files under final names that cannot be read from end to end."""
    found = []
    for name, path in final(folder).items():
        try:
            READERS.get(path.suffix, bytes)(path.read_bytes())
        except Exception as error:  # each reader has errors of its own
            found.append(f"{name}: {error!s:.200}")
    return found


def contents(folder: Path) -> dict[str, Any]:
    """Bytes of every final file; of text and JSON what they say, without times."""
    return {name: _untimed(path) for name, path in final(folder).items()}


def differences(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """Names of files that are in one of two `contents` alone, or differ."""
    return sorted(name for name in {*there, *here} if there.get(name) != here.get(name))


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock"]


def _is_temporary(path: Path, folder: Path) -> bool:
    parts = path.relative_to(folder).parts
    return any(part.startswith(".") or part.endswith((".partial", ".tmp")) for part in parts)


def _untimed(path: Path) -> Any:
    data = path.read_bytes()
    if path.suffix == ".json":
        return _without_times(json.loads(data))
    if path.suffix == ".jsonl":
        return [_without_times(json.loads(line)) for line in data.splitlines()]
    if path.suffix == ".pt":  # equal contents may be pickled in several ways
        return _plain(torch.load(io.BytesIO(data), weights_only=True))
    if path.suffix == ".md":
        return [line for line in data.decode().splitlines() if not line.startswith(TIMED)]
    return data


def _plain(value: Any) -> Any:
    """Tensors as their bytes."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.contiguous().flatten().view(torch.uint8).numpy().tobytes()
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_times(inner) for name, inner in value.items() if name not in TIMES}
    return [_without_times(inner) for inner in value] if isinstance(value, list) else value


def _read_lines(data: bytes) -> None:
    if data and not data.endswith(b"\n"):
        raise ValueError("the last line is cut short")
    for line in data.splitlines():
        json.loads(line)


def _read_text(data: bytes) -> None:
    if not data.decode().endswith("\n"):
        raise ValueError("the text is cut short")


READERS: dict[str, Callable[[bytes], Any]] = {
    ".json": json.loads,
    ".jsonl": _read_lines,
    ".md": _read_text,
    ".npy": lambda data: np.load(io.BytesIO(data)),
    ".parquet": lambda data: pyarrow.parquet.read_table(io.BytesIO(data)),
    ".png": lambda data: Image.open(io.BytesIO(data)).load(),
    ".pt": lambda data: torch.load(io.BytesIO(data), weights_only=True),
    ".safetensors": load,
}
