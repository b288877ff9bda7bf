"""The dual encoder: what it hands to an objective, in which order, and what stays frozen."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from locenc_csp.dual_encoder import DualEncoder
from locenc_csp.objectives import Objective

LONLAT = torch.tensor([[2.35, 48.86], [151.21, -33.87], [-60.0, -3.0]], dtype=torch.float64)
FEATURES = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))


class Places(nn.Module):
    """A location encoder with dropout that keeps what it was called with."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 4)
        self.dropout = nn.Dropout(0.5)
        self.calls = []

    def forward(self, lonlat):
        self.calls.append(lonlat)
        return self.dropout(self.linear(lonlat.float() / 180))


def test_embeddings_go_into_an_objective():
    torch.manual_seed(0)
    model = DualEncoder(Places(), nn.Linear(6, 4))
    objective = Objective("MC-BLD")
    negatives = LONLAT.roll(1, 0).repeat(2, 1)
    embeddings = model(LONLAT, FEATURES, negatives=negatives, twin=objective.needs_twin)
    assert [tuple(rows.shape) for rows in embeddings] == [(3, 4), (3, 4), (6, 4), (3, 4)]
    loss, _ = objective(*embeddings)
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert not torch.equal(embeddings.location, embeddings.twin)  # other dropout masks
    assert model.location.calls[0] is LONLAT
    assert model.location.calls[1] is negatives
    assert model.location.calls[2] is LONLAT


def test_only_what_is_asked_for():
    model = DualEncoder(Places(), nn.Linear(6, 4)).eval()
    embeddings = model(LONLAT, FEATURES)
    assert embeddings.negatives is None
    assert embeddings.twin is None
    assert len(model.location.calls) == 1
    assert_close(embeddings.location, model.embed_location(LONLAT))
    assert_close(embeddings.image, model.embed_image(FEATURES))
    assert_close(model.decode(embeddings.location), embeddings.location)


def test_decoder_compares_with_features():
    model = DualEncoder(Places(), decoder=nn.Linear(4, 6)).eval()
    embeddings = model(LONLAT, FEATURES)
    assert_close(embeddings.location, model.decoder(model.location(LONLAT)))
    assert torch.equal(embeddings.image, FEATURES)
    loss, _ = Objective("MSE")(*embeddings)
    assert_close(loss, ((embeddings.location - FEATURES) ** 2).mean())


def test_preprocessing_is_frozen():
    norm = nn.BatchNorm1d(6)
    model = DualEncoder(Places(), nn.Linear(6, 4), preprocess=norm).train()
    assert model.training
    assert model.location.training
    assert not norm.training
    before = norm.running_mean.clone()
    features = FEATURES.clone().requires_grad_()
    model.embed_image(features).sum().backward()
    assert torch.equal(norm.running_mean, before)
    assert norm.weight.grad is None
    assert features.grad is None
    assert model.image.weight.grad is not None
    assert not any(parameter.requires_grad for parameter in norm.parameters())
    decoding = DualEncoder(Places(), decoder=nn.Linear(4, 6), preprocess=norm)
    assert_close(decoding.embed_image(FEATURES), norm(FEATURES))


def test_one_of_image_and_decoder():
    with pytest.raises(ValueError, match=r"give one of image= .* and decoder= .*, got neither"):
        DualEncoder(Places())
    with pytest.raises(ValueError, match=r"got both"):
        DualEncoder(Places(), nn.Linear(6, 4), nn.Linear(4, 6))
