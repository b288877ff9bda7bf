"""
With and without a seam
=======================

Fiji lies on both sides of the antimeridian. The published Sphere2Vec has frequencies that are no whole numbers of turns
round the globe, so its features jump there: the islands east of 180° look like another part of the world.
``seamless=True`` moves each frequency to a whole number of turns.
"""

import numpy as np
from matplotlib import pyplot as plt

import locenc

FIJI = (178.0, -17.8)
encoders = {
    f"seamless={seamless}": locenc.position_encoder(
        "sphere2vec-sphereC+", num_scales=8, finest_km=1500, seamless=seamless
    )
    for seamless in (False, True)
}
figure = locenc.maps.similarity(
    encoders, FIJI, name="Fiji", over="globe", crs="+proj=eqearth +lon_0=180", pixels=480
)

# %%
# Features across the line, at Fiji's latitude; of each encoder the four that jump most. As published they break off and
# start anew.

lon = np.linspace(170, 190, 401)
places = np.stack([np.where(lon > 180, lon - 360, lon), np.full(401, FIJI[1])], 1)
picture, panels = plt.subplots(1, 2, figsize=(9, 3), sharey=True, layout="constrained")
for panel, (name, encoder) in zip(panels, encoders.items(), strict=True):
    features = locenc.embed(places, encoder)
    jumps = np.abs(np.subtract(*locenc.embed([(180, FIJI[1]), (-180, FIJI[1])], encoder)))
    print(f"{name}: the largest jump of a feature at 180° is {jumps.max():.3f}")
    for side in (lon <= 180, lon > 180):
        panel.set_prop_cycle(None)
        panel.plot(lon[side], features[side][:, np.argsort(-jumps)[:4]], linewidth=1.5)
    panel.axvline(180, color="0.4", linestyle=":")
    panel.set(
        title=f"{name}: largest jump {jumps.max():.2f}", xlabel="degrees east of Greenwich"
    )
panels[0].set_ylabel("feature")
plt.show()
