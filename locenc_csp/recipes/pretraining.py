"""The recipe of pre-training."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from locenc_csp.recipes.checks import check
from locenc_csp.recipes.training import Encoder, Negatives, Schedule


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
        check(
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
