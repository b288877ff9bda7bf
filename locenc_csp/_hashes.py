"""Hashes of files, as results hold them."""

import hashlib
from pathlib import Path


def file_hash(path: Path) -> str:
    """First 16 hexadecimal digits of the sha256 of a file, read block by block.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
