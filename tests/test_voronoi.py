"""The spherical Voronoi encoder: TTE's arrays and gradients, its geometry, and its extremes."""

import json
import math
from collections.abc import Callable

import formulas
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from voronoi_formulas import voronoi_weights

import locenc
from locenc.kernels.reference_voronoi import site_attention, site_keys, site_weights
from locenc.residual import ResidualMLP
from locenc.voronoi import SphericalVoronoi, fibonacci_lattice

MODELS = ["fresh", "trained", "cosine"]
NAME = "spherical-voronoi"


@pytest.fixture(autouse=True)
def seed() -> None:
    """Layers are drawn from torch's generator."""
    torch.manual_seed(0)


def small(**options: object) -> SphericalVoronoi:
    sizes = {"num_sites": 30, "site_dim": 4, "num_features": 6, "num_tokens": 5}
    return locenc.position_encoder(NAME, **{**sizes, **options})


def sharp(log_tau: float | Tensor, **options: object) -> SphericalVoronoi:
    encoder = small(**options)
    with torch.no_grad():
        encoder.log_tau.copy_(torch.as_tensor(log_tau).expand(len(encoder.log_tau)))
        encoder.embeddings.normal_(generator=torch.Generator().manual_seed(3))
    return encoder


def points(count: int, seed: int = 0) -> Tensor:
    rng = np.random.default_rng(seed)
    lat = np.rad2deg(np.arcsin(rng.uniform(-1, 1, count)))
    return torch.from_numpy(np.stack([rng.uniform(-180, 180, count), lat], 1))


def assert_within(actual: Tensor, theirs: np.ndarray, atol: float) -> None:
    torch.testing.assert_close(actual.detach().double(), torch.from_numpy(theirs).double(), rtol=0, atol=atol)


# The original's arrays


class Golden:
    """One of the models of tte.npz, and its encoder in float64."""

    #: Our parameters, by the original's keys.
    NAMES = (
        ("_directions", "directions"),
        ("_log_tau", "log_tau"),
        ("_embeddings", "embeddings"),
        ("semantic_registers.registers", "tokens"),
        ("semantic_registers.log_temperature", "log_temperature"),
        ("semantic_registers.loc_to_logits.weight", "choice.weight"),
        ("semantic_registers.loc_to_logits.bias", "choice.bias"),
        ("semantic_registers.site_to_out.weight", "projection.weight"),
        ("semantic_registers.site_to_out.bias", "projection.bias"),
        ("semantic_registers.norm.weight", "norm.weight"),
        ("semantic_registers.norm.bias", "norm.bias"),
    )

    def __init__(self, arrays: np.lib.npyio.NpzFile, model: str) -> None:
        self.arrays = {key.removeprefix(f"{model}/"): arrays[key] for key in arrays.files if key.startswith(model)}
        self.lonlat = torch.from_numpy(arrays["lonlat"])
        config = json.loads(str(self.arrays["config"]))
        dim = config["output_dim"]
        self.encoder = SphericalVoronoi(
            num_sites=config["n_sites"],
            site_dim=config["site_embed_dim"],
            num_features=dim,
            num_tokens=config["n_registers"],
            gate=config["register_fixed_gate"],
            cosine_attention=config["use_cosine_attention"],
        )
        state = {ours: self.state(theirs) for theirs, ours in self.NAMES if f"state/location.{theirs}" in self.arrays}
        self.encoder.load_state_dict(state)
        depth = config["n_reslayers"]
        self.network = ResidualMLP(
            dim, dim, hidden_dim=config["hidden_dim"], depth=depth, normalize=config["normalize"]
        ).eval()
        layers = {f"input.{part}": self.state(f"mlp.0.{part}") for part in ("weight", "bias")}
        for block in range(depth):
            for ours, theirs in (("first", "w1"), ("second", "w2")):
                for part in ("weight", "bias"):
                    layers[f"blocks.{block}.{ours}.{part}"] = self.state(f"mlp.{block + 2}.{theirs}.{part}")
        layers["output.weight"] = self.state(f"mlp.{depth + 2}.weight")
        self.network.load_state_dict(layers)
        self.encoder.double()
        self.network.double()

    def state(self, key: str) -> Tensor:
        return torch.from_numpy(self.arrays[f"state/location.{key}"])

    def __getitem__(self, key: str) -> np.ndarray:
        return self.arrays[key]


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest, golden: Callable) -> Golden:
    return Golden(golden("tte.npz"), request.param)


