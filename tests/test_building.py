"""Building encoders: what is saved and drawn, copies, classes, mistakes."""

import copy
import io
import pickle
import socket

import numpy as np
import pytest
import torch
from catalogue import DRAWN, NAMES, SCALED, TRAINED, globe, small

import locenc
from locenc.networks import NETWORKS


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def encoder(name: str) -> torch.nn.Module:
    return locenc.position_encoder(name, **small(name))


def test_what_is_saved_and_what_is_trained(name: str, encoder) -> None:
    assert bool(encoder.state_dict()) == (name in DRAWN | TRAINED)
    assert bool(list(encoder.parameters())) == (name in TRAINED)
    if name in DRAWN:
        assert all(tensor.dtype == torch.float64 for tensor in encoder.state_dict().values())


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_what_is_drawn_is_drawn_by_the_seed(name: str) -> None:
    before = torch.get_rng_state()
    first, again, other = (locenc.position_encoder(name, **small(name), seed=seed)(globe()) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_copies_and_pickles(encoder) -> None:
    lonlat = globe()
    features = encoder(lonlat)
    assert torch.equal(copy.deepcopy(encoder)(lonlat), features)
    assert torch.equal(pickle.loads(pickle.dumps(encoder))(lonlat), features)
    file = io.BytesIO()
    torch.save(encoder, file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=False)(lonlat), features)


def test_repr_tells_what_it_is(name: str) -> None:
    text = repr(locenc.position_encoder(name, **small(name)))
    assert repr(name) in text
    if name in SCALED:
        assert "num_scales=3" in text
        assert "min_radius=" in text


def test_building_opens_no_socket(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    locenc.create(name, dim=8)(globe())


def test_the_classes_are_the_registered_encoders() -> None:
    built = {
        "sphere2vec-sphereM+": locenc.Sphere2Vec("sphereM+", dim=8, num_scales=4, min_radius=0.01),
        "space2vec-theory": locenc.Space2Vec("theory", dim=8, num_scales=4, min_radius=0.01),
        "wrap": locenc.Wrap(dim=8),
    }
    lonlat = globe(20)
    for name, encoder in built.items():
        assert isinstance(encoder, locenc.LocationEncoder)
        options = {} if name == "wrap" else {"num_scales": 4, "min_radius": 0.01}
        assert torch.equal(encoder.position(lonlat), locenc.position_encoder(name, **options)(lonlat))


# Mistakes in building


def test_unknown_names_and_options_are_named() -> None:
    with pytest.raises(ValueError, match=r"'sphere2vec-sphereM\+\+'.*Did you mean 'sphere2vec-sphereM\+'"):
        locenc.create("sphere2vec-sphereM++")
    with pytest.raises(ValueError, match=r"list_encoders"):
        locenc.position_encoder("fourier")
    with pytest.raises(TypeError, match=r"num_scale\b.*num_scales"):
        locenc.position_encoder("space2vec-grid", num_scale=4)
    with pytest.raises(TypeError, match=r"min_radius"):
        locenc.position_encoder("wrap", min_radius=1.0)


@pytest.mark.parametrize("name", SCALED)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_scales": 0}, r"num_scales.*\b0\b"),
        ({"num_scales": -3}, r"num_scales.*-3"),
        ({"num_scales": 2.5}, r"num_scales.*2\.5"),
        ({"min_radius": 0.0}, r"min_radius.*\b0"),
        ({"min_radius": -1e-3}, r"min_radius.*-0\.001"),
        ({"min_radius": float("nan")}, r"min_radius.*nan"),
        ({"max_radius": float("inf")}, r"max_radius.*inf"),
        ({"min_radius": 2000.0}, r"min_radius.*2000"),
    ],
)
def test_impossible_scales_are_refused(name: str, options: dict, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        locenc.position_encoder(name, **options)


@pytest.mark.parametrize("name", SCALED)
def test_options_may_be_numpy_numbers(name: str) -> None:
    given_as = {"num_scales": np.int64(4), "min_radius": np.float64(0.125), "max_radius": np.float32(0.5)}
    plain = {"num_scales": 4, "min_radius": 0.125, "max_radius": 0.5}
    lonlat = globe(20)
    built = locenc.position_encoder(name, **given_as)
    assert torch.equal(built(lonlat), locenc.position_encoder(name, **plain)(lonlat))


@pytest.mark.parametrize("dim", [0, -1])
@pytest.mark.parametrize("network", sorted({*NETWORKS} - {"identity"}))
def test_impossible_embeddings_are_refused(network: str, dim: int) -> None:
    with pytest.raises(ValueError, match=rf"dim.*{dim}\b"):
        locenc.create("sphere2vec-sphereC", dim=dim, network=network)


def test_dtypes_that_features_cannot_have(name: str) -> None:
    with pytest.raises(TypeError, match=r"int64"):
        locenc.position_encoder(name, dtype=torch.int64)
