"""
Where a coarse location changes the answer
==========================================

Records are often blurred, by design or by accident. How far may a place be off before the prediction changes? Gradients
reach the coordinates, so a model can say it by itself: how much probability moves from one class to others, per 100 km.
"""

import numpy as np
import torch

import locenc
from locenc_csp import SoftmaxHead
from locenc_csp.datasets.land import land_places
from locenc_csp.datasets.sources import KOEPPEN_ZONES

torch.manual_seed(0)
lonlat, _, zone = land_places(20_000, seed=0)
classes, code = np.unique(
    np.array([name[0] for name in KOEPPEN_ZONES])[zone - 1], return_inverse=True
)
places, codes = torch.from_numpy(lonlat), torch.from_numpy(code)

encoder = locenc.Sphere2Vec(
    "sphereC+", dim=64, num_scales=12, finest_km=1500, seamless=True
)
head = SoftmaxHead(encoder.dim, len(classes))
optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()])
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=400)
for _ in range(400):
    rows = torch.randint(len(places), (512,))
    loss = head.loss(encoder(places[rows]), codes[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
encoder.eval()


def moved(lonlat):
    """Probability that moves between classes, at most, per 100 km: (N, 2) degrees to (N,)."""
    lonlat = torch.as_tensor(lonlat, dtype=torch.float64).requires_grad_()
    probabilities = head.probabilities(encoder(lonlat))
    slopes = [
        torch.autograd.grad(each.sum(), lonlat, retain_graph=True)[0]
        for each in probabilities.T
    ]
    east, north = torch.stack(slopes).unbind(-1)  # of each class, per degree
    east /= lonlat.detach()[:, 1].deg2rad().cos()  # a degree of longitude is shorter there
    per_km = torch.hypot(east, north) / locenc.coords.KM_PER_DEGREE
    return 100 * per_km.sum(0).numpy() / 2  # what some classes win, others lose


# %%
# A check without gradients: one step of 1 km from Dakar, in each of eight directions.

dakar = torch.tensor([-17.4, 14.7], dtype=torch.float64)
angle = torch.arange(8) * torch.pi / 4
step = torch.stack([angle.sin() / dakar[1].deg2rad().cos(), angle.cos()], 1)
step = step / locenc.coords.KM_PER_DEGREE
with torch.no_grad():
    here = head.probabilities(encoder(dakar[None]))
    there = head.probabilities(encoder(dakar + step))
print(f"steps of 1 km: up to {100 * (there - here).abs().sum(1).max() / 2:.3f} per 100 km")
print(f"by gradients: at most {moved(dakar[None])[0]:.3f}")

# %%
# The map finds the borders of the climate zones, and shows how sharp the model takes them to be.

share = moved(lonlat[:5000])
print(f"per 100 km, {np.median(share):.1%} moves at the median place", end=", ")
print(f"{np.quantile(share, 0.9):.0%} or more at one place in ten")
figure = locenc.maps.values(
    moved,
    label="probability that moves between classes, per 100 km",
    title="Where an error of location matters: the borders of climate zones",
    limits=(0, 0.4),
    cmap="cividis",
    bounds=(-180, -60, 180, 85),
    pixels=500,
)
