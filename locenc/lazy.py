"""Embeddings of dask's frames: lazy, partition by partition, on as many machines as dask has."""

import copy
import uuid
import warnings
from typing import Any

import locenc
from locenc import places
from locenc._devices import home
from locenc._extras import require

NONE = object()  # a table has no CRS at all


def embed(
    data: Any,
    encoder: Any,
    *,
    as_frame: bool = False,
    device: Any = None,
    progress: bool | None = None,
    out: Any = None,
    **options: Any,
) -> Any:
    """Embed a dask or dask-geopandas frame, when dask computes it.

    Parameters
    ----------
    data : dask_geopandas.GeoDataFrame, dask_geopandas.GeoSeries or dask.dataframe.DataFrame
        Each partition is what `locenc.embed` takes; a table needs ``lon`` and ``lat``.
    encoder : LocationEncoder or PositionEncoder
        As it is at the call: a copy of it, on the CPU and in evaluation mode, is one key of the graph, so that each
        worker gets it once.
    as_frame : bool
        Whether to return a dask DataFrame with the index of the data, instead of a dask array.
    device : str or torch.device, optional
        Each worker's own; by default the kind of device where the encoder is.
    progress, out
        Are refused.
    **options
        ``lon``, ``lat``, ``batch_size`` and ``missing`` of `locenc.embed`.

    Returns
    -------
    dask.dataframe.DataFrame or dask.array.Array
        float32, ``(N, dim)``; nothing is computed yet, so the array does not know N: ``compute_chunk_sizes()``. The
        bytes are those of `locenc.embed`, however the data are partitioned.

    Raises
    ------
    ImportError
        If dask is missing.
    TypeError, ValueError
        At once for a collection that is no frame, and for columns and options that `locenc.embed` refuses. Rows are
        checked when they are computed; the message says in which partition the row is.
    """
    if not hasattr(data, "map_partitions"):
        raise TypeError(
            f"of dask's collections locenc.embed takes dask_geopandas frames and dask DataFrames, not "
            f"{type(data).__name__}; dask.dataframe.from_dask_array(array, columns=['lon', 'lat']) makes one"
        )
    if out is not None or progress:
        raise ValueError(
            f"{'progress=True' if out is None else 'out='} does not go with a dask frame, whose embedding is lazy: "
            "dask.diagnostics.ProgressBar shows progress, and to_parquet or to_zarr of the result writes it"
        )
    delayed = require("dask", extra="dask").delayed
    no_crs = getattr(data._meta, "crs", NONE) is None and options.get("lon") is None
    if no_crs:
        warnings.warn(places.NO_CRS, stacklevel=3)
    meta = locenc.embed(data._meta, encoder, as_frame=True, **options)
    kept = delayed(copy.deepcopy(encoder).cpu().eval(), name=f"locenc-encoder-{uuid.uuid4().hex}", traverse=False)
    device = home(encoder).type if device is None else str(device)
    frame = data.map_partitions(_embed, kept, no_crs, {**options, "device": device}, meta=meta)
    return frame if as_frame else frame.to_dask_array()


def _embed(part: Any, encoder: Any, no_crs: bool, options: dict[str, Any], partition_info: Any = None) -> Any:
    """A partition's embedding, as a DataFrame of pandas."""
    try:
        return locenc.embed(part.set_crs(4326) if no_crs else part, encoder, as_frame=True, progress=False, **options)
    except (ValueError, TypeError) as error:
        where = "" if partition_info is None else f" (in partition {partition_info['number']}, where rows count from 0)"
        raise type(error)(f"{error}{where}") from error
