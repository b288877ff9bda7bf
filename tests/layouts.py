"""Layouts of sinusoids: drawn ones, and their columns by a plain loop."""

import itertools
import math

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from locenc.kernels.layout import COS, ELEMENTWISE, FAR, LONLAT, NEAR, OBLIQUE, ONE, OUTER, SIN, XYZ

LENGTHS = [1, 2, 7, 8, 15, 16, 17, 20, 31, 32, 33, 64, 100]


def by_hand(lonlat: Tensor, frequencies: Tensor, layout: tuple[int, ...], amplitude: float) -> np.ndarray:
    """Columns in float64, one number at a time."""
    kind, _, count = layout[:3]
    starts = list(itertools.accumulate([0, *layout[3 : 3 + 2 * count : 2]]))
    rows = []
    for lon, lat in lonlat.tolist():
        a, b = math.radians(lon), math.radians(lat)
        point = [lon, lat] if kind == LONLAT else [math.cos(b) * math.cos(a), math.cos(b) * math.sin(a), math.sin(b)]
        turns = [sum(u * x for u, x in zip(row, [*point, 1], strict=False)) for row in frequencies.tolist()]
        waves = [[math.sin(math.pi * t) for t in turns], [math.cos(math.pi * t) for t in turns]]
        row = []
        for start in range(3 + 2 * count, len(layout), 5):
            combine, p, f, q, g = layout[start : start + 5]
            first = waves[f][starts[p] : starts[p + 1]]
            second = [1.0] if g == ONE else waves[g][starts[q] : starts[q + 1]]
            if combine == OUTER and g != ONE:
                row += [amplitude * x * y for x in first for y in second]
            else:
                length = max(len(first), len(second))
                row += [amplitude * first[k % len(first)] * second[k % len(second)] for k in range(length)]
        rows.append(row)
    return np.array(rows)


def float32_error(layout: tuple[int, ...], amplitude: float) -> float:
    """Largest error of a column that is allowed: 1.8e-7 for each sinusoid, half a step of float32 for each product."""
    second = layout[3 + 2 * layout[2] :][4::5]
    factors = 2 if any(flavour != ONE for flavour in second) else 1
    return abs(amplitude) * (1.8e-7 * factors + 2.0**-24 * factors)


@st.composite
def layouts(draw: st.DrawFn) -> tuple[tuple[int, ...], Tensor]:
    """Any layout of few phases, with frequencies of up to a hundred half turns over the globe."""
    kind = draw(st.sampled_from([LONLAT, XYZ]))
    dimensions = 2 if kind == LONLAT else 3
    shifted = draw(st.booleans())
    length = draw(st.sampled_from(LENGTHS))
    lengths = draw(st.lists(st.sampled_from([1, length]), min_size=1, max_size=4))
    axes = [OBLIQUE if shifted else draw(st.integers(-1, dimensions - 1)) for _ in lengths]
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    drawn = torch.randn(sum(lengths), dimensions + shifted, generator=generator, dtype=torch.float64)
    frequencies = drawn * (0.2 if kind == LONLAT else 30.0)
    for k, axis in enumerate(axis for own, axis in zip(lengths, axes, strict=True) for _ in range(own)):
        if axis != OBLIQUE:
            frequencies[k, [other for other in range(dimensions) if other != axis]] = 0
    phase = st.integers(0, len(lengths) - 1)
    block = st.tuples(
        st.sampled_from([ELEMENTWISE, ELEMENTWISE, OUTER]),
        phase,
        st.sampled_from([SIN, COS]),
        phase,
        st.sampled_from([SIN, COS, ONE]),
    )
    blocks = draw(st.lists(block, min_size=1, max_size=5))
    fields = [field for pair in zip(lengths, axes, strict=True) for field in pair]
    reach = draw(st.sampled_from([NEAR, FAR]))
    return (kind, reach, len(lengths), *fields, *(field for own in blocks for field in own)), frequencies
