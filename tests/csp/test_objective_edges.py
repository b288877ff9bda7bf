"""Objectives where mutants had survived: texts of errors, the plain norm of zero rows, terms that take a mask."""

import math
import re

import pytest
import torch

from locenc_csp import Objective
from locenc_csp.terms import mc_batch, mc_dropout, mc_location, nce_batch, nce_location

KNOWN = (
    "There are MC, NCE, CLIP and SIGLIP, each with any of the terms B, L, D in this order ('MC-BLD', 'NCE-B'), "
    "'GEOCLIP-B', 'MSE', and the presets 'csp-inat2018', 'csp-fmow'."
)


def rows(*, zero: bool = False) -> torch.Tensor:
    values = torch.arange(1.0, 13.0).reshape(4, 3).sin()
    values[1] *= 0 if zero else 1
    return values


@pytest.mark.parametrize(
    ("name", "guess"),
    [("MC-BDL", " Did you mean 'MC-BL'?"), ("softmax", ""), ("csp-fmov", " Did you mean 'csp-fmow'?"), ("MX-Q", "")],
)
def test_unknown_names(name: str, guess: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(f'unknown objective {name!r}.{guess} {KNOWN}')}$"):
        Objective(name)


def test_texts_name_the_objective() -> None:
    with pytest.raises(ValueError, match=r"^weight names the term 'L', but 'MC-BD' has B, D$"):
        Objective("MC-BD", weight={"L": 1.0})
    with pytest.raises(ValueError, match=r"^temperature names the term 'D', but .*'MC-BL' that have it: B, L$"):
        Objective("MC-BL")(rows(), rows(), negatives=rows(), temperature={"D": torch.tensor(1.0)})
    with pytest.raises(ValueError, match=r"^same_place_km is set: pass places=, .* then of the queue$"):
        Objective("MC-B", same_place_km=1.0)(rows(), rows())
    with pytest.raises(ValueError, match=r"^same_place_km must be finite and >= 0, got inf$"):
        Objective("MC-B", same_place_km=math.inf)
    with pytest.raises(ValueError, match=r"^row i of location and image must be one pair, but they have 4 and 3 rows$"):
        mc_location(rows(), rows()[:3], rows())


@pytest.mark.parametrize("value", ["1", True, None])
def test_numbers_of_a_wrong_type_are_named(value: object) -> None:
    with pytest.raises(TypeError, match=rf"^temperature of B must be a number, got {value!r}$"):
        Objective("MC-BD", temperature={"B": value})
    if value is not None:
        with pytest.raises(TypeError, match=rf"^same_place_km must be a number, got {value!r}$"):
            Objective("MC-B", same_place_km=value)


def test_the_dropout_term_alone_takes_a_mask() -> None:
    places = torch.tensor([[0.0, 0.0], [0.0, 0.0], [50.0, 0.0], [90.0, 0.0]], dtype=torch.float64)
    masked, _ = Objective("MC-D", same_place_km=1.0)(rows(), rows(), twin=rows().cos(), places=places)
    plain, _ = Objective("MC-D")(rows(), rows(), twin=rows().cos())
    assert masked < plain  # two negatives fewer


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("term", [mc_batch, nce_batch, mc_dropout])
def test_csp_compat_divides_by_the_plain_norm(term, which: int) -> None:
    pair = [rows(), rows()]
    pair[which] = rows(zero=True)
    assert term(*pair).isfinite()
    assert term(*pair, csp_compat=True).isnan()


@pytest.mark.parametrize("which", [0, 1, 2])
def test_csp_compat_of_random_locations(which: int) -> None:
    given = [rows(), rows(), rows()]
    given[which] = rows(zero=True)
    assert mc_location(*given).isfinite()
    assert mc_location(*given, csp_compat=True).isnan()
    if which:
        assert nce_location(*given[1:]).isfinite()
        assert nce_location(*given[1:], csp_compat=True).isnan()
