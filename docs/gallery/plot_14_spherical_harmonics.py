"""
What the degrees of spherical harmonics resolve
===============================================

Harmonics of degree l have waves of about 40,000 km / l, in all directions and everywhere on the globe: no seam, no
pole. Here linear regression draws the land with those of the first few degrees, and with more and more.
"""

import numpy as np
import torch

import locenc
from locenc_csp.negatives import sphere

generator = torch.Generator().manual_seed(0)
places = sphere()(torch.zeros(1, 2), 16_000, generator)  # uniform by area
land = locenc.data.sample_raster(locenc.data.land_mask(), places).astype(float)
fit, test = slice(0, 12_000), slice(12_000, None)

maps = {}
for degrees in (3, 6, 12, 24):
    encoder = locenc.position_encoder("spherical-harmonics", num_degrees=degrees)
    features = locenc.embed(places, encoder).astype(np.float64)
    weights = np.linalg.lstsq(features[fit], land[fit])[0]
    right = np.mean((features[test] @ weights > 0.5) == (land[test] > 0.5))
    print(f"{degrees:2d} degrees: land or sea right at {right:.1%} of 4,000 other places")
    name = f"{degrees} degrees, {degrees**2} features: waves of {40_000 / (degrees - 1):,.0f} km"
    maps[name] = lambda lonlat, encoder=encoder, weights=weights: (
        locenc.embed(lonlat, encoder) @ weights
    )

figure = locenc.maps.values(
    maps,
    label="land (1) or sea (0)",
    limits=(0, 1),
    over="globe",
    pixels=400,
    title="Land, drawn by spherical harmonics",
)
