"""Early stop: the best weights so far, by one number of the validation, and when to give up."""

import copy
from typing import Any

from torch import nn


class EarlyStop:
    """Keeps the weights of the best evaluation; a part of a run's checkpoint.

    Parameters
    ----------
    model : Module
        Whose weights are kept.
    name : str
        Which of the validation's numbers; the higher, the better. Of equal ones the first counts.
    patience : int
        Evaluations without a new best after which training ends.
    """

    def __init__(self, model: nn.Module, name: str, patience: int) -> None:
        self.model, self.name, self.patience = model, name, patience
        self.best: float | None = None
        self.waited = 0
        self.weights: dict[str, Any] = {}

    @property
    def is_over(self) -> bool:
        """Whether training ends."""
        return self.waited >= self.patience

    def look(self, values: dict[str, float]) -> None:
        """Take note of an evaluation."""
        if self.best is None or values[self.name] > self.best:
            self.best, self.waited = values[self.name], 0
            self.weights = copy.deepcopy(self.model.state_dict())
        else:
            self.waited += 1

    def restore(self) -> None:
        """Give the model its best weights; those it has, where nothing was evaluated."""
        if self.best is not None:
            self.model.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint holds."""
        return {"best": self.best, "waited": self.waited, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take it back."""
        self.best, self.waited, self.weights = state["best"], state["waited"], state["weights"]
