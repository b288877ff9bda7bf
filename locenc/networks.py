"""Networks that turn features into an embedding: (..., in_dim) to (..., out_dim).

A network, ours or a user's, may say more of itself, and `locenc.LocationEncoder` makes use of it:

- ``rowwise = True``, on its class and on those of its layers that are not torch's own: in evaluation, a row of the
  result depends on the same row of the features alone.
- ``first_linear``: the linear layer that the features enter, and ``after_first(hidden, add_features)``: the embedding
  from what that layer gives, which it leaves unchanged. ``add_features(other)`` is ``other + features``, for a skip.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, cast

from torch import Tensor, nn

from locenc._names import among, check_count, check_dropout, plain, settings, unknown
from locenc.branches import SummedBranches
from locenc.dropout import Dropout
from locenc.residual import ResidualBlock, ResidualMLP
from locenc.siren import Siren

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leakyrelu": lambda: nn.LeakyReLU(0.2),
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
}


class _FFNLayer(nn.Module):
    rowwise = True

    def __init__(self, in_dim: int, out_dim: int, activation: str, dropout: float, *, norm: bool, skip: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(in_dim, out_dim)
        self.activation = ACTIVATIONS[activation]()
        self.dropout = Dropout(dropout)
        self.norm = nn.LayerNorm(out_dim) if norm else nn.Identity()
        self.skip = skip and in_dim == out_dim
        nn.init.xavier_uniform_(self.linear.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.after_linear(self.linear(x), lambda hidden: hidden + x)

    def after_linear(self, hidden: Tensor, add_input: Callable[[Tensor], Tensor]) -> Tensor:
        hidden = self.dropout(self.activation(hidden))
        if self.skip:
            hidden = add_input(hidden)
        out: Tensor = self.norm(hidden)
        return out


class FFN(nn.Module):
    """The feed-forward network of Space2Vec, Sphere2Vec and CSP.

    Hidden layers are linear, activation, dropout, skip (where the sizes match) and layer norm. The last layer has
    activation and dropout too, so in training a share of the embedding's entries is zero.

    Parameters
    ----------
    in_dim, out_dim : int
        Number of features, size of the embedding.
    hidden_dim : int
        Width of the hidden layers.
    num_hidden_layers : int
        0 leaves the last layer alone.
    activation : str
        ``"relu"``, ``"leakyrelu"`` (slope 0.2), ``"sigmoid"``, ``"tanh"`` or ``"gelu"``.
    dropout : float
        Share of entries dropped, in every layer.
    layer_norm, skip : bool
        Whether hidden layers have them.

    References
    ----------
    Mai et al. 2020 (Space2Vec, ICLR), section 3; weights Xavier uniform.
    """

    rowwise = True

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        *,
        hidden_dim: int = 512,
        num_hidden_layers: int = 1,
        activation: str = "leakyrelu",
        dropout: float = 0.5,
        layer_norm: bool = True,
        skip: bool = True,
    ) -> None:
        super().__init__()
        for name, value in (("layer_norm", layer_norm), ("skip", skip)):
            if not isinstance(value, bool):
                raise TypeError(f"{name} must be True or False, got {value!r:.60}")
        if not among(activation, ACTIVATIONS):
            raise ValueError(unknown("activation", activation, ACTIVATIONS))
        hidden_dim = check_count("hidden_dim", hidden_dim)
        num_hidden_layers = check_count("num_hidden_layers", num_hidden_layers, least=0, most=256)
        dropout = check_dropout(dropout)
        in_dim, out_dim = check_count("in_dim", in_dim), check_count("out_dim", out_dim)
        self.out_dim = out_dim
        widths = [in_dim, *[hidden_dim] * num_hidden_layers]
        hidden = [_FFNLayer(a, b, activation, dropout, norm=layer_norm, skip=skip) for a, b in pairwise(widths)]
        last = _FFNLayer(widths[-1], out_dim, activation, dropout, norm=False, skip=False)
        self.layers = nn.Sequential(*hidden, last)

    def forward(self, features: Tensor) -> Tensor:
        """Map features ``(..., in_dim)`` to embeddings ``(..., out_dim)``."""
        embedding: Tensor = self.layers(features)
        return embedding

    @property
    def first_linear(self) -> nn.Linear:
        """The layer that the features enter."""
        return self._first.linear

    def after_first(self, hidden: Tensor, add_features: Callable[[Tensor], Tensor]) -> Tensor:
        """The embedding from what `first_linear` gives."""
        hidden = self._first.after_linear(hidden, add_features)
        for layer in list(self.layers)[1:]:
            hidden = layer(hidden)
        return hidden

    @property
    def _first(self) -> _FFNLayer:
        return cast(_FFNLayer, self.layers[0])


class ResidualFCNet(nn.Module):
    """The residual network of Mac Aodha et al. (geo_prior, SINR): embeddings are non-negative.

    Parameters
    ----------
    in_dim, out_dim : int
        Number of features; size of the embedding, which is also the width of every layer.
    depth : int
        Number of residual blocks x + relu(W₂ dropout(relu(W₁ x + b₁)) + b₂).
    dropout : float
        Share of entries dropped inside each block.

    References
    ----------
    Mac Aodha et al. 2019 (ICCV), section 3.3.
    """

    rowwise = True

    def __init__(self, in_dim: int, out_dim: int, *, depth: int = 4, dropout: float = 0.5) -> None:
        super().__init__()
        depth, dropout = check_count("depth", depth, least=0, most=256), check_dropout(dropout)
        in_dim, out_dim = check_count("in_dim", in_dim), check_count("out_dim", out_dim)
        self.out_dim = out_dim
        self.input = nn.Linear(in_dim, out_dim)
        self.blocks = nn.Sequential(*(ResidualBlock(out_dim, dropout) for _ in range(depth)))

    def forward(self, features: Tensor) -> Tensor:
        """Map features ``(..., in_dim)`` to embeddings ``(..., out_dim)``."""
        return self.after_first(self.input(features))

    @property
    def first_linear(self) -> nn.Linear:
        """The layer that the features enter."""
        return self.input

    def after_first(self, hidden: Tensor, add_features: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """The embedding from what `first_linear` gives."""
        embedding: Tensor = self.blocks(hidden.relu())
        return embedding


class Linear(nn.Linear):
    """One linear layer with bias: (..., in_dim) to (..., out_dim)."""

    rowwise = True

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__(in_dim, out_dim)
        self.out_dim = out_dim

    @property
    def first_linear(self) -> nn.Linear:
        """The layer itself."""
        return self

    def after_first(self, hidden: Tensor, add_features: Callable[[Tensor], Tensor]) -> Tensor:
        """What the layer gives is the embedding."""
        return hidden


class Identity(nn.Identity):
    """The features themselves as the embedding; ``out_dim`` must be the number of features."""

    rowwise = True

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        if out_dim != in_dim:
            raise ValueError(f"an identity network keeps its {in_dim} features, so dim must be {in_dim}, got {out_dim}")
        self.out_dim = out_dim


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "ffn": FFN,
    "residual": ResidualFCNet,
    "siren": Siren,
    "geoclip": SummedBranches,
    "residual-mlp": ResidualMLP,
    "linear": Linear,
    "identity": Identity,
}


def build_network(network: str | Mapping[str, Any] | nn.Module, in_dim: int, out_dim: int) -> nn.Module:
    """Build a network from its name or its configuration.

    Parameters
    ----------
    network : str, mapping or Module
        A name, one of `NETWORKS` (``"ffn"``, ``"residual"``, ``"siren"``, ``"geoclip"``, ``"linear"``, …),
        a mapping such as ``{"name": "ffn", "hidden_dim": 1024}``, or a ready module, which is returned as it is.
    in_dim, out_dim : int
        Number of features, size of the embedding.

    Raises
    ------
    ValueError
        For an unknown name.
    TypeError
        For an option that the network does not have.
    """
    if isinstance(network, nn.Module):
        return network
    if not isinstance(network, (str, Mapping)):
        raise TypeError(f"network must be a name, a mapping with a name, or a module, got {network!r}")
    out_dim = check_count("dim", out_dim)
    options = {"name": network} if isinstance(network, str) else dict(network)
    name = options.pop("name", None)
    if not among(name, NETWORKS):
        raise ValueError(unknown("network", name, NETWORKS))
    options = settings(f"network {name!r}", NETWORKS[name], options)
    module = NETWORKS[name](in_dim, out_dim, **options)
    module.config = {"name": name, **plain(options)}  # type: ignore[assignment]
    return module
