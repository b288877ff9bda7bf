"""A dual encoder on several ranks: each embeds its own rows of a batch, and gets the embeddings of all."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from locenc.dropout import part_of_batch
from locenc_csp.dual_encoder import DualEncoder, Embeddings
from locenc_csp.processes import Ranks

__all__ = ["SpreadEncoder"]


@dataclass(frozen=True)
class SpreadEncoder:
    """Called as the `DualEncoder`, on all ranks at once, it gives each the embeddings of the whole batch.

    Dropout masks of location encoders are those of the whole batch, if torch's generator is in the same state on all
    ranks.

    Parameters
    ----------
    model : DualEncoder
        With the same weights on all ranks.
    ranks : Ranks
        Which of them this is.
    """

    model: DualEncoder
    ranks: Ranks

    def __call__(
        self, lonlat: Tensor, features: Tensor, *, negatives: Tensor | None = None, twin: bool = False
    ) -> Embeddings:
        """Embed a batch for an objective.

        Parameters
        ----------
        lonlat : Tensor (B, 2)
            Of the whole batch, (longitude, latitude) in degrees.
        features : Tensor (b, F)
            Of this rank's part of the batch alone: the rows ``ranks.part(B)``.
        negatives : Tensor (C*B, 2), optional
            Random locations of the whole batch.
        twin : bool
            Whether to pass the locations a second time.

        Returns
        -------
        Embeddings
            Of the whole batch.
        """
        embed = self.model.location_passes(self._own(lonlat), twin=twin)
        location = self._together(embed, len(lonlat))
        random = None
        if negatives is not None:
            own = self._own(negatives)
            random = self._together(lambda: self.model.embed_location(own), len(negatives))
        second = self._together(embed, len(lonlat)) if twin else None
        image = self.ranks.gather(self.model.embed_image(features), len(lonlat))
        return Embeddings(location, image, random, second)

    def _own(self, rows: Tensor) -> Tensor:
        return rows[self.ranks.part(len(rows))]

    def _together(self, embed: Callable[[], Tensor], count: int) -> Tensor:
        with part_of_batch(self.ranks.part(count), count):
            return self.ranks.gather(self.model.decode(embed()), count)
