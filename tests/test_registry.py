"""Names, options and what is said of wrong ones; encoders that users register."""

import inspect

import numpy as np
import pytest
import torch
from torch import nn

import locenc
from locenc import registry


@pytest.fixture
def registered() -> str:
    @locenc.register("test-plain", network="linear")
    class Plain(locenc.PositionEncoder):
        def __init__(self, *, factor: float = 1.0, dtype: torch.dtype | None = None) -> None:
            super().__init__(2, dtype=dtype)
            self.factor = factor

        def features(self, lonlat: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
            return (lonlat * self.factor).to(dtype)

    yield "test-plain"
    del registry._ENTRIES["test-plain"]


def test_a_misspelt_encoder() -> None:
    with pytest.raises(
        ValueError, match=r"unknown encoder 'sphere2vec-sphereM\+\+'\. Did you mean 'sphere2vec-sphereM"
    ):
        locenc.create("sphere2vec-sphereM++")
    with pytest.raises(ValueError, match=r"unknown encoder 'nonsense'\. locenc\.list_encoders\(\) lists them"):
        locenc.position_encoder("nonsense")
    with pytest.raises(ValueError, match="unknown encoder None"):
        locenc.create(None)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'name'"):
        locenc.create()


def test_misspelt_options_and_networks() -> None:
    with pytest.raises(
        TypeError, match=r"unknown option of 'wrap': 'num_scales'\. There are: convention, extent, date, dtype"
    ):
        locenc.create("wrap", num_scales=3)
    with pytest.raises(TypeError, match=r"'min_radus'\. Did you mean 'min_radius'"):
        locenc.position_encoder("sphere2vec-dfs", min_radus=3)
    with pytest.raises(ValueError, match=r"unknown network 'fnn'\. Did you mean 'ffn'"):
        locenc.create("wrap", network="fnn")
    with pytest.raises(TypeError, match=r"'hiden_dim'\. Did you mean 'hidden_dim'"):
        locenc.create("wrap", network={"name": "ffn", "hiden_dim": 3})
    with pytest.raises(ValueError, match=r"unknown activation 'swish'"):
        locenc.create("wrap", network={"name": "ffn", "activation": "swish"})
    with pytest.raises(TypeError, match="has no attribute out_dim"):
        locenc.create("wrap", network=nn.Linear(4, 8))


def test_a_registered_encoder_is_an_encoder(registered: str) -> None:
    encoder = locenc.create(registered, dim=3, factor=2.0)
    assert registered in locenc.list_encoders()
    assert encoder(torch.tensor([[1.0, 2.0]])).shape == (1, 3)
    assert encoder.config["position"] == {"name": registered, "factor": 2.0}
    assert encoder.config["network"]["name"] == "linear"
    with pytest.raises(ValueError, match=r"latitude must lie in \[-90, 90\]"):
        encoder(torch.tensor([[1.0, 95.0]]))


def test_a_taken_name() -> None:
    with pytest.raises(ValueError, match="'wrap' is registered already"):
        locenc.register("wrap")(nn.Identity)


def test_classes_are_names_with_options_spelt_out() -> None:
    torch.manual_seed(0)
    first = locenc.Sphere2Vec("sphereM", dim=8, num_scales=4, finest_km=100)
    torch.manual_seed(0)
    second = locenc.create("sphere2vec-sphereM", dim=8, num_scales=4, finest_km=100)
    assert first.config == second.config
    points = torch.tensor([[2.35, 48.86]], dtype=torch.float64)
    assert torch.equal(first.eval()(points), second.eval()(points))
    assert first.position.resolution_km == pytest.approx(100)
    assert locenc.Space2Vec("theory", finest_km=7).position.resolution_km == pytest.approx(7)
    assert isinstance(locenc.Wrap(dim=8).network, locenc.ResidualFCNet)


def test_classes_have_every_option_of_their_encoders() -> None:
    for kind, name in [
        (locenc.Sphere2Vec, "sphere2vec-dfs"),
        (locenc.Space2Vec, "space2vec-grid"),
        (locenc.Wrap, "wrap"),
    ]:
        own, registered = (
            {key: value.default for key, value in inspect.signature(build).parameters.items()}
            for build in (kind, registry._ENTRIES[name].build)
        )
        registered.pop("variant", None)
        assert {key: own.get(key, "absent") for key in registered} == registered
    assert locenc.Sphere2Vec("dfs", num_scales=4, seamless=True).config["position"]["seamless"] is True
    assert locenc.Wrap(convention="satclip").config["position"]["convention"] == "satclip"


def test_options_are_plain_values() -> None:
    built = locenc.position_encoder("rff", num_features=np.int64(3), extent=np.array([0.0, 10.0, 0.0, 5.0]))
    assert built.config == {
        "name": "rff",
        "num_features": 3,
        "kernel_size": 1.0,
        "extent": [0.0, 10.0, 0.0, 5.0],
        "seed": 0,
    }


def test_identity_network_gives_the_features() -> None:
    encoder = locenc.create("wrap", dim=4, network="identity", dtype=torch.float64)
    points = torch.tensor([[10.0, 20.0]])
    assert torch.equal(encoder(points), encoder.position(points))
    with pytest.raises(ValueError, match="dim must be 4, got 256"):
        locenc.create("wrap", network="identity")
