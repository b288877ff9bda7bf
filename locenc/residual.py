"""The residual block of Mac Aodha et al., and TTE's network made of it."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.functional import normalize

from locenc._names import check_count, check_dropout
from locenc.dropout import Dropout


class ResidualBlock(nn.Module):
    """One block x + relu(W₂ dropout(relu(W₁ x + b₁)) + b₂), of any width (..., dim).

    References
    ----------
    Mac Aodha et al. 2019 (ICCV), section 3.3.
    """

    rowwise = True

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Linear(dim, dim)
        self.second = nn.Linear(dim, dim)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., dim)`` to ``(..., dim)``."""
        hidden: Tensor = self.second(self.dropout(self.first(x).relu()))
        return x + hidden.relu()


class ResidualMLP(nn.Module):
    """The network of TTE: linear, ReLU, residual blocks, linear without bias; embeddings of unit length.

    Parameters
    ----------
    in_dim, out_dim : int
        Number of features, size of the embedding.
    hidden_dim : int
        Width of the blocks.
    depth : int
        Number of `ResidualBlock`.
    dropout : float
        Share of entries dropped inside each block.
    normalize : bool
        Whether embeddings are divided by their length.

    References
    ----------
    Cher et al. 2026, "Tessellating the Earth", ECCV.
    """

    rowwise = True

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        *,
        hidden_dim: int = 512,
        depth: int = 2,
        dropout: float = 0.5,
        normalize: bool = True,
    ) -> None:
        super().__init__()
        hidden_dim, depth = check_count("hidden_dim", hidden_dim), check_count("depth", depth, least=0, most=256)
        dropout = check_dropout(dropout)
        in_dim, out_dim = check_count("in_dim", in_dim), check_count("out_dim", out_dim)
        self.out_dim = out_dim
        self.normalize = normalize
        self.input = nn.Linear(in_dim, hidden_dim)
        self.blocks = nn.Sequential(*(ResidualBlock(hidden_dim, dropout) for _ in range(depth)))
        self.output = nn.Linear(hidden_dim, out_dim, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Map features ``(..., in_dim)`` to embeddings ``(..., out_dim)``."""
        return self.after_first(self.input(features))

    @property
    def first_linear(self) -> nn.Linear:
        """The layer that the features enter."""
        return self.input

    def after_first(self, hidden: Tensor, add_features: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """The embedding from what `first_linear` gives."""
        embedding: Tensor = self.output(self.blocks(hidden.relu()))
        return normalize(embedding, dim=-1, eps=1e-12) if self.normalize else embedding
