"""A small made-up data set: features that depend on the place, labels that depend on both."""

from pathlib import Path

import numpy as np
import pytest

from locenc_csp.datasets.table import PlaceTable
from locenc_csp.datasets.table_files import write_table

NUM_PLACES, NUM_FEATURES, NUM_CLASSES = 240, 12, 3


class Small:
    """Paths of the set, and its table."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        lonlat = np.stack(
            [rng.uniform(-180, 180, NUM_PLACES), np.rad2deg(np.arcsin(rng.uniform(-1, 1, NUM_PLACES)))], axis=1
        )
        waves = np.deg2rad(lonlat) @ rng.normal(size=(2, NUM_FEATURES))
        features = np.sin(waves) + 0.1 * rng.normal(size=waves.shape)
        codes = np.digitize(np.sin(np.deg2rad(lonlat[:, 0])) + np.sin(np.deg2rad(lonlat[:, 1])), [-0.5, 0.5])
        ids = np.array([f"place-{i:03d}" for i in range(NUM_PLACES)])
        roles = np.array(["train", "train", "train", "val", "pool", "test"])[np.arange(NUM_PLACES) % 6]
        lonlat[5] = np.nan  # a test row without a location
        columns = {"label": np.array(["dry", "green", "icy"])[codes], "split": roles}
        self.folder, self.table_path, self.features = folder, folder / "table.parquet", folder / "features"
        self.table = PlaceTable(ids, lonlat, columns)
        write_table(self.table, self.table_path)
        self.write_features(self.features, features, ids)

    @staticmethod
    def write_features(folder: Path, values: np.ndarray, ids: np.ndarray) -> None:
        folder.mkdir(exist_ok=True)
        np.save(folder / "features.npy", values.astype(np.float32))
        np.save(folder / "ids.npy", ids)
        (folder / "meta.json").write_text('{"made": "for a test"}')


@pytest.fixture
def small(tmp_path: Path) -> Small:
    return Small(tmp_path)
