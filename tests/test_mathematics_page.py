"""docs/mathematics.md: columns, wavelengths and continuity that its tables state are those of the code."""

import re
from pathlib import Path

import pytest
import torch
from torch.autograd.functional import jacobian

import locenc

TEXT = (Path(__file__).resolve().parent.parent / "docs" / "mathematics.md").read_text(encoding="utf-8")
LATITUDES = torch.linspace(-85, 85, 18, dtype=torch.float64)
LONGITUDES = torch.linspace(-180, 180, 25, dtype=torch.float64)
SMALL = {"sphere2vec-dfs": {"num_scales": 8}, "nerf": {"num_scales": 6}, "spherical-harmonics": {"num_degrees": 12}}
SMALL |= {"spherical-voronoi": {"num_sites": 64, "site_dim": 8, "num_features": 16, "num_tokens": 4}}


def rows(head):
    """Rows of the table whose first column has this title, by the name in that column."""
    table = re.search(rf"^\| {re.escape(head)} \|.*\n\|[ |-]+\n((?:\|.*\n)+)", TEXT, flags=re.MULTILINE)[1]
    cells = [[cell.strip() for cell in line.strip("| ").split("|")] for line in table.splitlines()]
    return {row[0].strip("`"): row[1:] for row in cells}


ENCODERS, SEAMLESS = rows("name"), rows("`seamless=True`")


def number(text):
    return float(text.replace(",", ""))


def test_every_encoder_has_a_row():
    assert list(ENCODERS) == locenc.list_encoders()
    assert [name for name in ENCODERS if seamless_works(name)] == list(SEAMLESS)


def seamless_works(name):
    try:
        locenc.position_encoder(name, seamless=True, num_scales=4)
    except (TypeError, ValueError):
        return False
    return True


@pytest.mark.parametrize("name", ENCODERS)
def test_columns(name):
    formula, by_default = ENCODERS[name][:2]
    assert locenc.position_encoder(name).out_dim == number(by_default)
    found = re.fullmatch(r"(?:(\d+) )?(S²?)(?: \+ (\d+) S)?, S = `(\w+)`", formula)
    if found is None:
        assert formula == by_default
        return
    factor, power, more, option = found.groups()
    for count in (1, 2, 7):
        stated = int(factor or 1) * count ** (2 if power == "S²" else 1) + int(more or 0) * count
        assert locenc.position_encoder(name, **{option: count}).out_dim == stated


@pytest.mark.parametrize("name", ENCODERS)
def test_finest_wavelength(name):
    stated, found = ENCODERS[name][2], getattr(locenc.position_encoder(name), "resolution_km", None)
    if stated in ("none", "drawn", "learned"):
        assert found is None
    else:
        assert f"{found:,.0f}" == stated or f"{found:.3g}" == stated


@pytest.mark.parametrize("name", ["sphere2vec-sphereC", "space2vec-grid"])
def test_radii_are_wavelengths_over_two_pi(name):
    position = locenc.position_encoder(name, num_scales=6, min_radius=0.02, max_radius=0.9)
    radii = 0.02 * (0.9 / 0.02) ** (torch.arange(6, dtype=torch.float64) / 5)
    degrees = 2 * torch.pi * (radii.rad2deg() if name == "sphere2vec-sphereC" else radii)
    half_turns = position.frequencies[:, 0]
    torch.testing.assert_close(2 / half_turns[half_turns > 0], degrees)


def slopes(position, lon, lat):
    """Derivatives (F, 2) at a place, per degree."""
    place = torch.tensor([lon, lat], dtype=torch.float64)
    return jacobian(lambda where: position(where, dtype=torch.float64), place)


CASES = [(name, False, *row[3:]) for name, row in ENCODERS.items()]
CASES += [(name, True, *row) for name, row in SEAMLESS.items()]


@pytest.mark.parametrize(("name", "seamless", "seam", "poles"), CASES)
def test_continuity(name, seamless, seam, poles):
    options = SMALL.get(name, {}) | ({"seamless": True, "num_scales": 6} if seamless else {})
    position = locenc.position_encoder(name, **options).double()
    assert state_at_the_seam(position) == seam
    assert state_at_the_poles(position) == poles


def features(position, lon, lat):
    lonlat = torch.stack(torch.broadcast_tensors(lon, lat), -1)
    with torch.no_grad():
        return position(lonlat, dtype=torch.float64)


def state_at_the_seam(position):
    east, west = (features(position, torch.tensor(lon, dtype=torch.float64), LATITUDES) for lon in (180.0, -180.0))
    if (east - west).abs().max() > 1e-6:
        return "jumps"
    found = [slopes(position, lon, 37.0) for lon in (180.0, -180.0)]
    torch.testing.assert_close(*found, rtol=0, atol=1e-6 * max(1.0, float(found[0].abs().max())))
    return "smooth"


def state_at_the_poles(position):
    """Smooth: the slope from the pole towards longitude λ is a vector's component, D(0) cos λ + D(90) sin λ."""
    state = "smooth"
    for pole in (90.0, -90.0):
        values = features(position, LONGITUDES, torch.tensor(pole, dtype=torch.float64))
        if (values - values[0]).abs().max() > 1e-6:
            return "jumps"
        along = {lon: slopes(position, float(lon), pole)[:, 1] for lon in (0, 90, 40, 100)}
        largest = max(1.0, *(float(slope.abs().max()) for slope in along.values()))
        for lon in (40, 100):
            angle = torch.tensor(float(lon)).double().deg2rad()
            component = along[0] * angle.cos() + along[90] * angle.sin()
            if (along[lon] - component).abs().max() > 1e-6 * largest:
                state = "continuous"
    return state
