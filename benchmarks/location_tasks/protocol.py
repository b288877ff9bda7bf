"""Sizes of the benchmark: the same for every encoder."""

from typing import NamedTuple


class Protocol(NamedTuple):
    """Sizes of one network and of its data.

    Attributes
    ----------
    places : int
        Places drawn on land; the splits share them out.
    train : int
        Training places, drawn from the split's training rows.
    steps, batch : int
        Steps of the optimiser (AdamW), and training places in each.
    hidden : int
        Width of the network behind the position code, and size of the embedding.
    dropout : float
        Dropout of the network.
    learning_rates : tuple of float
        What each encoder chooses from; the rate rises to it and falls again (one cycle).
    """

    places: int = 30_000
    train: int = 5_000
    steps: int = 400
    batch: int = 128
    hidden: int = 128
    dropout: float = 0.1
    learning_rates: tuple[float, ...] = (5e-4, 2e-3, 8e-3)


QUICK = Protocol(places=1_500, train=500, steps=60, batch=64, hidden=32, learning_rates=(2e-3, 8e-3))
