"""`locenc.describe`: continuity against float64 features, sizes, units, and what it leaves alone."""

import math

import numpy as np
import pytest
import torch
from catalogue import small
from torch import Tensor, nn

import locenc
from locenc import description

CLOSED = ("nerf", "xyz", "rbf", "spherical-harmonics", "spherical-voronoi")


@pytest.mark.parametrize("name", locenc.list_encoders())
def test_continuity_is_that_of_float64_features(name: str) -> None:
    position = locenc.position_encoder(name, **small(name))
    found = locenc.describe(position)
    lat, lon = np.linspace(-90, 90, 721), np.linspace(-180, 180, 721)

    def features(lon: np.ndarray | float, lat: np.ndarray | float) -> np.ndarray:
        lonlat = torch.tensor(np.stack(np.broadcast_arrays(lon, lat), 1))
        return position(lonlat, dtype=torch.float64, backend="reference").detach().numpy()

    jump = np.abs(features(180.0, lat) - features(-180.0, lat)).max()
    poles = max(np.ptp(features(lon, pole), 0).max() for pole in (90.0, -90.0))
    assert found.antimeridian_jump == pytest.approx(jump, abs=2e-6)
    assert found.pole_jump == pytest.approx(poles, abs=2e-6)
    assert (found.antimeridian_jump == found.pole_jump == 0) == (name in CLOSED)


def test_the_jump_of_sphere_c() -> None:
    found = locenc.describe(locenc.position_encoder("sphere2vec-sphereC", num_scales=1, min_radius=0.3))
    assert found.antimeridian_jump == pytest.approx(2 * abs(math.sin(math.pi / 0.3)), abs=1e-6)
    closed = locenc.position_encoder("sphere2vec-sphereC", num_scales=4, finest_km=1000, seamless=True)
    assert locenc.describe(closed).antimeridian_jump == locenc.describe(closed).pole_jump == 0


def test_many_features_are_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    position = locenc.position_encoder("sphere2vec-dfs", num_scales=3)
    whole = locenc.describe(position)
    monkeypatch.setattr(description, "NUMBERS", 1)
    assert locenc.describe(position) == whole


def test_sizes_units_and_parts() -> None:
    encoder = locenc.create("space2vec-theory", dim=24, num_scales=4, network={"name": "ffn", "hidden_dim": 32})
    encoder.network.layers[0].linear.requires_grad_(False)
    found = locenc.describe(encoder)
    assert (found.name, found.radius_unit, found.features, found.dim) == ("space2vec-theory", "degrees", 24, 24)
    assert found.resolution_km == encoder.position.resolution_km
    assert found.num_parameters == 24 * 32 + 32 + 2 * 32 + 32 * 24 + 24
    assert found.num_trainable == found.num_parameters - 24 * 32 - 32
    assert found.network == encoder.config["network"]
    assert found.options | {"name": "space2vec-theory"} == encoder.config["position"]
    assert (found.dtype, found.device) == ("float32", "cpu")
    assert locenc.describe(encoder.to(torch.bfloat16)).dtype == "bfloat16"
    features = locenc.describe(encoder.position)
    assert (features.network, features.num_parameters, features.dim) == (None, 0, 24)


def test_what_the_text_says() -> None:
    text = str(locenc.describe(locenc.create("sphere2vec-sphereM", dim=7, num_scales=5, min_radius=0.01)))
    lines = dict(line.split("  ", 1) for line in text.splitlines())
    lines = {title.strip(): said.strip() for title, said in lines.items()}
    assert lines["encoder"] == "sphere2vec-sphereM"
    assert "num_scales=5, min_radius=0.01 radians, max_radius=1.0 radians" in lines["options"]
    assert lines["resolution"] == "400.8 km, the shortest wavelength along the equator"
    assert lines["at ±180°"] == "features differ by up to 1.9 between longitudes 180 and -180"
    assert lines["network"].startswith("ffn (hidden_dim=512, ")
    assert lines["embedding"] == "7 columns, float32"
    text = str(locenc.describe(locenc.position_encoder("sphere2vec-sphereM", num_scales=5, finest_km=50)))
    assert "min_radius" not in text
    assert "50 km" in text
    text = str(locenc.describe(locenc.position_encoder("xyz")))
    assert text.count("continuous\n") == 2
    assert "none: the features are the embedding" in text


def test_harmonics_resolve_their_highest_degree() -> None:
    position = locenc.position_encoder("spherical-harmonics", num_degrees=5)
    lon = torch.linspace(-180, 180, 721, dtype=torch.float64)
    column = position(torch.stack([lon, torch.zeros_like(lon)], 1), dtype=torch.float64)[:, -1]  # degree 4, order 4
    waves = int((column[:-1] * column[1:] < 0).sum()) / 2
    assert position.resolution_km == pytest.approx(2 * math.pi * 6378.137 / waves)
    assert locenc.position_encoder("spherical-harmonics", num_degrees=1).resolution_km == math.inf


def test_the_encoder_is_left_as_it_is() -> None:
    encoder = locenc.create("spherical-voronoi", num_sites=20, token_dropout=0.5).train()
    encoder.network.eval()
    modes, state = [module.training for module in encoder.modules()], torch.get_rng_state()
    found = locenc.describe(encoder)
    assert [module.training for module in encoder.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert found.backend == encoder.position.backend
    assert found.antimeridian_jump == 0


def test_encoders_of_other_makes() -> None:
    class Shifted(nn.Module):
        out_dim = 2

        def forward(self, lonlat: Tensor, **options: object) -> Tensor:
            return lonlat.float()

    class Head(nn.Linear):
        out_dim = 3

    found = locenc.describe(locenc.LocationEncoder(Shifted(), Head(2, 3)))
    assert (found.name, found.options, found.network) == (None, {}, {"name": "Head"})
    assert found.antimeridian_jump == 360
    assert found.backend == "reference"
    assert "not registered" in str(found)
    dated = locenc.describe(locenc.create("wrap", dim=8, date=True))
    assert (dated.features, dated.antimeridian_jump) == (6, 0)
    with pytest.raises(TypeError, match=r"got Linear; locenc\.create"):
        locenc.describe(nn.Linear(2, 2))
