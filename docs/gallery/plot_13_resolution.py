"""
What a scale means in kilometres
================================

Can the encoder tell two places apart that lie a kilometre from each other? A metre? The finest scale decides:
``min_radius``, or, in kilometres, ``finest_km``. The cosine of the features of two places, by their distance:
"""

import numpy as np
from matplotlib import pyplot as plt

import locenc

BERLIN = np.array([13.4, 52.5])
metres = np.logspace(0, 7, 141)
degrees = metres / 1000 / (locenc.coords.KM_PER_DEGREE * np.cos(np.deg2rad(BERLIN[1])))
eastward = BERLIN + np.outer(degrees, [1, 0])

figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
print("min_radius  finest wave  cosine at 1 m    at 1 km")
for radius, colour in zip(
    [1e-1, 1e-3, 1e-5, 1e-7], ["#0b5fa5", "#5aae61", "#e08214", "#7b3294"], strict=True
):
    encoder = locenc.position_encoder(
        "sphere2vec-sphereC", num_scales=32, min_radius=radius
    )
    features = locenc.embed(eastward, encoder)
    here = locenc.embed(BERLIN[None], encoder)[0]
    cosine = features @ here / np.linalg.norm(features, axis=1) / np.linalg.norm(here)
    finest = locenc.describe(encoder).resolution_km
    name = f"{finest:,.0f} km" if finest >= 1 else f"{1000 * finest:,.0f} m"
    kilometre = cosine[np.searchsorted(metres, 999)]
    print(f"{radius:10g}  {name:>11s}  {cosine[0]:13.6f}  {kilometre:9.6f}")
    axes.semilogx(metres, cosine, color=colour, label=f"min_radius={radius:g}: {name}")
    axes.axvline(1000 * finest, color=colour, linestyle=":", linewidth=1)
axes.set_xticks(
    [1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7],
    ["1 m", "10 m", "100 m", "1 km", "10 km", "100 km", "1,000 km", "10,000 km"],
)
axes.set(
    xlabel="distance to the east of Berlin; dotted: the finest wavelength",
    ylabel="cosine of the features",
)
axes.set_title("Places closer than the finest wave look the same")
axes.legend(loc="lower left")
plt.show()

# %%
# The scales lie evenly on this logarithmic axis between the finest and the coarsest, so the cosine falls evenly between
# them: each factor in distance sets a few more scales apart. A finer ``min_radius`` with as many scales spreads them
# thinner.
#
# It works down to a metre because coordinates stay float64 until their phases are reduced. In float32 a longitude near
# 180° is known to a metre or two only:

step = np.spacing(np.float32(180)) * locenc.coords.KM_PER_DEGREE * 1000
print(f"{step:.1f} m between neighbours in float32")
