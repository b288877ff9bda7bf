"""The methods that the study compares: location encoders, and ways to pre-train them."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from locenc_csp.recipes import Encoder

FEATURES = "features"
#: Folders of image features beside a data set's table, and what rows of tables add for them.
IMAGES = {FEATURES: "", "features-efficientnet": "EfficientNet-lite0", "features-both": "both kinds of features"}


@dataclass(frozen=True)
class Method:
    """One row of a table.

    Attributes
    ----------
    key : str
        Name of its folders; unique in a study.
    title : str
        What the table calls it.
    encoder : Encoder
        The location encoder.
    pretraining : mapping, optional
        Settings of `Pretrain`; None where the encoder is trained on the labels alone.
    schedule : mapping
        Settings of its `Schedule`.
    features : str
        Folder of image features beside the table.
    """

    key: str
    title: str
    encoder: Encoder
    pretraining: Mapping[str, Any] | None = None
    schedule: Mapping[str, Any] = field(default_factory=dict)
    features: str = FEATURES


_FFN: dict[str, Any] = {"network": "ffn", "network_options": {"hidden_dim": 256, "dropout": 0.1}}
_SPHERE: dict[str, Any] = {"num_scales": 16, "min_radius": 10 / 360, "max_radius": 1.0}
#: Wavelengths of 10° to 360° where a code has scales: rough codes would flatter pre-training.
ENCODERS: dict[str, tuple[str, Encoder]] = {
    "wrap": ("wrap", Encoder("wrap", network="residual", network_options={"depth": 2, "dropout": 0.1})),
    "grid": (
        "Space2Vec grid",
        Encoder("space2vec-grid", options={"num_scales": 16, "min_radius": 1.5915, "max_radius": 57.296}, **_FFN),
    ),
    "sphereC+": ("Sphere2Vec sphereC+", Encoder("sphere2vec-sphereC+", options=_SPHERE, **_FFN)),
    "sphereM": ("Sphere2Vec sphereM", Encoder("sphere2vec-sphereM", options=_SPHERE, **_FFN)),
    "rff": ("random Fourier features", Encoder("rff", options={"kernel_size": 30.0}, **_FFN)),
    "harmonics": (
        "spherical harmonics, SIREN",
        Encoder(
            "spherical-harmonics",
            options={"num_degrees": 10},
            network="siren",
            network_options={"hidden_dim": 256, "num_hidden_layers": 1, "dropout": 0.1},
        ),
    ),
}
WRAP = ENCODERS["wrap"][1]


def with_images(row: str, features: str) -> str:
    """Name a row of a table with its image features, unless they are the usual ones."""
    return ", ".join(part for part in (row, IMAGES[features]) if part)


def supervised(encoder: str, **changes: Any) -> Method:
    """Return the method that trains an encoder on the labels alone."""
    title, built = ENCODERS[encoder]
    return Method(f"supervised-{encoder}", f"supervised, {title}", built, **changes)


def pretrained(
    key: str,
    title: str,
    objective: str,
    encoder: str = "wrap",
    *,
    schedule: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Method:
    """Return a method that pre-trains an encoder by an objective; random locations lie on land by default."""
    name = key if encoder == "wrap" else f"{key}-{encoder}"
    settings = {"negatives": "land", "objective": objective} | settings
    return Method(name, title, ENCODERS[encoder][1], settings, schedule or {})


def compared(encoder: str = "wrap") -> tuple[Method, ...]:
    """Return the objectives of the main table, each pre-training the same encoder, and the control."""
    return (
        pretrained("mse", "MSE", "MSE", encoder),
        pretrained("nce-b", "CSP-NCE-B", "NCE-B", encoder),
        pretrained("nce-bld", "CSP-NCE-BLD", "NCE-BLD", encoder),
        pretrained("mc-b", "CSP-MC-B", "MC-B", encoder),
        pretrained("mc-bld", "CSP-MC-BLD", "MC-BLD", encoder),
        pretrained("shuffled", "CSP-NCE-B, shuffled pairs", "NCE-B", encoder, shuffle_pairs=True),
    )


def few(encoder: str = "wrap") -> tuple[Method, ...]:
    """Return one supervised method and two objectives, for other labels, splits and image features."""
    return supervised(encoder), *(method for method in compared(encoder) if method.title in ("CSP-NCE-B", "CSP-MC-BLD"))


def terms(encoder: str = "wrap") -> tuple[Method, ...]:
    """Return the ablation of MC's terms; D alone sees no image."""
    names = ("B", "BL", "BD", "BLD", "D")
    return tuple(pretrained(f"mc-{name.lower()}", f"CSP-MC-{name}", f"MC-{name}", encoder) for name in names)


