"""The door: coordinates from anything, checked once, and the maps of the globe that encoders and plots use.

Coordinates are (longitude, latitude) in degrees (EPSG:4326) everywhere, in that order.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from locenc._names import and_more, named_row
from locenc.kernels import reference
from locenc.kernels.operator import concrete

#: Length of one degree of longitude along the equator (WGS 84), in km.
KM_PER_DEGREE = 2 * math.pi * 6378.137 / 360

_LIMIT = (torch.finfo(torch.float64).max, 90.0)  # infinity and NaN compare false with both
_FEW = 16  # numbers that Python looks at faster than NumPy
_ORDER = "Coordinates are (longitude, latitude)"


def as_lonlat(data: Any) -> Tensor:
    """Turn coordinates into a checked tensor of points.

    Parameters
    ----------
    data : array_like
        ``(N, 2)`` longitudes and latitudes in degrees: a tensor, a NumPy array, a list of pairs; or one pair.
        Integers are taken as whole degrees.

    Returns
    -------
    Tensor
        ``(N, 2)`` float64 on the CPU. Values are kept as given (±180 included).

    Raises
    ------
    TypeError
        If the data are not numbers (text, booleans, objects), or are float16 or bfloat16.
    ValueError
        If the shape is not ``(N, 2)``, a value is NaN or infinite, or a latitude lies outside [-90, 90].

    Examples
    --------
    >>> as_lonlat([2.35, 48.86])
    tensor([[ 2.3500, 48.8600]], dtype=torch.float64)
    """
    lonlat = as_pairs(data)
    check_values(lonlat)
    return lonlat


def as_pairs(data: Any) -> Tensor:
    """Turn coordinates into a tensor of points as `as_lonlat` does, but look at no value: NaN passes."""
    if isinstance(data, Tensor) and data.is_meta:
        raise ValueError("coordinates on the device 'meta' hold no numbers")
    lonlat = data.detach().cpu() if isinstance(data, Tensor) else _from_array_like(data)
    check_form(lonlat)
    if lonlat.ndim > 2:
        raise ValueError(f"expected points of shape (N, 2), got {tuple(lonlat.shape)}; flatten the leading axes")
    return lonlat.to(torch.float64).reshape(-1, 2)


def check_lonlat(lonlat: Tensor) -> None:
    """Check a coordinate tensor of shape (..., 2) completely: form, then values.

    Raises
    ------
    TypeError, ValueError
        As `as_lonlat`.
    """
    check_form(lonlat)
    check_values(lonlat)


def check_form(lonlat: Tensor) -> None:
    """Check type, dtype and shape of a coordinate tensor; looks at no value."""
    if not isinstance(lonlat, Tensor):
        raise TypeError(
            f"expected a tensor of (longitude, latitude) in degrees, shape (..., 2), got {type(lonlat).__name__}; "
            "locenc.coords.as_lonlat turns arrays and lists into one"
        )
    if lonlat.dtype == torch.bool or lonlat.dtype.is_complex:
        raise TypeError(f"coordinates must be numbers in degrees, not {lonlat.dtype}")
    if lonlat.dtype.is_floating_point and lonlat.dtype not in (torch.float32, torch.float64):
        raise TypeError(
            f"coordinates must be float64 or float32, not {lonlat.dtype}: it has 3 digits or fewer, which moves places "
            "by kilometres; keep the coordinates in float64 and let the network run in half precision"
        )
    if lonlat.layout is not torch.strided:
        raise ValueError("coordinates must be a dense tensor, got a sparse one: lonlat.to_dense()")
    if lonlat.ndim == 0 or lonlat.shape[-1] != 2:
        raise ValueError(
            f"coordinates must have shape (..., 2), got {tuple(lonlat.shape)}. "
            f"{_ORDER}; pass time, height or other columns separately"
        )


def check_device(lonlat: Any, tensor: Tensor | None, owner: str) -> None:
    """Check that coordinates, if they are a tensor, are where a tensor of ``owner``'s is.

    Raises
    ------
    ValueError
        If they are not.
    """
    if tensor is None or (tensor.is_cpu and getattr(lonlat, "is_cpu", True)):  # the usual, looked at fast
        return
    if isinstance(lonlat, Tensor) and tensor.device != lonlat.device:
        there = str(tensor.device)
        raise ValueError(
            f"the coordinates are on {lonlat.device}, but the {owner} is on {there}: move them, lonlat.to({there!r}), "
            f"or it, encoder.to({str(lonlat.device)!r})"
        )


def check_values(lonlat: Tensor, index: Any = None) -> None:
    """Check that every longitude is finite and every latitude lies in [-90, 90].

    Names the first bad row, with its label where an index of pandas is given.
    """
    if lonlat.is_meta and concrete(lonlat):
        raise ValueError("coordinates on the device 'meta' hold no numbers")
    if not (lonlat.is_cpu and concrete(lonlat) and _within(lonlat.detach())):
        limit = torch.tensor(_LIMIT, dtype=torch.float64, device=lonlat.device)
        within = lonlat.detach().to(torch.float64).abs() <= limit
        if not bool(within.all()):
            raise ValueError(_describe(lonlat.detach(), ~within.all(-1), index))


def _within(lonlat: Tensor) -> bool:
    """Whether all values are in order, without memory; infinity and NaN compare false."""
    if lonlat.numel() <= _FEW:
        points = lonlat.reshape(-1, 2).tolist()
        return all(math.isfinite(lon) and -90 <= lat <= 90 for lon, lat in points)
    values = lonlat.resolve_neg().numpy()
    lon, lat = values[..., 0], values[..., 1]
    return bool(lat.min() >= -90 and lat.max() <= 90 and np.isfinite(lon.min()) and np.isfinite(lon.max()))


def _describe(lonlat: Tensor, bad: Tensor, index: Any) -> str:
    """Say what is wrong with the first bad row, how many more there are, and what it looks like."""
    lonlat = lonlat.to(torch.float64)
    first = tuple(int(i) for i in bad.nonzero()[0])
    lon, lat = (float(value) for value in lonlat[first])
    values = f"longitude {_plain(lon)}, latitude {_plain(lat)}"
    place = named_row(first[0] if len(first) == 1 else first, index) if first else "the point"
    more = and_more(int(bad.sum()))
    if not math.isfinite(lon) or not math.isfinite(lat):
        text = f"longitude and latitude must be finite, but {place} has {values}{more}. "
        return text + "Drop such rows or fill them in first"
    text = f"latitude must lie in [-90, 90] degrees, but {place} has {_plain(lat)} (longitude {_plain(lon)}){more}. "
    if abs(lat) > 360:
        return text + "This looks like projected metres: reproject to EPSG:4326 (longitude, latitude in degrees)"
    if bool((lonlat[..., 0].abs() <= 90).all()):
        return text + f"{_ORDER}: these columns look swapped"
    if abs(lon) <= 90 and 100 < abs(lat) <= 180:  # too far beyond a pole for an inexact latitude
        return text + f"{_ORDER}: this row looks swapped"
    return text + f"{_ORDER} in degrees, EPSG:4326"


def _plain(value: float) -> str:
    return repr(value).removesuffix(".0")


def _from_array_like(data: Any) -> Tensor:
    if isinstance(data, (str, bytes)) or data is None:
        raise TypeError(f"expected coordinates of shape (N, 2), got {type(data).__name__} {data!r:.40}")
    if isinstance(data, (Sequence, np.ndarray)) and getattr(data, "ndim", 1) == 1 and len(data) == 0:
        return torch.empty(0, 2, dtype=torch.float64, device="cpu")
    if isinstance(data, np.ma.MaskedArray) and data.mask.any():
        row = np.argwhere(data.mask)[0][0]
        raise ValueError(
            f"coordinates must not be missing, but row {row} is masked; drop such rows or fill them in first"
        )
    try:
        array = np.asarray(data)
    except ValueError as error:  # numpy's refusal of ragged rows
        raise ValueError(
            "every row of coordinates must be one (longitude, latitude) pair; rows differ in length"
        ) from error
    if array.dtype.kind not in "fiub" or array.dtype == np.bool_:
        sample = next((value for value in array.ravel() if not isinstance(value, (int, float))), None)
        found = f", for example {sample!r:.40}" if sample is not None else ""
        raise TypeError(f"coordinates must be numbers in degrees, not {array.dtype}{found}; convert the columns first")
    if array.dtype == np.float16:
        return torch.from_numpy(array)  # refused by `check_form`, with the reason
    return torch.from_numpy(array.astype(np.float64))


def unit_sphere(lonlat: Tensor) -> Tensor:
    """Points on the unit sphere.

    Parameters
    ----------
    lonlat : Tensor
        ``(..., 2)`` degrees.

    Returns
    -------
    Tensor
        ``(..., 3)`` float64: cos φ cos λ, cos φ sin λ, sin φ.
    """
    lon, lat = torch.deg2rad(lonlat.to(torch.float64)).unbind(-1)
    return torch.stack([lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()], -1)


def equal_earth(lonlat: Tensor) -> Tensor:
    """Equal Earth projection: areas keep their proportions.

    Parameters
    ----------
    lonlat : Tensor
        ``(..., 2)`` degrees; longitudes within [-180, 180].

    Returns
    -------
    Tensor
        ``(..., 2)`` float64, in radii of the sphere; x within ±2.7067, y within ±1.3174.

    References
    ----------
    Šavrič, Patterson & Jenny 2019, "The Equal Earth map projection", equations 7 to 9.
    """
    return torch.stack(reference.equal_earth(*(lonlat.to(torch.float64) * reference.RADIAN).unbind(-1)), -1)