def test_every_stage_agrees_with_the_original(model: Golden) -> None:
    encoder, lonlat = model.encoder, model.lonlat
    weights = site_weights(lonlat, site_keys(encoder.directions, encoder.log_tau), torch.float64)
    assert_within(weights, model["weights"], 1e-7)  # stored as float32
    assert torch.equal(weights.argmax(1), torch.from_numpy(model["argmax_site"]).long())
    assert_within(1 / (weights**2).sum(1), model["perplexity"], 1e-9)
    site = encoder.site_embedding(lonlat, torch.float64)
    assert_within(site, model["site_embedding"], 1e-9)
    assert_within(encoder.token_attention(site), model["token_attention"], 1e-9)
    assert_within(encoder(lonlat, dtype=torch.float64), model["after_norm"], 1e-9)
    embedding = model.network(encoder(lonlat, dtype=torch.float64))
    assert_within(embedding, model["embedding"], 1e-9)
    model.network.normalize = False
    assert_within(model.network(encoder(lonlat, dtype=torch.float64)), model["mlp"], 1e-9)


def test_float32_agrees_with_the_original(model: Golden) -> None:
    encoder, network = model.encoder.float(), model.network.float()
    features = encoder(model.lonlat)
    assert features.dtype == torch.float32
    assert_within(features, model["after_norm"], 2e-6)
    assert_within(network(features), model["embedding"], 1e-6)
    assert_within(network(features), model["float32/encode"], 2e-5)


@pytest.mark.parametrize(("key", "share"), [("mlp_anneal1", 1.0), ("mlp_anneal025", 0.25)])
def test_an_annealed_temperature_agrees_with_the_original(model: Golden, key: str, share: float) -> None:
    with torch.no_grad():
        learned = model.encoder.log_temperature.exp().clamp(0.01, 10)
        model.encoder.log_temperature.copy_(((1 - share) * learned + share * 0.2).log())
    model.network.normalize = False
    assert_within(model.network(model.encoder(model.lonlat, dtype=torch.float64)), model[key], 1e-9)


def test_gradients_agree_with_the_original(model: Golden) -> None:
    lonlat = model.lonlat.clone().requires_grad_()
    embedding = model.network(model.encoder(lonlat, dtype=torch.float64))
    (embedding * torch.from_numpy(model["cotangent"])).sum().backward()
    theirs = {"lonlat": model["grad/latlon"][:, ::-1].copy()}
    ours = {"lonlat": lonlat.grad}
    parameters = dict(model.encoder.named_parameters())
    for key, name in Golden.NAMES:
        if f"grad/location.{key}" in model.arrays:
            theirs[name], ours[name] = model[f"grad/location.{key}"], parameters[name].grad
    assert len(ours) == 6
    for name, gradient in ours.items():
        assert gradient is not None
        assert torch.isfinite(gradient).all()
        keep = np.arange(len(theirs[name])) != 30 if name == "directions" else ...  # site 30 has no direction
        assert_within(gradient[keep], theirs[name][keep], 1e-9 * max(np.abs(theirs[name][keep]).max(), 1e-3))


