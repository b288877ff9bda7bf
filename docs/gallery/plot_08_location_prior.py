"""
A location prior for an image classifier
========================================

Two places can look alike and lie far apart. A classifier that sees the colours of satellite patches is asked for the
climate zone; P(zone | location), learned from the same labels, is multiplied onto its answers. Most answers that turn
become right, and some become wrong.

Köppen's zones: A tropical, B dry (BS steppe, BW desert), C temperate, D with snow in winter, ET tundra; the second
letter of A, C and D says when it is dry: f never, s in summer, w in winter, m for a short time.
"""

import tempfile

import numpy as np
import torch
from matplotlib import pyplot as plt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import locenc
from locenc_csp import choose_weights, linear_probe, multiply_prior, scores
from locenc_csp.datasets.bluemarble import build

data = build(tempfile.mkdtemp(), num_points=4000)
colours = data.patches.reshape(4000, -1, 3).astype(float)
colours = np.concatenate([colours.mean(1), colours.std(1)], 1)
zones, zone = np.unique(
    [name[:2] for name in data.table.columns["koppen"]], return_inverse=True
)
train, val, test = np.split(np.arange(4000), [1000, 1500])  # 1,000 labels

# %%
# Both branches are fitted on the same 1,000 places: one sees the colours, the other the coordinates.

classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(
    colours[train], zone[train]
)
by_image = classifier.predict_proba(colours)

encoder = locenc.position_encoder(
    "sphere2vec-sphereC+", num_scales=10, finest_km=2000, seamless=True
)
embedding = locenc.embed(data.table.lonlat, encoder)
head = linear_probe(embedding[train], zone[train], len(zones), penalty=0.01)
with torch.no_grad():
    by_place = head.probabilities(torch.from_numpy(embedding)).numpy()

weights = choose_weights(by_image[val], by_place[val], zone[val])
both = multiply_prior(by_image, by_place, **weights._asdict())
print(weights)
for name, probabilities in {
    "image": by_image,
    "location": by_place,
    "image x location": both,
}.items():
    print(f"{name:17s} top-1 {scores(probabilities[test], zone[test]).top1:.1%}")

# %%
# The location alone is strong here, since labels lie all around each test place. The answers that turned, of 2,500:

before, after = by_image.argmax(1), both.argmax(1)
right = test[(before[test] != zone[test]) & (after[test] == zone[test])]
wrong = test[(before[test] == zone[test]) & (after[test] != zone[test])]
print(f"{len(right)} answers turned right, {len(wrong)} turned wrong")

figure, panels = plt.subplots(2, 6, figsize=(10, 4.6), layout="constrained")
for panel, row in zip(panels.flat, [*right[:6], *wrong[:6]], strict=True):
    lon, lat = data.table.lonlat[row]
    panel.imshow(data.patches[row])
    panel.set_title(f"{zones[before[row]]} → {zones[after[row]]}", fontsize=11)
    place = (
        f"{abs(lat):.0f}°{'N' if lat > 0 else 'S'} {abs(lon):.0f}°{'E' if lon > 0 else 'W'}"
    )
    panel.set_xlabel(f"is {zones[zone[row]]}\n{place}", fontsize=9)
    panel.set(xticks=[], yticks=[])
panels[0, 0].set_ylabel(f"turned right: {len(right)}", fontsize=11)
panels[1, 0].set_ylabel(f"turned wrong: {len(wrong)}", fontsize=11)
figure.suptitle("What the location changes: climate zone by colours → by colours and place")
plt.show()