def sizes(encoder: str = "wrap") -> tuple[Method, ...]:
    """Return CSP-MC-BLD with embeddings of 64 to 1,024 numbers."""
    base = pretrained("mc-bld", "", "MC-BLD", encoder)
    return tuple(
        dataclasses.replace(
            base,
            key=base.key if dim == base.encoder.dim else f"{base.key}-dim{dim}",
            title=f"CSP-MC-BLD, {dim} dimensions",
            encoder=dataclasses.replace(base.encoder, dim=dim),
        )
        for dim in (64, 128, 256, 512, 1024)
    )


def images(encoder: str = "wrap") -> tuple[Method, ...]:
    """Return supervised, CSP-NCE-B and CSP-MC-BLD, each with every kind of image features."""
    bases = few(encoder)
    found = list(bases)
    for features in (folder for folder in IMAGES if folder != FEATURES):
        for base in bases:
            key = f"{base.key}{features.removeprefix(FEATURES)}"
            found.append(dataclasses.replace(base, key=key, title=with_images(base.title, features), features=features))
    return tuple(found)


def search(encoder: str = "wrap") -> tuple[Method, ...]:
    """Return the settings that were tried to beat the in-batch term alone."""
    found = []

    def add(key: str, title: str, objective: str, **settings: Any) -> None:
        found.append(pretrained(key, title, objective, encoder, **settings))

    for form in ("NCE", "MC"):
        low = form.lower()
        for temperature in (0.03, 0.3, 1.0):
            add(
                f"{low}-b-t{temperature:g}",
                f"{form}-B, temperature {temperature:g}",
                f"{form}-B",
                temperature=temperature,
            )
        add(f"{low}-b-learned", f"{form}-B, temperature learned", f"{form}-B", learn="B")
        add(f"{low}-b-24", f"{form}-B, 24 epochs", f"{form}-B", schedule={"epochs": 24})
        add(
            f"{low}-b-1024",
            f"{form}-B, batch 1,024, 24 epochs",
            f"{form}-B",
            schedule={"epochs": 24, "batch_size": 1024},
        )
        add(f"{low}-b-mask", f"{form}-B, places within 300 km no negatives", f"{form}-B", same_place_km=300.0)
        add(f"{low}-bd-0.1", f"{form}-BD, weight of D 0.1", f"{form}-BD", weight={"D": 0.1})
        add(f"{low}-bld-0.1", f"{form}-BLD, weights of L and D 0.1", f"{form}-BLD", weight={"L": 0.1, "D": 0.1})
        add(f"{low}-bld-sphere", f"{form}-BLD, negatives on the sphere", f"{form}-BLD", negatives="sphere")
        add(f"{low}-bl", f"{form}-BL", f"{form}-BL")
    add("mc-bld-t1", "MC-BLD, temperature 1", "MC-BLD", temperature=1.0)
    add("mc-bld-learned", "MC-BLD, temperatures learned", "MC-BLD", learn="BLD")
    add("mc-b-4096", "MC-B, batch 4,096, 48 epochs", "MC-B", schedule={"epochs": 48, "batch_size": 4096})
    add("nce-b-64", "NCE-B, batch 64", "NCE-B", schedule={"batch_size": 64})
    add("clip-b", "CLIP-B, temperature 0.1", "CLIP-B", temperature=0.1)
    add("siglip-b", "SIGLIP-B, temperature and bias learned", "SIGLIP-B", learn="B")
    return tuple(found)
