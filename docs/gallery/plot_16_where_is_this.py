"""
Where on Earth is this?
=======================

Contrastive pre-training puts images and places into one space. So it answers the question of geolocation, too: the
places whose embedding is closest to that of an image. Here with the parts by themselves: ``DualEncoder``, ``Objective``
and a loop of ten lines, on 5,000 patches of NASA's Blue Marble.
"""

import tempfile

import numpy as np
import torch
from torch.nn.functional import normalize

import locenc
from locenc_csp import DualEncoder, Objective, geolocate, within_km
from locenc_csp.datasets.bluemarble import build
from locenc_csp.random_conv import RandomConvFeatures

torch.manual_seed(0)
data = build(tempfile.mkdtemp(), num_points=5000)
patches = torch.tensor(data.patches)
network = RandomConvFeatures.fit(
    data.patches, num_filters=48
)  # filters cut out of the patches
images = torch.cat([network(part) for part in patches.split(500)])
images = (images - images.mean(0)) / images.std(0)
lonlat = torch.from_numpy(data.table.lonlat)

encoder = locenc.Sphere2Vec("sphereC+", dim=64, num_scales=8, finest_km=2500, seamless=True)
layers = torch.nn.Linear(96, 256), torch.nn.GELU(), torch.nn.Linear(256, 64)
model = DualEncoder(encoder, torch.nn.Sequential(*layers))
objective = Objective("NCE-B", temperature=0.1)
optimizer = torch.optim.AdamW(model.parameters())
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=400)
for _ in range(400):
    rows = torch.randint(4000, (256,))
    loss, _ = objective(*model(lonlat[rows], images[rows]))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
model.eval()

# %%
# The last 1,000 patches were not trained on. Each is looked for among the 1,000 places:

places = lonlat[4000:]
with torch.no_grad():
    by_image, by_place = model.embed_image(images[4000:]), model.embed_location(places)
found = places[geolocate(by_image, by_place)]
for km in (750, 2500):
    share, chance = (
        within_km(guess, places, km=(km,))[km] for guess in (found, places.flip(0))
    )
    print(f"within {km:,d} km: {share:.0%}, another place than its own: {chance:.0%}")

# %%
# Maps of the cosine between four of these patches and all places; the star is where the patch was taken. A desert is
# told from a forest at once, one desert from another hardly. (The titles are the land cover at the star: the model has
# seen no label.)

cover = data.table.columns["land_cover"][4000:]
wanted = ("evergreen broadleaf forest", "barren", "savanna", "mixed forest")
shown = {name: int((cover == name).argmax()) for name in wanted}  # the first patch of each


def cosine(query, places):
    """Of all places to one image."""
    embedding = locenc.embed(places, encoder)
    return embedding @ query / np.linalg.norm(embedding, axis=1)


queries = normalize(by_image).numpy()
figure = locenc.maps.values(
    {
        name: lambda places, row=row: cosine(queries[row], places)
        for name, row in shown.items()
    },
    label="cosine of image and place",
    title="Where was this patch taken?",
    cmap="cividis",
    bounds=(-180, -60, 180, 85),
    pixels=400,
)
for axes, row in zip(figure.axes, shown.values(), strict=False):
    axes.inset_axes((0, 0.02, 0.25, 0.46), xticks=[], yticks=[]).imshow(
        data.patches[4000 + row]
    )
    x, y = locenc.coords.equal_earth(lonlat[4000 + row]).tolist()
    axes.plot(x, y, "*", markersize=13, color="#d4006a", markeredgecolor="white", zorder=9)
