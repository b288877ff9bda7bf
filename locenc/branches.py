"""A network of parallel branches whose outputs are summed: what GeoCLIP puts behind its random Fourier features."""

from itertools import pairwise

from torch import Tensor, nn

from locenc._names import check_count


class SummedBranches(nn.Module):
    """Equal parts of the columns, each through its own linear layers with ReLU between them; the sum of the outputs.

    Parameters
    ----------
    in_dim, out_dim : int
        Number of features, size of the embedding (512 as published).
    num_branches : int
        Number of parts; divides ``in_dim``. One for each width of the features.
    hidden_dim : int
        Width of the hidden layers.
    num_hidden_layers : int
        Of each branch.

    Raises
    ------
    ValueError
        If ``num_branches`` does not divide ``in_dim``, or a size is out of range.

    References
    ----------
    Vivanco Cepeda et al. 2023, "GeoCLIP", NeurIPS, section 3.
    """

    rowwise = True

    def __init__(
        self, in_dim: int, out_dim: int, *, num_branches: int = 3, hidden_dim: int = 1024, num_hidden_layers: int = 3
    ) -> None:
        super().__init__()
        num_branches = check_count("num_branches", num_branches, most=256)
        hidden_dim = check_count("hidden_dim", hidden_dim)
        num_hidden_layers = check_count("num_hidden_layers", num_hidden_layers, least=0, most=256)
        if in_dim % num_branches:
            raise ValueError(
                f"{in_dim} features do not divide into {num_branches} equal branches: choose num_branches= to divide "
                "them, one for each width of the features"
            )
        self.out_dim = out_dim
        widths = [in_dim // num_branches, *[hidden_dim] * num_hidden_layers, out_dim]
        self.branches = nn.ModuleList(_branch(widths) for _ in range(num_branches))

    def forward(self, features: Tensor) -> Tensor:
        """Map features ``(..., in_dim)`` to embeddings ``(..., out_dim)``."""
        parts = features.chunk(len(self.branches), dim=-1)
        first, *rest = [branch(part) for branch, part in zip(self.branches, parts, strict=True)]
        embedding: Tensor = sum(rest, start=first)
        return embedding


def _branch(widths: list[int]) -> nn.Sequential:
    layers = [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1])
