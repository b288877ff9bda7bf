"""World maps of what a location encoder has learnt."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import nn
from tqdm import tqdm

from locenc._names import among, unknown
from locenc.data import land_cover, sample_raster
from locenc.maps.land import LandGrid, embed_land, land_grid
from locenc.maps.page import PALETTE, SHOWS, View, draw_on_axes, draw_page
from locenc.maps.patterns import (
    area_by_code,
    clusters,
    match_channels,
    match_clusters,
    mutual_information,
    principal_channels,
    turn_channels,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot"]


def plot(
    *encoders: nn.Module,
    titles: Sequence[str] | None = None,
    resolution: float = 1.0,
    num_clusters: int = 12,
    reference: Callable[[NDArray[np.float64]], ArrayLike] | None = None,
    reference_name: str = "land cover",
    seed: int = 0,
    show: str = "components",
    crs: Any = None,
    ax: Any = None,
) -> "Figure | Any":
    """World maps of embeddings: a row of two for each encoder, principal components and clusters.

    Embeddings are those of the centres of a grid's land cells, scaled to length one. Antarctica is left out: it is
    one class of any reference. Every statistic weighs a cell by its area, so the Arctic counts for no more than it
    covers.

    - Left, the first three principal components as red, green and blue: similar colours are similar embeddings. Each
      component is spread evenly over its colour's range, whatever its variance; the strip below shows the variance.
    - Right, k-means clusters. Below them, their normalised mutual information with a reference
      (2 I / (sum of both entropies)).

    Colours compare between rows. Clusters of the first encoder are numbered by area; a cluster of another one takes
    number and colour of the first encoder's that it shares most area with (one to one). Components of the first
    encoder are red, green and blue in order, red towards the south, green and blue towards the north; those of another
    take the colours, and the signs, by which they resemble the first encoder's most.

    Parameters
    ----------
    *encoders : Module
        Each maps (N, 2) float64 (longitude, latitude) in degrees to (N, d). They run in eval mode on their own device
        and are left as they were.
    titles : sequence of str, optional
        One for each encoder; the classes' names by default.
    resolution : float
        Side of a grid cell in degrees, from 0.25 to 10; it must divide 180.
    num_clusters : int
        From 2 to 16, the number of colours.
    reference : callable, optional
        Maps (N, 2) longitudes and latitudes in degrees (an array) to (N,) integer codes, negative where there is no
        class: such cells do not count in the mutual information. The IGBP land cover of `locenc.data` by default.
    reference_name : str
        What the reference holds, for the figure.
    seed : int
        Of k-means. Equal seeds give equal figures. On grids of more than 65,536 land cells (finer than about 0.55
        degrees) the clusters' centres are those of 16,384 cells drawn by area.
    show : {"components", "clusters"}
        Which of the two is drawn on ``ax``.
    crs : any, optional
        Projection, as ``pyproj.CRS.from_user_input`` takes it, such as ``"+proj=robin +lon_0=150"``; Equal Earth by
        default.
    ax : axes, optional
        Of matplotlib, or cartopy (in their own projection), to draw one map of one encoder on.

    Returns
    -------
    matplotlib.figure.Figure or axes
        Not registered with pyplot; ``figure.savefig("maps.png", dpi=150)`` writes it. The axes if given.

    Raises
    ------
    ImportError
        If matplotlib, pillow or scikit-learn is missing.
    TypeError
        If an encoder is no module, or the reference's codes are no integers.
    ValueError
        For no encoder, several with ``ax``, another number of titles, an unknown ``show`` or projection, a resolution
        or number of clusters out of range, an encoder's output that is not (N, d) or not finite, or codes that are not
        (N,) or all negative.

    References
    ----------
    Šavrič, Patterson & Jenny 2019, "The Equal Earth map projection".

    Examples
    --------
    >>> import locenc
    >>> figure = locenc.maps.plot(locenc.Wrap(dim=8), resolution=10)
    >>> figure.axes[1].get_title(loc="left")
    'Wrap: 12 clusters'
    """
    titles = _check(encoders, titles, num_clusters)
    if not among(show, SHOWS):
        raise ValueError(unknown("map:", show, SHOWS))
    if ax is not None and len(encoders) != 1:
        raise ValueError(f"ax takes a map of one encoder, got {len(encoders)}; without ax= a figure is made")
    grid = land_grid(resolution)
    classes = _classes(reference or _land_cover_codes, grid)
    views: list[View] = []
    with tqdm(total=3 * len(encoders), unit="step", disable=None, leave=False) as bar:
        for encoder, title in zip(encoders, titles, strict=True):
            first = views[0] if views else None
            views.append(_view(title, encoder, grid, classes, num_clusters, seed, first, bar))
    if ax is None:
        return draw_page(views, grid, reference_name, crs)
    draw_on_axes(ax, views[0], grid, show, crs)
    return ax


def _check(encoders: Sequence[Any], titles: Sequence[str] | None, num_clusters: int) -> Sequence[str]:
    if not encoders:
        raise ValueError("expected at least one encoder, got none: plot(encoder)")
    for position, encoder in enumerate(encoders):
        if not isinstance(encoder, nn.Module):
            raise TypeError(f"encoder {position} must be a torch module, got {type(encoder).__name__}")
    if not isinstance(num_clusters, int | np.integer) or not 2 <= num_clusters <= len(PALETTE):
        raise ValueError(
            f"num_clusters must lie between 2 and {len(PALETTE)}, the colours there are, got {num_clusters}"
        )
    if titles is None:
        names = [type(encoder).__name__ for encoder in encoders]
        twice = {name for name, count in Counter(names).items() if count > 1}
        return [f"{name} ({row})" if name in twice else name for row, name in enumerate(names, 1)]
    if isinstance(titles, str) or len(titles) != len(encoders):
        count = "one string" if isinstance(titles, str) else len(titles)
        raise ValueError(f"titles must hold one title per encoder: {len(encoders)} encoders, got {count}")
    return titles


def _land_cover_codes(lonlat: NDArray[np.float64]) -> NDArray[np.int64]:
    return sample_raster(land_cover(), lonlat).astype(np.int64) - 1  # water is no class


def _classes(reference: Callable[[NDArray[np.float64]], ArrayLike], grid: LandGrid) -> NDArray[np.int64]:
    codes = np.asarray(reference(grid.lonlat.copy()))
    if codes.shape != (len(grid.lonlat),):
        raise ValueError(f"reference must give one code per place, shape ({len(grid.lonlat)},), got {codes.shape}")
    if codes.dtype.kind not in "iu":
        raise TypeError(f"reference must give integer codes, negative where there is no class, got {codes.dtype}")
    if (codes.astype(np.int64) < 0).all():
        raise ValueError("reference has no class anywhere: every code is negative")
    return codes.astype(np.int64)


def _view(
    title: str,
    encoder: nn.Module,
    grid: LandGrid,
    classes: NDArray[np.int64],
    num_clusters: int,
    seed: int,
    first: View | None,
    bar: Any,
) -> View:
    with _step(bar, f"{title}: embedding"):
        embedding = embed_land(encoder, grid)
    with _step(bar, f"{title}: components"):
        channels, shares = principal_channels(embedding, grid.area)
    with _step(bar, f"{title}: clusters"):
        labels = clusters(embedding, grid.area, num_clusters, seed)
    if first is None:
        channels = turn_channels(channels, grid.lonlat[:, 1], grid.area)
    else:
        channels, order = match_channels(channels, first.channels, grid.area)
        shares = shares[order]
        labels = match_clusters(labels, first.labels, grid.area, num_clusters)
    known = classes >= 0
    agreement = mutual_information(labels[known], classes[known], grid.area[known])
    return View(title, channels, shares, labels, area_by_code(labels, grid.area, num_clusters), agreement)


@contextmanager
def _step(bar: Any, name: str) -> Iterator[None]:
    """Show what runs, and count it when it is done."""
    bar.set_description(name)
    yield
    bar.update()
