"""The recipes: one frozen dataclass each. The command line is made from their fields.

This module imports nothing heavy, so that ``locenc-csp --help`` answers at once.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from locenc._names import check_count

Value = int | float | bool | str
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
Negatives = Literal["sphere", "box", "land", "density", "official-ellipse"] | Path
TablePart = Literal["main", "labels", "terms", "sizes", "images", "search"]

RANDOM_CONV = "random-conv"
FILE_SIZE = 224
"""Pixels per side that image files become, where neither a recipe nor the network says."""


def default_cache() -> Path:
    """Folder of the data sets that are built once: ``$LOCENC_CACHE``, or ``~/.cache/locenc``."""
    return Path(os.environ.get("LOCENC_CACHE") or Path.home() / ".cache" / "locenc")


def _check(
    recipe: Any,
    *,
    counts: tuple[str, ...] = (),
    from_zero: tuple[str, ...] = (),
    rates: tuple[str, ...] = (),
    weights: tuple[str, ...] = (),
) -> None:
    """Check fields: whole numbers from 1, from 0, positive finite numbers, finite ones from 0. None is left alone.

    Raises
    ------
    ValueError
        For the first field that is out of range.
    """
    for names, least in ((counts, 1), (from_zero, 0)):
        for name in names:
            if getattr(recipe, name) is not None:
                check_count(name, getattr(recipe, name), least=least)
    for name in rates:
        values = getattr(recipe, name)
        for value in values if isinstance(values, tuple) else (values,):
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {value!r}")
    for name in weights:
        value = getattr(recipe, name)
        if value is not None and not 0 <= value < math.inf:
            raise ValueError(f"{name} must be 0 or more and finite, got {value!r}")


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
        _check(self, counts=("dim",))


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
        _check(
            self,
            counts=("epochs", "steps", "batch_size", "save_every", "log_every"),
            from_zero=("seed",),
            rates=("lr", "lr_decay", "max_grad_norm"),
            weights=("weight_decay", "vector_decay"),
        )


@dataclass(frozen=True)
class Data:
    """Build the default data set: NASA Blue Marble patches with MODIS land cover and Köppen zones."""

    out: Path = field(default_factory=lambda: default_cache() / "bluemarble")
    """Folder of the data set; built once."""
    num_points: int = 30_000
    """Places, uniform by area on land."""
    seed: int = 0
    """Of the places; the splits have seeds of their own."""

    def __post_init__(self) -> None:
        _check(self, counts=("num_points",), from_zero=("seed",))


@dataclass(frozen=True)
class Features:
    """Compute image features with a frozen network, of a data set's patches or of image files that a table names."""

    data: Path = field(default_factory=lambda: default_cache() / "bluemarble")
    """Folder of the data set, as `locenc-csp data` built it."""
    table: Path | None = None
    """Parquet table whose rows name image files, instead of `data`."""
    images: Path | None = None
    """Folder in which those names start; the table's unless given."""
    column: str = "file"
    """Column of the names."""
    out: Path | None = None
    """Folder of the features; `features` inside the data set, or beside the table, unless given."""
    model: str = RANDOM_CONV
    """random-conv (no weights), torchvision:NAME, timm:NAME, package.module:attribute or path/to/file.py:attribute."""
    weights: str | None = None
    """File with the network's state dict; for torchvision and timm also `pretrained` (downloads) or `random`."""
    size: int | None = None
    """Pixels per side that the network sees; what it expects, 224 for files, or the patches' own unless given."""
    mean: tuple[float, float, float] | None = None
    """Of red, green and blue in [0, 1], taken off; what the network expects, or ImageNet's, unless given."""
    std: tuple[float, float, float] | None = None
    """That they are divided by then."""
    batch_size: int = 32
    """Images that go through the network together."""
    device: str = "cpu"
    """Where the network runs: cpu, cuda, cuda:1, or auto."""
    channels_last: bool = True
    """Lay images out with channels last, as convolutions like it."""
    workers: int = 2
    """Threads that decode image files."""
    num_filters: int = 256
    """Filters of random-conv, cut from the images; two features each."""
    seed: int = 0
    """Of the filters, or of weights that the network draws."""

    def __post_init__(self) -> None:
        _check(self, counts=("num_filters", "size", "batch_size", "workers"), from_zero=("seed",))
        if self.images is not None and self.table is None:
            raise ValueError("images need a table whose rows name the files: give --table too")
        if self.weights is not None and self.model == RANDOM_CONV:
            raise ValueError("random-conv has no weights to load: name the --model that they are for")


