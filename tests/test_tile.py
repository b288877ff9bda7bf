"""Tiles: which cell a place falls into, and what is trained."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import locenc


@pytest.mark.parametrize("cell_degrees", [7, 10])
def test_cells_are_torchspatials(golden, cell_degrees: int) -> None:
    arrays = golden("position_encoders.npz")
    encoder = locenc.position_encoder("tile", cell_degrees=cell_degrees, num_features=1)
    cells = encoder.cell(torch.from_numpy(arrays["lonlat"])).numpy()
    np.testing.assert_array_equal(cells, arrays[f"torchspatial/tile_index|interval{cell_degrees}"][:, 0])


def test_one_cell_is_torchspatials_constant() -> None:
    encoder = locenc.position_encoder("tile", cell_degrees=1e6, num_features=3)
    assert encoder.table.shape == (1, 3)
    assert torch.equal(encoder(torch.tensor([[7.0, -80.0]])), encoder.table)


@given(
    lon=st.floats(-1000, 1000),
    lat=st.floats(-90, 90),
    cell_degrees=st.sampled_from([0.7, 1.0, 3.3, 45.0, 100.0, 400.0]),
)
def test_every_place_has_a_cell(lon: float, lat: float, cell_degrees: float) -> None:
    encoder = locenc.position_encoder("tile", cell_degrees=cell_degrees, num_features=1)
    cell = int(encoder.cell(torch.tensor([[lon, lat]], dtype=torch.float64)))
    assert 0 <= cell < len(encoder.table)


def test_cells_outside_the_extent_are_its_border() -> None:
    encoder = locenc.position_encoder("tile", extent=(0, 20, 40, 60), cell_degrees=10.0)
    lonlat = torch.tensor([(5.0, 45.0), (-50.0, -10.0), (15.0, 45.0), (179.0, 0.0), (5.0, 55.0), (90.0, 90.0)])
    assert encoder.cell(lonlat).tolist() == [0, 0, 1, 1, 2, 3]


def test_the_table_is_trained() -> None:
    torch.manual_seed(0)
    encoder = locenc.create("tile", dim=256, cell_degrees=90.0, num_features=4)
    assert encoder.dim == 256
    assert type(encoder.network).__name__ == "Linear"
    position = encoder.position
    position(torch.tensor([(-100.0, -10.0), (-100.0, -20.0), (100.0, 10.0)])).sum().backward()
    counts = position.table.grad[:, 0]
    assert counts.tolist() == [2, 0, 0, 0, 0, 0, 0, 1]


def test_places_that_are_not_checked() -> None:
    encoder = locenc.position_encoder("tile")
    nowhere = torch.tensor([(float("nan"), 0.0), (0.0, float("nan")), (float("inf"), 0.0), (1.0, 2.0)])
    features = encoder(nowhere, check=False)
    assert torch.isnan(features[:3]).all()
    assert torch.isfinite(features[3]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell_degrees": 0.0}, r"cell_degrees must be positive and finite, got 0\.0"),
        ({"cell_degrees": 5e-324}, r"larger than 268435456 numbers"),
        ({"cell_degrees": float("inf")}, r"cell_degrees.*inf"),
        ({"num_features": 0}, r"num_features must be a whole number of at least 1, got 0"),
        ({"extent": (0, 0, 1, 2)}, r"extent must be \(west, east, south, north\) in degrees"),
        (
            {"cell_degrees": 0.01},
            r"18000 x 36000 cells of 0\.01 degrees with 64 features each is larger than 268435456",
        ),
    ],
)
def test_what_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        locenc.position_encoder("tile", **options)
