"""
Places like this one
====================

Which cities are like San Francisco? It depends on what the encoder has learned. Here it learns climate: 400 steps on
the Köppen zones of 20,000 places. Then two places are alike if they have, or nearly have, the same climate, and
distance no longer matters.
"""

import copy

import geopandas
import torch

import locenc
from locenc_csp import SoftmaxHead
from locenc_csp.datasets.land import land_places
from locenc_csp.datasets.sources import KOEPPEN_ZONES

torch.manual_seed(0)
lonlat, _, zone = land_places(20_000, seed=0)
lonlat, zone = torch.from_numpy(lonlat), torch.from_numpy(zone).long() - 1
encoder = locenc.Sphere2Vec(
    "sphereC+", dim=64, num_scales=12, finest_km=1000, seamless=True
)
head = SoftmaxHead(encoder.dim, len(KOEPPEN_ZONES))
untrained = copy.deepcopy(encoder).eval()

optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()])
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=400)
for _ in range(400):
    rows = torch.randint(len(lonlat), (512,))
    loss = head.loss(encoder(lonlat[rows]), zone[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
encoder.eval()
print(f"cross-entropy of the last batch: {loss.item():.2f}")

# %%
# ``locenc.nearest`` ranks a table by the cosine to a place, and keeps its columns. The map finds all five regions of
# Mediterranean climate, on five continents; no one told the encoder that they have anything to do with each other but
# their label.

CITIES = {
    "Los Angeles": (-118.2, 34.1),
    "Denver": (-105.0, 39.7),
    "Chicago": (-87.6, 41.9),
    "Miami": (-80.2, 25.8),
    "Mexico City": (-99.1, 19.4),
    "Lima": (-77.0, -12.0),
    "Santiago": (-70.7, -33.4),
    "Manaus": (-60.0, -3.1),
    "Buenos Aires": (-58.4, -34.6),
    "Lisbon": (-9.1, 38.7),
    "Berlin": (13.4, 52.5),
    "Moscow": (37.6, 55.8),
    "Cairo": (31.2, 30.0),
    "Lagos": (3.4, 6.5),
    "Nairobi": (36.8, -1.3),
    "Cape Town": (18.5, -33.9),
    "Delhi": (77.2, 28.6),
    "Singapore": (103.8, 1.3),
    "Shanghai": (121.5, 31.2),
    "Tokyo": (139.7, 35.7),
    "Perth": (115.9, -32.0),
    "Sydney": (151.2, -33.9),
    "Auckland": (174.8, -36.8),
}
geometry = geopandas.points_from_xy(*zip(*CITIES.values(), strict=True))
cities = geopandas.GeoDataFrame({"city": list(CITIES)}, geometry=geometry, crs="EPSG:4326")

SAN_FRANCISCO = (-122.3, 37.6)
for title, one in {"before training": untrained, "after": encoder}.items():
    found = locenc.nearest(one, SAN_FRANCISCO, cities, count=5)
    print(
        f"{title:15s}",
        ", ".join(f"{row.city} {row.similarity:.2f}" for row in found.itertuples()),
    )

figure = locenc.maps.nearest(
    encoder,
    SAN_FRANCISCO,
    cities,
    labels="city",
    name="San Francisco",
    title="Where the climate is like San Francisco's, as an encoder learned it",
    bounds=(-180, -60, 180, 85),
    pixels=700,
)
