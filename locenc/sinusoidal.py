"""Sinusoidal position encoders: one module that owns a spec, one function for each variant's equation.

``lons``, ``lats`` are phases at all scales, ``lon``, ``lat`` the angles themselves. Scale 0 is the finest.
"""

import math
from collections.abc import Callable
from decimal import Decimal

import torch
from torch import Tensor

from locenc._names import among, check_count, unknown
from locenc.coords import KM_PER_DEGREE
from locenc.kernels.layout import LONLAT
from locenc.scales import Scales, geometric, odd, positive_km, power
from locenc.spec import DIGITS, PI, Spec, cos, outer, phase, sin
from locenc.waves import Waves


class Sinusoidal(Waves):
    """Products of sines and cosines of linear phases of (longitude, latitude).

    Parameters
    ----------
    spec : Spec
        The feature columns.
    dtype : torch.dtype, optional
        Of the features.
    radius_unit : str, optional
        Of the options ``min_radius`` and ``max_radius`` that the spec was made from.

    Notes
    -----
    The frequency table is float64 and stays so under ``.half()``, ``.float()`` and ``.to(dtype)``; only its device
    follows. It is rebuilt from the options, so the module's ``state_dict`` is empty.
    """

    frequencies: Tensor

    def __init__(self, spec: Spec, *, dtype: torch.dtype | None = None, radius_unit: str | None = None) -> None:
        super().__init__(len(spec), dtype=dtype)
        self.radius_unit = radius_unit
        table, self._layout = spec.table()
        self.register_constant("frequencies", table)

    @property
    def resolution_km(self) -> float:
        """Shortest wavelength along the equator, in km: the finest structure that the features resolve."""
        finest = float(self._constants["frequencies"][:, 0].abs().max())
        return 2 * KM_PER_DEGREE / (finest if self._layout[0] == LONLAT else math.radians(finest))

    def waves(self) -> tuple[Tensor, tuple[int, ...], float]:
        """Lowered from the spec."""
        return self.frequencies, self._layout, 1.0


def sphere_c(scales: Scales) -> Spec:
    """Sphere2Vec sphereC (Mai et al. 2023): the unit-sphere point of the scaled angles."""
    lons, lats = phase("lon", scales), phase("lat", scales)
    return Spec(sin(lats), cos(lats) * cos(lons), cos(lats) * sin(lons))


def sphere_c_plus(scales: Scales) -> Spec:
    """Sphere2Vec sphereC+ (Mai et al. 2023): sphereC and the plain sinusoids (grid)."""
    lons, lats = phase("lon", scales), phase("lat", scales)
    return Spec(sin(lats), cos(lats), sin(lons), cos(lons), cos(lats) * cos(lons), cos(lats) * sin(lons))


def sphere_m(scales: Scales) -> Spec:
    """Sphere2Vec sphereM (Mai et al. 2023): one coordinate at all scales, the other as it is."""
    lon, lat, lons, lats = phase("lon"), phase("lat"), phase("lon", scales), phase("lat", scales)
    return Spec(sin(lats), cos(lats) * cos(lon), cos(lons) * cos(lat), cos(lats) * sin(lon), sin(lons) * cos(lat))


def sphere_m_plus(scales: Scales) -> Spec:
    """Sphere2Vec sphereM+ (Mai et al. 2023): the plain sinusoids (grid) and sphereM."""
    lons, lats = phase("lon", scales), phase("lat", scales)
    return Spec(sin(lats), cos(lats), sin(lons), cos(lons), *sphere_m(scales).blocks[1:])


def sphere_dfs(scales: Scales) -> Spec:
    """Sphere2Vec dfs (Mai et al. 2023): the double Fourier sphere, every scale with every scale."""
    lons, lats = phase("lon", scales), phase("lat", scales)
    products = [outer(of_lon(lons), of_lat(lats)) for of_lon in (sin, cos) for of_lat in (sin, cos)]
    return Spec(*products, sin(lats), cos(lats), sin(lons), cos(lons))


def grid(scales: Scales) -> Spec:
    """Space2Vec grid (Mai et al. 2020): each coordinate by itself."""
    lons, lats = phase("lon", scales), phase("lat", scales)
    return Spec(sin(lons), cos(lons), sin(lats), cos(lats))


def nerf_axes(scales: Scales) -> Spec:
    """NeRF (Mildenhall et al. 2020): sines, then cosines, of the point on the unit sphere."""
    axes = [phase(axis, scales) for axis in "xyz"]
    return Spec(*(wave(axis) for wave in (sin, cos) for axis in axes))


def theory(scales: Scales) -> Spec:
    """Space2Vec theory (Mai et al. 2020): three directions, 120 degrees apart."""
    half, root = Decimal("0.5"), DIGITS.divide(DIGITS.sqrt(Decimal(3)), Decimal(2))
    directions = [phase(of, scales) for of in ((Decimal(1), Decimal(0)), (-half, root), (-half, -root))]
    return Spec(*(wave(of) for of in directions for wave in (sin, cos)))


SPHERE2VEC: dict[str, Callable[[Scales], Spec]] = {
    "sphereC": sphere_c,
    "sphereC+": sphere_c_plus,
    "sphereM": sphere_m,
    "sphereM+": sphere_m_plus,
    "dfs": sphere_dfs,
}
SPACE2VEC: dict[str, Callable[[Scales], Spec]] = {"grid": grid, "theory": theory}
FREQUENCY_LISTS = ("geometric", "power")


