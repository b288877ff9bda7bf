"""An objective in a training loop, with what it keeps from step to step: learned temperatures, a queue of places."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from locenc_csp.coordinate_queue import CoordinateQueue
from locenc_csp.dual_encoder import Embeddings
from locenc_csp.learned_temperature import LearnedTemperature
from locenc_csp.objectives import Objective

__all__ = ["Criterion"]


class Criterion(nn.Module):
    """The loss of a batch, in one call; a module, so that what is learned and what is queued is trained and saved.

    Parameters
    ----------
    objective : Objective
        The loss.
    learned : LearnedTemperature, optional
        In place of the objective's constants.
    queue : CoordinateQueue, optional
        Places of earlier batches, for an objective that takes them (GEOCLIP). In training each batch is appended.

    Raises
    ------
    ValueError
        For a queue that the objective does not take.
    """

    def __init__(
        self,
        objective: Objective,
        *,
        learned: LearnedTemperature | None = None,
        queue: CoordinateQueue | None = None,
    ) -> None:
        super().__init__()
        if queue is not None and not objective.takes_queue:
            raise ValueError(f"{objective.name} compares with its batch alone: GEOCLIP-B is the form that takes queue=")
        self.objective, self.learned, self.queue = objective, learned, queue

    @property
    def keeps_something(self) -> bool:
        """Whether there is anything to train or to save."""
        return self.learned is not None or self.queue is not None

    def forward(
        self, model: Callable[..., Embeddings], lonlat: Tensor, features: Tensor, negatives: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss and its terms.

        Parameters
        ----------
        model : callable
            Embeds the batch, the random locations and the queue: a `DualEncoder`, or what is called like one.
        lonlat : Tensor (B, 2)
            (longitude, latitude) in degrees.
        features : Tensor (B, F)
            Image features, or whatever else the model takes for images.
        negatives : Tensor (C*B, 2), optional
            Random locations, where the objective needs them; row c*B + i belongs to pair i.

        Returns
        -------
        loss : Tensor ()
        terms : dict of Tensor ()
            As the objective's call.
        """
        places, given = lonlat, {} if self.learned is None else dict[str, Any](self.learned())
        if self.queue is None:
            embeddings = model(lonlat, features, negatives=negatives, twin=self.objective.needs_twin)
        else:
            waiting = self.queue().to(lonlat)
            embeddings = model(lonlat, features, negatives=waiting if len(waiting) else None)
            given["queue"], embeddings = embeddings.negatives, embeddings._replace(negatives=None)
            places = torch.cat([lonlat, waiting])
        loss, terms = self.objective(*embeddings, **given, places=places if self.objective.needs_places else None)
        if self.queue is not None and self.training:
            self.queue.push(lonlat)
        return loss, terms

    def values(self) -> dict[str, float]:
        """Return the learned numbers, to be logged."""
        return {} if self.learned is None else {name: float(value) for name, value in self.learned.values().items()}
