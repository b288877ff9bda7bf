"""The state of a training on disk: saved whole, refused where it is damaged or another run's."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from locenc._files import write_bytes
from locenc.compat._files import read_pickle, room
from locenc_csp.processes import Ranks

CHECKPOINT = "checkpoint.pt"


class Checkpoint:
    """The state of a run on disk, replaced atomically.

    Parameters
    ----------
    folder : Path, optional
        Where ``checkpoint.pt`` goes; nothing is saved nor loaded without it.
    parts : dict
        What has a state, by name.
    fingerprint : object
        Plain values that identify the run; a checkpoint with others is refused.
    """

    def __init__(self, folder: Path | None, parts: dict[str, Any], fingerprint: Any) -> None:
        self.path = None if folder is None else folder / CHECKPOINT
        self.parts = parts
        self.fingerprint = json.loads(json.dumps(fingerprint, default=str))
        self.saved = 0

    def save(self, step: int) -> None:
        """Write the states after so many steps."""
        if self.path is None:
            return
        states = {name: part.state_dict() for name, part in self.parts.items()}
        content = {"step": step, "fingerprint": json.dumps(self.fingerprint), **states}
        buffer = io.BytesIO()  # torch's own writer turns a full disk into an error that names no file
        torch.save(content, buffer)
        write_bytes(self.path, buffer.getvalue())
        self.saved = step

    def load(self, ranks: Ranks) -> int:
        """Continue from the first rank's file, if there is one: the number of steps done."""
        content = ranks.from_first(self._read())
        if content is None:
            return 0
        for name, part in self.parts.items():
            try:
                part.load_state_dict(content[name])
            except Exception as error:  # each part has errors of its own
                raise ValueError(
                    f"the {name} in {self.path} does not fit this run ({error or type(error).__name__}); delete it to "
                    "start over"
                ) from error
        self.saved = int(content["step"])
        return self.saved

    def _read(self) -> dict[str, Any] | None:
        if self.path is None or not self.path.exists():
            return None
        content = read_checkpoint(self.path)
        there = json.loads(content["fingerprint"])
        if (difference := first_difference(there, self.fingerprint)) is not None:
            raise ValueError(
                f"{self.path} belongs to another run: {difference}. Choose another output folder, or delete "
                f"{self.path.parent}"
            )
        return content

    def where(self) -> str:
        """Say from where the run would be continued."""
        return "the start" if self.path is None or not self.saved else f"step {self.saved} ({self.path})"


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of `fit`.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If the file is damaged or holds something else.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}: expected the {CHECKPOINT} of a pre-training run")
    try:
        content = read_pickle(path, max_bytes=room(path))
    except ValueError as error:
        raise ValueError(f"{path} is damaged or cut short ({error!s:.300}); delete it to start over") from error
    kinds = {"fingerprint": str, "model": Mapping, "step": int}
    held = content if isinstance(content, dict) else {}
    wrong = [name for name, kind in kinds.items() if not isinstance(held.get(name), kind)]
    if wrong:
        raise ValueError(
            f"{path} is no checkpoint of this trainer: it lacks {', '.join(wrong)}; delete it to start over"
        )
    return held


def first_difference(there: Mapping[str, Any], here: Mapping[str, Any], prefix: str = "") -> str | None:
    """Say how the settings of a run on disk differ from those of the present one; None where they are equal.

    A setting that is absent is one that was not given, None: runs of before an option existed go on.
    """
    for key in sorted({*there, *here}):
        old, new = there.get(key), here.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            if (inner := first_difference(old, new, f"{prefix}{key}.")) is not None:
                return inner
        elif old != new:
            return f"{prefix}{key} was {old!r}, now {new!r}"
    return None
