"""Kernels among processes, threads and interrupts."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from points import rectangle
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

import locenc
from locenc.kernels import chunks

ROOT = Path(__file__).resolve().parent.parent.parent
MANY = 60_000  # points whose features are made in several chunks


def encoder() -> torch.nn.Module:
    return locenc.position_encoder("sphere2vec-sphereC")


class Batches(Dataset):
    """Features made by the workers of a data loader, in several chunks each."""

    def __init__(self) -> None:
        self.encoder = encoder()

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Tensor:
        return self.encoder(rectangle(MANY))[index :: MANY // 4].clone()


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_a_data_loader_after_use_in_the_parent(method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot {method}")
    whole = encoder()(rectangle(MANY))
    loader = DataLoader(Batches(), batch_size=None, num_workers=2, multiprocessing_context=method, timeout=120)
    for index, batch in enumerate(loader):
        assert torch.equal(batch, whole[index :: MANY // 4])
    assert torch.equal(encoder()(rectangle(MANY)), whole)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.usefixtures("two_threads")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_while_the_pool_works() -> None:
    """The child has none of the parent's threads; locks that they held must not hang it."""
    position, lonlat = encoder(), rectangle(MANY)
    expected = position(lonlat).numpy()
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            position(lonlat)

    busy = threading.Thread(target=work)
    busy.start()
    try:
        for _ in range(5):
            child = os.fork()
            if child == 0:
                signal.alarm(60)
                features = position(lonlat).numpy()  # torch's own threads do not survive a fork
                os._exit(0 if np.array_equal(features, expected) else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        stop.set()
        busy.join()


@pytest.mark.usefixtures("two_threads")
def test_eight_threads_at_once() -> None:
    position, lonlat = encoder(), rectangle(MANY)
    whole = position(lonlat)
    slopes = torch.autograd.grad(position(lonlat.requires_grad_()).sum(), lonlat)[0]

    def work(_: int) -> bool:
        own = lonlat.detach().clone().requires_grad_()
        features = position(own)
        features.sum().backward()
        return torch.equal(features, whole) and torch.equal(own.grad, slopes)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(16)))


def test_a_backend_is_asked_for_by_one_thread_alone() -> None:
    position, lonlat = encoder(), rectangle(100)
    here = position(lonlat)
    with locenc.backend("reference"):
        reference = position(lonlat)
        with ThreadPoolExecutor(1) as pool:
            assert torch.equal(pool.submit(position, lonlat).result(), here)
        assert torch.equal(position(lonlat), reference)


INTERRUPTED = """
import threading, os, signal, torch, locenc
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
torch.set_num_threads(2)
encoder = locenc.position_encoder("sphere2vec-sphereC", num_scales=64)
few = torch.rand(40_000, 2, dtype=torch.float64)
expected = encoder(few)
many = torch.rand(3_000_000, 2, dtype=torch.float64)
try:
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    while True:
        encoder(many)
except KeyboardInterrupt:
    print("interrupted")
assert torch.equal(encoder(few), expected)
"""


def test_a_keyboard_interrupt_in_the_middle_of_a_long_call() -> None:
    result = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert result.stdout == "interrupted\n", result.stderr
    assert result.returncode == 0


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("bad", [0, 3, 9])
def test_what_a_chunk_raises_ends_the_call(monkeypatch: pytest.MonkeyPatch, bad: int) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 10)
    monkeypatch.setattr(chunks, "SERIAL", 10)
    done = []

    def work(part: slice) -> None:
        if part.start <= bad < part.stop:
            raise KeyboardInterrupt(part.start)
        done.append(part)

    with pytest.raises(KeyboardInterrupt):
        chunks.run(work, 10_000, 1)
    count = len(done)
    assert count < 1000
    chunks.run(done.append, 10_000, 1)
    assert sorted(part.start for part in done[count:])[0] == 0
    assert sum(part.stop - part.start for part in done[count:]) == 10_000
