"""What pre-training and fine-tuning share: the encoder, the schedule, where random locations are drawn."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from locenc_csp.recipes.checks import check

Value = int | float | bool | str
Negatives = Literal["sphere", "box", "land", "density", "official-ellipse"] | Path


@dataclass(frozen=True)
class Encoder:
    """The location encoder, as `locenc.create` takes it."""

    name: str = "wrap"
    """One of locenc.list_encoders()."""
    dim: int = 256
    """Size of the embedding."""
    options: Mapping[str, Value] = field(default_factory=dict)
    """Options of the position encoder, such as: num_scales 16 min_radius 10."""
    network: str | None = None
    """Network behind it, a name of locenc.networks; the encoder's usual one unless given."""
    network_options: Mapping[str, Value] = field(default_factory=dict)
    """Options of the network, such as: depth 2 dropout 0.1."""

    def __post_init__(self) -> None:
        check(self, counts=("dim",))


@dataclass(frozen=True)
class Schedule:
    """AdamW with a one-cycle learning rate, or one that falls by a factor from epoch to epoch."""

    epochs: int = 12
    """Passes over the rows."""
    steps: int | None = None
    """Number of steps, instead of epochs."""
    batch_size: int = 256
    """Rows in a batch."""
    lr: float = 2e-3
    """Peak learning rate."""
    lr_decay: float | None = None
    """Instead of one cycle: factor of the learning rate for each epoch, from lr on; 1 keeps it constant."""
    weight_decay: float = 0.01
    """AdamW's weight decay; 0 makes it Adam."""
    vector_decay: float | None = None
    """Weight decay of vectors: biases, norms; as weight_decay unless given."""
    max_grad_norm: float | None = 5.0
    """Gradients are scaled down to this norm; never when None."""
    seed: int = 0
    """Of initial weights, batches, negatives and dropout."""
    save_every: int = 200
    """Steps between checkpoints."""
    log_every: int = 20
    """Steps between lines of metrics.jsonl."""

    def __post_init__(self) -> None:
        check(
            self,
            counts=("epochs", "steps", "batch_size", "save_every", "log_every"),
            from_zero=("seed",),
            rates=("lr", "lr_decay", "max_grad_norm"),
            weights=("weight_decay", "vector_decay"),
        )
