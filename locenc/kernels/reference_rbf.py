"""Gaussian radial basis functions of distances to anchors in plain torch, in float64.

On the sphere the distance is the central angle. With half the difference of latitudes and of longitudes,

    near = sin²(Δφ/2) + cos φ cos φ' sin²(Δλ/2) = sin²(θ/2),    far = cos²(θ/2) = near of the antipode,

both sums of positive terms, so that θ = 2 atan2(√near, √far) is exact to its last digits at every distance. θ² is an
analytic function of near everywhere but at the antipode; close to the anchor its power series gives it all derivatives.
"""

import math

import torch
from torch import Tensor

from locenc.kernels.choice import exporting
from locenc.kernels.reference import RADIAN, exact, reduce_longitude

#: Coefficients of θ² = Σ c_m near^m: c_m = 2 · 4^m / (m² (2m over m)).
SERIES = tuple(2 * 4**m / (m * m * math.comb(2 * m, m)) for m in range(1, 10))
SERIES_LIMIT = 0.01  # of near: the first term left out is 1e-18 of the sum
ANTIPODE = 1e-30  # of far: a slope ends at the antipode, where there is none


def radial_basis(lonlat: Tensor, anchors: Tensor, kernel_size: float, planar: bool, dtype: torch.dtype) -> Tensor:
    """Features exp(-d² / (2 k²)).

    Parameters
    ----------
    lonlat : Tensor
        ``(N, 2)`` degrees; longitudes beyond ±180 mean the same place within.
    anchors : Tensor
        ``(A, 2)`` float64, degrees.
    kernel_size : float
        k, in degrees.
    planar : bool
        Whether d is the distance on the plane of longitude and latitude, without a seam, in degrees; otherwise the
        central angle in degrees.
    dtype : torch.dtype
        Of the features.

    Returns
    -------
    Tensor
        ``(N, A)``.
    """
    lon, lat = lonlat.to(torch.float64).unbind(1)
    east = reduce_longitude(lon)[:, None] - anchors[:, 0]
    north = lat[:, None] - anchors[:, 1]
    if planar:
        squared = east * east + north * north
        width = kernel_size
    else:
        squared = _squared_angle(lat, anchors[:, 1], reduce_longitude(east), north)
        width = math.radians(kernel_size)
    return torch.exp(squared * exact(-0.5 / width**2)).to(dtype)


def _squared_angle(lat: Tensor, anchor_lat: Tensor, east: Tensor, north: Tensor) -> Tensor:
    """Squares of central angles in radians² from latitudes (N), (A) and differences (N, A) in degrees."""
    half, full = exact(RADIAN / 2), exact(RADIAN)
    across = (lat * full).cos()[:, None] * (anchor_lat * full).cos()
    near = (north * half).sin() ** 2 + across * (east * half).sin() ** 2
    far = ((lat[:, None] + anchor_lat) * half).sin() ** 2 + across * (east * half).cos() ** 2
    series = torch.zeros_like(near)
    for coefficient in reversed(SERIES):
        series = (series + exact(coefficient)) * near
    # Each branch is kept away from where its slope is infinite: such a slope times zero would be NaN.
    angle = 2 * _angle(near.clamp(min=SERIES_LIMIT).sqrt(), far.clamp(min=ANTIPODE).sqrt())
    return torch.where(near < SERIES_LIMIT, series, angle * angle)


def _angle(sine: Tensor, cosine: Tensor) -> Tensor:
    """Arctangent; exported graphs get one Newton step, since ONNX runtimes have no float64 arctangent."""
    if not exporting():
        return torch.atan2(sine, cosine)
    rough = torch.atan2(sine.to(torch.float32), cosine.to(torch.float32)).to(torch.float64)
    return rough + (sine * rough.cos() - cosine * rough.sin())
