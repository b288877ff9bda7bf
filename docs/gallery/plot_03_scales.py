"""
What the scales are
===================

A multi-scale encoder looks at the same place through waves of many lengths, here from once round the globe down to
20 km. Each panel is one feature of one scale. Those too short for a map of the globe are shown in a window of twelve
wavelengths, at the Strait of Gibraltar.
"""

import locenc

encoder = locenc.position_encoder("sphere2vec-sphereC", num_scales=12, finest_km=20)
figure = locenc.maps.scales(encoder, pixels=360)

# %%
# The wavelengths form a geometric series. Between neighbours lies a constant factor, so that 12 scales reach from the
# size of the Earth to that of a town. What no wave is short enough for, a network can hardly learn; ``describe`` says
# where that begins.

print(locenc.describe(encoder))
