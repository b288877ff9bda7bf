"""
A range map from presence-only records
======================================

Records say where a species was seen, never where it is absent. Here the "species" are the classes of MODIS land cover,
so that the true range is known: from 1,000 records of all of them a head with a presence-only loss learns where each
lives, against random places on land. The map is that of evergreen broadleaf forest, the rainforest.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from matplotlib import pyplot as plt
from sklearn.metrics import roc_auc_score

import locenc
from locenc_csp import Encoder, Finetune, finetune, load_finetuned
from locenc_csp.datasets.land import land_places
from locenc_csp.datasets.table import PlaceTable
from locenc_csp.datasets.table_files import write_table

SPECIES = "evergreen broadleaf forest"
lonlat, cover, _ = land_places(6000, seed=1)
species = np.array(locenc.data.LAND_COVER_CLASSES)[cover]
role = np.repeat(["train", "val", "test"], [1000, 500, 4500])
folder = Path(tempfile.mkdtemp())
ids = [f"record-{number}" for number in range(len(lonlat))]
write_table(
    PlaceTable(ids, lonlat, {"species": species, "split": role}), folder / "records.parquet"
)

finetune(
    Finetune(
        folder / "records.parquet",
        folder / "run",
        label="species",
        head="presence",
        negatives="land",
        modes=("full",),
        encoder=Encoder(
            "sphere2vec-sphereC+",
            dim=64,
            options={"num_scales": 12, "finest_km": 1000, "seamless": True},
        ),
        steps=400,
        device="cpu",
    ),
    progress=False,
)
encoder, head, result = load_finetuned(folder / "run")

# %%
# How good is the map? The chance that it ranks a place in the range above one outside (AUC), on places that were not
# used:

test, column = role == "test", result["classes"].index(SPECIES)
with torch.no_grad():
    score = head.probabilities(encoder(torch.from_numpy(lonlat[test])))[:, column].numpy()
records = lonlat[(role == "train") & (species == SPECIES)]
auc = roc_auc_score(species[test] == SPECIES, score)
print(f"{len(records)} records of {SPECIES}; AUC {auc:.3f} on {test.sum():,} other places")

WORLD = (-180, -60, 180, 85)
figure, panels = plt.subplot_mosaic(
    "RT;LL", figsize=(9, 7.4), height_ratios=[1, 1.9], layout="constrained"
)
locenc.maps.points(records, color="#d4006a", size=8, bounds="globe", ax=panels["R"])
code = locenc.data.LAND_COVER_CLASSES.index(SPECIES)
locenc.maps.values(
    lambda places: locenc.data.sample_raster(locenc.data.land_cover(), places) == code,
    label="1: this class",
    pixels=400,
    ax=panels["T"],
)
locenc.maps.probability(
    encoder,
    head,
    label=SPECIES,
    classes=result["classes"],
    bounds=WORLD,
    pixels=700,
    ax=panels["L"],
)
panels["R"].set_title(f"{len(records)} records", loc="left")
panels["T"].set_title("MODIS land cover: the true range", loc="left")
panels["L"].set_title(f"Learned range (AUC {auc:.3f})", loc="left")
plt.show()
