"""Random locations that keep away from the pair's own."""

import math

import torch
from torch import Tensor

from locenc._names import check_number
from locenc_csp._sphere import EARTH_RADIUS_KM, great_circle_km
from locenc_csp.sampler import Sampler

TRIES = 8
"""How many locations are drawn at once for one that is too near; the first that is far enough replaces it."""

ROUNDS = 1250
"""How often that is done on the CPU before giving up."""

ROUNDS_UNSEEN = 8
"""How often on another device, always: the host does not look whether it was needed."""


def at_least(km: float, sampler: Sampler) -> Sampler:
    """Locations of another sampler that lie at least ``km`` from the pair's own: no false negatives.

    A location that is near enough is replaced by the first of others drawn for its pair that is not. On the CPU that
    goes on until all are far enough. On another device the host does not wait for an answer: 64 others are drawn
    for every pair, and where none of them is far enough the location is NaN, so that the loss is, and training stops.
    (If half of the sampler's locations are too near, that happens once in 10¹⁹.)

    Parameters
    ----------
    km : float
        Great-circle distance, >= 0 and at most half of the Earth's circumference (20,015 km).
    sampler : Sampler
        What to draw from.

    Raises
    ------
    ValueError
        For a distance out of range; at a draw on the CPU, if the distance cannot be met.
    """
    if not 0 <= check_number("km", km) <= math.pi * EARTH_RADIUS_KM:
        raise ValueError(f"km must lie in [0, {math.pi * EARTH_RADIUS_KM:.0f}] (antipodes), got {km!r}")

    def sample(lonlat: Tensor, count: int, generator: torch.Generator) -> Tensor:
        points = sampler(lonlat, count, generator)
        own = lonlat.repeat(count, 1)
        far = great_circle_km(points, own) >= km
        looks = _host_may_look(points)
        for _ in range(ROUNDS if looks else ROUNDS_UNSEEN):
            if looks and bool(far.all()):
                return points
            others = sampler(own, TRIES, generator).view(TRIES, -1, 2)
            allowed = great_circle_km(others, own) >= km
            first = allowed.int().argmax(0).view(1, -1, 1).expand(1, -1, 2)
            points = torch.where(far[:, None], points, others.gather(0, first)[0])
            far = far | allowed.any(0)
        if looks and not bool(far.all()):
            _give_up(km, own, far, len(lonlat))
        return points.masked_fill(~far[:, None], math.nan)

    return sample


def _host_may_look(points: Tensor) -> bool:
    """Whether reading a value costs nothing."""
    return points.is_cpu


def _give_up(km: float, own: Tensor, far: Tensor, pairs: int) -> None:
    rows = (~far).nonzero()[:, 0].tolist()
    raise ValueError(
        f"no location at least {km:g} km from its own location found for row {rows[0] % pairs} (longitude, latitude "
        f"{own[rows[0]].tolist()}) in {ROUNDS * TRIES} draws, and for {len(rows) - 1} more: choose a smaller distance "
        "or another sampler"
    )
