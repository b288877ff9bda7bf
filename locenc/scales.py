"""Frequencies of the scales: the papers' geometric ladder, its seamless form, and TorchSpatial's power list.

Lists run from the finest scale to the coarsest, in exact decimals; `locenc.spec` rounds them once.
"""

import math
from collections.abc import Sequence
from decimal import Decimal

from locenc._names import check_count, check_number
from locenc.spec import DIGITS

Scales = Sequence[Decimal]

MOST_SCALES = 4096
#: Float64 degrees hold no finer structure than phases of this many turns.
FINEST_TURNS = 2**50


def geometric(num_scales: int, min_radius: float, max_radius: float) -> list[Decimal]:
    """Frequencies 1 / r, r from ``min_radius`` (scale 0, the finest) to ``max_radius`` in equal ratios.

    One scale has the radius ``min_radius``.
    """
    num_scales = check_count("num_scales", num_scales, most=MOST_SCALES)
    min_radius, max_radius = check_number("min_radius", min_radius), check_number("max_radius", max_radius)
    if not 0 < min_radius < max_radius < math.inf:
        raise ValueError(f"0 < min_radius < max_radius is needed, got min_radius={min_radius}, max_radius={max_radius}")
    if 1 / min_radius > FINEST_TURNS:
        raise ValueError(
            f"min_radius={min_radius} is finer than float64 coordinates: take at least {1 / FINEST_TURNS:.1g}"
        )
    finest = Decimal(min_radius)
    ratio = DIGITS.ln(DIGITS.divide(Decimal(max_radius), finest))
    steps = max(num_scales - 1, 1)
    return [
        DIGITS.divide(DIGITS.exp(DIGITS.divide(DIGITS.multiply(-s, ratio), steps)), finest) for s in range(num_scales)
    ]


def odd(frequencies: Scales) -> list[Decimal]:
    """Move frequencies, in turns per 360° and from the finest to the coarsest, to distinct odd whole numbers.

    From the coarsest upward each becomes the nearest odd number, or the one before it plus 2 if that is larger. Whole
    numbers close at the antimeridian; odd ones have cosines of latitude that vanish at the poles.

    Raises
    ------
    ValueError
        If so many do not fit below the finest frequency.
    """
    finest = _nearest_odd(frequencies[0])
    moved = [_nearest_odd(frequencies[-1])]
    for frequency in frequencies[-2::-1]:
        moved.append(max(_nearest_odd(frequency), moved[-1] + 2))
    if moved[-1] > finest:
        fits = (finest - moved[0]) // 2 + 1
        raise ValueError(
            f"seamless needs distinct odd frequencies, and {len(moved)} do not fit between the coarsest ({moved[0]} "
            f"turns per 360°) and the finest ({finest}): at most num_scales={fits}, or a smaller min_radius"
        )
    return [Decimal(frequency) for frequency in reversed(moved)]


def _nearest_odd(frequency: Decimal) -> int:
    """Of two that are equally near, the larger."""
    return 2 * int(frequency // 2) + 1


def power(num_scales: int, max_radius: float) -> list[Decimal]:
    """TorchSpatial's frequencies for M+ and dfs: max_radius^(-s/(S-1)); there is no finest radius."""
    steps = max(check_count("num_scales", num_scales, most=MOST_SCALES) - 1, 1)
    if not 0 < check_number("max_radius", max_radius) < math.inf:
        raise ValueError(f"max_radius must be positive and finite, got {max_radius!r}")
    logarithm = DIGITS.ln(Decimal(float(max_radius)))
    return [DIGITS.exp(DIGITS.divide(DIGITS.multiply(-s, logarithm), steps)) for s in range(num_scales)]


def positive_km(finest_km: float) -> float:
    """Check a length in km."""
    if not 0 < check_number("finest_km", finest_km) < math.inf:
        raise ValueError(f"finest_km must be a positive and finite length in km, got {finest_km!r}")
    return float(finest_km)
