"""What objectives are made of: the forms with their terms, the names that spell them, the published settings."""

import difflib
import itertools
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor

from locenc._names import check_number
from locenc_csp import clip_terms, terms

__all__ = ["CSP_FORMS", "FORMS", "NAMES", "PRESETS", "SIGMOID", "Form", "Preset", "Term", "per_term", "unknown"]


class Form(NamedTuple):
    """How pairs are compared: a function for each term that there is, and the usual temperature and bias."""

    temperature: float | None
    bias: float | None
    terms: dict[str, Callable[..., Tensor]]


FORMS = {
    "MC": Form(
        terms.DEFAULT_TEMPERATURE["MC"], None, {"B": terms.mc_batch, "L": terms.mc_location, "D": terms.mc_dropout}
    ),
    "NCE": Form(
        terms.DEFAULT_TEMPERATURE["NCE"], None, {"B": terms.nce_batch, "L": terms.nce_location, "D": terms.nce_dropout}
    ),
    "CLIP": Form(
        clip_terms.DEFAULT_TEMPERATURE["CLIP"],
        None,
        {"B": clip_terms.clip_batch, "L": clip_terms.clip_location, "D": clip_terms.clip_dropout},
    ),
    "SIGLIP": Form(
        clip_terms.DEFAULT_TEMPERATURE["SIGLIP"],
        clip_terms.DEFAULT_BIAS,
        {"B": clip_terms.siglip_batch, "L": clip_terms.siglip_location, "D": clip_terms.siglip_dropout},
    ),
    "GEOCLIP": Form(clip_terms.DEFAULT_TEMPERATURE["GEOCLIP"], None, {"B": clip_terms.geoclip_batch}),
    "MSE": Form(None, None, {"MSE": terms.mse}),
}
"""Softmax (MC) and sigmoid (NCE) of the CSP paper, CLIP, SigLIP, GeoCLIP (image to location, with a queue), MSE."""

SIGMOID = ("NCE", "SIGLIP")
CSP_FORMS = ("MC", "NCE", "MSE")


class Preset(NamedTuple):
    """A published setting: the objective's spelling, and temperature and weight per term."""

    name: str
    temperature: dict[str, float]
    weight: dict[str, float]


PRESETS = {
    "csp-inat2018": Preset("MC-BLD", {"B": 20.0, "L": 1.0, "D": 1.0}, {"B": 1.0, "L": 1.0, "D": 1.0}),
    "csp-fmow": Preset("MC-BLD", {"B": 1.0, "L": 1.0, "D": 1.0}, {"B": 1.0, "L": 1.0, "D": 0.1}),
}
"""The published runs. The fMoW values are those of the checkpoint that the authors' README names."""

NAMES = (
    *(
        f"{name}-{''.join(letters)}"
        for name, form in FORMS.items()
        if name != "MSE"
        for count in range(1, len(form.terms) + 1)
        for letters in itertools.combinations(form.terms, count)
    ),
    "MSE",
)


class Term(NamedTuple):
    """One term of an objective (B, L, D or MSE): its weight, what divides its cosines, what is added to the scores.

    MSE has no temperature; SIGLIP alone has a bias. In an `Objective` they are numbers; a call may have tensors there.
    """

    name: str
    weight: float
    temperature: float | Tensor | None
    bias: float | Tensor | None = None


_BOUNDS = {"temperature": "> 0", "weight": ">= 0", "bias": "a number"}


def per_term(
    what: str, given: float | Mapping[str, float] | None, names: tuple[str, ...], *, owner: str
) -> dict[str, float]:
    """Return the given values, one per term that they name, checked."""
    if given is None:
        return {}
    values = dict(given) if isinstance(given, Mapping) else dict.fromkeys(names, given)
    for term, value in values.items():
        if term not in names:
            raise ValueError(f"{what} names the term {term!r}, but {owner!r} has {', '.join(names)}")
        value = check_number(f"{what} of {term}", value)
        inside = {"temperature": value > 0, "weight": value >= 0, "bias": True}[what]
        if not (math.isfinite(value) and inside):
            raise ValueError(f"{what} of {term} must be finite and {_BOUNDS[what]}, got {value!r}")
    return {term: float(value) for term, value in values.items()}


def unknown(name: str) -> str:
    """Say that there is no such objective, and what there is."""
    known = {spelling.lower(): spelling for spelling in (*NAMES, *PRESETS)}
    near = difflib.get_close_matches(str(name).lower(), known, n=1, cutoff=0.75)
    hint = f" Did you mean {known[near[0]]!r}?" if near else ""
    return (
        f"unknown objective {name!r}.{hint} There are MC, NCE, CLIP and SIGLIP, each with any of the terms B, L, D in "
        f"this order ('MC-BLD', 'NCE-B'), 'GEOCLIP-B', 'MSE', and the presets {', '.join(map(repr, PRESETS))}."
    )
