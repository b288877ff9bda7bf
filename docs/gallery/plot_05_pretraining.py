"""
Contrastive pre-training, before and after
==========================================

4,000 patches of NASA's Blue Marble, 200 km wide, and their coordinates; no label. Pre-training asks the encoder to tell
which patch was taken where, so places whose patches look alike have to come together. The same steps, at full size, are
``locenc-csp demo``.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from matplotlib import pyplot as plt

import locenc
from locenc_csp import Encoder, Pretrain, Schedule, pretrain
from locenc_csp.datasets.bluemarble import build
from locenc_csp.datasets.sources import KOEPPEN, KOEPPEN_ZONES, read_image
from locenc_csp.extracting import build_features
from locenc_csp.recipes import Features

folder = Path(tempfile.mkdtemp())
patches = build(folder / "patches", num_points=4000)
features = build_features(Features(data=folder / "patches", num_filters=48))

recipe = Pretrain(
    folder / "patches" / "table.parquet",
    features,
    out=folder / "run",
    objective="NCE-B",
    encoder=Encoder("wrap", dim=128),
    image_components=64,
    validation_pairs=500,
    device="cpu",
    schedule=Schedule(epochs=20),
)
after = locenc.from_pretrained(pretrain(recipe, progress=False))
torch.manual_seed(recipe.schedule.seed)
before = locenc.Wrap(dim=128).eval()  # with the weights that pre-training started from

# %%
# 500 patches are held out. How often the right one of their places is among the ten best guesses (chance: 2 %):

metrics = map(json.loads, (recipe.out / "metrics.jsonl").read_text().splitlines())
for line in [line for line in metrics if "validation_recall_at_10" in line][::5]:
    print(f"epoch {line['epoch']:2d}: {line['validation_recall_at_10']:.1%}")

# %%
# What the patches look like: nothing but colour and texture says where they are.

figure, panels = plt.subplots(2, 8, figsize=(9, 2.7), layout="constrained")
for panel, patch, (lon, lat) in zip(
    panels.flat, patches.patches, patches.table.lonlat, strict=False
):
    panel.imshow(patch)
    panel.set_title(
        f"{abs(lat):.0f}°{'N' if lat > 0 else 'S'} {abs(lon):.0f}°{'E' if lon > 0 else 'W'}",
        fontsize=8,
    )
    panel.axis("off")
plt.show()

# %%
# And what the encoder makes of the globe, before and after. Colours are principal components, clusters are k-means. No
# climate was shown to it, yet the clusters now agree better with the Köppen zones: the mutual information below each
# map.

zones = read_image(KOEPPEN).astype(np.int16)
zones[zones == KOEPPEN_ZONES.index("Ocean") + 1] = -1  # no class
# sphinx_gallery_thumbnail_number = 2
figure = locenc.maps.plot(
    before,
    after,
    titles=["untrained", "pre-trained on images"],
    resolution=2.5,
    num_clusters=10,
    reference=lambda lonlat: locenc.data.sample_raster(zones, lonlat),
    reference_name="Köppen zones",
)
