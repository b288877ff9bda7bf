"""What is predicted: seven numbers or classes of a place on land, and the two ways to split the places."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.location_tasks.protocol import Protocol
from locenc_csp.datasets.countries import countries
from locenc_csp.datasets.era5 import climate
from locenc_csp.datasets.geonames import people_within
from locenc_csp.datasets.land import LandPlaces, land_places
from locenc_csp.datasets.splits import label_gap_split, random_split

RADIUS_KM = 100


class Task(NamedTuple):
    """Targets of all places.

    Attributes
    ----------
    values : ndarray
        float64 (N,); or int64 class numbers.
    num_classes : int
        0 for numbers.
    """

    values: NDArray[Any]
    num_classes: int = 0


class Rows(NamedTuple):
    """Rows of the places for training, for choosing the learning rate, and for the scores."""

    train: NDArray[np.int64]
    val: NDArray[np.int64]
    test: NDArray[np.int64]


def temperature(places: LandPlaces) -> Task:
    """Mean temperature of the year, °C."""
    return Task(climate(places.lonlat).temperature.mean(1))


def precipitation(places: LandPlaces) -> Task:
    """log10 of the year's precipitation, mm."""
    return Task(np.log10(1 + climate(places.lonlat).precipitation.sum(1)))


def seasonality(places: LandPlaces) -> Task:
    """Temperature of the warmest month less that of the coldest, K."""
    return Task(np.ptp(climate(places.lonlat).temperature, axis=1))


def population(places: LandPlaces) -> Task:
    """log10 of 1 + the people in places of 500 and more within 100 km."""
    return Task(np.log10(1 + people_within(places.lonlat, RADIUS_KM)))


def koppen(places: LandPlaces) -> Task:
    """Köppen-Geiger climate zone."""
    return _classes(places.zone)


def land_cover(places: LandPlaces) -> Task:
    """MODIS land cover, IGBP class."""
    return _classes(places.cover)


def country(places: LandPlaces) -> Task:
    """Country of the nearest populated place."""
    return _classes(countries(places.lonlat))


TASKS: dict[str, Callable[[LandPlaces], Task]] = {
    "temperature": temperature,
    "precipitation": precipitation,
    "seasonality": seasonality,
    "population": population,
    "Köppen": koppen,
    "land cover": land_cover,
    "country": country,
}


def _classes(labels: NDArray[Any]) -> Task:
    classes, codes = np.unique(labels, return_inverse=True)
    return Task(codes.astype(np.int64), len(classes))


def random_roles(lonlat: NDArray[np.float64], seed: int) -> NDArray[np.str_]:
    """Split at random: test places lie among training places."""
    return random_split(len(lonlat), seed)


def block_roles(lonlat: NDArray[np.float64], seed: int) -> NDArray[np.str_]:
    """Split by blocks of about 10 degrees: a test place lies in a block without training places."""
    roles = label_gap_split(lonlat, seed)
    return np.where(roles == "pool", "test", roles)  # the pool is the other half of the test blocks


SPLITS: dict[str, Callable[[NDArray[np.float64], int], NDArray[np.str_]]] = {
    "random": random_roles,
    "blocks": block_roles,
}


def pairs(tasks: Sequence[str]) -> list[tuple[str, str]]:
    """Every split with every task."""
    return [(split, task) for split in SPLITS for task in tasks]


class World:
    """The places of one seed, their tasks and their splits, each made when it is first asked for.

    Parameters
    ----------
    protocol : Protocol
        Sizes.
    seed : int
        Of the places, and of the splits.
    """

    def __init__(self, protocol: Protocol, seed: int) -> None:
        self.protocol, self.seed = protocol, seed
        self._tasks: dict[str, Task] = {}

    @cached_property
    def places(self) -> LandPlaces:
        """Places on land."""
        return land_places(self.protocol.places, self.seed)

    def task(self, name: str) -> Task:
        """Targets of all places."""
        if name not in self._tasks:
            self._tasks[name] = TASKS[name](self.places)
        return self._tasks[name]

    def rows(self, split: str) -> Rows:
        """Rows of a split, as many training rows as the protocol has.

        Raises
        ------
        ValueError
            If the split has fewer.
        """
        roles = SPLITS[split](self.places.lonlat, self.seed)
        train, val, test = (np.flatnonzero(roles == role) for role in Rows._fields)
        wanted = self.protocol.train
        if len(train) < wanted:
            raise ValueError(
                f"the {split} split of {len(roles)} places has {len(train)} training rows, not the {wanted} asked for"
            )
        return Rows(np.random.default_rng(self.seed).permutation(train)[:wanted], val, test)
