"""Doors of objectives, heads and scores."""

import random
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch

import locenc_csp as csp
from scripts.fuzz import values
from scripts.fuzz.calls import Call, finite
from scripts.fuzz.table import door
from scripts.fuzz.values import labels, matrix, probabilities, sizes, some

NAMES = ("MC-B", "MC-BLD", "NCE-B", "NCE-BL", "CLIP-B", "SIGLIP-B", "GEOCLIP-B", "MSE", "csp-inat2018", "MC-L", "NCE-D")


#: Numbers that anything may be divided by.
POSITIVE = (0.07, 1.0, 20)


def usual(*tensors: Any) -> bool:
    """Whether all numbers are such that sums of their squares are finite and above 0."""
    for one in tensors:
        if not isinstance(one, torch.Tensor) or one.dtype == torch.float16:
            return False
        if not finite(one) or (one.detach().abs() > 1e4).any() or (one.detach().double().norm(dim=-1) < 1e-3).any():
            return False
    return True


def loss(*tensors: Any) -> Any:
    """A loss of usual numbers is one finite number."""

    def check(found: Any) -> str | None:
        found = found[0] if isinstance(found, tuple) else found
        if found.shape != ():
            return f"a loss of shape {tuple(found.shape)}"
        return None if finite(found) or not usual(*tensors) else f"a loss of {found}"

    return check


def number(rng: random.Random) -> Any:
    """A positive number mostly."""
    return some(rng, rng.choice(POSITIVE), 0, -1, np.nan, np.inf, 1e-300, "x", torch.tensor(0.1))


def objective(rng: random.Random) -> Any:
    """An objective that is ready, no matter which."""
    return csp.Objective(rng.choice(NAMES))


@door("locenc_csp.Objective", 8)
def objectives(rng: random.Random, _: Path) -> Call:
    if rng.random() < 0.4:
        found: dict[str, Any] = {}
        for name in ("temperature", "weight", "bias"):
            if rng.random() < 0.3:
                found[name] = some(rng, rng.choice((number(rng), {"B": number(rng)}, {"L": 1, "D": 0})), {"X": 1}, {})
        if rng.random() < 0.2:
            found["symmetric"] = some(rng, rng.choice((None, "mean", "sum")), "both")
        if rng.random() < 0.2:
            found["same_place_km"] = some(rng, rng.choice((None, 0, 10)), -1, np.nan)
        if rng.random() < 0.2:
            found["csp_compat"] = rng.choice((True, False))
        return Call(csp.Objective, (some(rng, rng.choice(NAMES), "MC", "mc-b", "MC-BB", "X-B"),), found)
    made, (rows, columns) = objective(rng), sizes(rng)
    location, image = (
        matrix(rng, rows, columns),
        some(rng, matrix(rng, rows, columns), matrix(rng, rows + 1, columns), share=0.95),
    )
    more: dict[str, Any] = {}
    if made.needs_negatives or rng.random() < 0.1:
        more["negatives"] = some(rng, matrix(rng, rows * rng.choice((1, 2)), columns), matrix(rng, 1, columns), None)
    if made.needs_twin or rng.random() < 0.1:
        more["twin"] = some(rng, matrix(rng, rows, columns), None)
    if made.takes_queue or rng.random() < 0.1:
        more["queue"] = some(rng, matrix(rng, rng.choice((0, 2)), columns), None, matrix(rng, 2, columns + 1))
    return Call(made, (location, image), more, loss(location, image, *more.values()))


@door("locenc_csp.contrastive_loss", 6)
def contrastive_loss(rng: random.Random, _: Path) -> Call:
    rows, columns = sizes(rng)
    a, b = (
        matrix(rng, rows, columns),
        some(rng, matrix(rng, rows + rng.choice((0, 2)), columns), matrix(rng, rows, columns + 1)),
    )
    more: dict[str, Any] = {"temperature": number(rng)} if rng.random() < 0.4 else {}
    if rng.random() < 0.3:
        more["symmetric"] = rng.choice((True, False))
    if rng.random() < 0.2 and isinstance(b, torch.Tensor) and b.ndim == 2:
        points = torch.from_numpy(np.nan_to_num(values.degrees(rng, len(b)), posinf=0, neginf=0).clip(-90, 90))
        more["mask"] = some(rng, csp.same_place(points, rng.choice((0, 100))))
    fair = "temperature" not in more or any(more["temperature"] is one for one in POSITIVE)
    return Call(csp.contrastive_loss, (some(rng, a, share=0.97), b), more, loss(a, b) if fair else lambda _: None)


