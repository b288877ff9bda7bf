"""Fixtures that every test may ask for."""

import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

import locenc

# The same examples in each run, so that a test fails by what was changed; other ones: HYPOTHESIS_PROFILE=default.
settings.register_profile("same", derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def pytest_report_header() -> str:
    """Which locenc is tested: that of site-packages in CI."""
    return f"locenc from {Path(locenc.__file__).parent}"


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    """Initial weights are the same whichever tests ran before."""
    torch.manual_seed(0)


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """A test runs with one thread and with two, as torch counts them."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture
def two_threads() -> Iterator[None]:
    """A test runs with two threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of ours may reach the network: a connection fails the test. Processes may talk to one another."""
    connect = socket.socket.connect

    def refuse(address: object) -> None:
        raise AssertionError(f"a test tried to connect to {address}")

    def within_the_machine(self: socket.socket, address: object) -> None:
        if self.family != getattr(socket, "AF_UNIX", None):
            refuse(address)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", within_the_machine)
    monkeypatch.setattr(socket.socket, "connect_ex", lambda _, address: refuse(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *address, **_: refuse(address))


SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "golden"


@pytest.fixture(scope="session")
def golden() -> Callable[[str], np.lib.npyio.NpzFile]:
    """Open a file of reference arrays of other projects, or skip where they are not at hand."""

    def load(name: str) -> np.lib.npyio.NpzFile:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"reference arrays not here: {path}")
        return np.load(path)

    return load


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Let no file grow beyond a size: writes fail in the kernel, as on a full disk.

    It holds for the whole process, the test report included, so only the failing call belongs inside.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(scope="session")
def file_size_limit() -> Callable[[int], AbstractContextManager[None]]:
    """A context in which files cannot grow beyond a size."""
    return files_up_to