@dataclass(frozen=True)
class Pretrain:
    """Pre-train a location encoder on geo-tagged image features, or images, without labels (CSP)."""

    table: Path
    """Parquet table with id, lon, lat."""
    features: Path | None = None
    """Folder of image features, ids in the table's order; or name an image network, to train it too."""
    out: Path = field(kw_only=True)
    """Folder of the run; a run found there is continued."""
    image_network: str | None = None
    """Network to train on image files: torchvision:NAME, timm:NAME, package.module:attribute, file.py:attribute."""
    image_weights: str | None = None
    """Weights that it starts from: a file, or for torchvision and timm also `pretrained` (downloads) or `random`."""
    images: Path | None = None
    """Folder in which the names of image files start; the table's unless given."""
    image_column: str = "file"
    """Column of the names."""
    image_size: int | None = None
    """Pixels per side that the image network sees; what it expects, or 224, unless given."""
    image_chunk: int = 32
    """Images in the network at a time: memory is that of a chunk, while each is compared with the whole batch."""
    image_lr_factor: float = 0.1
    """Learning rate of the image network, times the schedule's."""
    image_workers: int = 2
    """Threads that decode image files."""
    split: str | None = None
    """Column of roles; rows whose role is `test` are left out. All rows unless given."""
    encoder: Encoder = field(default_factory=Encoder)
    """The location encoder."""
    objective: str = "NCE-B"
    """MC, NCE, CLIP or SIGLIP with any of B, L, D (MC-BLD); GEOCLIP-B; MSE; or a preset (csp-inat2018, csp-fmow)."""
    temperature: float | dict[str, float] | None = None
    """One number, or one per term (B 20 L 1 D 1); 0.1 unless given, and CLIP, GEOCLIP and presets have their own."""
    learn: str = ""
    """Terms whose temperatures (and biases) are learned, from the given ones on, such as: BL. None unless given."""
    weight: float | dict[str, float] | None = None
    """Of the terms (B 1 L 1 D 0.1); 1 each, or the preset's, when None."""
    bias: float | dict[str, float] | None = None
    """What SIGLIP adds to its scores, -10 unless given."""
    symmetric: Literal["mean", "sum"] | None = None
    """Add the direction image to location to the term B of MC."""
    same_place_km: float | None = None
    """Pairs within this distance are no negatives of each other (0: at equal coordinates); all are unless given."""
    queue_size: int = 4096
    """Places of earlier batches that GEOCLIP compares with."""
    csp_compat: bool = False
    """The arithmetic of the published CSP code."""
    negatives: Negatives = "sphere"
    """Where random locations (term L) are drawn; or a file of polygons: .gpkg, .geojson or .parquet."""
    num_negatives: int = 1
    """Random locations for each pair."""
    min_negative_km: float = 0.0
    """Random locations are at least this far from the pair's own."""
    jitter_m: float | None = None
    """Each place is moved by at most so many metres, anew in each step and the same in all directions; none if None."""
    max_per_class: int | None = None
    """Rows of each class in an epoch, as in the published CSP code. It reads labels: leave it out (None) otherwise."""
    label: str | None = None
    """Column of those classes; nothing else looks at it."""
    image_components: int | None = 256
    """Principal components of the image features that are used; all raw features when None."""
    shuffle_pairs: bool = False
    """Control: give each place the image of another."""
    validation_pairs: int = 1000
    """Pairs held out to measure retrieval."""
    device: str = "auto"
    """Where to train: cpu, cuda, cuda:1; auto takes CUDA where torch finds it. Negatives are others on each kind."""
    bfloat16: bool = False
    """Multiply matrices in bfloat16 (autocast); weights, coordinates and losses keep their digits."""
    schedule: Schedule = field(default_factory=Schedule)
    """Optimisation."""

    def __post_init__(self) -> None:
        _check(
            self,
            counts=(
                *("num_negatives", "queue_size", "image_components", "max_per_class"),
                *("image_size", "image_chunk", "image_workers"),
            ),
            from_zero=("validation_pairs",),
            rates=("jitter_m", "image_lr_factor"),
        )
        if (self.features is None) == (self.image_network is None):
            raise ValueError(
                "give one of features, a folder that `locenc-csp features` made, and image_network, to train that too"
            )
        if self.image_network is None and (self.images is not None or self.image_weights is not None):
            raise ValueError("images and image_weights are for an image network that is trained: name image_network")
        if self.image_network is not None and self.objective == "MSE":
            raise ValueError("MSE compares with features that stay as they are: it trains no image network")
        if (self.max_per_class is None) != (self.label is None):
            raise ValueError(
                "max_per_class and label belong together: how many rows of a class, and which column it is"
            )
        near = self.same_place_km
        if near is not None and self.jitter_m is not None and 1000 * near < 2 * self.jitter_m:
            raise ValueError(
                f"jitter_m moves pairs at one place up to {2 * self.jitter_m:g} m apart, but same_place_km is "
                f"{near:g}: give at least {2 * self.jitter_m / 1000:g}"
            )


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
        _check(
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
        if not 0 < self.label_ratio <= 1:
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
        _check(self, counts=("geo_bias_neighbours",), rates=("geo_bias_radius_km",))
        if self.map is not None and self.map.suffix not in (".png", ".svg", ".pdf"):
            raise ValueError(f"map must be a file that ends in .png, .svg or .pdf, got {str(self.map)!r}")


@dataclass(frozen=True)
class Demo:
    """The whole study on real images: data, features, pre-training, fine-tuning, table and maps."""

    out: Path = Path("runs/demo")
    """Folder of the results; a study found there is continued."""
    data: Path = field(default_factory=lambda: default_cache() / "bluemarble")
    """Folder of the data set; built once."""
    num_points: int = 30_000
    """Places of the data set, if it is built."""
    quick: bool = False
    """One split, 5 % of the labels, four rows: two minutes."""
    seed: int = 0
    """Of everything."""
    workers: int | None = None
    """Processes side by side, one thread each; the number of cores unless given."""

    def __post_init__(self) -> None:
        _check(self, counts=("num_points", "workers"), from_zero=("seed",))


@dataclass(frozen=True)
class Table:
    """The study of the paper's tables on real images: objectives, terms, sizes, image features, labels; resumable."""

    out: Path = Path("runs/table")
    """Folder of the results; a study found there is continued."""
    data: Path = field(default_factory=lambda: default_cache() / "bluemarble")
    """Folder of the data set; built once."""
    num_points: int = 30_000
    """Places of the data set, if it is built."""
    parts: tuple[TablePart, ...] = ("main", "labels", "terms", "sizes", "images", "search")
    """What to run: the main table, other labels and splits, ablations, and the search for a better recipe."""
    num_splits: int = 5
    """Splits of the main table; the other parts have 3 at most."""
    label_ratios: tuple[float, ...] = (0.01, 0.05, 0.10, 0.20, 1.0)
    """Label shares of the main table; the other parts have those of 1, 5 and 20 % among them."""
    seed: int = 0
    """Of everything."""
    workers: int | None = None
    """Processes side by side, one thread each; the number of cores unless given."""

    def __post_init__(self) -> None:
        _check(self, counts=("num_points", "num_splits", "workers"), from_zero=("seed",))
        if self.num_splits > 5:
            raise ValueError(f"num_splits must be 5 or less, as many as the data set has, got {self.num_splits}")
        if not self.label_ratios or not all(0 < ratio <= 1 for ratio in self.label_ratios):
            raise ValueError(f"label_ratios must be shares in (0, 1], got {self.label_ratios}")
        if "main" not in self.parts:
            raise ValueError("parts must name main: it chooses the encoder of the others, and finished cells are kept")
