"""
Lazy embeddings with dask
=========================

A table that does not fit in memory is a dask frame of partitions. ``locenc.embed`` of it gives a dask array: nothing
runs until it is asked for, the encoder travels once to each worker, and the bytes are those of one process.
"""

import dask
import dask_geopandas
import geopandas
import numpy as np

import locenc
from locenc_csp.datasets.land import land_places

dask.config.set(scheduler="synchronous")  # one thread here; the same code runs on a cluster
lonlat = land_places(60_000, seed=0).lonlat
places = geopandas.GeoDataFrame(
    geometry=geopandas.points_from_xy(*lonlat.T), crs="EPSG:4326"
)
partitions = dask_geopandas.from_geopandas(places, npartitions=12)  # or read_parquet

encoder = locenc.position_encoder("spherical-harmonics", num_degrees=10)
vectors = locenc.embed(partitions, encoder)
print(vectors)
print(
    f"{vectors.npartitions} partitions, {len(vectors.__dask_graph__())} tasks, nothing computed"
)

# %%
# What comes after stays lazy, too: here the cosine to Nairobi. One call computes it, partition after partition; only
# the cosines are in memory as a whole.

nairobi = locenc.embed([(36.8, -1.3)], encoder)[0]
lazy = vectors @ nairobi / np.linalg.norm(nairobi) / np.sqrt((vectors**2).sum(axis=1))
cosine = lazy.compute()
same = np.array_equal(vectors.compute(), locenc.embed(places, encoder))
print(
    f"{len(cosine):,} cosines; vectors equal to those of one process, to the last bit: {same}"
)

figure = locenc.maps.points(
    places,
    values=cosine,
    label="cosine to Nairobi",
    title=f"{len(cosine):,} places in {vectors.npartitions} partitions, embedded one after the other",
    bounds="globe",
    size=2,
)
