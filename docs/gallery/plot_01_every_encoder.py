"""
One map per encoder
===================

Before anything is trained, a position encoder already has an opinion about which places are alike: the cosine of their
features. These maps show it for every encoder of locenc, from one place. Whatever a network learns behind the encoder
starts from here: it generalises to what is yellow, and has to work to tell it apart.
"""

import numpy as np
import torch

import locenc

PARIS = (2.35, 48.86)
# The defaults resolve tens of kilometres, too fine for a map of the globe: here the finest wave has 2,000 km.
OPTIONS = {"nerf": {"num_scales": 5}, "spherical-harmonics": {"num_degrees": 20}}
OPTIONS |= {
    name: {"num_scales": 8, "finest_km": 2000}
    for name in locenc.list_encoders()
    if "2vec" in name
}

torch.manual_seed(0)  # some begin with random numbers
encoders = {
    name: locenc.position_encoder(name, **OPTIONS.get(name, {})).eval()
    for name in locenc.list_encoders()
}
figure = locenc.maps.similarity(
    {
        f"{name}: {encoder.out_dim:,} features": encoder
        for name, encoder in encoders.items()
    },
    PARIS,
    name="Paris",
    over="globe",
    pixels=240,
)

# %%
# Stripes along the parallel and the meridian: these encoders treat longitude and latitude one by one, so a place on
# the same parallel stays alike however far it is. Round spots: these know nothing but the great-circle distance (xyz,
# rbf, spherical harmonics). A wedge: ``direct`` hands over plain longitude and latitude, whose cosine is an angle about
# (0°, 0°). Cells: ``tile`` starts from random numbers for each cell, which training replaces. ``spherical-voronoi``
# starts with all places alike, and learns its cells.
#
# How many features an encoder has says little about how fine it is. The cosine to a place so far to the east:

kilometres = np.array([1, 10, 100, 1000])
east = PARIS[0] + kilometres / (locenc.coords.KM_PER_DEGREE * np.cos(np.deg2rad(PARIS[1])))
places = np.stack([np.append(PARIS[0], east), np.full(5, PARIS[1])], 1)

print(f"{'':20s}" + "".join(f"{km:8,d} km" for km in kilometres))
for name, encoder in encoders.items():
    features = locenc.embed(places, encoder)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    print(
        f"{name:20s}" + "".join(f"{cosine:11.3f}" for cosine in features[1:] @ features[0])
    )
