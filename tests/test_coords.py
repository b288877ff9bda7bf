"""The door: bad coordinates get one clear error that names the row and the value; good ones pass unchanged."""

import re
from collections.abc import Callable

import formulas
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import locenc
from locenc.coords import as_lonlat, check_lonlat, equal_earth, unit_sphere

ENCODER = locenc.create("sphere2vec-sphereC", dim=4, num_scales=2).eval()
Door = Callable[[Tensor], object]
quick = settings(deadline=None, max_examples=60, database=None)
longitudes = st.floats(-180, 180) | st.floats(allow_nan=False, allow_infinity=False) | st.just(-0.0)
latitudes = st.floats(-90, 90)


@pytest.fixture(params=["as_lonlat", "check_lonlat", "location encoder", "position encoder"])
def door(request: pytest.FixtureRequest) -> Door:
    doors: dict[str, Door] = {
        "as_lonlat": as_lonlat,
        "check_lonlat": check_lonlat,
        "location encoder": ENCODER,
        "position encoder": ENCODER.position,
    }
    return doors[request.param]


def tensor(*rows: tuple[float, float], dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(rows, dtype=dtype).reshape(-1, 2)


# Values


def test_latitude_95(door: Door) -> None:
    with pytest.raises(
        ValueError, match=r"latitude must lie in \[-90, 90\] degrees, but row 1 has 95 \(longitude -170\)"
    ):
        door(tensor((0, 0), (-170, 95), (5, 5)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.int32, torch.int16])
def test_latitude_beyond_the_pole_in_any_dtype(door: Door, dtype: torch.dtype) -> None:
    with pytest.raises(ValueError, match=r"row 1 has -91\b"):
        door(tensor((0, -90), (120, -91), dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32, torch.int64])
def test_the_smallest_integer_is_no_latitude(door: Door, dtype: torch.dtype) -> None:
    # The absolute value of the smallest integer is itself, so a check by abs() lets it in.
    with pytest.raises(ValueError, match=r"latitude must lie in \[-90, 90\].* row 0 "):
        door(torch.tensor([[100, torch.iinfo(dtype).min]], dtype=dtype))


def test_the_next_number_beyond_the_pole(door: Door) -> None:
    with pytest.raises(ValueError, match=r"row 0 "):
        door(tensor((100.0, float(np.nextafter(90.0, 91.0)))))
    door(tensor((100.0, 90.0), (100.0, -90.0)))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("column", [0, 1])
def test_what_is_not_finite(door: Door, dtype: torch.dtype, value: float, column: int) -> None:
    lonlat = torch.zeros(5, 2, dtype=dtype)
    lonlat[3, column] = value
    with pytest.raises(ValueError, match=rf"finite.*row 3 has.*(?<!-){value}\b"):
        door(lonlat)


def test_more_bad_rows_are_counted(door: Door) -> None:
    with pytest.raises(ValueError, match=r"row 1 has 91 .*and 2 more rows"):
        door(tensor((0, 0), (100, 91), (100, 5), (100, -92), (100, float("nan"))))


def test_swapped_columns(door: Door) -> None:
    with pytest.raises(
        ValueError, match=r"row 1 has 151\.21 \(longitude -33\.87\).*\(longitude, latitude\).*look swapped"
    ):
        door(tensor((48.86, 2.35), (-33.87, 151.21), (35.68, 139.69)))


def test_a_latitude_just_beyond_the_pole_does_not_look_swapped(door: Door) -> None:
    # The other rows have longitudes that are no latitudes: a table of swapped columns would not.
    with pytest.raises(ValueError, match=r"row 2 has 90\.5") as error:
        door(tensor((-170, 10), (139.7, 35.7), (12, 90.5)))
    assert "swapped" not in str(error.value)


def test_projected_metres(door: Door) -> None:
    with pytest.raises(ValueError, match=r"row 0 has 6250000.*EPSG:4326"):
        door(tensor((261000, 6250000)))


def test_one_bad_point() -> None:
    for door in (as_lonlat, check_lonlat, ENCODER):
        with pytest.raises(ValueError, match=r"latitude must lie in \[-90, 90\] degrees.*95"):
            door(torch.tensor([100.0, 95.0], dtype=torch.float64))


def test_a_bad_row_behind_leading_axes() -> None:
    lonlat = torch.zeros(4, 5, 2)
    lonlat[2, 3, 1] = 95
    for door in (check_lonlat, ENCODER, ENCODER.position):
        with pytest.raises(ValueError, match=r"\(2, 3\) has 95"):
            door(lonlat)


def test_a_view_with_gaps_names_its_own_row(door: Door) -> None:
    lonlat = torch.zeros(10, 2, dtype=torch.float64)
    lonlat[6, 1] = -95
    with pytest.raises(ValueError, match=r"row 3 has -95"):
        door(lonlat[::2])


# Shapes and types


@pytest.mark.parametrize("shape", [(4, 3), (3,), (1,), (), (2, 5), (0, 3), (4, 1)])
def test_shapes(door: Door, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=rf"shape \(\.\.\., 2\), got {re.escape(str(shape))}"):
        door(torch.zeros(shape))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_says_why(door: Door, dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=rf"not {dtype}.*digits.*float64"):
        door(torch.zeros(1, 2, dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.bool, torch.complex64, torch.complex128, torch.float8_e4m3fn])
def test_dtypes_that_are_no_coordinates(door: Door, dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=rf"{dtype}"):
        door(torch.zeros(1, 2).to(dtype))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.uint32, torch.uint64])
