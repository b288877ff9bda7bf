"""A world map of an embedding as one HTML file that needs nothing else: no server, no network."""

import base64
import hashlib
import json
import re
from html import escape
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from locenc._extras import require
from locenc._files import as_path, write_text
from locenc._names import check_count, check_text
from locenc.data import coastline
from locenc.maps.canvas import SEA
from locenc.maps.land import SOUTH, LandGrid, embed_land, land_grid
from locenc.maps.packing import Deviation, Packed, deviation, pack
from locenc.maps.page import CHANNELS, PALETTE, REST
from locenc.maps.patterns import area_by_code, clusters, principal_channels, turn_channels

SCRIPTS = ("projection.js", "cells.js", "map.js", "page.js", "input.js")
COAST_UNIT = 180  # coordinates of the coast are whole parts of a degree: ±180 fits into 16 bits
MOST_COMPONENTS = 1024


class _View(NamedTuple):
    """What the page holds of an encoder, beside its cells."""

    dim: int
    channels: NDArray[np.float64]
    shares: NDArray[np.float64]
    labels: NDArray[np.int64]
    packed: Packed
    deviation: Deviation


def html(
    encoder: nn.Module,
    path: str | PathLike[str],
    *,
    resolution: float = 1.0,
    num_clusters: int = 12,
    title: str | None = None,
    components: int = 32,
    land_only: bool = True,
    seed: int = 0,
) -> Path:
    """Write a world map of an embedding that answers to the mouse: one HTML file without any need of a network.

    The map pans and zooms. It shows the principal components of the embedding as colours, its clusters (both as in
    `locenc.maps.plot`), or the cosine similarity of every cell to a place that is clicked. Pointing at a place shows
    its longitude, latitude, cluster and similarity. It works by mouse, touch and keyboard.

    Similarities are computed in the browser from the first components as 16-bit integers: with the mean left in, the
    cosine of i and j is the product of their components, but for what the components left out hold. How much variance
    they keep, and by how much cosines are off at most, is measured and stands on the page. An encoder with many fine
    scales needs more than 32 of them.

    Parameters
    ----------
    encoder : Module
        Maps (N, 2) float64 (longitude, latitude) in degrees to (N, d). It runs in eval mode on its own device and is
        left as it was.
    path : str or path
        The file to write; missing folders are made. A file that is there is replaced once the new one is whole.
    resolution : float
        Side of a grid cell in degrees, from 0.25 to 10; it must divide 180.
    num_clusters : int
        From 2 to 16, the number of colours.
    title : str, optional
        Heading of the page; the encoder's class by default.
    components : int
        How many components the page holds, d if that is less. Each takes 2.7 bytes for a cell: 1.3 MB in all for 32
        and 15,000 cells of land of 1 degree.
    land_only : bool
        Land without Antarctica; False: the whole globe, 64,800 cells of 1 degree, 5.9 MB.
    seed : int
        Of k-means. Equal arguments give equal bytes.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ImportError
        If matplotlib, pillow or scikit-learn is missing.
    TypeError
        If the encoder is no module, or the title no text.
    ValueError
        For a resolution or a number out of range, or an encoder's output that is not (N, d) or not finite.
    OSError
        If the file cannot be written; one that was there is untouched.

    Examples
    --------
    >>> import locenc, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> page = locenc.maps.html(locenc.Wrap(dim=8), folder.name + "/wrap.html", resolution=10)
    >>> page.stat().st_size < 100_000
    True
    >>> folder.cleanup()
    """
    path = as_path(path)
    if not isinstance(encoder, nn.Module):
        raise TypeError(f"encoder must be a torch module, got {type(encoder).__name__}")
    title = type(encoder).__name__ if title is None else check_text("title", title)
    num_clusters = check_count("num_clusters", num_clusters, least=2, most=len(PALETTE))
    components = check_count("components", components, most=MOST_COMPONENTS)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give the name of a file, such as {path / 'map.html'}")
    grid = land_grid(resolution, sea=not land_only)
    view = _view(encoder, grid, num_clusters, components, seed)
    write_text(path, _page(title, type(encoder).__name__, grid, view, num_clusters, land_only))
    return path


