"""
From a table of records to a map
================================

Records come as they come: in Web Mercator metres, a point missing, a longitude and a latitude swapped. ``embed`` takes
the GeoDataFrame as it is, refuses what cannot be a place, and names the row.
"""

import geopandas
import numpy as np
import shapely

import locenc
from locenc_csp.datasets.land import land_places

# Records in and around the Mediterranean, as a file might hold them.
lonlat, cover, _ = land_places(20_000, seed=2)
near = (np.abs(lonlat - (15, 40)) < (25, 14)).all(1)
records = geopandas.GeoDataFrame(
    {"cover": np.array(locenc.data.LAND_COVER_CLASSES)[cover[near]]},
    geometry=geopandas.points_from_xy(*lonlat[near].T),
    crs="EPSG:4326",
    index=[f"record {number}" for number in range(near.sum())],
).to_crs("EPSG:3857")
encoder = locenc.position_encoder("sphere2vec-sphereM+", num_scales=8, finest_km=3000)
print(records.head(3))
print(locenc.embed(records, encoder, as_frame=True).iloc[:3, :4])

# %%
# Now three rows are broken. The first one stops the whole call: nothing is dropped in silence.

broken = records.to_crs("EPSG:4326")
broken.loc["record 7", "geometry"] = None
broken.loc["record 11", "geometry"] = shapely.Point(41.9, 112.5)  # swapped
broken.loc["record 12", "geometry"] = shapely.Point(1_391_000, 5_146_000)  # metres
for row in ("record 7", "record 11", "record 12"):
    try:
        locenc.embed(broken, encoder)
    except ValueError as error:
        print(f"{error}\n")
    broken = broken.drop(row)
print(f"{len(locenc.embed(broken, encoder))} of {len(records)} rows are left")

# %%
# Points that are only missing may stay, as rows of NaN. The frame itself was never changed.

some_missing = records.copy()
some_missing.loc["record 7", "geometry"] = None
vectors = locenc.embed(some_missing, encoder, missing="nan")
print(f"{np.isnan(vectors).all(1).sum()} row of NaN among {len(vectors)}")

# %%
# The map, from metres, in degrees: records of similar colour have a similar embedding.

figure = locenc.maps.points(
    records, encoder, size=16, title=f"{len(records):,} records by their embedding"
)
