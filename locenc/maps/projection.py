"""A map projection and the part of the globe that it shows: places to points and back, lines, the edge."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]

#: How far from a cut lines and edges stay, in degrees, so that they are on their own side of it.
ASIDE = 1e-6


@dataclass(frozen=True)
class Projection:
    """A map projection, and the part of the globe that it shows.

    Attributes
    ----------
    name : str
        For the figure.
    forward, inverse : callable
        (N, 2) longitudes and latitudes in degrees to (N, 2) x and y, and back; not finite where there is no such.
    box : (west, south, east, north)
        Degrees: what is shown, with west < east, both at most 180 from the centre.
    centre : float
        Longitude opposite to the cut of the map.
    cap : (longitude, latitude, radius), optional
        Degrees: nothing further away is shown.
    exact : bool
        Lines are drawn as they are: they are cut at 180° where the map is, and are straight enough.
    scale : float, optional
        Where meridians and parallels are straight: x of one degree of longitude, y of a degree of latitude being 1.
    """

    name: str
    forward: Callable[[Floats], Floats]
    inverse: Callable[[Floats], Floats]
    box: Box
    centre: float = 0.0
    cap: tuple[float, float, float] | None = None
    exact: bool = False
    scale: float | None = None

    def project(self, lonlat: ArrayLike) -> Floats:
        """(..., 2) degrees on the map; NaN for places that it does not show."""
        places = self._turned(np.asarray(lonlat, np.float64))
        points = self.forward(places.reshape(-1, 2)).reshape(places.shape)
        shown = np.isfinite(points).all(-1) & self._shows(places)
        return np.where(shown[..., None], points, np.nan)

    def places(self, points: ArrayLike) -> Floats:
        """(..., 2) longitudes and latitudes of points of the map; NaN for points beside it."""
        xy = np.asarray(points, np.float64)
        places = self._turned(self.inverse(xy.reshape(-1, 2)).reshape(xy.shape))
        again = self.project(np.where(np.isfinite(places), places, np.nan))
        there = np.abs(again - xy).max(-1) <= 1e-3 * self.reach  # beside the map an inverse gives other places
        return np.where(there[..., None], places, np.nan)

    def paths(self, line: Floats, step: float = 1.0) -> list[Floats]:
        """A line of (n, 2) degrees as lines on the map: dense, cut where the map is, without what it does not show."""
        if self.exact:
            return [self.forward(line)]
        parts = np.maximum(1, np.ceil(np.abs(np.diff(line, axis=0)).max(1) / step)).astype(np.int64)
        knots = np.concatenate([[0], np.cumsum(parts)])
        dense = np.stack([np.interp(np.arange(knots[-1] + 1), knots, values) for values in line.T], 1)
        jump = 0.1 * self.reach if self.box[2] - self.box[0] >= 360 else math.inf  # a cut of another kind
        found = []
        for piece in self._cut(dense):
            points = self.forward(piece)
            points[~self._shows(piece, margin=1.0)] = np.nan
            steps = np.hypot(*np.diff(points, axis=0).T)  # NaN where an end is not shown
            breaks = np.flatnonzero(np.isnan(steps) | (steps >= jump)) + 1
            found += [part for part in np.split(points, breaks) if len(part) > 1]
        return found

    @cached_property
    def outline(self) -> Floats:
        """(n, 2) edge of what is shown, on the map, not closed."""
        edge = self.forward(_circle(*self.cap) if self.cap and self._whole else self._sides())
        edge = edge[np.isfinite(edge).all(1)]
        if len(edge) < 3:
            raise ValueError(f"the {self.name} projection shows nothing of the bounds {self.box}")
        return edge

    @cached_property
    def reach(self) -> float:
        """The longer side of what is shown."""
        return float(np.ptp(self.outline, axis=0).max())

    def within(self, bounds: Box) -> "Projection":
        """The same projection of a part of the globe: west, south, east, north, with west < east."""
        west, south, east, north = bounds
        if east - west >= 360:
            west, east = self.centre - 180, self.centre + 180
        turn = 360 * math.floor((west - self.centre + 180 + 1e-9) / 360)
        west, east = west - turn, east - turn
        if east > self.centre + 180 + 1e-9:
            cut = _degrees(self.centre + 180)
            raise ValueError(
                f"bounds {bounds} cross {cut:g}° of longitude, where the map in this projection ({self.name}) is cut: "
                "take a projection with its central meridian (lon_0) inside the bounds"
            )
        return replace(self, box=(west, south, east, north))

    @property
    def _whole(self) -> bool:
        west, south, east, north = self.box
        return east - west >= 360 and south <= -90 and north >= 90

    def _turned(self, places: Floats) -> Floats:
        """Longitudes at most 180 from the centre."""
        lon = places[..., 0] - self.centre
        lon = np.where(np.abs(lon) > 180, (lon + 180) % 360 - 180, lon)
        return np.stack([lon + self.centre, places[..., 1]], -1)

    def _shows(self, places: Floats, margin: float = 1e-9) -> NDArray[np.bool_]:
        west, south, east, north = self.box
        lon, lat = places[..., 0], places[..., 1]
        inside: NDArray[np.bool_] = (
            (lon >= west - margin) & (lon <= east + margin) & (lat >= south - margin) & (lat <= north + margin)
        )
        if self.cap is None:
            return inside
        lon_0, lat_0, radius = self.cap
        x, y, z = _sphere(lon, lat)
        x_0, y_0, z_0 = _sphere(np.float64(lon_0), np.float64(lat_0))
        near = x * x_0 + y * y_0 + z * z_0 >= math.cos(math.radians(min(180.0, radius + margin)))
        both: NDArray[np.bool_] = inside & near
        return both

    def _cut(self, line: Floats) -> list[Floats]:
        """Pieces of a dense line on either side of the cut, each up to it."""
        turned = self._turned(line)
        jumps = np.flatnonzero(np.abs(np.diff(turned[:, 0])) > 180)
        before, after = turned[jumps], turned[jumps + 1]
        side = np.copysign(180.0, before[:, 0] - self.centre)
        left, right = self.centre + side - before[:, 0], after[:, 0] - (self.centre - side)
        share = np.divide(left, left + right, out=np.full(len(jumps), 0.5), where=left + right != 0)
        lat = before[:, 1] + share * (after[:, 1] - before[:, 1])
        aside = side * (1 - ASIDE / 180)
        ends = np.stack([self.centre + np.stack([aside, -aside], 1), np.stack([lat, lat], 1)], -1)
        joined = np.insert(turned, np.repeat(jumps + 1, 2), ends.reshape(-1, 2), axis=0)
        return np.split(joined, jumps + 2 + 2 * np.arange(len(jumps)))

    def _sides(self) -> Floats:
        """Edge of the box in degrees; without its meridians where these are one line, round a pole."""
        west, south, east, north = self.box
        aside = ASIDE if east - west >= 360 and not self.exact else 0.0
        up = np.linspace(south, north, max(2, int(north - south) + 1))
        over = np.linspace(west + aside, east - aside, max(2, int(east - west) + 1))
        left, right = (np.column_stack([np.full_like(up, lon), up]) for lon in (over[0], over[-1]))
        top, bottom = (np.column_stack([over, np.full_like(over, lat)]) for lat in (north, south))
        if self.exact:  # parallels are straight
            return np.concatenate([left, right[::-1]])
        if east - west >= 360:
            sides, rings = self.forward(np.concatenate([left, right])), [self.forward(top), self.forward(bottom)]
            size = max(float(np.ptp(ring[np.isfinite(ring).all(1)], axis=0).max(initial=0)) for ring in rings)
            apart = np.abs(sides[: len(up)] - sides[len(up) :])
            if apart[np.isfinite(apart)].max(initial=0) < 1e-3 * size:
                return max(zip(rings, (top, bottom), strict=True), key=lambda ring: float(np.ptp(ring[0][:, 0])))[1]
        return np.concatenate([left, top, right[::-1], bottom[::-1]])


def _circle(lon: float, lat: float, radius: float) -> Floats:
    """Places so many degrees from a place, all round."""
    azimuth, distance = np.linspace(0, 2 * np.pi, 361)[:-1], math.radians(radius)
    start = math.radians(min(max(lat, -89.9999), 89.9999))  # north is somewhere
    sine = math.sin(start) * math.cos(distance) + math.cos(start) * math.sin(distance) * np.cos(azimuth)
    east = np.arctan2(
        np.sin(azimuth) * math.sin(distance) * math.cos(start), math.cos(distance) - math.sin(start) * sine
    )
    return np.stack([lon + np.rad2deg(east), np.rad2deg(np.arcsin(sine.clip(-1, 1)))], 1)


def _sphere(lon: Any, lat: Any) -> tuple[Any, Any, Any]:
    lon, lat = np.deg2rad(lon), np.deg2rad(lat)
    return np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)


def _degrees(lon: float) -> float:
    return (lon + 180) % 360 - 180
