"""Fixtures that every test may ask for."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "golden"


@pytest.fixture(scope="session")
def golden() -> Callable[[str], np.lib.npyio.NpzFile]:
    """Open a file of reference arrays of other projects, or skip where they are not at hand."""

    def load(name: str) -> np.lib.npyio.NpzFile:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"reference arrays not here: {path}")
        return np.load(path)

    return load
