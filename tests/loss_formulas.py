"""Losses of pairs, written out with the whole matrix of scores in plain torch; nothing here is shared with the code.

Gradients come from torch's own differentiation of these lines.
"""

import math

import torch


def haversine_km(lonlat):
    """Great-circle distances of all rows (N, 2) in degrees: (N, N) km."""
    lon, lat = (lonlat.double() * math.pi / 180).unbind(-1)
    inner = ((lat[:, None] - lat) / 2).sin() ** 2
    inner = inner + lat[:, None].cos() * lat.cos() * ((lon[:, None] - lon) / 2).sin() ** 2
    return 2 * 6371.0088 * inner.clamp(0, 1).sqrt().asin()


def excluded(lonlat, km):
    """Pairs of different rows that are one place, (N, N)."""
    one = haversine_km(lonlat) <= max(km, 1e-3)
    return one & ~torch.eye(len(lonlat), dtype=torch.bool)


def cosines(a, b):
    """Cosine of each row of a with each row of b."""
    return (a / (a * a).sum(1, keepdim=True).sqrt()) @ (b / (b * b).sum(1, keepdim=True).sqrt()).T


def softmax(a, b, t, out=None):
    """Mean over rows i of -log of the share of exp(z_ii) among exp(z_ij), the ones that are out left out."""
    scores = (cosines(a, b) / t)[:, :]
    shares = scores.exp() if out is None else scores.exp() * ~out[: len(a)]
    return (shares.sum(1).log() - scores.diagonal()).mean()


def both_ways(a, b, t, out=None):
    """The mean of both directions."""
    return (softmax(a, b, t, out) + softmax(b, a, t, out)) / 2


def minus_log_sigmoid(x):
    """-log(1 / (1 + exp(-x))), without overflow."""
    return torch.relu(-x) + torch.log1p(torch.exp(-x.abs()))


def noise(a, b, t, out=None):
    """Sigmoid form of CSP: the pair, plus the mean over the others that are not out."""
    scores = cosines(a, b) / t
    others = ~torch.eye(len(a), dtype=torch.bool)
    if out is not None:
        others &= ~out
    count = others.sum(1).clamp_min(1)
    negatives = (minus_log_sigmoid(-scores) * others).sum(1) / count
    return (minus_log_sigmoid(scores.diagonal()) + negatives).mean()


def siglip(a, b, t, bias, out=None):
    """All couples that are not out, divided by the number of rows."""
    scores = cosines(a, b) / t + bias
    sign = 2 * torch.eye(len(a), dtype=scores.dtype) - 1
    losses = minus_log_sigmoid(sign * scores)
    return (losses if out is None else losses * ~out).sum() / len(a)


def own_random(location, image, negatives, t):
    """Softmax of each image's own location among its random ones; row c*B + i of the negatives belongs to pair i."""
    size = len(image)
    own = cosines(location, image).diagonal() / t
    random = torch.stack([cosines(part, image).diagonal() / t for part in negatives.split(size)])
    return ((own.exp() + random.exp().sum(0)).log() - own).mean()


def random_alone(image, negatives, t, bias=0.0):
    """Sum over the random locations, mean over images, of what no pair costs."""
    parts = negatives.split(len(image))
    return sum(minus_log_sigmoid(-(cosines(part, image).diagonal() / t + bias)).mean() for part in parts)
