"""Options of spherical harmonics: sizes, bounds, texts of errors, what is handed to the kernels."""

import pytest
import torch

import locenc
from locenc import kernels
from locenc.harmonics import SphericalHarmonics
from locenc.position import Layer


@pytest.mark.parametrize("num_degrees", [1, 2, 3, 40])
def test_columns(num_degrees: int) -> None:
    encoder = SphericalHarmonics(num_degrees=num_degrees)
    assert encoder.out_dim == num_degrees**2
    assert encoder(torch.zeros(3, 2)).shape == (3, num_degrees**2)


def test_defaults() -> None:
    lonlat = torch.tensor([[12.5, -33.0]], dtype=torch.float64)
    encoder = SphericalHarmonics()
    assert encoder.out_dim == 1600
    assert torch.equal(encoder(lonlat), SphericalHarmonics(num_degrees=40, normalization="orthonormal")(lonlat))


def test_at_most_a_thousand_degrees() -> None:
    assert SphericalHarmonics(num_degrees=1000).out_dim == 1_000_000
    with pytest.raises(ValueError, match=r"^num_degrees must be .*1,?000, got 1001$"):
        SphericalHarmonics(num_degrees=1001)
    with pytest.raises(ValueError, match=r"^num_degrees must be a whole number .*, got 0$"):
        SphericalHarmonics(num_degrees=0)


def test_unknown_normalizations_are_named() -> None:
    message = r"^unknown normalization 'satclib'. Did you mean 'satclip'\? There are: orthonormal, satclip.$"
    with pytest.raises(ValueError, match=message):
        SphericalHarmonics(normalization="satclib")


def test_resolution() -> None:
    assert locenc.position_encoder("spherical-harmonics", num_degrees=1).resolution_km == float("inf")
    assert SphericalHarmonics(num_degrees=11).resolution_km == pytest.approx(2 * torch.pi * 6378.137 / 10)


def test_features_go_where_they_are_told() -> None:
    encoder, lonlat = SphericalHarmonics(num_degrees=4), torch.tensor([[12.5, -33.0], [0.0, 1.0]], dtype=torch.float64)
    out = torch.full((2, 16), torch.nan)
    assert encoder(lonlat, out=out) is out
    assert torch.equal(out, encoder(lonlat))


def test_what_the_fused_kernel_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []
    monkeypatch.setattr(kernels.spherical_harmonics_linear, "fused", lambda *arguments: given.extend(arguments))
    encoder, lonlat = SphericalHarmonics(num_degrees=3), torch.zeros(2, 2)
    layer = Layer(torch.ones(5, 9), torch.zeros(5))
    encoder.linear(lonlat, layer)
    expected = [lonlat, encoder.recurrence, encoder.scale, *layer, torch.float32]
    assert len(given) == len(expected)
    assert all(one is other for one, other in zip(given, expected, strict=True))
