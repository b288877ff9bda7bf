"""How points are split for sums that are added in a fixed order."""

import pytest

pytest.importorskip("triton", reason="triton launches the kernels")

from locenc.kernels.triton_partial_sums import split


@pytest.mark.parametrize("points", [0, 1, 127, 128, 129, 5000, 10**7, 2**33])
@pytest.mark.parametrize("count", [1, 10**5, 10**8])
def test_parts_hold_all_points(points: int, count: int) -> None:
    parts, part = split(points, 128, count)
    assert 1 <= parts <= 32
    assert part % 128 == 0
    assert (parts - 1) * part < max(1, points) <= parts * part
    assert parts == 1 or parts * count * 4 <= 2**26