@door("locenc_csp.same_place", 3)
def same_place(rng: random.Random, _: Path) -> Call:
    points = torch.from_numpy(values.degrees(rng).copy())
    given = some(rng, points, points.float(), points[:, :1], points.half(), points[None])
    return Call(csp.same_place, (given, some(rng, rng.choice((0, 0.0, 10, 500)), -1, np.nan, np.inf, 1e9)))


@door("locenc_csp.CoordinateQueue", 2)
def queue(rng: random.Random, _: Path) -> Call:
    size, points = some(rng, rng.choice((1, 3, 10)), 0, -1, 2.5), torch.from_numpy(values.degrees(rng).copy())

    def call(size: Any, points: Any) -> Any:
        made = csp.CoordinateQueue(size)
        made.push(points)
        return made()

    return Call(
        call,
        (size, some(rng, points, points[:, :1], points[None])),
        {},
        lambda found: None if found.ndim == 2 and len(found) <= size else "another size",
    )


@door("locenc_csp.LearnedTemperature", 2)
def learned(rng: random.Random, _: Path) -> Call:
    more = {"max_scale": number(rng)} if rng.random() < 0.4 else {}
    return Call(
        csp.LearnedTemperature, (some(rng, objective(rng)), some(rng, rng.choice((None, "B", "BL")), "X", "")), more
    )


@door("locenc_csp.DualEncoder", 2)
def dual(rng: random.Random, _: Path) -> Call:
    location, image = values.encoder(rng), some(rng, torch.nn.Linear(3, 5), torch.nn.Linear, None)
    if rng.random() < 0.3:
        return Call(csp.DualEncoder, (location, image), {"decoder": some(rng, None, image)})
    if not any(location is one for one in values.ready()) or not isinstance(image, torch.nn.Module):
        return Call(csp.DualEncoder, (location, image))
    made = csp.DualEncoder(location, image)
    points = torch.from_numpy(values.degrees(rng, 3).copy())
    return Call(made, (points, torch.zeros(3, 3)), {"twin": True} if rng.random() < 0.2 else {})


@door("locenc_csp.embed_in_chunks", 2)
def in_chunks(rng: random.Random, _: Path) -> Call:
    network, (rows, _columns) = torch.nn.Linear(3, 2), sizes(rng)
    given = rng.choice((torch.zeros(rows, 3), torch.zeros(rows, 3, requires_grad=True), torch.tensor(1.0), None, "x"))
    return Call(
        csp.embed_in_chunks,
        (network, given, some(rng, rng.choice((1, 2, 100)), 0, -1, 1.5)),
        {},
        lambda found: None if found.shape == (rows, 2) else "another shape",
    )


def _head(public: str) -> None:
    @door(f"locenc_csp.{public}", 2)
    def make(rng: random.Random, _: Path) -> Call:
        made = getattr(csp, public)
        dim, classes = some(rng, 3, 0, -1, 2.0), some(rng, rng.choice((1, 4)), 0, -1, 2.0)
        if rng.random() < 0.4:
            more: dict[str, Any] = {}
            if public == "PresenceHead" and rng.random() < 0.5:
                more["background_weight"] = number(rng)
            if public == "PresenceHead" and rng.random() < 0.3:
                more["positive_weight"] = some(rng, None, 0, -1, 3.0, np.nan)
            return Call(made, (dim, classes), more)
        head, (rows, _columns) = made(3, 4), sizes(rng)
        embedding = matrix(rng, rows, 3).detach().float()
        background = (
            some(rng, matrix(rng, 2, 3).detach().float(), None, matrix(rng, 2, 2)) if public == "PresenceHead" else None
        )
        return Call(
            head.loss,
            (some(rng, embedding, share=0.97), labels(rng, rows, 4, tensor=True), background),
            {},
            loss(embedding) if background is None else loss(embedding, background),
        )


for one in ("PresenceHead", "SoftmaxHead"):
    _head(one)