def test_the_lattice_agrees_with_the_original(golden: Callable) -> None:
    arrays = golden("tte.npz")
    for count, atol in ((64, 2e-5), (256, 6e-5)):  # the original computes its angles in float32
        assert_within(fibonacci_lattice(count), arrays[f"fibonacci|{count}"], atol)
    assert_within(fibonacci_lattice(4096)[-8:], arrays["fibonacci|4096|last8"], 1.1e-3)


# Initial values


def test_the_lattice_is_even() -> None:
    for count in (1, 2, 3, 100, 4096):
        lattice = fibonacci_lattice(count)
        assert lattice.shape == (count, 3)
        assert lattice.dtype == torch.float64
        torch.testing.assert_close(lattice.norm(dim=1), torch.ones(count, dtype=torch.float64), rtol=0, atol=1e-15)
        assert (lattice[:, 2].diff() < 0).all()
    nearest = 2 * torch.asin((torch.cdist(lattice, lattice) + 9 * torch.eye(4096)).amin(1) / 2)
    even = math.sqrt(8 * math.pi / math.sqrt(3) / 4096)  # of the hexagonal lattice of this density
    assert nearest.min() > 0.8 * even
    assert nearest.max() < even
    assert lattice.mean(0).norm() < 1e-3


def test_initial_values() -> None:
    torch.manual_seed(5)
    encoder = SphericalVoronoi()
    assert torch.equal(encoder.directions, fibonacci_lattice(4096).float())
    torch.testing.assert_close(encoder.log_tau.exp(), torch.full((4096,), 45.0))
    torch.testing.assert_close(encoder.log_temperature.exp(), torch.tensor(0.5))
    assert encoder.embeddings.std().item() == pytest.approx(0.02, rel=0.01)
    assert encoder.choice.weight.std().item() == pytest.approx(0.1, rel=0.03)
    assert (encoder.choice.bias == 0).all()
    torch.testing.assert_close(encoder.tokens @ encoder.tokens.T, torch.eye(64), rtol=0, atol=1e-5)
    assert {parameter.dtype for parameter in encoder.parameters()} == {torch.float32}
    assert SphericalVoronoi(cosine_attention=True, num_sites=3).choice.bias is None
    assert SphericalVoronoi(site_dim=512, num_sites=3).projection is None


def test_it_has_as_many_numbers_as_published() -> None:
    numbers = sum(parameter.numel() for parameter in locenc.create(NAME, dim=512).parameters())
    image_side = 512 * 64 + 64 + 1
    assert 4 * (numbers + image_side) == pytest.approx(13.8e6, rel=2e-3)


def test_it_is_drawn_as_any_layer() -> None:
    torch.manual_seed(1)
    one = small().state_dict()
    torch.manual_seed(1)
    two = small().state_dict()
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not torch.equal(one["embeddings"], small().embeddings)


def test_untrained_sites_are_soft() -> None:
    """For even sites of equal τ about K / τ of them count."""
    encoder = SphericalVoronoi(num_sites=4096, site_dim=2, num_features=2)
    weights = site_weights(points(20), site_keys(encoder.directions, encoder.log_tau), torch.float64)
    torch.testing.assert_close(1 / (weights**2).sum(1), torch.full((20,), 4096 / 45).double(), rtol=0.01, atol=0)


# Continuity

LONGITUDES = st.floats(-180, 180)
LATITUDES = st.floats(-90, 90)
STEEP = sharp(torch.linspace(3, 6.5, 30), dtype=torch.float64).double()


@given(west=LONGITUDES, east=LONGITUDES, pole=st.sampled_from([-90.0, 90.0]))
@settings(max_examples=40, deadline=None)
def test_a_pole_is_one_place(west: float, east: float, pole: float) -> None:
    here, there = STEEP(torch.tensor([(west, pole), (east, pole)], dtype=torch.float64))
    torch.testing.assert_close(here, there, rtol=0, atol=1e-10)


@given(lat=LATITUDES)
@settings(max_examples=40, deadline=None)
def test_the_antimeridian_is_one_line(lat: float) -> None:
    here, there = STEEP(torch.tensor([(180, lat), (-180, lat)], dtype=torch.float64))
    torch.testing.assert_close(here, there, rtol=0, atol=1e-10)


