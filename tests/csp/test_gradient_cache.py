"""Gradient caching: the gradients of the large batch, one chunk's memory, the same random numbers twice."""

import weakref

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from locenc_csp import contrastive_loss, embed_in_chunks


def network(dtype=torch.float64, dropout=0.0):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 16), nn.GELU(), nn.Dropout(dropout), nn.Linear(16, 5)).to(dtype)


def loss_and_gradients(model, embeddings, locations):
    loss = contrastive_loss(embeddings, locations, 0.1, symmetric=True)
    return loss.detach(), torch.autograd.grad(loss, [*model.parameters(), locations])


def data(count, dtype):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(count, 3, 4, generator=generator, dtype=torch.float64)
    locations = torch.randn(count, 5, generator=generator, dtype=torch.float64)
    return images.to(dtype), locations.to(dtype).requires_grad_()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
@pytest.mark.parametrize("chunk_size", [1, 7, 23, 50])
def test_gradients_are_those_of_the_large_batch(dtype, tolerance, chunk_size):
    model, (images, locations) = network(dtype), data(23, dtype)
    loss, found = loss_and_gradients(model, embed_in_chunks(model, images, chunk_size), locations)
    wanted_loss, wanted = loss_and_gradients(model, model(images), locations)
    assert_close(loss, wanted_loss, rtol=tolerance, atol=0.0)
    for mine, theirs in zip(found, wanted, strict=True):
        assert_close(mine, theirs, rtol=0.0, atol=tolerance * theirs.abs().max().item())


def test_random_numbers_are_replayed():
    """Those of chunks one after another, and the generator is where they left it."""
    model, (images, locations) = network(dropout=0.4), data(20, torch.float64)
    torch.manual_seed(7)
    embeddings = embed_in_chunks(model, images, 6)
    state = torch.get_rng_state()
    torch.rand(3)
    loss, found = loss_and_gradients(model, embeddings, locations)
    torch.manual_seed(7)
    plain = torch.cat([model(chunk) for chunk in images.split(6)])
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(embeddings, plain)
    wanted_loss, wanted = loss_and_gradients(model, plain, locations)
    assert loss == wanted_loss
    assert_close(found, wanted, rtol=1e-12, atol=1e-14)
    assert not torch.equal(model(images[:6]), model(images[:6]))


class Counted(nn.Module):
    """Counts what it has made and somebody still holds."""

    def __init__(self):
        super().__init__()
        self.weight, self.held, self.most = nn.Parameter(torch.ones(12)), [], 0

    def forward(self, images):
        middle = images.flatten(1) * self.weight
        self.held.append(weakref.ref(middle))
        self.most = max(self.most, sum(ref() is not None for ref in self.held))
        return middle.sin()[:, :5]  # whose gradient needs what is in the middle


def test_one_chunk_is_held_at_a_time():
    images, locations = data(24, torch.float64)
    for chunks, most in ((8, 1), (1, 8)):
        model = Counted().double()
        if chunks == 8:
            embeddings = embed_in_chunks(model, images, 3)
        else:
            embeddings = torch.cat([model(chunk) for chunk in images.split(3)])
        contrastive_loss(embeddings, locations).backward()
        assert model.most == most
        assert model.weight.grad.abs().sum() > 0


def test_without_gradients_nothing_is_done_twice():
    model, (images, _) = Counted().double(), data(24, torch.float64)
    with torch.inference_mode():
        embeddings = embed_in_chunks(model, images, 5)
    assert len(model.held) == 5
    assert torch.equal(embeddings, model(images))


def test_what_is_refused():
    with pytest.raises(ValueError, match="chunk_size must be a whole number of at least 1, got 0"):
        embed_in_chunks(network(), torch.ones(2, 3, 4), 0)
    with pytest.raises(ValueError, match=r"must be rows to embed, got inputs of shape \(0, 3\)"):
        embed_in_chunks(network(), torch.ones(0, 3), 2)
