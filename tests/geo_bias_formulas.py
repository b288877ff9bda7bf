"""Geo-bias scores from their definitions, in plain loops over pairs of points; shares nothing with `locenc_csp`.

Angles are in radians, places are (longitude, latitude) in degrees.
"""

import math

import mpmath

EARTH_RADIUS_KM = 6371.0088


def haversine(first, second):
    (lon, lat), (other_lon, other_lat) = ([math.radians(x) for x in place] for place in (first, second))
    square = math.sin((other_lat - lat) / 2) ** 2
    square += math.cos(lat) * math.cos(other_lat) * math.sin((other_lon - lon) / 2) ** 2
    return 2 * math.asin(math.sqrt(square))


def bearing(first, second):
    """Azimuth of the second place seen from the first, clockwise from north, in [0, 2π)."""
    (lon, lat), (other_lon, other_lat) = ([math.radians(x) for x in place] for place in (first, second))
    east = math.cos(other_lat) * math.sin(other_lon - lon)
    north = math.cos(lat) * math.sin(other_lat) - math.sin(lat) * math.cos(other_lat) * math.cos(other_lon - lon)
    return math.atan2(east, north) % (2 * math.pi)


def destination(place, azimuth, distance):
    """Place that lies so far from another in a direction; with 40 digits, since all digits cancel at a pole."""
    with mpmath.workdps(40):
        lon, lat = (mpmath.mpf(math.radians(x)) for x in place)
        height = mpmath.sin(lat) * mpmath.cos(distance)
        height += mpmath.cos(lat) * mpmath.sin(distance) * mpmath.cos(azimuth)
        east = mpmath.sin(azimuth) * mpmath.sin(distance) * mpmath.cos(lat)
        ahead = mpmath.cos(distance) - mpmath.sin(lat) * height
        return math.degrees(lon + mpmath.atan2(east, ahead)), math.degrees(mpmath.asin(height))


def background(centre, count, radius):
    """Concentric rings over the cap: 5 points for each place, about."""
    density = math.ceil(5 * count / (math.pi * radius**2))
    spacing = 1 / math.sqrt(density)
    points = []
    for ring in range(1, math.ceil(radius / spacing) + 1):
        size = math.ceil(2 * math.pi * ring)
        points += [destination(centre, 2 * math.pi * j / size, ring * spacing) for j in range(size)]
    return points


def neighbour_weights(points, tie, k=4):
    """W: 1 for the k nearest; those that are equally far share what is left."""
    weights = []
    for i, point in enumerate(points):
        distances = [math.inf if j == i else haversine(point, other) for j, other in enumerate(points)]
        limit = sorted(distances)[k - 1]
        nearer = [distance < limit - tie for distance in distances]
        tied = [abs(distance - limit) <= tie for distance in distances]
        share = (k - sum(nearer)) / sum(tied)
        weights.append([1.0 if a else share if b else 0.0 for a, b in zip(nearer, tied, strict=True)])
    return weights


def moran(values, weights):
    """Moran's numerator: sum of w_ij z_i z_j."""
    mean = sum(values) / len(values)
    z = [value - mean for value in values]
    return sum(w * a * b for a, row in zip(z, weights, strict=True) for b, w in zip(z, row, strict=True))


def null_moments(values):
    """Mean and standard deviation of Moran's numerator under shuffling, for 4 neighbours."""
    levels = sorted(set(values))
    n = [values.count(level) for level in levels]
    total = len(values)
    mean = sum(values) / total
    most = n.index(max(n))
    mu, variance = 0.0, 0.0
    for i, ci in enumerate(levels):
        for j, cj in enumerate(levels):
            m = 4 * n[i] * n[j] / total if i != j else 4 * n[i] * (n[i] - 1) / total - 1
            mu += (ci - mean) * (cj - mean) * m
            if most in (i, j):
                continue
            cr = levels[most]
            if i == j:
                q = (ci - cr) ** 2
                s = 2 * (n[i] - 1) * (4 * n[i] / total) * (1 - 4 * (2 * n[i] - 1) / (3 * total))
            else:
                q = (ci - mean) * (cj - mean) - 2 * (ci - mean) * (cr - mean) + (cr - mean) ** 2
                w = 4 * max(n[i], n[j]) / total
                s = min(n[i], n[j]) * w * (1 - w)
            variance += q**2 * s
    return mu, 1 + math.sqrt(variance)


def two_sided_surprise(value, mu, sigma):
    """-ln(2 Φ((min(U, 2μ - U) - μ) / σ)), with 30 digits."""
    with mpmath.workdps(30):
        x = (min(mpmath.mpf(value), 2 * mpmath.mpf(mu) - value) - mu) / sigma
        return float(-mpmath.log(mpmath.erfc(-x / mpmath.sqrt(2))))


def members(lonlat, centre, radius, most=None):
    """Rows within the radius of a row; the nearest so many."""
    distances = [haversine(lonlat[centre], place) for place in lonlat]
    rows = [row for row, distance in enumerate(distances) if distance <= radius]
    return sorted(sorted(rows, key=distances.__getitem__)[:most])


def self_information(lonlat, values, centre, radius_km, most=None):
    """SSI of one neighbourhood, and its number of places."""
    radius = radius_km / EARTH_RADIUS_KM
    rows = members(lonlat, centre, radius, most)
    rings = background(lonlat[centre], len(rows), radius)
    points = [lonlat[row] for row in rows] + rings
    marks = [float(values[row]) for row in rows] + [0.0] * len(rings)
    value = moran(marks, neighbour_weights(points, tie=1e-9 * radius))
    return two_sided_surprise(value, *null_moments(marks)), len(rows)


def part(lonlat, centre, row, kind, size):
    """Which part of a neighbourhood a row lies in."""
    slack = 1e-9
    distance, azimuth = haversine(lonlat[centre], lonlat[row]), bearing(lonlat[centre], lonlat[row])
    km = distance * EARTH_RADIUS_KM
    if kind == "rings":
        return math.floor(km / size + slack)
    if km < 1e-6:
        azimuth = 0.0
    if kind == "sectors":
        return math.floor(azimuth / (2 * math.pi / size) + slack) % size
    return math.floor(km * math.sin(azimuth) / size + slack), math.floor(km * math.cos(azimuth) / size + slack)


def distribution(values, edges):
    counts = [0] * (len(edges) - 1)
    for value in values:
        counts[next(b for b in reversed(range(len(counts))) if value >= edges[b])] += 1
    return [count / len(values) for count in counts]


def relative_information(lonlat, values, centre, radius_km, kind, size, min_places, edges):
    """SRI of one neighbourhood, or None; and its number of places."""
    rows = members(lonlat, centre, radius_km / EARTH_RADIUS_KM)
    whole = distribution([values[row] for row in rows], edges)
    parts = {}
    for row in rows:
        parts.setdefault(part(lonlat, centre, row, kind, size), []).append(values[row])
    large = [inside for inside in parts.values() if len(inside) >= min_places]
    total = sum(map(len, large))
    score = 0.0
    for inside in large:
        own = distribution(inside, edges)
        divergence = sum(p * math.log(p / (q + 1e-8)) for p, q in zip(whole, own, strict=True) if p > 0)
        score += len(inside) / total * divergence
    return (score if large else None), len(rows)