@given(lon=LONGITUDES, lat=LATITUDES, move=st.floats(-8, 1), heading=st.floats(0, 6.28))
@settings(max_examples=60, deadline=None)
def test_steps_are_bounded_by_distance(lon: float, lat: float, move: float, heading: float) -> None:
    """Moving by a chord changes no score by more than τ chord, so weights by 2 τ chord in total."""
    degrees = 10**move
    lat_b = min(max(lat + degrees * math.sin(heading), -90.0), 90.0)
    lonlat = torch.tensor([(lon, lat), (lon + degrees * math.cos(heading), lat_b)], dtype=torch.float64)
    chord = locenc.coords.unit_sphere(lonlat).diff(dim=0).norm()
    keys = site_keys(STEEP.directions, STEEP.log_tau)
    change = site_weights(lonlat, keys, torch.float64).diff(dim=0).abs().sum()
    assert change <= 2 * keys.norm(dim=1).max() * chord + 1e-12


def test_gradients_are_finite_at_poles_and_antimeridian() -> None:
    lonlat = torch.tensor([(0, 90), (77, -90), (180, 12), (-180, 12), (0, 0)], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(STEEP(lonlat).square().sum(), lonlat)
    assert torch.isfinite(slope).all()
    torch.testing.assert_close(slope[2], slope[3], rtol=0, atol=1e-9 * slope.abs().max().item())
    assert slope[:2, 0].abs().max() < 1e-9  # at a pole longitude does not matter


# Extremes


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("tau", [1e-3, 500.0, 1e6])
def test_extreme_temperatures(tau: float, dtype: torch.dtype) -> None:
    encoder = sharp(math.log(tau), dtype=dtype).to(dtype)
    lonlat = points(50).requires_grad_()
    features = encoder(lonlat)
    assert torch.isfinite(features).all()
    weights = {key: value.double().numpy() for key, value in encoder.state_dict().items()}
    wanted = formulas.evaluate(NAME, lonlat.detach().numpy(), weights=weights)
    assert_within(features, wanted, max(1e-11, 1e-13 * tau) if dtype == torch.float64 else 5e-6)
    features.square().sum().backward()
    assert all(torch.isfinite(value.grad).all() for value in (lonlat, *encoder.parameters()))


def test_scores_of_plus_and_minus_500() -> None:
    """At a site of τ = 500 its own score is 500, and -500 at the antipode: neither overflows, even in float32."""
    keys = site_keys(torch.tensor([[0.0, 0.0, 1.0]] * 2 + [[0.0, 0.0, -1.0]]), torch.tensor(500.0).log().expand(3))
    poles = torch.tensor([(0.0, 90.0), (0.0, -90.0)], dtype=torch.float64)
    for dtype in (torch.float32, torch.float64):
        weights = site_weights(poles, keys, dtype)
        assert weights.tolist() == [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]


@pytest.mark.parametrize("tau", [45.0, 500.0, 5000.0])
def test_float32_weights_are_exact_to_rounding(tau: float) -> None:
    """Scores in float32 would be off by τ 1e-7."""
    keys = site_keys(fibonacci_lattice(2000), torch.tensor(tau, dtype=torch.float64).log().expand(2000))
    lonlat = points(50)
    exact = site_weights(lonlat, keys, torch.float64)
    assert (site_weights(lonlat, keys, torch.float32) - exact).abs().max() < 2.5e-7


def test_coinciding_sites_share() -> None:
    encoder = sharp(4.0).double()
    with torch.no_grad():
        encoder.directions[7] = encoder.directions[3] * 2.5  # only the direction counts
    weights = site_weights(points(40), site_keys(encoder.directions, encoder.log_tau), torch.float64)
    torch.testing.assert_close(weights[:, 7], weights[:, 3], rtol=1e-12, atol=0)


def test_a_dead_site() -> None:
    """A blunt site beside a sharp one wins nowhere, yet it counts a little and can be trained."""
    directions = torch.tensor([[1.0, 0, 0], [1.0, 0.1, 0], [-1.0, 0, 0], [0, 0, 1.0], [0, 0, -1.0]])
    log_tau = torch.tensor([50.0, 10.0, 50.0, 50.0, 50.0]).log().requires_grad_()
    keys = site_keys(directions, log_tau)
    weights = site_weights(points(2000), keys, torch.float64)
    assert 1 not in weights.argmax(1)
    (slope,) = torch.autograd.grad(weights[:, 1].sum(), log_tau)
    assert weights[:, 1].max() > 0
    assert torch.isfinite(slope).all()
    assert slope[1] != 0


def test_a_site_without_direction_scores_zero() -> None:
    directions = torch.tensor([[0.0, 0, 0], [0, 0, 1.0]], requires_grad=True)
    keys = site_keys(directions, torch.tensor([3.0, 0.0]))
    assert (keys[0] == 0).all()
    lonlat = torch.tensor([(12.0, 90.0)], dtype=torch.float64)
    weights = site_weights(lonlat, keys, torch.float64)
    torch.testing.assert_close(weights[0, 1] / weights[0, 0], torch.tensor(math.e).double())
    (slope,) = torch.autograd.grad(weights[0, 1], directions)
    assert torch.isfinite(slope).all()


def test_one_site_and_one_token_are_everywhere() -> None:
    encoder = small(num_sites=1, num_tokens=1)
    features = encoder(points(9))
    assert torch.equal(features, features[:1].expand(9, -1))


def test_attention_is_the_weighted_mean() -> None:
    keys, values = site_keys(fibonacci_lattice(20), torch.zeros(20)), torch.randn(20, 3)
    weights = site_weights(points(6), keys, torch.float32)
    torch.testing.assert_close(weights.sum(1), torch.ones(6))
    torch.testing.assert_close(site_attention(points(6), keys, values, torch.float32), weights @ values)


# Options


@pytest.mark.parametrize("options", [{"cosine_attention": True}, {"num_features": 4}, {"gate": 0.0}, {"gate": 1.0}])
def test_every_option_agrees_with_the_formula(options: dict) -> None:
    encoder = small(**options, dtype=torch.float64).double()
    dim = encoder.out_dim
    drawn = voronoi_weights(np.random.default_rng(2), sites=30, site_dim=4, dim=dim, tokens=5, sharpness=45)
    wanted = {key: torch.from_numpy(drawn[key]) for key in encoder.state_dict()}
    encoder.load_state_dict(wanted)
    plain = {key: value for key, value in options.items() if key != "num_features"}
    weights = {key: value.numpy() for key, value in wanted.items()}
    lonlat = points(30)
    assert_within(encoder(lonlat), formulas.evaluate(NAME, lonlat.numpy(), weights=weights, **plain), 1e-12)


def test_the_gate_chooses_between_sites_and_tokens() -> None:
    lonlat = points(10)
    tokens_only = small(num_tokens=1, gate=1.0)(lonlat)
    assert torch.equal(tokens_only, tokens_only[:1].expand(10, -1))
    assert not torch.equal(*small(num_tokens=1, gate=0.5)(lonlat)[:2])


@pytest.mark.parametrize(("log_temperature", "same"), [(-9.0, 0.01), (5.0, 10.0)])
def test_the_temperature_stays_between_its_limits(log_temperature: float, same: float) -> None:
    encoder = small()
    site = torch.randn(4, 4)
    found = []
    for value in (log_temperature, math.log(same)):
        with torch.no_grad():
            encoder.log_temperature.fill_(value)
        found.append(encoder.token_attention(site))
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-6)


