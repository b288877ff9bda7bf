"""Coordinates and encoders on devices: by torch's meta device, which has no numbers."""

import pytest
import torch
from catalogue import small

import locenc

NAMES = [name for name in locenc.list_encoders() if name != "direct"]  # it holds no tensors


def points(device: str) -> torch.Tensor:
    return torch.zeros(3, 2, dtype=torch.float64, device=device)


@pytest.mark.parametrize("name", NAMES)
def test_position_encoders_elsewhere(name: str) -> None:
    encoder = locenc.position_encoder(name, **small(name))
    message = r"the coordinates are on meta, but the position encoder is on cpu: move them, lonlat\.to\('cpu'\), or it"
    with pytest.raises(ValueError, match=message):
        encoder(points("meta"))
    with pytest.raises(ValueError, match=r"the coordinates are on cpu, but .* is on meta: .* encoder\.to\('cpu'\)"):
        encoder.to("meta")(points("cpu"))
    assert encoder(points("meta")).shape == (3, encoder.out_dim)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", [*NAMES, "direct"])
def test_location_encoders_elsewhere(name: str, training: bool) -> None:
    encoder = locenc.create(name, dim=8, **small(name)).train(training)
    with pytest.raises(ValueError, match=r"the coordinates are on meta, but the .* is on cpu"):
        encoder(points("meta"))
    with pytest.raises(ValueError, match=r"the coordinates are on meta, but the .* is on cpu"):
        encoder.passes(points("meta"))()
    encoder.to("meta")
    assert encoder(points("meta")).shape == (3, 8)
    with pytest.raises(ValueError, match=r"the coordinates are on cpu, but the encoder's network is on meta"):
        encoder(points("cpu"))
    many = points("cpu").repeat(1000, 1)
    with pytest.raises(ValueError, match=r"the coordinates are on cpu, but the encoder's network is on meta"):
        encoder(many)


def test_parts_elsewhere() -> None:
    encoder = locenc.create("wrap", dim=8)
    encoder.position.to("meta")
    with pytest.raises(ValueError, match="the coordinates are on cpu, but the position encoder is on meta"):
        encoder(points("cpu"))
    with pytest.raises(ValueError, match="the coordinates are on cpu, but the position encoder is on meta"):
        encoder(points("cpu").repeat(1000, 1))


def test_dates_elsewhere() -> None:
    encoder = locenc.create("wrap", dim=8, date=True)
    with pytest.raises(ValueError, match="the coordinates are on meta, but the encoder's network is on cpu"):
        encoder(points("meta"), date=torch.zeros(3, device="meta"))


def test_compiled_encoders_say_so_too() -> None:
    torch._dynamo.reset()
    encoder = torch.compile(locenc.create("wrap", dim=8), fullgraph=True, backend="eager")
    with pytest.raises(Exception, match="the coordinates are on meta"):
        encoder(points("meta"))
