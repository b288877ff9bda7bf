"""Several passes of the same coordinates: what separate calls give, with the first layer computed once."""

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import locenc
from locenc.location_encoder import LocationEncoder
from locenc.tiled import TILE

NETWORKS = {
    "ffn": {"name": "ffn"},
    "ffn, skip": {"name": "ffn", "hidden_dim": 12},
    "residual": {"name": "residual"},
    "siren": {"name": "siren"},
    "linear": {"name": "linear"},
}
SIZES = {"few points": 5, "many points": TILE + 77}


def build(network: str) -> LocationEncoder:
    return locenc.create("space2vec-grid", dim=8, num_scales=3, network=NETWORKS[network])


def points(count: int) -> Tensor:
    return (torch.rand(count, 2, dtype=torch.float64) - 0.5) * torch.tensor([360.0, 180.0])


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("count", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("autocast", [False, True])
def test_passes_are_calls(network: str, count: int, autocast: bool) -> None:
    encoder, lonlat = build(network), points(count).requires_grad_()
    tolerances = {"rtol": 0.05, "atol": 0.05} if autocast else {"rtol": 1e-4, "atol": 1e-5}
    found = []
    for shared in (True, False):
        encoder.zero_grad()
        lonlat.grad = None
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            embed = encoder.passes(lonlat) if shared else lambda: encoder(lonlat)
            first, second = embed(), embed()
        (first.float().sum() + second.float().square().sum()).backward()
        found.append([first, second, *([] if autocast else [lonlat.grad]), *(p.grad for p in encoder.parameters())])
    for one, other in zip(*found, strict=True):
        assert one.dtype == other.dtype
        scale = float(other.detach().abs().max())
        assert_close(one / scale, other / scale, **tolerances)
    if network in ("ffn", "ffn, skip", "residual", "siren"):
        assert not torch.equal(found[0][0], found[0][1])  # other masks


def test_evaluation_and_leading_axes() -> None:
    encoder, lonlat = build("ffn").eval(), points(12).view(3, 4, 2)
    embed = encoder.passes(lonlat)
    assert embed().shape == (3, 4, 8)
    assert_close(embed(), encoder(lonlat))
    many = points(TILE + 3)[:, None]
    assert_close(encoder.passes(many)(), encoder(many))


def test_features_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, calls = build("ffn"), []
    features = type(encoder.position).features
    monkeypatch.setattr(
        type(encoder.position), "features", lambda self, *rest, **more: calls.append(1) or features(self, *rest, **more)
    )
    embed = encoder.passes(points(5))
    embed(), embed()
    assert len(calls) == 1


def test_networks_that_say_nothing_are_called_each_time() -> None:
    class Own(nn.Module):
        out_dim = 2

        def __init__(self) -> None:
            super().__init__()
            self.linear, self.calls = nn.Linear(12, 2), 0

        def forward(self, features: Tensor) -> Tensor:
            self.calls += 1
            return self.linear(features)

    network = Own()
    encoder = locenc.create("space2vec-grid", num_scales=3, network=network)
    embed = encoder.passes(points(5))
    assert_close(embed(), embed())
    assert network.calls == 2


def test_hooks_are_called_each_time() -> None:
    encoder, calls = build("ffn"), []
    encoder.register_forward_hook(lambda *_: calls.append("encoder"))
    embed = encoder.passes(points(5))
    embed(), embed()
    encoder.network.register_forward_hook(lambda *_: calls.append("network"))
    encoder.passes(points(5))()
    assert calls == ["encoder", "encoder", "network", "encoder"]


def test_bad_coordinates() -> None:
    encoder = build("ffn")
    for count in SIZES.values():
        lonlat = points(count)
        lonlat[3, 1] = 91.0
        with pytest.raises(ValueError, match="row 3 has 91"):
            encoder.passes(lonlat)()
