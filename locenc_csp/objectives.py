"""Objectives of contrastive spatial pre-training: a form and its terms, spelt as in the paper.

``Objective("MC-BLD")`` is the softmax form (MC) with the terms in-batch (B), random location (L) and
dropout (D) of Mai et al. 2023 (ICML). The terms themselves are functions in `locenc_csp.terms` and
`locenc_csp.clip_terms`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from locenc._names import among, check_number
from locenc_csp.forms import CSP_FORMS, FORMS, NAMES, PRESETS, SIGMOID, Preset, Term, per_term, unknown
from locenc_csp.masks import SamePlace, same_place
from locenc_csp.terms import Symmetric

__all__ = ["PRESETS", "Objective", "Preset", "Term"]


@dataclass(frozen=True, init=False, repr=False)
class Objective:
    """A weighted sum of terms, callable on embeddings; it holds nothing to train and never changes.

    Parameters
    ----------
    name : str
        A form, MC (softmax), NCE (sigmoid), CLIP (softmax in both directions) or SIGLIP (sigmoid of all couples), with
        any of the terms B, L, D in this order: ``"MC-BLD"``, ``"NCE-B"``; or ``"GEOCLIP-B"`` (image to location, with
        a queue); or ``"MSE"``; or a preset: ``"csp-inat2018"``, ``"csp-fmow"``.
    temperature : float or dict, optional
        What divides the cosines, > 0; one number, or one per term: ``dict(B=20, L=1)``. A term not named
        keeps its default: the preset's, else 0.1 for MC (which served B, L and D well on satellite patches),
        1 for NCE (the paper's form), 0.07 for CLIP and GEOCLIP, 0.1 for SIGLIP. MSE has none. On those patches 0.1 was
        better for NCE too, and `locenc_csp.pretrain` takes it for both forms. `locenc_csp.LearnedTemperature`
        learns them.
    weight : float or dict, optional
        Factor of each term, >= 0; the default is the preset's, else 1. A term of weight 0 is not computed
        and needs no input.
    bias : float or dict, optional
        What SIGLIP adds to its scores, -10 unless given; the other forms have none.
    symmetric : {None, "mean", "sum"}
        Add the other direction (image to location) to the term B of MC; see `locenc_csp.terms.mc_batch`.
    same_place_km : float, optional
        Pairs within this distance of each other are no negatives in B and D (0: at equal coordinates); a call then
        needs ``places``. By default every other pair of the batch is a negative.
    csp_compat : bool
        The arithmetic of the CSP code, to compare with its numbers: 1e-5 inside the logarithms of NCE, and
        no guard against zero vectors. By default the stable forms are used.

    Attributes
    ----------
    form : str
        ``"MC"``, ``"NCE"``, ``"CLIP"``, ``"SIGLIP"``, ``"GEOCLIP"`` or ``"MSE"``.
    terms : tuple of Term
        Name, weight, temperature and bias of each term.

    Raises
    ------
    ValueError
        For an unknown name or term, a number out of range, or an option that the form lacks.

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
    same_place_km: float | None
    csp_compat: bool

    def __init__(
        self,
        name: str,
        *,
        temperature: float | Mapping[str, float] | None = None,
        weight: float | Mapping[str, float] | None = None,
        bias: float | Mapping[str, float] | None = None,
        symmetric: Symmetric = None,
        same_place_km: float | None = None,
        csp_compat: bool = False,
    ) -> None:
        preset = PRESETS[name] if among(name, PRESETS) else Preset(name, {}, {})
        if not among(preset.name, NAMES):
            raise ValueError(unknown(name))
        form, _, letters = preset.name.partition("-")
        names = tuple(letters) or (form,)
        if form == "MSE" and temperature is not None:
            raise ValueError(f"MSE compares features, not cosines: it has no temperature, got {temperature!r}")
        if bias is not None and FORMS[form].bias is None:
            raise ValueError(f"SIGLIP alone adds a bias to its scores: {name!r} has none, got {bias!r}")
        if symmetric is not None and not among(symmetric, ("mean", "sum")):
            raise ValueError(f"symmetric must be None, 'mean' or 'sum', got {symmetric!r}")
        if symmetric is not None and (form != "MC" or "B" not in names):
            raise ValueError(f"symmetric={symmetric!r} adds a direction to the term B of MC: {name!r} has none")
        if csp_compat and form not in CSP_FORMS:
            raise ValueError(
                f"csp_compat repeats the CSP code, which has {', '.join(CSP_FORMS)}: {name!r} is not there"
            )
        if same_place_km is not None:
            _check_distance(same_place_km, names, owner=name)
        temperatures = dict.fromkeys(names, FORMS[form].temperature) | preset.temperature
        temperatures |= per_term("temperature", temperature, names, owner=name)
        weights = dict.fromkeys(names, 1.0) | preset.weight | per_term("weight", weight, names, owner=name)
        biases = dict.fromkeys(names, FORMS[form].bias) | per_term("bias", bias, names, owner=name)
        if not any(weights.values()):
            raise ValueError(f"every weight of {name!r} is 0: nothing would be computed")
        object.__setattr__(self, "form", form)
        object.__setattr__(self, "terms", tuple(Term(t, weights[t], temperatures[t], biases[t]) for t in names))
        object.__setattr__(self, "symmetric", symmetric)
        object.__setattr__(self, "same_place_km", None if same_place_km is None else float(same_place_km))
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
    def takes_queue(self) -> bool:
        """Whether a call takes embeddings of places of earlier batches (GEOCLIP)."""
        return self.form == "GEOCLIP"

    @property
    def needs_places(self) -> bool:
        """Whether a call needs the pairs' places (``same_place_km``)."""
        return self.same_place_km is not None

    @property
    def needs_decoder(self) -> bool:
        """Whether decoded locations are compared with image features (MSE), instead of two embeddings."""
        return self.form == "MSE"

    def __call__(
        self,
        location: Tensor,
        image: Tensor,
        negatives: Tensor | None = None,
        twin: Tensor | None = None,
        *,
        queue: Tensor | None = None,
        places: Tensor | None = None,
        temperature: Mapping[str, Tensor] | None = None,
        bias: Mapping[str, Tensor] | None = None,
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
        queue : Tensor (Q, d), optional
            Embeddings of places of earlier batches, for GEOCLIP; see `locenc_csp.CoordinateQueue`.
        places : Tensor (B + Q, 2), optional
            (longitude, latitude) in degrees of the batch, then of the queue, where ``same_place_km`` is set.
        temperature, bias : dict of Tensor (), optional
            In place of the constants, for each term that is named; they get gradients. With
            `locenc_csp.LearnedTemperature`: ``objective(location, image, **learned())``.

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
            For an empty batch, shapes that do not match, an input that an active term needs and lacks, or one that
            the form has no use for.
        """
        if queue is not None and not self.takes_queue:
            raise ValueError(f"{self.name} compares with its batch alone: GEOCLIP-B is the form that takes queue=")
        if self.needs_places and places is None:
            raise ValueError(
                "same_place_km is set: pass places=, (longitude, latitude) in degrees of the batch, then of the queue"
            )
        mask = None if places is None or self.same_place_km is None else same_place(places, self.same_place_km)
        active = [term for term in self._with(temperature, bias) if term.weight > 0]
        values = [self._value(term, location, image, negatives, twin, queue, mask) for term in active]
        loss = torch.stack([term.weight * value for term, value in zip(active, values, strict=True)]).sum()
        return loss, {term.name: value.detach() for term, value in zip(active, values, strict=True)}

    def _with(self, temperature: Mapping[str, Tensor] | None, bias: Mapping[str, Tensor] | None) -> list[Term]:
        """Terms with what was given in place of their constants."""
        names = [term.name for term in self.terms if term.temperature is not None]
        for what, given in (("temperature", temperature), ("bias", bias)):
            there = names if what == "temperature" or self.form == "SIGLIP" else []
            for name in given or {}:
                if name not in there:
                    has = ", ".join(there) or "none"
                    raise ValueError(f"{what} names the term {name!r}, but those of {self.name!r} that have it: {has}")
        return [
            Term(
                term.name,
                term.weight,
                (temperature or {}).get(term.name, term.temperature),
                (bias or {}).get(term.name, term.bias),
            )
            for term in self.terms
        ]

    def _value(
        self,
        term: Term,
        location: Tensor,
        image: Tensor,
        negatives: Tensor | None,
        twin: Tensor | None,
        queue: Tensor | None,
        mask: SamePlace | None,
    ) -> Tensor:
        compute = FORMS[self.form].terms[term.name]
        if self.form == "MSE":
            return compute(location, image)
        settings: dict[str, Any] = {"temperature": term.temperature}
        if self.form in CSP_FORMS:
            settings["csp_compat"] = self.csp_compat
        if self.form == "SIGLIP":
            settings["bias"] = term.bias
        if term.name == "L":
            if negatives is None:
                raise ValueError(f"{self.name} has the term L: pass negatives=, embeddings of random locations")
            pair = (image,) if self.form in SIGMOID else (location, image)
            return compute(*pair, negatives, **settings)
        if term.name == "D":
            if twin is None:
                raise ValueError(f"{self.name} has the term D: pass twin=, a second pass of the location encoder")
            return compute(location, twin, mask=mask, **settings)
        if self.form == "MC":
            settings["symmetric"] = self.symmetric
        if self.takes_queue:
            settings["queue"] = queue
        return compute(location, image, mask=mask, **settings)

    def __repr__(self) -> str:
        temperature = {term.name: term.temperature for term in self.terms if term.temperature is not None}
        parts = [repr(self.name)]
        if temperature:
            parts.append(f"temperature={temperature}")
        parts.append(f"weight={ {term.name: term.weight for term in self.terms} }")
        if self.form == "SIGLIP":
            parts.append(f"bias={ {term.name: term.bias for term in self.terms} }")
        if self.symmetric:
            parts.append(f"symmetric={self.symmetric!r}")
        if self.same_place_km is not None:
            parts.append(f"same_place_km={self.same_place_km!r}")
        if self.csp_compat:
            parts.append("csp_compat=True")
        return f"Objective({', '.join(parts)})"


def _check_distance(km: float, names: tuple[str, ...], *, owner: str) -> None:
    if not 0 <= check_number("same_place_km", km) < math.inf:
        raise ValueError(f"same_place_km must be finite and >= 0, got {km!r}")
    if not {"B", "D"} & set(names):
        raise ValueError(f"same_place_km takes pairs out of the terms B and D: {owner!r} has neither")
