"""The queue of places: first in, first out, whatever the sizes of batches; saved and continued exactly."""

import io
from collections import deque

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from locenc_csp.coordinate_queue import CoordinateQueue


def numbered(first, count):
    return torch.stack([torch.arange(first, first + count), -torch.arange(first, first + count)], 1).double()


@settings(max_examples=100, deadline=None)
@given(size=st.integers(1, 12), batches=st.lists(st.integers(0, 20), max_size=8))
def test_agrees_with_a_deque(size, batches):
    queue, wanted, first = CoordinateQueue(size), deque(maxlen=size), 0
    for count in batches:
        queue.push(numbered(first, count))
        wanted.extend(range(first, first + count))
        first += count
        assert queue()[:, 0].tolist() == list(wanted)
        assert queue()[:, 1].tolist() == [-one for one in wanted]
        assert len(queue) == len(wanted)


def test_what_it_gives_is_a_copy():
    queue = CoordinateQueue(4)
    for _ in range(2):
        queue.push(numbered(0, 3))
        before = queue()
        kept = before.clone()
        queue.push(numbered(7, 2))
        assert torch.equal(before, kept)


def test_saved_and_continued():
    queue = CoordinateQueue(5)
    queue.push(numbered(0, 3))
    queue.push(numbered(3, 4))
    model = torch.nn.ModuleList([torch.nn.Linear(2, 2), queue])
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other = torch.nn.ModuleList([torch.nn.Linear(2, 2), CoordinateQueue(5)])
    other.load_state_dict(torch.load(file, weights_only=True))
    for one in (queue, other[1]):
        one.push(numbered(7, 1))
    assert torch.equal(queue(), other[1]())
    assert other[1]()[:, 0].tolist() == [3, 4, 5, 6, 7]
    assert not list(queue.parameters())


def test_places_stay_exact():
    queue = CoordinateQueue(2).half()
    place = torch.tensor([[123.456789012345, -12.3456789]], dtype=torch.float64, requires_grad=True)
    queue.push(place)
    assert queue.half()().dtype == torch.float64
    assert torch.equal(queue(), place)
    assert not queue().requires_grad
    assert repr(queue) == "CoordinateQueue(2, holds 1)"


def test_bad_input():
    with pytest.raises(ValueError, match="size must be a whole number of at least 1, got 0"):
        CoordinateQueue(0)
    with pytest.raises(ValueError, match=r"a batch of locations has shape \(B, 2\), got \(3,\)"):
        CoordinateQueue(2).push(torch.zeros(3))
