"""
A scikit-learn pipeline, and the optimism of random folds
=========================================================

``LocationTransformer`` makes any encoder the first step of a pipeline. Cross-validation then has a trap: with folds
drawn at random each test place has labelled neighbours, and the score promises what the model cannot do in a region
without labels. Folds of whole blocks tell. Who chooses by random folds takes 24 degrees of spherical harmonics here;
where the map has to be filled in, 6 are better.
"""

import numpy as np
from matplotlib import pyplot as plt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

import locenc
from locenc_csp.datasets.land import land_places
from locenc_csp.datasets.sources import KOEPPEN_ZONES
from locenc_csp.datasets.splits import equal_area_blocks

lonlat, _, zone = land_places(2500, seed=0)
# A tropical, B dry, C temperate, D snow, E polar
climate = np.array([name[0] for name in KOEPPEN_ZONES])[zone - 1]
blocks = equal_area_blocks(lonlat)  # of about 10 by 10 degrees

harmonics = {
    f"spherical harmonics, {degrees} degrees": {"num_degrees": degrees}
    for degrees in (3, 6, 12, 24)
}
models = {
    name: make_pipeline(
        locenc.LocationTransformer("spherical-harmonics", options=options),
        LogisticRegression(max_iter=2000),
    )
    for name, options in harmonics.items()
}
fine = locenc.LocationTransformer(
    "sphere2vec-sphereC+", options={"num_scales": 16, "finest_km": 500}
)
models["sphere2vec-sphereC+, 500 km"] = make_pipeline(
    fine, LogisticRegression(max_iter=2000)
)
models["nearest place (xyz)"] = make_pipeline(
    locenc.LocationTransformer("xyz"), KNeighborsClassifier(1)
)

random = KFold(5, shuffle=True, random_state=0)
whole = GroupKFold(5, shuffle=True, random_state=0)
figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
for row, (name, model) in enumerate(models.items()):
    at_random = cross_val_score(model, lonlat, climate, cv=random)
    by_block = cross_val_score(model, lonlat, climate, cv=whole, groups=blocks)
    print(f"{name:32s} random {at_random.mean():.1%}, blocks {by_block.mean():.1%}")
    axes.plot([by_block.mean(), at_random.mean()], [row, row], color="0.6", zorder=0)
    axes.errorbar(at_random.mean(), row, xerr=at_random.std(), fmt="o", color="#c2540a")
    axes.errorbar(by_block.mean(), row, xerr=by_block.std(), fmt="s", color="#0b5fa5")
axes.set_yticks(range(len(models)), models)
axes.invert_yaxis()
axes.plot([], [], "o", color="#c2540a", label="random folds")
axes.plot([], [], "s", color="#0b5fa5", label="folds of whole blocks")
axes.legend(loc="lower left")
axes.set(
    xlabel="share of right answers, mean and standard deviation of 5 folds",
    title="The finer the encoder, the more random folds flatter it",
)
plt.show()
