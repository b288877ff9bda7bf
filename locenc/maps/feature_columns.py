"""What each feature of a position encoder is: its formula and its wavelength, and which features show the scales."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from locenc._names import check_count
from locenc.coords import KM_PER_DEGREE
from locenc.harmonics import SphericalHarmonics
from locenc.kernels import layout as fields
from locenc.position import PositionEncoder
from locenc.waves import Waves

_NAMES = {fields.LONLAT: ("lon", "lat"), fields.XYZ: ("x", "y", "z"), fields.EQUAL_EARTH: ("x", "y")}
_FEW = 3


class Column(NamedTuple):
    """One feature.

    Attributes
    ----------
    number : int
        Its column.
    formula : str
        What it is; empty where that is not known.
    wavelength_km : float or None
        Its shortest wavelength, along the equator.
    weight : tuple of float
        The heaviest of a scale shows it best: the product of two waves, both short.
    """

    number: int
    formula: str
    wavelength_km: float | None
    weight: tuple[float, ...]


def columns(position: PositionEncoder) -> list[Column]:
    """All features of a position encoder."""
    if isinstance(position, Waves):
        return _waves(position)
    if isinstance(position, SphericalHarmonics):
        found = []
        for number in range(position.out_dim):
            degree = math.isqrt(number)
            order = number - degree * (degree + 1)
            length = 360 * KM_PER_DEGREE / degree if degree else math.inf
            found.append(Column(number, f"degree {degree}, order {order}", length, (-abs(order - degree / 2),)))
        return found
    return [Column(number, "", None, ()) for number in range(position.out_dim)]


def shown(position: PositionEncoder, features: Sequence[int] | None, most: int) -> list[Column]:
    """The given features; without them one for each scale, coarsest first, or all where there are no scales.

    Parameters
    ----------
    position : PositionEncoder
        The encoder.
    features : sequence of int, optional
        Columns.
    most : int
        So many at most; of more scales so many, evenly.

    Raises
    ------
    ValueError
        For no features, more than ``most``, or one that the encoder does not have.
    """
    known = columns(position)
    if features is not None:
        if not 1 <= len(features) <= most:
            raise ValueError(f"features must be 1 to {most} columns, a map for each, got {len(features)}")
        return [known[check_count("a feature", one, least=0, most=len(known) - 1)] for one in features]
    by_scale: dict[str, Column] = {}
    for column in known:
        if column.wavelength_km is not None and math.isfinite(column.wavelength_km):
            scale = f"{column.wavelength_km:.9g}"
            by_scale[scale] = max(by_scale.get(scale, column), column, key=lambda one: (one.weight, one.number))
    by_length = sorted(by_scale.values(), key=lambda one: -(one.wavelength_km or 0))
    found = known if len(by_length) < _FEW else by_length
    if len(found) <= most:
        return found
    return [found[number] for number in np.linspace(0, len(found) - 1, most).round().astype(int)]


def _waves(position: Waves) -> list[Column]:
    frequencies, layout, _ = position.waves()
    table = frequencies.detach().cpu().double().numpy()
    lengths = [length for length, _ in fields.phases(layout)]
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(int)
    found: list[Column] = []
    for block in fields.blocks(layout):
        phases = [(block.phase_a, block.function_a), (block.phase_b, block.function_b)]
        phases = [(phase, function) for phase, function in phases if function != fields.ONE]
        for number in range(block.columns):
            if block.combine == fields.OUTER:
                rows = divmod(number, lengths[block.phase_b])
            else:
                rows = tuple(number if lengths[phase] > 1 else 0 for phase, _ in phases)  # type: ignore[assignment]
            waves = [table[starts[phase] + row] for (phase, _), row in zip(phases, rows, strict=False)]
            parts = [
                f"{'sin' if function == fields.SIN else 'cos'}({_argument(wave, layout[0])})"
                for (_, function), wave in zip(phases, waves, strict=True)
            ]
            wavelengths = [_wavelength(wave, layout[0]) for wave in waves]
            weight = (len(waves), -sum(wavelengths))
            found.append(Column(len(found), " ".join(parts), min(wavelengths), weight))
    return found


def _wavelength(wave: np.ndarray, kind: int) -> float:
    """In km: frequencies are half turns per degree, or per radius of the sphere."""
    norm = float(np.linalg.norm(wave[: fields.DIMENSIONS[kind]]))
    unit = KM_PER_DEGREE if kind == fields.LONLAT else KM_PER_DEGREE * 180 / math.pi
    return 2 * unit / norm if norm else math.inf


def _argument(wave: np.ndarray, kind: int) -> str:
    names, shift = _NAMES[kind], " + shift" if len(wave) > fields.DIMENSIONS[kind] else ""
    turns = wave * (180 if kind == fields.LONLAT else math.pi)
    used = [axis for axis, turn in enumerate(turns[: len(names)]) if turn]
    if len(used) != 1:
        return " + ".join(f"{turns[axis]:.3g} {names[axis]}" for axis in used).replace("+ -", "- ") + shift
    (axis,) = used
    turn = float(turns[axis])
    number = f"{turn:,.0f}" if abs(turn) >= 100 else f"{turn:.3g}"
    argument = names[axis] if abs(turn - 1) < 1e-9 else f"{number} {names[axis]}"
    return argument + shift
