"""
An encoder as a map
===================

What an encoder can tell apart before it has learned anything.
"""

import locenc

encoder = locenc.Sphere2Vec("sphereC+", dim=64, num_scales=16, min_radius=0.1).eval()
locenc.maps.plot(encoder, resolution=2)