def test_unsigned_integers_are_degrees(door: Door, dtype: torch.dtype) -> None:
    door(torch.tensor([[170, 45]], dtype=dtype))
    with pytest.raises(ValueError, match=r"row 0 has 91\b"):
        door(torch.tensor([[170, 91]], dtype=dtype))


@pytest.mark.parametrize("data", [None, "2.35, 48.86", [(2.35, 48.86)], np.zeros((1, 2)), 5.0])
def test_an_encoder_takes_tensors_and_names_the_way(data: object) -> None:
    for encoder in (ENCODER, ENCODER.position):
        with pytest.raises(TypeError, match=rf"tensor.*got {type(data).__name__}.*as_lonlat"):
            encoder(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, r"None"),
        ("2.35, 48.86", r"str '2\.35, 48\.86'"),
        (b"2.35", r"bytes"),
        ([("2.35", "48.86")], r"2\.35"),
        (np.array([["a", "b"]]), r"'a'"),
        ([(True, False)], r"bool"),
        (np.zeros((2, 2), dtype=bool), r"bool"),
        ([(1 + 2j, 3)], r"complex128"),
        (np.zeros((2, 2), dtype=np.float16), r"float16.*float64"),
        ([(1.0, None)], r"numbers"),
        ({"lon": 2.35, "lat": 48.86}, r"numbers"),
        (np.zeros((1, 2), dtype="datetime64[s]"), r"datetime64"),
    ],
)
def test_data_that_are_no_numbers(data: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        as_lonlat(data)


@pytest.mark.parametrize("data", [[(1, 2), (3,)], [(1, 2), 3], [(1, 2), (3, 4, 5)]])
def test_ragged_rows(data: object) -> None:
    with pytest.raises(ValueError, match=r"pair.*differ in length"):
        as_lonlat(data)


def test_points_on_more_axes_than_a_table() -> None:
    with pytest.raises(ValueError, match=r"\(N, 2\), got \(2, 3, 2\)"):
        as_lonlat(np.zeros((2, 3, 2)))


def test_masked_values_are_missing_values() -> None:
    data = np.ma.masked_array([(1.0, 2.0), (3.0, 4.0)], mask=[(False, False), (False, True)])
    with pytest.raises((TypeError, ValueError), match=r"row 1|mask"):
        as_lonlat(data)


@pytest.mark.parametrize("data", [[], (), np.empty((0, 2)), torch.empty(0, 2), np.empty((0, 2), dtype=np.int64)])
def test_empty_is_fine(data: object) -> None:
    lonlat = as_lonlat(data)
    assert lonlat.shape == (0, 2)
    assert lonlat.dtype == torch.float64


# Good input


@pytest.mark.parametrize(
    "data",
    [
        [(2.35, 48.86), (-180, 90)],
        ((2.35, 48.86), (-180.0, 90.0)),
        np.array([(2.35, 48.86), (-180, 90)]),
        np.array([(2.35, 48.86), (-180, 90)], dtype=np.longdouble),
        np.array([(2.35, 48.86), (-180, 90)], dtype=">f8"),
        np.array([(2.35, -180), (48.86, 90)]).T,
        np.array([(-180, 90), (2.35, 48.86)])[::-1],
        torch.tensor([(2.35, 48.86), (-180, 90)], dtype=torch.float64),
        torch.tensor([(2.35, 48.86), (-180, 90)], dtype=torch.float64, requires_grad=True),
    ],
)
def test_coordinates_from_anything(data: object) -> None:
    lonlat = as_lonlat(data)
    assert lonlat.dtype == torch.float64
    assert not lonlat.requires_grad
    assert lonlat.tolist() == [[2.35, 48.86], [-180.0, 90.0]]


def test_integers_and_single_pairs() -> None:
    assert as_lonlat(np.array([(2, 48)], dtype=np.uint64)).tolist() == [[2.0, 48.0]]
    assert as_lonlat((2, 48)).tolist() == [[2.0, 48.0]]
    assert as_lonlat(np.broadcast_to(np.array([2.5, 48.0]), (3, 2))).tolist() == [[2.5, 48.0]] * 3


def test_float32_is_taken_as_it_is() -> None:
    given_as = np.array([(2.35, 48.86)], dtype=np.float32)
    assert as_lonlat(given_as).tolist() == given_as.astype(np.float64).tolist()


@quick
@given(st.lists(st.tuples(longitudes, latitudes), max_size=20))
def test_good_rows_never_raise_and_are_kept(rows: list[tuple[float, float]]) -> None:
    data = np.array(rows, dtype=np.float64).reshape(-1, 2)
    lonlat = as_lonlat(data)
    assert lonlat.numpy().tobytes() == data.tobytes()
    assert check_lonlat(lonlat) is None
    assert torch.isfinite(ENCODER(lonlat)).all()


bad_values = st.one_of(
    st.tuples(st.sampled_from([0, 1]), st.sampled_from([float("nan"), float("inf"), float("-inf")])),
    st.tuples(st.just(1), st.floats(90.000001, 1e300)),
    st.tuples(st.just(1), st.floats(-1e300, -90.000001)),
)


@quick
@given(st.lists(st.tuples(longitudes, latitudes), min_size=1, max_size=30), st.data())
def test_one_bad_value_is_always_reported(rows: list[tuple[float, float]], data: st.DataObject) -> None:
    table = np.array(rows, dtype=np.float64)
    row = data.draw(st.integers(0, len(rows) - 1))
    column, value = data.draw(bad_values)
    table[row, column] = value
    lonlat = torch.from_numpy(table)
    for door in (as_lonlat, check_lonlat, ENCODER):
        with pytest.raises(ValueError, match=rf"\brow {row} has\b") as error:
            door(lonlat)
        numbers = [float(text) for text in re.findall(r"-?(?:nan|inf|\d+(?:\.\d+)?(?:e[+-]?\d+)?)", str(error.value))]
        assert any(number == pytest.approx(value, rel=1e-6, nan_ok=True) for number in numbers)


def test_the_check_can_be_switched_off_and_nan_passes_through() -> None:
    lonlat = tensor((0, 0), (float("nan"), 5), (10, 20))
    embedding = ENCODER(lonlat, check=False)
    assert torch.isnan(embedding[1]).all()
    assert torch.isfinite(embedding[[0, 2]]).all()
    with pytest.raises(ValueError, match=r"row 1 has"):
        ENCODER(lonlat, check=True)


# Maps of the globe


def test_unit_sphere() -> None:
    lonlat = np.array([(0.0, 0.0), (90.0, 0.0), (-180.0, 0.0), (12.0, 90.0), (33.3, -41.2)])
    lon, lat = np.deg2rad(lonlat).T
    expected = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], 1)
    torch.testing.assert_close(unit_sphere(torch.from_numpy(lonlat)), torch.from_numpy(expected), rtol=0, atol=1e-15)


def test_equal_earth_agrees_with_the_formula() -> None:
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(-180, 180, 200), rng.uniform(-90, 90, 200)], 1)
    lonlat[:5] = [(180, 90), (-180, -90), (0, 0), (180, 0), (-0.0, 45)]
    ours = equal_earth(torch.from_numpy(lonlat).reshape(4, 50, 2))
    assert ours.dtype == torch.float64
    torch.testing.assert_close(ours.reshape(-1, 2), torch.from_numpy(formulas.equal_earth(lonlat)), rtol=0, atol=1e-14)