@door("locenc_csp.NeighbourHead", 2)
def neighbours(rng: random.Random, _: Path) -> Call:
    rows, columns = sizes(rng)
    more = {"k": some(rng, rng.choice((1, 2, 100)), 0, -1, 1.5), "temperature": number(rng)}
    return Call(
        csp.NeighbourHead, (matrix(rng, rows, columns), labels(rng, rows, 3, tensor=True), some(rng, 3, 0, -1)), more
    )


@door("locenc_csp.full_loss", 3)
def full(rng: random.Random, _: Path) -> Call:
    rows, classes = sizes(rng)
    logits, background = (
        matrix(rng, rows, classes),
        some(rng, rng.choice((None, matrix(rng, 3, classes))), matrix(rng, 3, classes + 1)),
    )
    more = {name: number(rng) for name in ("positive_weight", "background_weight") if rng.random() < 0.2}
    check = loss(logits) if not more and background is None else lambda _: None
    return Call(
        csp.full_loss, (some(rng, logits, share=0.97), labels(rng, rows, classes, tensor=True), background), more, check
    )


@door("locenc_csp.ssdl_loss", 2)
def ssdl(rng: random.Random, _: Path) -> Call:
    rows, classes = sizes(rng)
    logits, background = matrix(rng, rows, classes), matrix(rng, rows * rng.choice((1, 2)), classes)
    marks, background = labels(rng, rows, classes, tensor=True), some(rng, background, matrix(rng, 1, classes))
    return Call(csp.ssdl_loss, (logits, marks, background), {}, loss(logits, background))


@door("locenc_csp.slds_loss", 2)
def slds(rng: random.Random, _: Path) -> Call:
    rows, classes = sizes(rng)
    logits = matrix(rng, rows, classes)
    both = [labels(rng, rows, classes, tensor=True) for _ in range(2)]
    return Call(csp.slds_loss, (logits, *both), {}, loss(logits))


def _scored(public: str, share: float = 3) -> None:
    @door(f"locenc_csp.{public}", share)
    def make(rng: random.Random, _: Path) -> Call:
        rows, classes = sizes(rng)
        more = (
            {"bins": some(rng, rng.choice((1, 15)), 0, -1, 1.5)}
            if public in ("reliability", "expected_calibration_error") and rng.random() < 0.4
            else {}
        )
        nans = public == "reliability"
        return Call(
            getattr(csp, public),
            (probabilities(rng, rows, classes), labels(rng, rows, classes)),
            more,
            lambda found: None if nans or finite(found) else f"gives {found}",
        )


for one in ("ranks", "scores", "fit_temperature", "reliability", "expected_calibration_error"):
    _scored(one, 1 if one == "fit_temperature" else 3)


@door("locenc_csp.class_scores", 2)
def class_scores(rng: random.Random, _: Path) -> Call:
    rows, classes = sizes(rng)
    rank = some(rng, np.ones(rows, np.int64), np.ones(rows), np.ones(rows + 1, np.int64), np.zeros(rows, np.int64))
    return Call(csp.class_scores, (rank, labels(rng, rows, classes), some(rng, classes, 0, -1, 1.5)))


@door("locenc_csp.temper", 2)
def temper(rng: random.Random, _: Path) -> Call:
    return Call(
        csp.temper,
        (probabilities(rng, *sizes(rng)), number(rng)),
        {},
        lambda found: None if finite(found) else f"gives {found}",
    )


@door("locenc_csp.multiply_prior", 4)
def multiply_prior(rng: random.Random, _: Path) -> Call:
    rows, classes = sizes(rng)
    more: dict[str, Any] = {
        name: some(rng, 1.0, 0, -1, np.nan) for name in ("image_weight", "location_weight") if rng.random() < 0.2
    }
    if rng.random() < 0.3:
        more["has_location"] = some(rng, np.arange(rows) % 2 == 0, np.ones(rows + 1, bool), np.ones(rows), "x")
    return Call(
        csp.multiply_prior,
        (probabilities(rng, rows, classes), probabilities(rng, rows, classes)),
        more,
        lambda found: None if finite(found) and found.shape == (rows, classes) else f"gives {found}",
    )


@door("locenc_csp.choose_weights", 1)
def choose_weights(rng: random.Random, _: Path) -> Call:
    rows, classes = sizes(rng)
    pair = (probabilities(rng, rows, classes), probabilities(rng, rows, classes))
    return Call(
        csp.choose_weights,
        (*pair, labels(rng, rows, classes)),
        {},
        lambda found: None if finite(found) else f"gives {found}",
    )