def test_token_dropout_hides_tokens_of_the_whole_batch_in_training() -> None:
    encoder = small(num_tokens=50, token_dropout=0.4)
    site = torch.randn(7, 4)
    torch.manual_seed(0)
    shares = []
    for _ in range(200):
        attention = encoder.token_attention(site)
        hidden = attention == 0
        assert torch.equal(hidden, hidden[:1].expand(7, -1))
        torch.testing.assert_close(attention.sum(1), torch.ones(7))
        shares.append(hidden[0].double().mean().item())
    assert np.mean(shares) == pytest.approx(0.4, abs=0.02)
    encoder.eval()
    assert (encoder.token_attention(site) > 0).all()


def test_token_dropout_leaves_one() -> None:
    encoder = small(token_dropout=1.0)
    assert (encoder.token_attention(torch.randn(3, 4)) == 1).sum().item() == 3
    assert torch.isfinite(encoder(points(3))).all()


def test_nothing_is_dropped_unless_asked() -> None:
    encoder = small()
    assert encoder.training
    assert torch.equal(encoder(points(8)), encoder(points(8)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_sites": 0}, r"num_sites.*\b0\b"),
        ({"site_dim": 2.5}, r"site_dim.*2\.5"),
        ({"num_features": -1}, r"num_features.*-1"),
        ({"num_tokens": True}, r"num_tokens.*True"),
        ({"gate": 1.01}, r"gate must lie in \[0, 1\], got 1\.01"),
        ({"gate": float("nan")}, r"gate must lie in \[0, 1\], got nan"),
        ({"gate": None}, r"gate must lie in \[0, 1\], got None"),
        ({"token_dropout": -0.1}, r"token_dropout must lie in \[0, 1\], got -0\.1"),
    ],
)
def test_impossible_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options)


