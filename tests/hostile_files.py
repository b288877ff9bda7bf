"""Files that mean harm, and what reads them."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

import locenc
from locenc_csp.checkpoints import read_checkpoint
from locenc_csp.named_networks import _load_weights

#: What reads files of ``torch.save``: our own checkpoints, the user's networks, and those of other projects.
PICKLES: dict[str, Callable[[Path], Any]] = {
    "load_torchspatial": locenc.load_torchspatial,
    "load_csp": locenc.load_csp,
    "load_sphere2vec": locenc.load_sphere2vec,
    "load_sinr": locenc.load_sinr,
    "load_satclip": locenc.load_satclip,
    "load_geoclip": locenc.load_geoclip,
    "load_tte": locenc.load_tte,
    "checkpoint.pt": read_checkpoint,
    "weights of an image network": lambda path: _load_weights(nn.Linear(2, 2), path),
}


class Call:
    """Pickles into a call."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.arguments


def touch(marker: Path) -> Call:
    """Pickles into code that leaves a file."""
    return Call(exec, f"open({str(marker)!r}, 'w').close()")


def checkpoint(**more: Any) -> dict[str, Any]:
    """What all loaders find something of theirs in, so that they go on reading."""
    return {
        "state_dict": {"weight": torch.zeros(2, 2)},
        "params": {"spa_enc_type": "xyz"},
        "hyper_parameters": {"le_type": "wrap", "pe_type": "linear"},
        **{"step": 1, "fingerprint": "{}", "model": {}},
        **more,
    }


def rewritten(path: Path, edit: Callable[[bytes], bytes], **options: Any) -> Path:
    """The same archive with another pickle in it."""
    with zipfile.ZipFile(path) as source:
        content = {entry.filename: source.read(entry) for entry in source.infolist()}
    with zipfile.ZipFile(path, "w", **options) as target:
        for name, data in content.items():
            target.writestr(name, edit(data) if name.endswith("/data.pkl") else data)
    return path


def with_pickle(path: Path, pickled: bytes) -> Path:
    """An archive of ``torch.save`` around a pickle."""
    torch.save({"weight": torch.zeros(1)}, path)
    return rewritten(path, lambda _: pickled)


def nested(depth: int) -> bytes:
    """The pickle of a list in a list in a list: Python's own pickler would not get so deep."""
    return b"\x80\x02" + b"]" * depth + b"a" * (depth - 1) + b"."


def doubled(times: int, *, keys: bool = False) -> bytes:
    """The pickle of a tuple of twice the same tuple of twice the same, and so on: few bytes, 2 to so many values."""
    content: Any = ()
    for _ in range(times):
        content = (content, content)
    if not keys:
        return pickle.dumps(content, protocol=2)
    return b"\x80\x02}" + pickle.dumps(content, protocol=2)[2:-1] + b"K\x01s."


def zeros(path: Path, name: str, size: int, others: dict[str, bytes], head: bytes = b"") -> Path:
    """An archive with a file of so many zeros behind some bytes, packed to a thousandth."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for other, data in others.items():
            archive.writestr(other, data)
        with archive.open(name, "w") as file:
            file.write(head)
            for _ in range(size >> 20):
                file.write(bytes(1 << 20))
    return path