def sphere2vec(
    variant: str,
    *,
    num_scales: int = 32,
    min_radius: float = 1e-3,
    max_radius: float = 1.0,
    finest_km: float | None = None,
    seamless: bool = False,
    frequency_list: str = "geometric",
    dtype: torch.dtype | None = None,
) -> Sinusoidal:
    """Sphere2Vec position encoder.

    Parameters
    ----------
    variant : str
        ``"sphereC"`` (3 columns per scale), ``"sphereC+"`` (6), ``"sphereM"`` (5), ``"sphereM+"`` (8) or
        ``"dfs"`` (4 S² + 4 S columns).
    num_scales : int
        Number of scales S.
    min_radius, max_radius : float
        Finest and coarsest radius, in radians: the phase is angle / radius, so wavelengths along the equator
        run from 2π·min_radius to 2π·max_radius radians (40 km to the whole circle by default).
    finest_km : float, optional
        Sets ``min_radius``, instead of it, by the shortest wavelength along the equator.
    seamless : bool
        Move the frequencies to distinct odd numbers of turns per 360°: all variants become continuous at the
        antimeridian, and sphereC and sphereM at the poles. The published models are not.
    frequency_list : str
        ``"geometric"``; or, for sphereM+ and dfs, ``"power"``: TorchSpatial's list, max_radius^(-s/(S-1)) with the
        plain angle as the finest scale, without ``min_radius``. Needed for its weights alone.
    dtype : torch.dtype, optional
        Of the features.

    Raises
    ------
    ValueError
        For fewer than one scale, radii not in order, an unknown list, or more seamless scales than fit.

    References
    ----------
    Mai et al. 2023, "Sphere2Vec", ISPRS Journal of Photogrammetry and Remote Sensing 202.
    """
    if finest_km is not None:
        min_radius = positive_km(finest_km) / (360 * KM_PER_DEGREE)
    if not among(frequency_list, FREQUENCY_LISTS):
        raise ValueError(unknown("frequency list", frequency_list, FREQUENCY_LISTS))
    if frequency_list == "power":
        if variant not in ("sphereM+", "dfs") or seamless or finest_km is not None:
            raise ValueError(
                "TorchSpatial has the power list for sphereM+ and dfs alone, never seamless or with finest_km"
            )
        turns = power(num_scales, max_radius)
    else:
        turns = geometric(num_scales, min_radius, max_radius)
    return _sinusoidal(SPHERE2VEC[variant], turns, seamless, dtype, "radians")


def space2vec(
    variant: str,
    *,
    num_scales: int = 32,
    min_radius: float = 0.1,
    max_radius: float = 360.0,
    finest_km: float | None = None,
    seamless: bool = False,
    dtype: torch.dtype | None = None,
) -> Sinusoidal:
    """Space2Vec position encoder.

    Parameters
    ----------
    variant : str
        ``"grid"`` (4 columns per scale) or ``"theory"`` (6).
    num_scales : int
        Number of scales S.
    min_radius, max_radius : float
        Finest and coarsest radius, in degrees: the phase in radians is degrees / radius, so wavelengths run
        from 2π·min_radius to 2π·max_radius degrees (0.63° to 2,262° by default, as in CSP).
    finest_km : float, optional
        Sets ``min_radius``, instead of it, by the shortest wavelength along the equator.
    seamless : bool
        Move the frequencies of grid to distinct odd numbers of turns per 360°, so that it is continuous at the
        antimeridian. Wavelengths longer than the globe become the globe's; theory has no such form.
    dtype : torch.dtype, optional
        Of the features.

    Raises
    ------
    ValueError
        For fewer than one scale, radii not in order, a seamless theory, or more seamless scales than fit.

    References
    ----------
    Mai et al. 2020, "Multi-scale representation learning for spatial feature distributions using grid cells", ICLR.
    """
    if finest_km is not None:
        min_radius = positive_km(finest_km) / (2 * math.pi * KM_PER_DEGREE)
    if seamless and variant == "theory":
        raise ValueError("theory's directions are oblique, so no choice of frequencies closes it: seamless is for grid")
    turns = [DIGITS.divide(DIGITS.multiply(Decimal(180), f), PI) for f in geometric(num_scales, min_radius, max_radius)]
    return _sinusoidal(SPACE2VEC[variant], turns, seamless, dtype, "degrees")


def _sinusoidal(
    spec: Callable[[Scales], Spec],
    turns: list[Decimal],
    seamless: bool,
    dtype: torch.dtype | None,
    radius_unit: str,
) -> Sinusoidal:
    """Build a module from frequencies in turns per 360°."""
    turns = odd(turns) if seamless else turns
    return Sinusoidal(spec([DIGITS.divide(f, Decimal(180)) for f in turns]), dtype=dtype, radius_unit=radius_unit)


def nerf(*, num_scales: int = 16, dtype: torch.dtype | None = None) -> Sinusoidal:
    """NeRF position encoder on the unit sphere: sines and cosines of 2^s π (x, y, z); 6 columns per scale.

    Continuous everywhere on the sphere. Scale 0 is the coarsest, as in the papers.

    Parameters
    ----------
    num_scales : int
        Number of scales S; the published TorchSpatial models have 16.
    dtype : torch.dtype, optional
        Of the features.

    References
    ----------
    Mildenhall et al. 2020, "NeRF", ECCV; on the sphere Mai et al. 2023 (ISPRS).
    """
    num_scales = check_count("num_scales", num_scales, most=50)  # finer ones are below float64's digits
    return Sinusoidal(nerf_axes([Decimal(2) ** s for s in range(num_scales)]), dtype=dtype)


def xyz(*, dtype: torch.dtype | None = None) -> Sinusoidal:
    """Point on the unit sphere: cos φ cos λ, cos φ sin λ, sin φ; 3 columns.

    References
    ----------
    Mai et al. 2023 (ISPRS), section 3.
    """
    lon, lat = phase("lon"), phase("lat")
    return Sinusoidal(Spec(cos(lat) * cos(lon), cos(lat) * sin(lon), sin(lat)), dtype=dtype)
