"""`locenc.embed`: the same bytes in any batch, order and number of threads; modes, memory of the caller's, errors."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from catalogue import globe, small
from torch import Tensor, nn

import locenc
from locenc.kernels.choice import missing
from locenc.tiled import TILE

MANY = 2 * TILE + 300
WIDE = {"hidden_dim": 96}  # wide enough for several ways to multiply matrices
NETWORK = {
    "ffn": {"name": "ffn", **WIDE},
    "residual": "residual",
    "siren": {"name": "siren", **WIDE},
    "residual-mlp": {"name": "residual-mlp", **WIDE},
    "linear": "linear",
}


def build(network: str = "ffn", name: str = "sphere2vec-sphereM+", dim: int = 64) -> locenc.LocationEncoder:
    return locenc.create(name, dim=dim, network=NETWORK[network], **small(name)).eval()


def assert_same_bytes(one: np.ndarray, other: np.ndarray) -> None:
    assert one.dtype == other.dtype == np.float32
    assert one.shape == other.shape
    assert one.tobytes() == other.tobytes()


@pytest.fixture
def threads() -> Iterator[None]:
    """Lets a test change torch's threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


# Bytes


def assert_same_in_any_batch(encoder: nn.Module) -> None:
    lonlat = globe(MANY)
    embedding = locenc.embed(lonlat, encoder)
    for count in (1, 2, 3, 7, TILE - 1, TILE, TILE + 1):
        assert_same_bytes(locenc.embed(lonlat[:count], encoder), embedding[:count])
        assert_same_bytes(locenc.embed(lonlat[count:], encoder), embedding[count:])
    for batch_size in (1, 7, TILE, TILE + 1, MANY):
        assert_same_bytes(locenc.embed(lonlat, encoder, batch_size=batch_size), embedding)
    order = torch.randperm(MANY)
    assert_same_bytes(locenc.embed(lonlat[order], encoder), embedding[order.numpy()])
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        assert_same_bytes(locenc.embed(lonlat, encoder), embedding)
        assert_same_bytes(locenc.embed(lonlat[:5], encoder), embedding[:5])
        assert torch.get_num_threads() == count


@pytest.mark.parametrize("network", NETWORK)
def test_same_bytes_with_every_network(network: str, threads: None) -> None:
    assert_same_in_any_batch(build(network))


@pytest.mark.parametrize("name", locenc.list_encoders())
def test_same_bytes_of_every_position_encoder(name: str, threads: None) -> None:
    assert_same_in_any_batch(locenc.position_encoder(name, **small(name)))


@pytest.mark.parametrize("backend", ["reference", "numba"])
@pytest.mark.parametrize("name", ["spherical-voronoi", "space2vec-theory"])
def test_same_bytes_with_each_implementation(name: str, backend: str, threads: None) -> None:
    if reason := missing(backend):
        pytest.skip(reason)
    with locenc.backend(backend):
        assert_same_in_any_batch(build("ffn", name))


def test_same_bytes_with_networks_that_promise_nothing(threads: None) -> None:
    class Unknown(nn.Module):
        out_dim = 64

        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(24, 64)

        def forward(self, features: Tensor) -> Tensor:
            return self.linear(features).tanh()

    assert_same_in_any_batch(locenc.LocationEncoder(build().position, Unknown()))


def test_same_bytes_at_the_sizes_that_are_used(threads: None) -> None:
    encoder = locenc.create("sphere2vec-sphereM+").eval()
    lonlat = globe(TILE + 40)
    embedding = locenc.embed(lonlat, encoder)
    torch.set_num_threads(2)
    for count in (1, 2, 3, 7):
        assert_same_bytes(locenc.embed(lonlat[count:], encoder, batch_size=count), embedding[count:])
        assert_same_bytes(locenc.embed(lonlat[:count], encoder), embedding[:count])


# Values


