"""Epochs of at most so many rows of each class."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from locenc_csp.balance import Balance


@settings(max_examples=50, deadline=None)
@given(codes=st.lists(st.integers(-1, 4), max_size=40), most=st.integers(1, 8), seed=st.integers(0, 99))
def test_it_keeps_the_first_of_each_class_in_their_order(codes: list[int], most: int, seed: int) -> None:
    order = torch.randperm(len(codes), generator=torch.Generator().manual_seed(seed))
    seen: dict[int, int] = {}
    expected = []
    for row in order.tolist():
        seen[codes[row]] = seen.get(codes[row], 0) + 1
        if codes[row] < 0 or seen[codes[row]] <= most:
            expected.append(row)
    balance = Balance(torch.tensor(codes, dtype=torch.int64), most)
    assert balance.keep(order).tolist() == expected
    assert balance.num_rows == len(expected)


def test_at_least_one_row() -> None:
    with pytest.raises(ValueError, match="most must be a whole number of at least 1, got 0"):
        Balance(torch.tensor([0]), 0)
