"""`locenc.embed` on a device: chunks under way, order, padding; on the CPU in a device's place, and on CUDA."""

import copy

import numpy as np
import pytest
import torch
from catalogue import NAMES, globe, small
from test_embedding import NETWORK, assert_same_bytes, build
from torch import Tensor, nn

import locenc
from locenc import _devices, embedding, streaming
from locenc.tiled import TILE

CPU = torch.device("cpu")


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU stands for a device, of small chunks."""
    monkeypatch.setattr(embedding, "_streams", lambda device: True)
    monkeypatch.setattr(embedding, "DEVICE_TILES", 1)


@pytest.mark.parametrize("count", [0, 1, 4, 5, 8, 9, 12, 13, 23])
def test_each_row_is_in_its_place(count: int) -> None:
    lonlat, out = globe(count), torch.full((count, 3), torch.nan)
    sizes = []

    def encode(points: Tensor) -> Tensor:
        sizes.append(len(points))
        return torch.cat([points, points.sum(1, keepdim=True)], 1).float()

    done: list[int] = []
    streaming.fill(encode, lonlat, out, CPU, 4, done.append)
    assert torch.equal(out, torch.cat([lonlat, lonlat.sum(1, keepdim=True)], 1).float())
    assert sizes == [4] * -(-count // 4)
    assert sum(done) == count
    assert len(done) == len(sizes)


def test_rows_behind_the_last_are_zero() -> None:
    given = []

    def encode(points: Tensor) -> Tensor:
        given.append(points.clone())
        return points.float()

    streaming.fill(encode, torch.ones(10, 2, dtype=torch.float64), torch.empty(10, 2), CPU, 4, [].append)
    assert torch.equal(given[2], torch.tensor([[1.0, 1], [1, 1], [0, 0], [0, 0]], dtype=torch.float64))


@pytest.mark.parametrize("network", NETWORK)
def test_the_bytes_are_those_of_tiles(network: str, streamed: None) -> None:
    encoder, lonlat = build(network), globe(3 * TILE + 100)
    result = locenc.embed(lonlat, encoder)
    for count in (1, TILE, TILE + 1):
        assert_same_bytes(locenc.embed(lonlat[:count], encoder), result[:count])
        assert_same_bytes(locenc.embed(lonlat[count:], encoder, batch_size=7), result[count:])
    np.testing.assert_allclose(result, encoder(lonlat).detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_position_encoders(name: str, streamed: None) -> None:
    encoder = locenc.position_encoder(name, **small(name), dtype=torch.float64)
    out = np.full((TILE + 9, encoder.out_dim), np.nan, np.float32)
    assert locenc.embed(globe(TILE + 9), encoder, out=out) is out
    np.testing.assert_allclose(out, encoder(globe(TILE + 9), dtype=torch.float32).detach(), rtol=1e-5, atol=1e-6)


def test_modes_and_dtypes(streamed: None) -> None:
    encoder = build().train().to(torch.bfloat16)
    result = locenc.embed(globe(9), encoder)
    assert result.dtype == np.float32
    assert encoder.training
    np.testing.assert_allclose(result, encoder.eval()(globe(9)).detach().float(), rtol=0.05, atol=0.05)


def test_chunks_shrink_where_rows_are_long() -> None:
    assert embedding._rows(locenc.create("wrap", dim=256)) == 32 * TILE
    assert embedding._rows(locenc.position_encoder("spherical-harmonics", num_degrees=100)) == 3 * TILE
    assert embedding._rows(locenc.create("sphere2vec-dfs", num_scales=128, dim=8)) == TILE


# Devices by name


def test_the_encoders_own_device() -> None:
    encoder = build()
    expected = locenc.embed(globe(5), encoder)
    assert_same_bytes(locenc.embed(globe(5), encoder, device="cpu"), expected)
    assert_same_bytes(locenc.embed(globe(5), encoder, device=torch.device("cpu")), expected)
    direct = locenc.position_encoder("direct")
    assert locenc.embed(globe(5), direct, device="cpu").shape == (5, 2)


def test_a_copy_goes_to_another_device(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, moved = build(), []
    monkeypatch.setattr(nn.Module, "to", lambda self, device: moved.append(self) or self)
    monkeypatch.setattr(embedding, "_streams", lambda device: False)
    monkeypatch.setattr(embedding, "resolve", torch.device)
    result = locenc.embed(globe(5), encoder, device="meta")
    assert moved[0] is not encoder
    assert_same_bytes(result, locenc.embed(globe(5), copy.deepcopy(encoder)))


def test_devices_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for device in ("gpu", "cuda:x", 1.5, None):
        with pytest.raises(ValueError, match=r"device must be 'auto', 'cpu', 'cuda' or 'cuda:0', got"):
            _devices.resolve(device)
    with pytest.raises(ValueError, match="mps has no float64"):
        locenc.embed(globe(5), build(), device="mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"device 'cuda:1' was asked for, but torch finds no CUDA device"):
        locenc.embed(globe(5), build(), device="cuda:1")
    assert _devices.resolve("auto") == CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert _devices.resolve("auto") == _devices.resolve("cuda") == torch.device("cuda:1")
    with pytest.raises(ValueError, match=r"device 'cuda:2' was asked for, but torch finds 2: cuda:0 to cuda:1"):
        _devices.resolve("cuda:2")


# On a card


@pytest.mark.cuda
@pytest.mark.parametrize("name", ["sphere2vec-sphereM+", "spherical-harmonics", "geoclip", "spherical-voronoi"])
def test_on_cuda(name: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device")
    encoder, lonlat = build("ffn", name), globe(3 * 32 * TILE + 100)
    expected = locenc.embed(lonlat, encoder)
    result = locenc.embed(lonlat, encoder, device="cuda")
    np.testing.assert_allclose(result, expected, rtol=2e-3, atol=2e-3)
    encoder.to("cuda")
    assert_same_bytes(locenc.embed(lonlat, encoder), result)
    for count in (1, 3, TILE, 40_000):
        assert_same_bytes(locenc.embed(lonlat[:count], encoder), result[:count])
        assert_same_bytes(locenc.embed(lonlat[count:], encoder, batch_size=count), result[count:])
