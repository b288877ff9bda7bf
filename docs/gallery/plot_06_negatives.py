"""
Random locations on the globe
=============================

Contrastive pre-training compares each image with random places, and presence-only labels need a background. Where are
those drawn? Uniform in degrees looks right on a flat map and crowds the poles. Here each sampler draws 1,500 places,
seen from above the Arctic.
"""

import torch
from matplotlib import pyplot as plt

import locenc
from locenc_csp import negatives
from locenc_csp.datasets.land import land_places

PARIS = torch.tensor([[2.35, 48.86]], dtype=torch.float64)  # the pair's own place
lonlat, cover, _ = land_places(60_000, seed=0)
# A data set, crowded as photographs are: places in towns.
towns = lonlat[cover == locenc.data.LAND_COVER_CLASSES.index("urban")]
samplers = {
    "sphere: uniform by area": negatives.sphere(),
    "box: uniform in degrees": negatives.box(),
    "official-ellipse: published CSP runs": negatives.official_ellipse(),
    "land: uniform by area, on land": negatives.land(),
    "sphere, at least 2,000 km from Paris": negatives.at_least(2000, negatives.sphere()),
    "density: the data's own places": negatives.density(towns),
}

ARCTIC = "+proj=ortho +lat_0=65 +lon_0=10"
figure, panels = plt.subplots(2, 3, figsize=(10, 7.4), layout="constrained")
for panel, (name, sampler) in zip(panels.flat, samplers.items(), strict=True):
    drawn = sampler(PARIS, 1500, torch.Generator().manual_seed(0))
    colour = "#c2540a" if name.startswith(("box", "official")) else "#0b5fa5"
    locenc.maps.points(drawn, color=colour, size=5, crs=ARCTIC, bounds=None, ax=panel)
    panel.set_title(name, loc="left", fontsize=11)
plt.show()

# %%
# North of 60° N lie 6.7 % of the Earth's surface. The share of each sampler's places there:

for name, sampler in samplers.items():
    drawn = sampler(PARIS, 100_000, torch.Generator().manual_seed(0))
    print(f"{(drawn[:, 1] > 60).double().mean().item():6.1%}  {name}")