@door("locenc_csp.geolocate", 2)
def geolocate(rng: random.Random, _: Path) -> Call:
    rows, columns = sizes(rng)
    return Call(
        csp.geolocate,
        (
            some(rng, matrix(rng, rows, columns), share=0.97),
            some(rng, matrix(rng, 3, columns), matrix(rng, 0, columns), matrix(rng, 3, columns + 1)),
        ),
    )


@door("locenc_csp.within_km", 2)
def within_km(rng: random.Random, _: Path) -> Call:
    rows = rng.choice((0, 1, 3))
    pair = tuple(values.array(rng, values.degrees(rng, rows)) for _ in range(2))
    more = {"km": some(rng, (1, 25.0), (), (-1,), (np.nan,), 5)} if rng.random() < 0.4 else {}
    return Call(csp.within_km, pair, more, lambda found: None if finite(found) else f"gives {found}")


@door("locenc_csp.retrieval", 2)
def retrieval(rng: random.Random, _: Path) -> Call:
    rows, columns = sizes(rng)
    pair = (matrix(rng, rows, columns), some(rng, matrix(rng, rows, columns), matrix(rng, rows + 1, columns)))
    return Call(
        csp.retrieval,
        (*pair, values.array(rng, values.degrees(rng, rows))),
        {},
        lambda found: None if finite(found) else f"gives {found}",
    )


@door("locenc_csp.nearest_neighbour", 2)
def nearest_neighbour(rng: random.Random, _: Path) -> Call:
    rows = rng.choice((0, 1, 3))
    train = values.array(rng, values.degrees(rng, rows))
    return Call(csp.nearest_neighbour, (train, labels(rng, rows, 3), values.array(rng, values.degrees(rng))))


def _bias(public: str) -> None:
    @door(f"locenc_csp.{public}", 0.7)
    def make(rng: random.Random, _: Path) -> Call:
        rows = rng.choice((0, 1, 3, 30))
        given = values.array(rng, values.degrees(rng, rows))
        marks = some(
            rng, np.arange(rows) % 2 + 1, np.zeros(rows), np.ones(rows + 1), np.full(rows, np.nan), ["a"] * rows
        )
        more: dict[str, Any] = {"radius_km": some(rng, rng.choice((100.0, 5000)), 0, -1, 1e9, np.nan)}
        if rng.random() < 0.3:
            more["centres"] = some(rng, [0], [rows], [-1], [0.5], [])
        if rng.random() < 0.3:
            more["max_neighbours"] = some(rng, 5, 0, -1)
        if public == "relative_information":
            more[rng.choice(("cell_km", "ring_km", "num_sectors"))] = some(rng, 50, 0, -1, np.nan, 1e-9)
            more["min_places"] = some(rng, 1, 0, -1)
            if rng.random() < 0.3:
                more["bins"] = some(rng, rng.choice((2, [0, 1, 2])), 0, [1], [2, 1], "x")
        return Call(getattr(csp, public), (given, marks), more)


for one in ("self_information", "relative_information"):
    _bias(one)


@door("locenc_csp.linear_probe", 0.5)
def linear_probe(rng: random.Random, _: Path) -> Call:
    rows, columns = sizes(rng)
    return Call(
        csp.linear_probe,
        (
            matrix(rng, rows, columns, tensor=False),
            labels(rng, rows, 3),
            some(rng, 3, 0, 2, -1),
            some(rng, 1.0, 0, -1, np.nan),
        ),
    )


@door("locenc_csp.plot_accuracy", 0.03)
def plot_accuracy(rng: random.Random, _: Path) -> Call:
    rows = rng.choice((0, 1, 9))
    more = {"cell_degrees": some(rng, rng.choice((5.0, 30)), 0, -1, 7.0, "x"), "min_rows": some(rng, 1, 0, -1)}
    hits = some(rng, np.arange(rows) % 2 > 0, np.zeros(rows), np.ones(rows + 1, bool), np.full(rows, np.nan))
    return Call(
        csp.plot_accuracy, (values.array(rng, values.degrees(rng, rows)), hits), more, lambda _: plt.close("all")
    )
