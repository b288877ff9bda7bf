"""What the lists of frequencies refuse: lengths and radii that are no numbers, or none that can be."""

import math

import pytest

import locenc

POWER = {"frequency_list": "power"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_radius": "x"}, "max_radius must be a number, got 'x'"),
        ({"min_radius": "0.1"}, "min_radius must be a number, got '0.1'"),
        ({"min_radius": True}, "min_radius must be a number, got True"),
        ({"finest_km": "7"}, "finest_km must be a number, got '7'"),
        ({"max_radius": "x", **POWER}, "max_radius must be a number, got 'x'"),
        ({"max_radius": None, **POWER}, "max_radius must be a number, got None"),
    ],
)
def test_no_numbers(options: dict, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        locenc.position_encoder("sphere2vec-dfs", **options)


@pytest.mark.parametrize("value", [0, -1.0, math.inf, math.nan])
def test_numbers_out_of_range(value: float) -> None:
    with pytest.raises(ValueError, match=f"max_radius must be positive and finite, got {value}"):
        locenc.position_encoder("sphere2vec-dfs", max_radius=value, **POWER)
    with pytest.raises(ValueError, match=f"finest_km must be a positive and finite length in km, got {value}"):
        locenc.position_encoder("sphere2vec-dfs", finest_km=value)
