"""What a study's folder holds, so that numbers of two studies are never mixed; and where its numbers come from."""

import json
from pathlib import Path

from locenc._files import read_json, write_text
from locenc_csp._hashes import file_hash
from locenc_csp._machine import machine
from locenc_csp.checkpoints import first_difference
from locenc_csp.finetuned import versions


def check_study(out: Path, *, seed: int, table: Path, features: Path) -> None:
    """Note seed, data and versions in a study's folder, or compare them with those that are noted there.

    Raises
    ------
    ValueError
        If the folder holds another study.
    """
    identity = {
        "seed": seed,
        "table": file_hash(table),
        "features": file_hash(features / "meta.json"),
        "versions": versions(),
    }
    path = out / "study.json"
    if not path.is_file():
        write_text(path, json.dumps(identity, indent=2) + "\n")
        return
    there = read_json(path, remedy=f"delete {out} and run again")
    if (difference := first_difference(there, identity)) is not None:
        raise ValueError(f"{out} holds another study: {difference}. Choose another --out, or delete {out}")


def environment() -> dict[str, str | int]:
    """Versions and machine, as results name them."""
    return {**versions(), **machine()}
