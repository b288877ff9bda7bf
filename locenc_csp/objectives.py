"""Objectives of contrastive spatial pre-training: a form and its terms, spelt as in the paper.

``Objective("MC-BLD")`` is the softmax form (MC) with the terms in-batch (B), random location (L) and
dropout (D) of Mai et al. 2023 (ICML). The terms themselves are functions in `locenc_csp.terms`.
"""

import difflib
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from locenc_csp import terms as functions
from locenc_csp.terms import DEFAULT_TEMPERATURE, Symmetric

__all__ = ["PRESETS", "Objective", "Preset", "Term"]


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
        f"{form}-{''.join(letters)}"
        for form in DEFAULT_TEMPERATURE
        for count in (1, 2, 3)
        for letters in itertools.combinations("BLD", count)
    ),
    "MSE",
)


class Term(NamedTuple):
    """One term of an objective (B, L, D or MSE): its weight, and what divides its cosines (None for MSE)."""

    name: str
    weight: float
    temperature: float | None


@dataclass(frozen=True, init=False, repr=False)
class Objective:
    """A weighted sum of terms, callable on embeddings; it holds nothing to train and never changes.

    Parameters
    ----------
    name : str
        A form, MC (softmax) or NCE (sigmoid), with any of the terms B, L, D in this order: ``"MC-BLD"``,
        ``"NCE-B"``; or ``"MSE"``; or a preset: ``"csp-inat2018"``, ``"csp-fmow"``.
    temperature : float or dict, optional
        What divides the cosines, > 0; one number, or one per term: ``dict(B=20, L=1)``. A term not named
        keeps its default: the preset's, else 0.1 for MC (which served B, L and D well on satellite patches),
        1 for NCE (the paper's form). MSE has none. On those patches 0.1 was better for NCE too, and
        `locenc_csp.pretraining` takes it for both forms.
    weight : float or dict, optional
        Factor of each term, >= 0; the default is the preset's, else 1. A term of weight 0 is not computed
        and needs no input.
    symmetric : {None, "mean", "sum"}
        Add the other direction (image to location) to the term B of MC; see `locenc_csp.terms.mc_batch`.
    csp_compat : bool
        The arithmetic of the CSP code, to compare with its numbers: 1e-5 inside the logarithms of NCE, and
        no guard against zero vectors. By default the stable forms are used.

    Attributes
    ----------
    form : str
        ``"MC"``, ``"NCE"`` or ``"MSE"``.
    terms : tuple of Term
        Name, weight and temperature of each term.

    Raises
    ------
    ValueError
        For an unknown name or term, a temperature or weight out of range, or an option that the form lacks.

    Examples
    --------
    >>> Objective("MC-BD", weight=dict(D=0.5))
    Objective('MC-BD', temperature={'B': 0.1, 'D': 0.1}, weight={'B': 1.0, 'D': 0.5})
    >>> loss, terms = Objective("NCE-B")(torch.eye(2), torch.eye(2))
    >>> loss
    tensor(1.0064)
    """

    form: str
    terms: tuple[Term, ...]
    symmetric: Symmetric
    csp_compat: bool

    def __init__(
        self,
        name: str,
        *,
        temperature: float | Mapping[str, float] | None = None,
        weight: float | Mapping[str, float] | None = None,
        symmetric: Symmetric = None,
        csp_compat: bool = False,
    ) -> None:
        preset = PRESETS.get(name, Preset(name, {}, {}))
        if preset.name not in NAMES:
            raise ValueError(_unknown(name))
        form, _, letters = preset.name.partition("-")
        names = tuple(letters) or (form,)
        if form == "MSE" and temperature is not None:
            raise ValueError(f"MSE compares features, not cosines: it has no temperature, got {temperature!r}")
        if symmetric not in (None, "mean", "sum"):
            raise ValueError(f"symmetric must be None, 'mean' or 'sum', got {symmetric!r}")
        if symmetric is not None and (form != "MC" or "B" not in names):
            raise ValueError(f"symmetric={symmetric!r} adds a direction to the term B of MC: {name!r} has none")
        temperatures = dict.fromkeys(names, DEFAULT_TEMPERATURE.get(form)) | preset.temperature
        temperatures |= _per_term("temperature", temperature, names, owner=name)
        weights = dict.fromkeys(names, 1.0) | preset.weight | _per_term("weight", weight, names, owner=name)
        if not any(weights.values()):
            raise ValueError(f"every weight of {name!r} is 0: nothing would be computed")
        object.__setattr__(self, "form", form)
        object.__setattr__(self, "terms", tuple(Term(t, weights[t], temperatures[t]) for t in names))
        object.__setattr__(self, "symmetric", symmetric)
        object.__setattr__(self, "csp_compat", csp_compat)

    @property
    def name(self) -> str:
        """The spelling: ``"MC-BLD"``, ``"NCE-B"``, ``"MSE"``."""
        return self.form if self.form == "MSE" else f"{self.form}-{''.join(term.name for term in self.terms)}"

    @property
    def needs_negatives(self) -> bool:
        """Whether a call needs embeddings of random locations (L)."""
        return any(term.name == "L" and term.weight > 0 for term in self.terms)

    @property
    def needs_twin(self) -> bool:
        """Whether a call needs a second pass of the location encoder (D)."""
        return any(term.name == "D" and term.weight > 0 for term in self.terms)

    @property
    def needs_decoder(self) -> bool:
        """Whether decoded locations are compared with image features (MSE), instead of two embeddings."""
        return self.form == "MSE"

    def __call__(
        self, location: Tensor, image: Tensor, negatives: Tensor | None = None, twin: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss of a batch.

        Parameters
        ----------
        location, image : Tensor (B, d)
            Raw embeddings; row i of one belongs to row i of the other. For MSE: the decoded locations and
            the image features, both (B, F). Half precision is taken to float32 first.
        negatives : Tensor (C*B, d), optional
            Embeddings of random locations for L; row c*B + i belongs to pair i.
        twin : Tensor (B, d), optional
            A second pass of the same locations with other dropout masks, for D.

        Returns
        -------
        loss : Tensor ()
            The weighted sum.
        terms : dict of Tensor ()
            The unweighted value of each computed term, detached; keys among ``"B"``, ``"L"``, ``"D"``; or
            ``"MSE"``.

        Raises
        ------
        ValueError
            For an empty batch, shapes that do not match, or an input that an active term needs and lacks.
        """
        active = [term for term in self.terms if term.weight > 0]
        values = [self._value(term, location, image, negatives, twin) for term in active]
        loss = torch.stack([term.weight * value for term, value in zip(active, values, strict=True)]).sum()
        return loss, {term.name: value.detach() for term, value in zip(active, values, strict=True)}

    def _value(
        self, term: Term, location: Tensor, image: Tensor, negatives: Tensor | None, twin: Tensor | None
    ) -> Tensor:
        if self.form == "MSE":
            return functions.mse(location, image)
        softmax = self.form == "MC"
        settings: dict[str, Any] = {"temperature": term.temperature, "csp_compat": self.csp_compat}
        if term.name == "B":
            if softmax:
                return functions.mc_batch(location, image, symmetric=self.symmetric, **settings)
            return functions.nce_batch(location, image, **settings)
        if term.name == "L":
            if negatives is None:
                raise ValueError(f"{self.name} has the term L: pass negatives=, embeddings of random locations")
            if softmax:
                return functions.mc_location(location, image, negatives, **settings)
            return functions.nce_location(image, negatives, **settings)
        if twin is None:
            raise ValueError(f"{self.name} has the term D: pass twin=, a second pass of the location encoder")
        dropout = functions.mc_dropout if softmax else functions.nce_dropout
        return dropout(location, twin, **settings)

    def __repr__(self) -> str:
        temperature = {term.name: term.temperature for term in self.terms if term.temperature is not None}
        parts = [repr(self.name)]
        if temperature:
            parts.append(f"temperature={temperature}")
        parts.append(f"weight={ {term.name: term.weight for term in self.terms} }")
        if self.symmetric:
            parts.append(f"symmetric={self.symmetric!r}")
        if self.csp_compat:
            parts.append("csp_compat=True")
        return f"Objective({', '.join(parts)})"


def _per_term(
    what: str, given: float | Mapping[str, float] | None, names: tuple[str, ...], *, owner: str
) -> dict[str, float]:
    """Return the given values, one per term that they name, checked."""
    if given is None:
        return {}
    values = dict(given) if isinstance(given, Mapping) else dict.fromkeys(names, given)
    for term, value in values.items():
        if term not in names:
            raise ValueError(f"{what} names the term {term!r}, but {owner!r} has {', '.join(names)}")
        if not math.isfinite(value) or value < 0 or (value == 0 and what == "temperature"):
            bound = "> 0" if what == "temperature" else ">= 0"
            raise ValueError(f"{what} of {term} must be finite and {bound}, got {value!r}")
    return {term: float(value) for term, value in values.items()}


def _unknown(name: str) -> str:
    known = {spelling.lower(): spelling for spelling in (*NAMES, *PRESETS)}
    near = difflib.get_close_matches(str(name).lower(), known, n=1, cutoff=0.75)
    hint = f" Did you mean {known[near[0]]!r}?" if near else ""
    return (
        f"unknown objective {name!r}.{hint} There are MC and NCE, each with any of the terms B, L, D in this "
        f"order ('MC-BLD', 'NCE-B'), 'MSE', and the presets {', '.join(map(repr, PRESETS))}."
    )
