"""Spherical Voronoi: a soft tessellation of the sphere, then tokens that all places share."""

import math
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear, normalize

from locenc import kernels
from locenc._names import check_count
from locenc.kernels.reference_voronoi import site_keys
from locenc.position import PositionEncoder


class SphericalVoronoi(PositionEncoder):
    """The features of TTE: learnable sites on the sphere, mixed by softmax, and learnable tokens. To be trained.

    A place attends to all sites by closeness on the sphere, sharpened by each site's own τ, and gets the mean of
    their embeddings; this attends to tokens; both are added and normalised. Sites (``directions``, ``log_tau``,
    ``embeddings``), ``tokens`` and the layers between are parameters: features mean little until they are trained.
    They are smooth everywhere, at the poles and across ±180 too. Rows do not depend on one another, but matrix products
    may round them differently in batches of another size.

    Parameters
    ----------
    num_sites : int
        Number of sites K, at first on a Fibonacci lattice, even over the sphere.
    site_dim : int
        Columns e of a site's embedding.
    num_features : int
        Number of feature columns d; where it equals ``site_dim``, sites are added to tokens as they are.
    num_tokens : int
        Number of tokens R.
    gate : float
        Share γ of the tokens in the sum, in [0, 1]; the rest is the sites'.
    cosine_attention : bool
        Whether tokens are chosen by cosine similarity rather than by a linear layer.
    token_dropout : float
        Share of tokens hidden in training, the same ones for the whole batch; at least one is left. The paper trains
        with 0.1.
    dtype : torch.dtype, optional
        Of the features. Scores of sites are float64, everything after is at least float32; parameters have
        torch's default dtype and follow ``.to(dtype)``.

    References
    ----------
    Cher et al. 2026, "Tessellating the Earth", ECCV.
    """

    compiled = True

    def __init__(
        self,
        *,
        num_sites: int = 4096,
        site_dim: int = 384,
        num_features: int = 512,
        num_tokens: int = 64,
        gate: float = 0.5,
        cosine_attention: bool = False,
        token_dropout: float = 0.0,
        dtype: torch.dtype | None = None,
    ) -> None:
        num_sites, site_dim = check_count("num_sites", num_sites), check_count("site_dim", site_dim)
        num_features, num_tokens = check_count("num_features", num_features), check_count("num_tokens", num_tokens)
        super().__init__(num_features, dtype=dtype)
        self.gate, self.token_dropout = _share("gate", gate), _share("token_dropout", token_dropout)
        self.cosine_attention = bool(cosine_attention)

        self.directions = nn.Parameter(fibonacci_lattice(num_sites).to(torch.get_default_dtype()))
        self.log_tau = nn.Parameter(torch.full((num_sites,), math.log(45)))
        self.embeddings = nn.Parameter(torch.empty(num_sites, site_dim))
        self.tokens = nn.Parameter(torch.empty(num_tokens, num_features))
        self.log_temperature = nn.Parameter(torch.tensor(math.log(0.5)))
        self.choice = nn.Linear(site_dim, num_tokens, bias=not cosine_attention)
        self.projection = nn.Linear(site_dim, num_features) if site_dim != num_features else None
        self.norm = nn.LayerNorm(num_features)
        nn.init.normal_(self.embeddings, std=0.02)
        nn.init.orthogonal_(self.tokens)
        nn.init.normal_(self.choice.weight, std=0.1)
        if not cosine_attention:
            nn.init.zeros_(self.choice.bias)

    def features(self, lonlat: Tensor, dtype: torch.dtype) -> Tensor:
        """Sites' embeddings and tokens, added and normalised."""
        working = dtype if dtype == torch.float64 else torch.float32
        with nullcontext() if lonlat.is_meta else torch.autocast(lonlat.device.type, enabled=False):
            site = self.site_embedding(lonlat, working)
            tokens = self.token_attention(site) @ self.tokens.to(working)
            own = site
            if self.projection is not None:
                own = linear(site, self.projection.weight.to(working), self.projection.bias.to(working))
            mixed = (1 - self.gate) * own + self.gate * tokens
            weight, bias = self.norm.weight.to(working), self.norm.bias.to(working)
            return layer_norm(mixed, (self.out_dim,), weight, bias, self.norm.eps).to(dtype)

    def site_embedding(self, lonlat: Tensor, dtype: torch.dtype) -> Tensor:
        """Mean of the sites' embeddings at ``(N, 2)`` checked coordinates: ``(N, site_dim)``, float32 or float64."""
        keys = site_keys(self.directions, self.log_tau)
        return kernels.site_attention(lonlat, keys, self.embeddings.to(dtype), dtype)

    def token_attention(self, site: Tensor) -> Tensor:
        """Weights of the tokens ``(N, num_tokens)`` of sites' embeddings ``(N, site_dim)``."""
        weight = self.choice.weight.to(site.dtype)
        if self.cosine_attention:
            scores = normalize(site, dim=1, eps=1e-12) @ normalize(weight, dim=1, eps=1e-12).T
        else:
            scores = linear(site, weight, self.choice.bias.to(site.dtype))
        scores = scores / self.log_temperature.to(site.dtype).exp().clamp(0.01, 10.0)
        if self.training and self.token_dropout > 0:
            drawn = torch.rand(len(self.tokens), device=scores.device)
            hidden = (drawn < self.token_dropout) & (drawn < drawn.max())
            scores = scores.masked_fill(hidden, -math.inf)
        return torch.softmax(scores, 1)


def _share(name: str, value: Any) -> float:
    try:
        share = float(value)
    except (TypeError, ValueError):
        share = math.nan
    if not 0 <= share <= 1:
        raise ValueError(f"{name} must lie in [0, 1], got {value!r}")
    return share


def fibonacci_lattice(count: int) -> Tensor:
    """Points spread evenly over the sphere: ``(count, 3)`` float64 unit vectors, from north to south.

    References
    ----------
    Swinbank & Purser 2006, "Fibonacci grids", Q. J. R. Meteorol. Soc. 132.
    """
    index = torch.arange(count, dtype=torch.float64)
    z = 1 - (2 * index + 1) / count
    angle = 2 * math.pi * torch.frac(index * ((math.sqrt(5) - 1) / 2))
    radius = torch.sqrt(1 - z * z)
    return torch.stack([radius * angle.cos(), radius * angle.sin(), z], 1)
