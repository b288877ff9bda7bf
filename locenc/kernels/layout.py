"""What the integers of a sinusoid layout mean: number of phases, their lengths, then five fields for each block.

The fields are: combine (`ELEMENTWISE`, `OUTER`), phase a, function a, phase b, function b. A function is `SIN`, `COS`,
or `ONE` for b where the block is a single sinusoid.
"""

SIN, COS, ONE = 0, 1, 2
ELEMENTWISE, OUTER = 0, 1
BLOCK_FIELDS = 5
