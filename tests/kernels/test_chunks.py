"""Chunks on threads: each point once, serial within, the caller's settings, errors, many callers."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import locenc
from locenc.kernels import chunks
from locenc.kernels.choice import forced


@pytest.fixture(params=[1, 2, 5])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def count(parts: list[slice], points: int) -> np.ndarray:
    """How often each point was met by workers that share the parts."""
    met = np.zeros(points, int)

    def worker(own: Iterator[slice]) -> None:
        for part in own:
            met[part] += 1

    chunks.spread(worker, parts)
    return met


def test_slices() -> None:
    assert chunks.slices(10, 4) == [slice(0, 4), slice(4, 8), slice(8, 10)]
    assert chunks.slices(9, 3, start=6) == [slice(6, 9)]
    assert chunks.slices(0, 3) == []


@pytest.mark.parametrize("points", [0, 1, 1000])
def test_each_point_is_met_once(threads: int, points: int) -> None:
    assert (count(chunks.slices(points, 7), points) == 1).all()


def test_run_meets_each_point_once(threads: int) -> None:
    points = 3 * chunks.SERIAL
    met = np.zeros(points, np.int8)

    def work(part: slice) -> None:
        met[part] += 1

    chunks.run(work, points, 1)
    assert (met == 1).all()


def test_torch_is_serial_within_and_as_before_elsewhere(threads: int) -> None:
    within = []

    def worker(own: Iterator[slice]) -> None:
        list(own)
        within.append(torch.get_num_threads())

    chunks.spread(worker, chunks.slices(10, 1))
    assert set(within) == {1}
    assert torch.get_num_threads() == threads
    with ThreadPoolExecutor(1) as fresh:
        assert fresh.submit(torch.get_num_threads).result() == threads


def test_threads_may_be_fewer(two_threads: None) -> None:
    seen = set()

    def worker(own: Iterator[slice]) -> None:
        for _ in own:
            seen.add(threading.get_ident())
            time.sleep(1e-3)

    chunks.spread(worker, chunks.slices(20, 1), threads=1)
    assert len(seen) == 1
    assert threading.get_ident() not in seen


def test_workers_find_the_callers_settings(two_threads: None) -> None:
    found = []

    def worker(own: Iterator[slice]) -> None:
        list(own)
        autocast = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None
        found.append((torch.is_grad_enabled(), torch.is_inference_mode_enabled(), autocast, forced()))

    def settings() -> set:
        found.clear()
        chunks.spread(worker, chunks.slices(10, 1))
        return set(found)

    assert settings() == {(True, False, None, None)}
    with torch.no_grad(), locenc.backend("reference"):
        assert settings() == {(False, False, None, "reference")}
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.float16):
        assert settings() == {(False, True, torch.float16, None)}
    assert settings() == {(True, False, None, None)}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_ends_the_call(threads: int, error: type[BaseException]) -> None:
    met = []

    def worker(own: Iterator[slice]) -> None:
        for part in own:
            if part.start == 3:
                raise error("here")
            met.append(part)
            time.sleep(1e-3)

    with pytest.raises(error, match="here"):
        chunks.spread(worker, chunks.slices(1000, 1))
    ended = len(met)
    assert ended < 1000
    time.sleep(0.02)
    assert len(met) == ended
    assert (count(chunks.slices(100, 7), 100) == 1).all()


def test_calls_within_workers_and_from_many_threads(two_threads: None) -> None:
    def nested(_: int) -> int:
        torch.set_num_threads(2)  # of this thread
        totals = []

        def worker(own: Iterator[slice]) -> None:
            for part in own:
                totals.append(int(count(chunks.slices(part.stop - part.start, 3), part.stop - part.start).sum()))

        chunks.spread(worker, chunks.slices(200, 10))
        return sum(totals)

    with ThreadPoolExecutor(8) as callers:
        assert list(callers.map(nested, range(16))) == [200] * 16
