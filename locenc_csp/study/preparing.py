"""What a study needs before its first cell: the data set, its features, a folder of its own."""

from pathlib import Path

import numpy as np

from locenc_csp.recipes import Data, Features
from locenc_csp.study.cells import Workplace
from locenc_csp.study.clock import Clock
from locenc_csp.study.methods import IMAGES

EFFICIENTNET = "locenc_csp.efficientnet:efficientnet_lite0"
EFFICIENTNET_SIZE = 64  # pixels per side that the patches become


def prepare(data: Path, num_points: int, out: Path, seed: int, clock: Clock) -> Workplace:
    """Build data set and features, or find them built; take the folder of the results for this study."""
    from locenc_csp.building import build_data
    from locenc_csp.extracting import build_features
    from locenc_csp.study.identity import check_study

    with clock("data set"):
        build_data(Data(out=data, num_points=num_points))
    with clock("image features"):
        features = build_features(Features(data=data))
    place = Workplace(data / "table.parquet", out)
    check_study(out, seed=seed, table=place.table, features=features)
    return place


def country_table(table: Path, out: Path) -> tuple[Path | None, str]:
    """Write the data set's table with the country of each place, or find it written.

    Returns
    -------
    path : Path or None
        None where the package with the places' countries is missing.
    note : str
        What is missing, and how to get it.
    """
    from locenc_csp.datasets.countries import with_countries
    from locenc_csp.datasets.table_files import read_table, write_table

    path = out / "countries.parquet"
    if not path.is_file():
        try:
            write_table(with_countries(read_table(table)), path)
        except ImportError as error:
            return None, f"Countries are left out: {error}"
    return path, ""


def image_features(data: Path) -> str:
    """Compute the other kinds of image features beside the data set's, or find them computed.

    Returns
    -------
    str
        What is missing, and how to get it; empty where all is there.
    """
    from locenc_csp.extracting import build_features
    from locenc_csp.features import open_features
    from locenc_csp.writing_features import copy_features

    plain, efficientnet, both = (data / folder for folder in IMAGES)
    try:
        build_features(Features(data=data, out=efficientnet, model=EFFICIENTNET, size=EFFICIENTNET_SIZE, batch_size=32))
    except ImportError as error:
        return f"EfficientNet-lite0 is left out: {error}"
    sources = [open_features(folder) for folder in (plain, efficientnet)]
    copy_features(
        both,
        [np.hstack([source.values for source in sources])],
        ids=sources[0].ids,
        source=" ".join(source.meta["values_sha256"] for source in sources),
    )
    return ""
