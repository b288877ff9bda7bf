"""Embeddings of data: coordinates in, a float32 array out, in little memory and with the same bytes every time."""

import copy
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from locenc import lazy, streaming
from locenc._devices import home, resolve
from locenc._extras import require
from locenc._names import check_count
from locenc.kernels import chunks, memory
from locenc.location_encoder import LocationEncoder
from locenc.places import is_dask, read
from locenc.position import PositionEncoder
from locenc.tiled import TILE, Encode, acts_on_rows, fill, hooked, tile, undisturbed

#: Numbers that a position encoder makes at a time unless told otherwise: what plain torch needs for them stays small.
NUMBERS = 2**23
#: Places that a location encoder embeds between two looks at the progress bar.
PLACES = 2**16
#: Tiles of a chunk on a device, unless features or embeddings of so many rows are more numbers than these.
DEVICE_TILES, DEVICE_NUMBERS = 32, 2**24
#: Larger batches hold all rows that there may be.
LARGEST_BATCH = 2**48

_lock = threading.Lock()
_in_use: dict[nn.Module, tuple[int, list[nn.Module]]] = {}


def embed(
    data: Any,
    encoder: LocationEncoder | PositionEncoder,
    *,
    lon: str | None = None,
    lat: str | None = None,
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    missing: str = "raise",
    progress: bool | None = None,
    as_frame: bool = False,
    out: NDArray[np.float32] | None = None,
) -> Any:
    """Embed places.

    Parameters
    ----------
    data : GeoDataFrame, GeoSeries, DataFrame or array_like
        Points of geopandas in any CRS, without one taken as longitude and latitude (with a warning); a table with the
        columns ``lon`` and ``lat``; or ``(N, 2)`` longitudes and latitudes in degrees, as `locenc.coords.as_lonlat`
        takes them. A frame of dask or dask-geopandas gives a lazy result of dask's, see Notes.
    encoder : LocationEncoder or PositionEncoder
        It is in evaluation mode during the call, and afterwards as before; no gradients are kept. Each place is
        embedded by itself: an encoder that mixes the rows of a batch sees batches of its own. It may be called from
        other threads, where modes of torch that watch calls do not reach.
    lon, lat : str, optional
        Columns of a table that hold longitude and latitude in degrees, EPSG:4326.
    batch_size : int, optional
        Bounds the memory: at most so many rows, rounded up to 512, are under way at a time. It never changes a byte of
        the result. Needed seldom: what is under way is small anyway, and on a device it is not asked.
    device : str or torch.device, optional
        Where to embed: by default where the encoder is. If it is elsewhere a copy of it goes there for the call.
        ``"auto"`` is CUDA where torch finds such a device, else the CPU.
    missing : {"raise", "nan"}
        Whether a missing or empty point, or NaN for a coordinate, is an error or gives a row of NaN.
    progress : bool, optional
        Whether to show a progress bar; by default on a terminal, where it takes longer than a moment.
    as_frame : bool
        Whether to return a DataFrame of pandas, columns ``embedding_0`` and so on, with the index of the data.
    out : ndarray, optional
        ``(N, dim)`` float32, C-contiguous and writable, such as a memory map: is filled and returned.

    Returns
    -------
    ndarray or DataFrame
        ``(N, dim)`` float32; the rows in the order of the data. On one machine and device a place has the same bytes
        whatever the other places, their order, the batch size and the number of threads.

    Raises
    ------
    TypeError, ValueError
        For data that `locenc.places.read` refuses (the message names the first bad row and its label), for another kind
        of encoder, for a device that is not here, and for an ``out`` that does not fit.

    Notes
    -----
    A dask frame is embedded where and when dask computes it, partition by partition; ``as_frame`` decides between a
    dask array and a dask DataFrame. The encoder is one key of the graph, so that each worker gets it once.

    Examples
    --------
    >>> embed([[30.0, 30.0], [-60.0, 45.0]], locenc.position_encoder("xyz")).round(3)
    array([[ 0.75 ,  0.433,  0.5  ],
           [ 0.354, -0.612,  0.707]], dtype=float32)
    """
    dim = embedding_dim(encoder)
    if is_dask(data):
        options: dict[str, Any] = {"lon": lon, "lat": lat, "batch_size": batch_size, "missing": missing}
        return lazy.embed(data, encoder, as_frame=as_frame, device=device, progress=progress, out=out, **options)
    batch_size = None if batch_size is None else min(check_count("batch_size", batch_size), LARGEST_BATCH)
    at = home(encoder) if device is None else resolve(device)
    places = read(data, lon=lon, lat=lat, missing=missing)
    lonlat = torch.from_numpy(np.nan_to_num(places.lonlat) if places.missing.any() else places.lonlat)
    shape = (len(lonlat), dim)
    if out is None:
        result = memory.empty(shape, torch.float32)
        out = result.numpy()
    else:
        _check_array(out, shape)
        result = torch.from_numpy(out)
    if at != home(encoder):
        encoder = copy.deepcopy(encoder).to(at)
    with _evaluating(encoder), torch.no_grad(), _bar(len(lonlat), progress) as bar:
        _fill(encoder, lonlat, result, at, batch_size, bar.update)
    out[places.missing] = np.nan
    return _framed(out, places.index) if as_frame else out


