"""Real spherical harmonics in plain torch: any device, any order of gradients, compile and export.

With (x, y, z) on the unit sphere and p(l, m) polynomials of z,

    Y(l, m) = s(l, m) p(l, m) Re (x + iy)^m,   Y(l, -m) = s(l, m) p(l, m) Im (x + iy)^m,
    p(m, m) = 1,   p(l, m) = 2 z p(l-1, m) - c(l, m) p(l-2, m).

The sine of the colatitude appears only inside (x + iy)^m, so nothing is divided by it, and every derivative is finite
at the poles. p reaches 1e40 at degree 200 (1e200 at 1,000), where (x + iy)^m is as small: too much for float32, so
all is float64 until the columns are stored.
"""

import math

import torch
from torch import Tensor

from locenc.kernels.reference import RADIAN, reduce_longitude


def tables(num_degrees: int) -> tuple[Tensor, Tensor]:
    """Coefficients of orthonormal harmonics without Condon-Shortley phase.

    Parameters
    ----------
    num_degrees : int
        L; degrees 0 to L - 1.

    Returns
    -------
    recurrence, scale : Tensor
        c and s: ``(L, L)`` float64 each, degrees by orders; zero above the diagonal.

    Notes
    -----
    The recurrence is that of monic Gegenbauer polynomials, each times 2^(l - m): c = 4 ((l-1)² - m²) / (4 (l-1)² - 1).
    """
    degree = torch.arange(num_degrees, dtype=torch.float64)[:, None]
    order = torch.arange(num_degrees, dtype=torch.float64)
    below = degree > order
    recurrence = 4 * ((degree - 1).square() - order.square()) / (4 * (degree - 1).square() - 1)

    sectoral = torch.where(order > 0, (2 * order + 1) / (2 * order).clamp(min=1), 1 / (4 * math.pi))
    sectoral = sectoral * torch.where(order == 1, 2, 1)  # orders but 0 have cos² or sin², whose mean is a half
    ratio = (4 * degree.square() - 1) / (4 * (degree.square() - order.square()).clamp(min=1))
    squares = torch.where(below, ratio, torch.where(degree == order, sectoral.cumprod(0), 1))
    return (recurrence * below).tril(-2), squares.sqrt().cumprod(0).tril()


def spherical_harmonics(lonlat: Tensor, recurrence: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """Real spherical harmonics of points.

    Parameters
    ----------
    lonlat : Tensor
        ``(N, 2)`` degrees, float32 or float64. Longitudes a whole number of turns apart are the same place.
    recurrence, scale : Tensor
        ``(L, L)`` float64, as `tables` makes them; whoever wants other norms or signs multiplies ``scale``.
    dtype : torch.dtype
        Of the columns; float64 until they are stored.

    Returns
    -------
    Tensor
        ``(N, L * L)``; column l (l + 1) + m holds degree l, order m.

    Notes
    -----
    Time and memory are O(N L²). For gradients autograd keeps N L² float64 numbers besides the output.
    """
    lon, lat = lonlat.to(torch.float64).unbind(1)
    sin_lon, cos_lon = _sine_cosine(reduce_longitude(lon))
    _, cos_lat = _sine_cosine(lat)
    whole, part = (value[:, None] for value in _twice_z(lat))
    real, imaginary = _powers(cos_lat * cos_lon, cos_lat * sin_lon, len(scale))

    one = torch.ones_like(whole)
    before, polynomial = one[:, :0], one
    columns = []
    for degree in range(len(scale)):
        if degree > 0:
            last = polynomial[:, :-1]
            inner = (whole * last - recurrence[degree, : degree - 1] * before) + part * last  # the small part last
            before, polynomial = polynomial, torch.cat([inner, whole + part, one], 1)
        scaled = polynomial * scale[degree, : degree + 1]
        columns.append((scaled[:, 1:] * imaginary[:, 1 : degree + 1]).flip(1).to(dtype))
        columns.append((scaled * real[:, : degree + 1]).to(dtype))
    return torch.cat(columns, 1)


def _sine_cosine(degrees: Tensor) -> tuple[Tensor, Tensor]:
    """Sine and cosine of angles within ±180 degrees, exact at multiples of 90; 180 and -180 give the same."""
    half_turns = torch.round(degrees / 180)
    rest = degrees - 180 * half_turns
    to_quarter = 90 - rest.abs()
    cosine = torch.where(to_quarter < 45, (to_quarter * RADIAN).sin(), (rest * RADIAN).cos())
    sign = 1 - 2 * half_turns.abs()
    return sign * (rest * RADIAN).sin(), sign * cosine


def _twice_z(lat: Tensor) -> tuple[Tensor, Tensor]:
    """2 z as a whole number and a part that keeps its digits near the poles.

    Degree l magnifies an error of z at a pole l (l + 1) / 2 times, and float64 has few numbers below 1 to choose from.
    """
    steep = lat.abs() > 45
    whole = torch.where(steep, 2 * lat.sign(), 0)
    to_pole = (90 - lat.abs()) * RADIAN
    return whole, torch.where(steep, -2 * whole * (to_pole / 2).sin().square(), 2 * (lat * RADIAN).sin())


def _powers(x: Tensor, y: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Real and imaginary parts of (x + iy)^m, m = 0 to count - 1 (and 1): each (N, count), by products alone."""
    real = torch.stack([torch.ones_like(x), x], 1)
    imaginary = torch.stack([torch.zeros_like(y), y], 1)
    while (length := real.shape[1]) < count:
        a, b = real[:, -1:], imaginary[:, -1:]
        more = min(length - 1, count - length)
        c, d = real[:, 1 : more + 1], imaginary[:, 1 : more + 1]
        real, imaginary = torch.cat([real, a * c - b * d], 1), torch.cat([imaginary, a * d + b * c], 1)
    return real, imaginary