@pytest.mark.parametrize("name", locenc.list_encoders())
def test_agrees_with_calling_the_encoder(name: str) -> None:
    encoder, lonlat = build("ffn", name), globe(MANY)
    with torch.no_grad():
        np.testing.assert_allclose(locenc.embed(lonlat, encoder), encoder(lonlat), rtol=1e-5, atol=1e-6)
        features = encoder.position(lonlat)
    np.testing.assert_allclose(locenc.embed(lonlat, encoder.position), features, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "data",
    [globe(3).numpy(), globe(3).tolist(), globe(3).float(), globe(3).clone().requires_grad_(), [2.35, 48.86], []],
)
def test_whatever_coordinates_may_be(data: object) -> None:
    encoder = build()
    lonlat = locenc.coords.as_lonlat(data)
    assert_same_bytes(locenc.embed(data, encoder), locenc.embed(lonlat, encoder))
    assert locenc.embed(data, encoder).shape == (len(lonlat), 64)
    assert locenc.embed(data, encoder.position).shape == (len(lonlat), 24)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_results_are_float32(dtype: torch.dtype) -> None:
    encoder = build().to(dtype)
    expected = encoder(globe(9)).detach().float().numpy()
    np.testing.assert_allclose(locenc.embed(globe(9), encoder), expected, rtol=1e-6 if dtype == torch.float64 else 0.05)
    position = locenc.position_encoder("sphere2vec-sphereC", dtype=torch.float64)
    np.testing.assert_allclose(locenc.embed(globe(9), position), position(globe(9)), rtol=0, atol=2.5e-7)


# The caller's memory


@pytest.mark.parametrize("kind", ["network", "position"])
@pytest.mark.parametrize("count", [0, 9, MANY])
def test_out_is_filled_and_returned(kind: str, count: int, tmp_path: Path) -> None:
    encoder = build() if kind == "network" else build().position
    expected = locenc.embed(globe(count), encoder)
    out = np.full(expected.shape, np.nan, np.float32)
    assert locenc.embed(globe(count), encoder, out=out) is out
    assert_same_bytes(out, expected)
    if count:
        mapped = np.lib.format.open_memmap(tmp_path / "rows.npy", "w+", np.float32, (count + 2, expected.shape[1]))
        assert locenc.embed(globe(count), encoder, out=mapped[1:-1]).base is mapped
        mapped.flush()
        assert_same_bytes(np.load(tmp_path / "rows.npy")[1:-1], expected)
        assert not mapped[[0, -1]].any()


def test_out_that_does_not_fit(tmp_path: Path) -> None:
    encoder, lonlat = build(), globe(5)
    frozen = np.zeros((5, 64), np.float32)
    np.save(tmp_path / "rows.npy", frozen)
    frozen.flags.writeable = False
    for out, error, message in [
        (np.zeros((5, 63), np.float32), ValueError, r"\(5, 64\), got \(5, 63\)"),
        (np.zeros((4, 64), np.float32), ValueError, r"\(5, 64\), got \(4, 64\)"),
        (np.zeros((5, 64)), TypeError, "float32, got float64"),
        (np.zeros((5, 64), ">f4"), TypeError, "float32, got >f4"),
        (np.zeros((64, 5), np.float32).T, ValueError, "C-contiguous"),
        (frozen, ValueError, "read-only"),
        (np.load(tmp_path / "rows.npy", mmap_mode="r"), ValueError, "read-only"),
        (torch.zeros(5, 64), TypeError, "NumPy array or memory map, got Tensor"),
    ]:
        with pytest.raises(error, match=message):
            locenc.embed(lonlat, encoder, out=out)


# Modes


def test_an_encoder_in_training_is_back_in_training() -> None:
    encoder = build().train()
    encoder.network.layers[0].norm.eval()
    modes = [module.training for module in encoder.modules()]
    state = torch.get_rng_state()
    embedding = locenc.embed(globe(MANY), encoder)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in encoder.modules()] == modes
    assert_same_bytes(embedding, locenc.embed(globe(MANY), encoder.eval()))
    assert all(parameter.grad is None for parameter in encoder.parameters())


