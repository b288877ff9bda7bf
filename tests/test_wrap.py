"""Wrap's conventions, its extent, and the date."""

from pathlib import Path

import formulas
import numpy as np
import pytest
import torch

import locenc

AMERICA = [-162.0, -59.0, 20.0, 56.0]
POINTS = torch.tensor(
    [(2.35, 48.86), (180.0, -90.0), (-180.0, 12.0), (540.0, 3.0), (-100.0, 40.0)], dtype=torch.float64
)
DATES = torch.tensor([-1.0, 0.0, 0.25, 0.5, 1.0], dtype=torch.float64)


@pytest.mark.parametrize(
    "options", [{"convention": "satclip"}, {"extent": AMERICA}, {"extent": [0, 1, -90, -88]}], ids=str
)
def test_values(options: dict) -> None:
    encoder = locenc.position_encoder("wrap", **options, dtype=torch.float64)
    expected = torch.from_numpy(formulas.evaluate("wrap", POINTS.numpy(), **options))
    torch.testing.assert_close(encoder(POINTS), expected, rtol=0, atol=1e-12)


def test_an_extent_is_kept_exact_under_casts() -> None:
    encoder = locenc.position_encoder("wrap", extent=AMERICA)
    features = encoder(POINTS)
    assert torch.equal(encoder.half()(POINTS), features)
    assert encoder.state_dict() == {}


@pytest.mark.parametrize("convention", ["torchspatial", "satclip"])
def test_the_date_is_two_columns_more(convention: str) -> None:
    encoder = locenc.position_encoder("wrap", convention=convention, date=True, dtype=torch.float64)
    features = encoder(POINTS, date=DATES)
    assert encoder.out_dim == 6
    place = locenc.position_encoder("wrap", convention=convention, dtype=torch.float64)(POINTS)
    assert torch.equal(features[:, :4], place)
    expected = np.stack([np.sin(np.pi * DATES.numpy()), np.cos(np.pi * DATES.numpy())], 1)
    torch.testing.assert_close(features[:, 4:], torch.from_numpy(expected), rtol=0, atol=1e-15)
    shaped = encoder(POINTS[:4].reshape(2, 2, 2), date=DATES[:4].reshape(2, 2))
    assert torch.equal(shaped.reshape(4, 6), features[:4])


def test_a_location_encoder_takes_the_date(tmp_path: Path) -> None:
    encoder = locenc.create("wrap", dim=8, date=True).eval()
    embedding = encoder(POINTS, date=DATES)
    assert embedding.shape == (5, 8)
    assert not torch.equal(embedding, encoder(POINTS, date=DATES + 0.5))
    encoder.save_pretrained(tmp_path)
    assert torch.equal(locenc.from_pretrained(tmp_path)(POINTS, date=DATES), embedding)
    compiled = torch.compile(encoder, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(POINTS, date=DATES), embedding)


def test_gradients_reach_the_date() -> None:
    encoder = locenc.position_encoder("wrap", date=True, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda x, date: encoder(x, date=date), (POINTS[4:].requires_grad_(), DATES[2:3].requires_grad_())
    )


def test_what_is_refused() -> None:
    encoder = locenc.position_encoder("wrap", date=True)
    with pytest.raises(ValueError, match=r"needs date=, shape \(5,\), .*got none"):
        encoder(POINTS)
    with pytest.raises(ValueError, match=r"needs date=, shape \(5,\), .*got shape \(3,\)"):
        encoder(POINTS, date=DATES[:3])
    with pytest.raises(ValueError, match=r"latitude must lie in"):
        encoder(torch.tensor([[0.0, 99.0]]), date=DATES[:1])
    with pytest.raises(ValueError, match=r"unknown convention 'satclips'\. Did you mean 'satclip'"):
        locenc.position_encoder("wrap", convention="satclips")
    with pytest.raises(ValueError, match=r"an extent is for the torchspatial convention"):
        locenc.position_encoder("wrap", convention="satclip", extent=AMERICA)
    with pytest.raises(ValueError, match=r"extent must be \(west, east, south, north\)"):
        locenc.position_encoder("wrap", extent=[10, 0, 0, 1])
