"""Encoders compiled by Inductor give the eager numbers; a few stand for all, since each compilation takes seconds."""

import warnings

import pytest
import torch

import locenc

POINTS = torch.tensor(
    [[2.35, 48.86], [-77.04, -12.05], [180.0, 0.0], [-180.0, 0.0], [540.0, 10.0], [13.4, 90.0]], dtype=torch.float64
)


@pytest.mark.parametrize(
    ("name", "options"), [("sphere2vec-sphereM", {"num_scales": 8, "min_radius": 1e-6}), ("rff", {})]
)
def test_inductor(name: str, options: dict[str, float]) -> None:
    encoder = locenc.create(name, dim=5, **options).eval()
    compiled = torch.compile(encoder, fullgraph=True)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch warns of its own code
        torch.testing.assert_close(compiled(POINTS), encoder(POINTS), atol=1e-6, rtol=1e-6)