@pytest.mark.parametrize("kind", ["network", "position"])
def test_an_interrupt_in_the_middle(kind: str, threads: None, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = (
        build().train() if kind == "network" else locenc.position_encoder("spherical-voronoi", num_sites=40).train()
    )
    position = type(getattr(encoder, "position", encoder))
    features, calls = position.features, []

    def interrupted(self: nn.Module, lonlat: Tensor, *arguments: object, **options: object) -> Tensor:
        calls.append(1)
        if len(calls) % 3 == 0:
            raise KeyboardInterrupt
        return features(self, lonlat, *arguments, **options)

    for count in (1, 2):
        torch.set_num_threads(count)
        with monkeypatch.context() as patch:
            patch.setattr(position, "features", interrupted)
            with pytest.raises(KeyboardInterrupt):
                locenc.embed(globe(4 * MANY), encoder)
        assert torch.get_num_threads() == count
        assert torch.is_grad_enabled()
        assert all(module.training for module in encoder.modules())
        assert np.isfinite(locenc.embed(globe(MANY), encoder)).all()


def test_eight_threads_at_once_with_an_encoder_in_training(threads: None) -> None:
    encoder, lonlat = build().train(), globe(MANY)
    expected = locenc.embed(lonlat, encoder)
    together = threading.Barrier(8)

    def call(index: int) -> bool:
        torch.set_num_threads(1 + index % 2)
        together.wait()
        return all(np.array_equal(locenc.embed(lonlat, encoder), expected) for _ in range(10))

    with ThreadPoolExecutor(8) as callers:
        assert all(callers.map(call, range(8)))
    assert all(module.training for module in encoder.modules())


def test_hooks_run_one_tile_at_a_time(threads: None) -> None:
    torch.set_num_threads(2)
    for name in ("", "network", "position"):
        encoder, rows = build(), []
        expected = locenc.embed(globe(MANY), encoder)
        encoder.get_submodule(name).register_forward_hook(lambda _, inputs, output, rows=rows: rows.append(len(output)))
        assert_same_bytes(locenc.embed(globe(MANY), encoder), expected)
        assert rows == [TILE] * 3


def test_a_subclass_with_its_own_forward() -> None:
    class Doubled(locenc.LocationEncoder):
        def forward(self, lonlat: Tensor, **options: object) -> Tensor:
            return 2 * super().forward(lonlat, **options)

    plain = build()
    doubled = Doubled(plain.position, plain.network)
    assert_same_bytes(locenc.embed(globe(MANY), doubled), 2 * locenc.embed(globe(MANY), plain))


# Errors


def test_what_is_no_encoder() -> None:
    with pytest.raises(TypeError, match=r"got Linear; locenc\.create"):
        locenc.embed(globe(3), nn.Linear(2, 2))
    with pytest.raises(TypeError, match=r"got str"):
        locenc.embed(globe(3), "sphere2vec-sphereC")


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, True])
def test_batch_sizes_that_are_none(batch_size: object) -> None:
    with pytest.raises(ValueError, match=r"batch_size"):
        locenc.embed(globe(3), build(), batch_size=batch_size)


def test_coordinates_that_are_none() -> None:
    lonlat = globe(MANY)
    lonlat[MANY - 1, 0] = torch.nan
    with pytest.raises(ValueError, match=rf"row {MANY - 1}\b.*nan"):
        locenc.embed(lonlat, build())
    with pytest.raises(ValueError, match="date="):
        locenc.embed(globe(3), locenc.create("wrap", date=True))


# Memory


@pytest.mark.parametrize("build", ["position_encoder('sphere2vec-sphereC'", "create('sphere2vec-sphereC', dim=192"])
def test_memory_is_that_of_the_result(build: str) -> None:
    code = f"""
import resource, numpy as np, torch, locenc
torch.set_num_threads(1)
encoder = locenc.{build}, num_scales=64)
lonlat = np.random.default_rng(0).uniform(-90, 90, (300_000, 2))
locenc.embed(lonlat[:30_000], encoder)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
result = locenc.embed(lonlat, encoder)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before - result.nbytes / 1024)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(result.stdout) < 16 * 1024  # the coordinates, in float64, are 5 MB
