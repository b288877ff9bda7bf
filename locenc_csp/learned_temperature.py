"""Temperatures that are trained with the encoders, as CLIP does, one for each term."""

import math
from typing import TypedDict

import torch
from torch import Tensor, nn

from locenc._names import check_number
from locenc_csp.objectives import Objective

__all__ = ["Learned", "LearnedTemperature"]


class Learned(TypedDict):
    """What an `Objective` takes in place of its constants: scalars, by the names of terms."""

    temperature: dict[str, Tensor]
    bias: dict[str, Tensor]


class LearnedTemperature(nn.Module):
    """The temperatures of an objective as parameters, and for SIGLIP the biases; they start from its own numbers.

    What is trained is the logarithm of the scale, one over the temperature. The scale stays at or below a cap: in
    training a parameter that an optimiser took beyond it is put back at its next use, as CLIP does after each step;
    beyond the cap no gradient flows. Register the module with what the optimiser trains and a checkpoint holds, and
    leave it out of weight decay.

    Parameters
    ----------
    objective : Objective
        Whose terms, and where they start.
    terms : str, optional
        The terms to learn, ``"BL"``; unless given, all whose weight is not 0. The others keep their constants.
    max_scale : float
        Largest scale, > 0; 100 in CLIP: temperatures are at least 0.01.

    Raises
    ------
    ValueError
        For a term that the objective lacks or does not compute, MSE, a cap out of range, or a start beyond it.

    Examples
    --------
    >>> objective = Objective("CLIP-B")
    >>> learned = LearnedTemperature(objective)
    >>> loss, _ = objective(torch.eye(2), torch.eye(2), **learned())
    >>> loss.backward()
    >>> bool(learned.log_scale["B"].grad < 0)
    True
    """

    def __init__(self, objective: Objective, terms: str | None = None, *, max_scale: float = 100.0) -> None:
        super().__init__()
        if not isinstance(objective, Objective):
            raise TypeError(f"objective must be a locenc_csp.Objective, got {type(objective).__name__}")
        if not 0 < check_number("max_scale", max_scale) < math.inf:
            raise ValueError(f"max_scale must be positive and finite, got {max_scale!r}")
        computed = [term for term in objective.terms if term.weight > 0]
        start = {term.name: float(term.temperature) for term in computed if term.temperature is not None}
        bias = {term.name: float(term.bias) for term in computed if term.bias is not None}
        if terms is not None and not isinstance(terms, str):
            raise TypeError(f"terms must be letters such as 'BL', got {terms!r:.60}")
        names = tuple(start) if terms is None else tuple(terms)
        wrong = [name for name in names if name not in start]
        if wrong or not names:
            raise ValueError(
                f"{objective.name} computes terms with a temperature: {', '.join(start) or 'none'}; "
                f"asked to learn {', '.join(map(repr, wrong)) or 'none'}"
            )
        for name in names:
            if start[name] * max_scale < 1:
                raise ValueError(
                    f"the temperature of {name} starts at {start[name]:g}, below 1/{max_scale:g}: start higher, or "
                    "raise max_scale"
                )
        self.max_scale = max_scale
        self.log_scale = nn.ParameterDict({name: torch.tensor(-math.log(start[name])) for name in names})
        self.bias = nn.ParameterDict({name: torch.tensor(bias[name]) for name in names if name in bias})

    def forward(self) -> Learned:
        """Return the arguments of an objective's call: ``objective(location, image, **learned())``."""
        cap = math.log(self.max_scale)
        if self.training:
            with torch.no_grad():
                for log_scale in self.log_scale.values():
                    log_scale.clamp_(max=cap)
        return {
            "temperature": {name: torch.exp(-value.clamp(max=cap)) for name, value in self.log_scale.items()},
            "bias": dict(self.bias.items()),
        }

    @torch.no_grad()
    def values(self) -> dict[str, Tensor]:
        """Return what is learned, detached, to be logged: ``temperature_B``, ``bias_B``, ..."""
        return {f"{what}_{name}": value.detach() for what, part in self().items() for name, value in part.items()}

    def extra_repr(self) -> str:
        """Terms and cap."""
        return f"{', '.join(self.log_scale)}, max_scale={self.max_scale:g}"