def embedding_dim(encoder: LocationEncoder | PositionEncoder) -> int:
    """Number of columns of an encoder's embedding; a TypeError says what is no encoder."""
    if not isinstance(encoder, (LocationEncoder, PositionEncoder)):
        raise TypeError(
            f"encoder must be a LocationEncoder or a PositionEncoder, got {type(encoder).__name__}; locenc.create and "
            "locenc.position_encoder make them"
        )
    return encoder.dim if isinstance(encoder, LocationEncoder) else encoder.out_dim


def embedding_columns(dim: int) -> list[str]:
    """Names of the columns of an embedding in a table."""
    return [f"embedding_{column}" for column in range(dim)]


def _framed(embedding: NDArray[np.float32], index: Any) -> Any:
    pandas = require("pandas", extra="geo")
    return pandas.DataFrame(embedding, index=index, columns=embedding_columns(embedding.shape[1]))


def _bar(total: int, progress: bool | None) -> Any:
    return tqdm(
        total=total,
        unit=" places",
        unit_scale=True,
        leave=False,
        delay=0 if progress else 1,
        disable=None if progress is None else not progress,
    )


def _fill(
    encoder: LocationEncoder | PositionEncoder,
    lonlat: Tensor,
    result: Tensor,
    at: torch.device,
    batch_size: int | None,
    done: Callable[[int], object],
) -> None:
    """Fill the rows of a result, and say how many are done."""
    if _streams(at):
        streaming.fill(_on_device(encoder), lonlat, result, at, _rows(encoder), done)
        return
    write, rows = _writer(encoder, lonlat)
    for part in chunks.slices(len(lonlat), -(-(batch_size or rows) // TILE) * TILE):
        write(lonlat[part], result[part])
        done(part.stop - part.start)


def _writer(
    encoder: LocationEncoder | PositionEncoder, lonlat: Tensor
) -> tuple[Callable[[Tensor, Tensor], object], int]:
    """What fills rows of the result, and how many at a time unless told otherwise."""
    if isinstance(encoder, PositionEncoder) and next(encoder.parameters(), None) is None:
        return partial(_write_features, encoder), max(1, NUMBERS // encoder.out_dim)
    make, threads = _by_tiles(encoder, lonlat)
    return partial(fill, make=make, padded=True, threads=threads), PLACES


def _streams(device: torch.device) -> bool:
    """Whether coordinates go to a device by chunks."""
    return device.type != "cpu"


def _on_device(encoder: LocationEncoder | PositionEncoder) -> Encode:
    """What embeds coordinates that are where the encoder is."""
    options: dict[str, Any] = {"dtype": torch.float32} if isinstance(encoder, PositionEncoder) else {}
    return partial(encoder, check=False, **options)


def _rows(encoder: LocationEncoder | PositionEncoder) -> int:
    """Rows of a chunk on a device, which the encoder alone decides: they fill it, and are no more than fit well."""
    parts: list[Any] = [encoder.position, encoder.network] if isinstance(encoder, LocationEncoder) else [encoder]
    return TILE * min(DEVICE_TILES, max(1, DEVICE_NUMBERS // (TILE * max(int(part.out_dim) for part in parts))))


def _write_features(encoder: PositionEncoder, lonlat: Tensor, out: Tensor) -> None:
    encoder(lonlat, dtype=out.dtype, check=False, out=out)


def _by_tiles(encoder: nn.Module, lonlat: Tensor) -> tuple[Callable[[], Encode], int | None]:
    """How each thread embeds a tile, and how many threads may."""
    if isinstance(encoder, LocationEncoder):
        position, network, dtype = encoder.position, encoder.network, encoder.feature_dtype
        own = type(encoder).forward is LocationEncoder.forward and not hooked(encoder)
        if own and undisturbed(position, network, lonlat) and acts_on_rows(position, network):
            return lambda: tile(position, network, dtype), None
    return lambda: partial(encoder, check=False), 1


def _forget() -> None:
    """In a forked child no thread of the parent goes on: what they had put into evaluation mode is put back."""
    global _lock
    _lock = threading.Lock()
    for _, training in _in_use.values():
        for module in training:
            module.training = True
    _in_use.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@contextmanager
def _evaluating(encoder: nn.Module) -> Iterator[None]:
    """Evaluation mode, until the last of the threads that ask for it at once has left."""
    with _lock:
        users, training = _in_use.get(encoder, (0, [module for module in encoder.modules() if module.training]))
        _in_use[encoder] = users + 1, training
        encoder.eval()
    try:
        yield
    finally:
        with _lock:
            users, training = _in_use.pop(encoder)
            if users > 1:
                _in_use[encoder] = users - 1, training
            else:
                for module in training:
                    module.training = True


def _check_array(out: Any, shape: tuple[int, int]) -> None:
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a NumPy array or memory map, got {type(out).__name__}")
    if out.dtype != np.float32:
        raise TypeError(f"out must be float32, got {out.dtype}")
    if out.shape != shape:
        raise ValueError(f"out must have the result's shape {shape}, got {out.shape}")
    if not out.flags.c_contiguous:
        raise ValueError("out must be C-contiguous; give a contiguous array and copy from it")
    if not out.flags.writeable:
        raise ValueError("out is read-only; open a memory map with mode 'r+' or 'w+'")
