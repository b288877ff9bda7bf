"""Recipes of fine-tuning and of evaluation."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from locenc._names import check_count, check_number
from locenc_csp.recipes.checks import check
from locenc_csp.recipes.training import Encoder, Negatives

HeadName = Literal[
    "softmax",
    "presence",
    "presence-csp",
    "an-full",
    "an-full-me",
    "an-ssdl",
    "an-ssdl-me",
    "an-slds",
    "an-slds-me",
]
Mode = Literal["frozen", "full", "linear-probe", "knn-probe"]


@dataclass(frozen=True)
class Finetune:
    """Fine-tune an encoder on few labels, choose by validation, and evaluate."""

    table: Path
    """Parquet table with id, lon, lat, the label and the roles."""
    out: Path
    """Folder of the result."""
    label: str
    """Column of the labels."""
    split: str = "split"
    """Column of roles: train (labelled), val (selection), test."""
    pretrained: Path | None = None
    """Run folder of `pretrain`, or an encoder folder; a fresh encoder unless given."""
    encoder: Encoder = field(default_factory=Encoder)
    """The fresh encoder, where nothing is pre-trained."""
    label_ratio: float = 1.0
    """Share of the training labels, stratified by class, at least one of each."""
    modes: tuple[Mode, ...] = ("frozen", "full")
    """Train the head alone, or everything; or fit a probe of the frozen embedding. The best on validation is kept."""
    lrs: tuple[float, ...] = (1e-3,)
    """Peak learning rates to try with the full mode."""
    encoder_lr_factor: float = 1.0
    """Learning rate of the encoder in the full mode, as a factor of the head's."""
    encoder_weight_decay: float | None = None
    """Weight decay of the encoder in the full mode; the head's unless given."""
    lr_decay: float | None = None
    """Instead of one cycle: factor of the learning rates for each epoch; 1 keeps them constant."""
    weight_decay: float = 0.01
    """AdamW's weight decay; 0 makes it Adam."""
    max_grad_norm: float | None = 5.0
    """Gradients are scaled down to this norm; never when None."""
    head: HeadName = "softmax"
    """Cross-entropy, the presence-only full loss of Mac Aodha et al. 2019, or a loss of SINR."""
    negatives: Negatives = "sphere"
    """Where the background of presence-only losses is drawn; or a file of polygons."""
    penalties: tuple[float, ...] = (1.0, 0.1, 1e-2, 1e-3, 1e-4)
    """Penalties to try with the linear probe: mean cross-entropy + penalty/2 * squared weights."""
    neighbours: tuple[int, ...] = (50, 20, 10, 5, 1)
    """Numbers of neighbours to try with the kNN probe."""
    neighbour_temperatures: tuple[float, ...] = (0.1, 0.03)
    """Temperatures of their cosines to try."""
    steps: int | None = None
    """Steps of each candidate; 200, 400 or 800 by the number of labels unless steps or epochs are given."""
    epochs: int | None = None
    """Passes over the labelled rows, instead of steps."""
    batch_size: int = 128
    """Rows in a batch."""
    max_per_class: int | None = None
    """Rows of each class in an epoch, at most; all of them when None."""
    patience: int | None = None
    """Stop after so many validations without a new best, and keep the best weights; never when None."""
    validate_every: int | None = None
    """Steps between those validations; an epoch unless given."""
    save_every: int = 500
    """Steps between checkpoints of a candidate, from which a run that was interrupted goes on."""
    device: str = "auto"
    """Where to train: cpu, cuda, cuda:1; auto takes CUDA where torch finds it."""
    seed: int = 0
    """Of the label draw, the head, batches and dropout."""

    def __post_init__(self) -> None:
        check(
            self,
            counts=("steps", "epochs", "batch_size", "max_per_class", "patience", "validate_every", "save_every"),
            from_zero=("seed",),
            rates=("lrs", "encoder_lr_factor", "lr_decay", "max_grad_norm", "penalties", "neighbour_temperatures"),
            weights=("weight_decay", "encoder_weight_decay"),
        )
        for k in self.neighbours:
            check_count("neighbours", k)
        if self.steps is not None and self.epochs is not None:
            raise ValueError(f"steps and epochs both say how long: give one, got {self.steps} and {self.epochs}")
        if self.validate_every is not None and self.patience is None:
            raise ValueError("validate_every is for early stop: give patience too")
        if not 0 < check_number("label_ratio", self.label_ratio) <= 1:
            raise ValueError(f"label_ratio must lie in (0, 1], got {self.label_ratio!r}")


@dataclass(frozen=True)
class Evaluate:
    """Score a fine-tuned encoder on the test rows, with and without the image: P(y|image)·P(y|location)."""

    run: Path
    """Folder of `finetune`."""
    table: Path
    """Parquet table that it was fine-tuned on."""
    features: Path | None = None
    """Folder of image features; an image classifier is trained on the run's own labels."""
    image_probabilities: Path | None = None
    """P(y|image) instead of features: a folder that `import` made, or a NumPy file (N, K) for every row."""
    out: Path | None = None
    """JSON file of the report; `scores.json` in the run unless given."""
    map: Path | None = None
    """Picture file (.png, .svg, .pdf): world maps of the accuracy and of the number of test places."""
    geo_bias: bool = False
    """Add the geo-bias scores: spatial self-information and relative information of the hits."""
    geo_bias_radius_km: float = 100.0
    """Radius of the neighbourhoods of the geo-bias scores."""
    geo_bias_neighbours: int | None = 400
    """The nearest so many places of a neighbourhood are used, as TorchSpatial does; all of them when None."""
    device: str = "auto"
    """Where the encoder runs: cpu, cuda, cuda:1; auto takes CUDA where torch finds it."""

    def __post_init__(self) -> None:
        check(self, counts=("geo_bias_neighbours",), rates=("geo_bias_radius_km",))
        if self.map is not None and self.map.suffix not in (".png", ".svg", ".pdf"):
            raise ValueError(f"map must be a file that ends in .png, .svg or .pdf, got {str(self.map)!r}")