def _view(encoder: nn.Module, grid: LandGrid, num_clusters: int, components: int, seed: int) -> _View:
    with tqdm(total=4, unit="step", disable=None, leave=False) as bar:
        bar.set_description("embedding")
        embedding = embed_land(encoder, grid)
        bar.update()
        bar.set_description("components")
        with require("threadpoolctl", extra="geo").threadpool_limits(1):
            channels, shares = principal_channels(embedding, grid.area)
        channels = turn_channels(channels, grid.lonlat[:, 1], grid.area)
        packed = pack(embedding, grid.area, components)
        bar.update()
        bar.set_description("clusters")
        labels = clusters(embedding, grid.area, num_clusters, seed)
        bar.update()
        bar.set_description("errors")
        error = deviation(embedding, packed, grid.area)
        bar.update()
    return _View(embedding.shape[1], channels, shares, labels, packed, error)


def _page(title: str, name: str, grid: LandGrid, view: _View, num_clusters: int, land_only: bool) -> str:
    """The parts of the page, joined; its policy lets the browser run and load nothing but them."""
    style = _part("map.css")
    script = "\n".join(_part(name) for name in SCRIPTS)
    kind = "land cells" if land_only else "cells"
    parts = {
        "policy": f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "base-uri 'none'; form-action 'none'",
        "title": escape(title),
        "subtitle": escape(f"{name}, {view.dim} dimensions, {len(grid.area):,} {kind} of {grid.resolution:g}°"),
        "notes": "\n".join(f"  <p>{escape(note)}</p>" for note in _notes(grid, view, land_only)),
        "style": style,
        "data": json.dumps(_data(grid, view, num_clusters, land_only), separators=(",", ":")).replace("<", "\\u003c"),
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda name: parts[name[1]], _part("map.html"))


def _data(grid: LandGrid, view: _View, num_clusters: int, land_only: bool) -> dict[str, Any]:
    to_hex = require("matplotlib.colors", extra="geo").to_hex
    viridis = require("matplotlib", extra="geo").colormaps["viridis"]
    coast = coastline()
    return {
        "rows": grid.land.shape[0],
        "columns": grid.land.shape[1],
        "resolution": grid.resolution,
        "mask": _packed(np.packbits(grid.land)),
        "clusters": _packed(view.labels.astype(np.uint8)),
        "clusterAreas": area_by_code(view.labels, grid.area, num_clusters).round(6).tolist(),
        "palette": PALETTE[:num_clusters],
        "channels": _packed(np.rint(255 * (0.05 + 0.9 * view.channels)).astype(np.uint8)),
        "channelColours": [*CHANNELS.values(), REST],
        "shares": view.shares.round(6).tolist(),
        "components": _packed(view.packed.values),
        "step": view.packed.step,
        "scale": [to_hex(viridis(share)) for share in np.linspace(0, 1, 33)],
        "sea": SEA,
        "coast": _packed(np.rint(COAST_UNIT * np.concatenate(coast)).astype(np.int16)),
        "coastLengths": [len(ring) for ring in coast],
        "coastUnit": COAST_UNIT,
        "where": "the land" if land_only else "the globe",
        "elsewhere": "no land cell",
    }


def _notes(grid: LandGrid, view: _View, land_only: bool) -> list[str]:
    packed, error = view.packed, view.deviation
    count, width = packed.values.shape
    most = np.ceil(error.largest * 1000 + 0.01) / 1000
    compared = "all cells" if error.rows == count else f"{error.rows:,} of them with all"
    where = (
        f"land cells of {grid.resolution:g}° north of {-SOUTH:g}° S" if land_only else f"cells of {grid.resolution:g}°"
    )
    cover = "Land: MODIS land cover MCD12C1 v006, 2019 (Friedl & Sulla-Menashe; NASA LP DAAC). " if land_only else ""
    return [
        f"Embeddings of the centres of {count:,} {where}, scaled to length one; statistics weigh cells by area. "
        "Clusters: k-means, numbered by area.",
        f"Cosines come from {width} principal components (of the second moment, so that the mean counts) as 16-bit "
        f"integers, which keep {packed.kept:.1%} of the variance. Against all {view.dim} dimensions they are off by at "
        f"most {most:.3f}, typically by {error.typical:.3f} (root mean square), between different cells; {compared} "
        "were compared.",
        f"Equal Earth projection. {cover}Coastline: Natural Earth. Made by locenc.",
    ]


def _part(name: str) -> str:
    return (files("locenc.maps") / "web" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _packed(array: NDArray[Any]) -> str:
    """Base64 of little-endian numbers."""
    return base64.b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode()