# Dtypes


def test_parameters_follow_casts_and_features_do_not() -> None:
    encoder = small()
    assert {parameter.dtype for parameter in encoder.half().parameters()} == {torch.float16}
    assert encoder(points(3)).dtype == torch.float32
    assert {parameter.dtype for parameter in encoder.double().parameters()} == {torch.float64}
    assert encoder(points(3)).dtype == torch.float32


def test_float64_features_of_float32_weights() -> None:
    encoder = sharp(4.0)
    lonlat = points(30)
    weights = {key: value.double().numpy() for key, value in encoder.state_dict().items()}
    assert_within(encoder(lonlat, dtype=torch.float64), formulas.evaluate(NAME, lonlat.numpy(), weights=weights), 1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_rounds_the_result_alone(dtype: torch.dtype) -> None:
    encoder = sharp(math.log(500.0))
    lonlat = points(30)
    assert torch.equal(encoder(lonlat, dtype=dtype), encoder(lonlat).to(dtype))


# Its network


def test_the_network_of_zero_is_zero() -> None:
    network = ResidualMLP(3, 4, hidden_dim=5)
    torch.nn.init.zeros_(network.output.weight)
    assert (network(torch.randn(2, 3)) == 0).all()


def test_the_networks_embeddings_have_unit_length_where_asked() -> None:
    encoder = locenc.create(NAME, dim=8, num_sites=9, site_dim=4, num_features=6, num_tokens=3).eval()
    torch.testing.assert_close(encoder(points(5)).norm(dim=1), torch.ones(5))
    network = {"name": "residual-mlp", "hidden_dim": 7, "depth": 0, "normalize": False}
    encoder = locenc.create("wrap", dim=8, network=network).eval()
    assert not torch.allclose(encoder(points(5)).norm(dim=1), torch.ones(5))
    with pytest.raises(ValueError, match=r"depth.*-1"):
        locenc.create("wrap", network={"name": "residual-mlp", "depth": -1})
    with pytest.raises(ValueError, match=r"hidden_dim.*\b0\b"):
        locenc.create("wrap", network={"name": "residual-mlp", "hidden_dim": 0})
