"""What the integers of a sinusoid layout mean: coordinates, number of phases, their lengths, then the blocks.

The fields of a block are: combine (`ELEMENTWISE`, `OUTER`), phase a, function a, phase b, function b. A function is
`SIN`, `COS`, or `ONE` for b where the block is a single sinusoid. Coordinates are what phases are linear forms of:
longitude and latitude in degrees (`LONLAT`), the point on the unit sphere (`XYZ`), or the Equal Earth projection in
radii of the sphere (`EQUAL_EARTH`).
"""

LONLAT, XYZ, EQUAL_EARTH = 0, 1, 2
DIMENSIONS = {LONLAT: 2, XYZ: 3, EQUAL_EARTH: 2}
SIN, COS, ONE = 0, 1, 2
ELEMENTWISE, OUTER = 0, 1
BLOCK_FIELDS = 5
