"""Attention of a place over sites of the sphere, in plain torch.

The place is a unit vector g, a site has a key τ s (s a unit vector) and an embedding E:

    z_k = ⟨g, τ_k s_k⟩,   w = softmax(z),   u = Σ_k w_k E_k.

Scores are float64 and the row's largest is subtracted before anything is rounded: with τ in the hundreds, float32
scores would put errors of τ 1e-7 into the exponent.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from locenc.kernels.layout import XYZ
from locenc.kernels.reference import coordinates


def site_keys(directions: Tensor, log_tau: Tensor) -> Tensor:
    """Keys ``(K, 3)`` float64 of sites: directions ``(K, 3)`` of any length, log τ ``(K,)``."""
    directions, tau = directions.to(torch.float64), log_tau.to(torch.float64).exp()
    return tau[:, None] * normalize(directions, dim=1, eps=1e-12)


def site_weights(lonlat: Tensor, keys: Tensor, dtype: torch.dtype) -> Tensor:
    """Softmax weights of all sites.

    Parameters
    ----------
    lonlat : Tensor
        ``(N, 2)`` degrees.
    keys : Tensor
        ``(K, 3)`` float64, as `site_keys` makes them.
    dtype : torch.dtype
        float32 or float64.

    Returns
    -------
    Tensor
        ``(N, K)``; rows sum to 1.
    """
    scores = torch.stack(coordinates(lonlat, XYZ), 1) @ keys.T
    largest = scores.detach().amax(1, keepdim=True)
    return torch.softmax((scores - largest).to(dtype), 1)


def site_attention(lonlat: Tensor, keys: Tensor, embeddings: Tensor, dtype: torch.dtype) -> Tensor:
    """Mean of the sites' embeddings ``(K, e)`` by their weights: ``(N, e)``.

    Weights and sums are float64 for a result of that dtype, else float32; other arguments as in `site_weights`.
    """
    working = dtype if dtype == torch.float64 else torch.float32
    return (site_weights(lonlat, keys, working) @ embeddings.to(working)).to(dtype)
