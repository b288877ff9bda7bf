"""The nearest-neighbour probe: labelled places with the most similar embeddings vote."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from locenc._names import check_count, check_number
from locenc_csp._matrices import BLOCK
from locenc_csp._tensors import check_tensors
from locenc_csp.heads import Predictor

__all__ = ["NeighbourHead"]


class NeighbourHead(Predictor):
    """P(class | location) by the k labelled places whose embeddings have the highest cosine s with the location's.

    ``P(c) = Σ_j [y_j = c]·exp(s_j/τ) / Σ_j exp(s_j/τ)`` over the k neighbours j. Nothing is trained. A class that no
    neighbour has gets probability 0.

    Parameters
    ----------
    embedding : Tensor (N, dim)
        Raw embeddings of the labelled places.
    codes : Tensor (N,)
        Their classes, 0 .. num_classes-1.
    num_classes : int
        K.
    k : int
        Neighbours that vote; all places where there are fewer.
    temperature : float
        τ > 0: small ones let the nearest decide, large ones count all the same.

    Raises
    ------
    ValueError
        For no places, shapes that do not match, a k below 1 or a temperature that is not positive.

    Notes
    -----
    Wu et al. 2018, "Unsupervised feature learning via non-parametric instance discrimination", CVPR: weighted kNN.
    """

    embedding: Tensor
    codes: Tensor
    k: Tensor
    temperature: Tensor

    def __init__(self, embedding: Tensor, codes: Tensor, num_classes: int, *, k: int, temperature: float) -> None:
        check_tensors(embedding=embedding, codes=codes)
        if embedding.ndim != 2 or codes.shape != embedding.shape[:1] or len(codes) == 0:
            raise ValueError(
                "labelled places must have embeddings (N, dim) and classes (N,), at least one, got "
                f"{tuple(embedding.shape)} and {tuple(codes.shape)}"
            )
        if not 0 < check_number("temperature", temperature) < float("inf"):
            raise ValueError(f"temperature must be positive and finite, got {temperature!r}")
        super().__init__()
        self.out_features = check_count("num_classes", num_classes)
        self.register_buffer("embedding", functional.normalize(embedding.detach().float(), dim=-1))
        self.register_buffer("codes", codes.detach().long())
        self.register_buffer("k", torch.tensor(check_count("k", k)))
        self.register_buffer("temperature", torch.tensor(float(temperature), dtype=torch.float64))

    @classmethod
    def empty(cls, dim: int, num_classes: int) -> "NeighbourHead":
        """Make one that is about to load its places."""
        return cls(torch.zeros(1, dim), torch.zeros(1, dtype=torch.int64), num_classes, k=1, temperature=1.0)

    def probabilities(self, embedding: Tensor) -> Tensor:
        """P(class | location), (..., num_classes), rows sum to 1, of raw embeddings (..., dim)."""
        queries = functional.normalize(embedding.float(), dim=-1)
        rows = max(1, BLOCK // len(self.codes))
        parts = [self._vote(part) for part in torch.split(queries.reshape(-1, queries.shape[-1]), rows)]
        return torch.cat(parts).reshape(*queries.shape[:-1], self.out_features)

    def _vote(self, queries: Tensor) -> Tensor:
        cosine, neighbour = (queries @ self.embedding.T).topk(min(int(self.k), len(self.codes)), dim=-1)
        weight = torch.softmax(cosine / self.temperature.float(), -1)
        votes = torch.zeros(len(queries), self.out_features, device=queries.device)
        return votes.scatter_add(1, self.codes[neighbour], weight)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *others: Any) -> None:
        """Make room for as many places as were saved."""
        for name in ("embedding", "codes"):
            here, there = getattr(self, name), state_dict.get(prefix + name)
            if there is not None and there.ndim:
                setattr(self, name, here.new_empty(len(there), *here.shape[1:]))
        super()._load_from_state_dict(state_dict, prefix, *others)
