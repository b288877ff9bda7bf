"""Doors of maps: slow, so few of them."""

import random
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch

from locenc import maps
from scripts.fuzz import values
from scripts.fuzz.calls import Call
from scripts.fuzz.table import door
from scripts.fuzz.values import some

matplotlib.use("Agg")
SHARE = 0.03


def _drawn(_: Any) -> None:
    plt.close("all")


def _frame(rng: random.Random) -> dict[str, Any]:
    """What maps share: bounds, reference system, size, title."""
    found: dict[str, Any] = {}
    boxes = ((-10, 35, 30, 60), (170, -50, -170, -20), (-180, -90, 180, 90))
    if rng.random() < 0.7:
        found["bounds"] = some(
            rng, rng.choice(boxes), (0, 0, 0, 0), (1, 2), "x", (0, 95, 1, 99), (0, 0, np.nan, 1), share=0.8
        )
    if rng.random() < 0.3:
        found["crs"] = some(rng, rng.choice(("+proj=robin", "ESRI:54009", 3035)), "no such", -1, 4978)
    found["pixels"] = some(rng, rng.choice((40, 100)), 0, -1, 1.5, "x", share=0.9)
    if rng.random() < 0.3:
        found["title"] = some(rng, "é", 3)
    if rng.random() < 0.3:
        found["over"] = some(rng, rng.choice(("land", "sea", "globe")), "no such")
    return found


def _place(rng: random.Random) -> Any:
    return some(rng, (2.35, 48.86), (0, 95), [[0, 0]], (1,), ("a", "b"), (np.nan, 0))


@door("locenc.maps.similarity", SHARE)
def similarity(rng: random.Random, _: Path) -> Call:
    encoder = values.encoder(rng)
    given = encoder if rng.random() < 0.8 else some(rng, {"a": encoder}, {}, [encoder])
    return Call(maps.similarity, (given, _place(rng)), _frame(rng), _drawn)


@door("locenc.maps.nearest", SHARE)
def nearest(rng: random.Random, _: Path) -> Call:
    candidates, options = values.places(rng)
    return Call(maps.nearest, (values.encoder(rng), _place(rng), candidates), _frame(rng) | options, _drawn)


@door("locenc.maps.scales", SHARE)
def scales(rng: random.Random, _: Path) -> Call:
    found = _frame(rng)
    found.pop("over", None)
    if rng.random() < 0.5:
        found["features"] = some(rng, [0], [10**6], [-1], [], [0, 0], "x", 0)
    if rng.random() < 0.5:
        found["most"] = some(rng, rng.choice((1, 2)), 0, -1)
    return Call(maps.scales, (values.encoder(rng),), found, _drawn)


@door("locenc.maps.points", SHARE)
def points(rng: random.Random, _: Path) -> Call:
    found, options = values.places(rng)
    rows = values.count(found)
    more: dict[str, Any] = dict(options)
    if rng.random() < 0.5:
        more["values"] = some(rng, np.arange(rows), np.zeros(rows + 1), ["a"] * rows, np.full(rows, np.nan))
    if rng.random() < 0.3:
        more["color"] = some(rng, "red", "no such", 3)
    if rng.random() < 0.3:
        more["size"] = some(rng, 2.0, -1, 0, "x")
    encoder = (values.encoder(rng),) if rng.random() < 0.4 else ()
    frame = {key: value for key, value in _frame(rng).items() if key in ("bounds", "crs", "title")}
    return Call(maps.points, (found, *encoder), more | frame, _drawn)


@door("locenc.maps.probability", SHARE)
def probability(rng: random.Random, _: Path) -> Call:
    encoder = values.encoder(rng)
    try:
        width = values.dim_of(encoder)
    except (AttributeError, TypeError, ValueError):
        width = 3
    head = torch.nn.Sequential(torch.nn.Linear(width, 3), torch.nn.Softmax(-1))
    label = some(rng, rng.choice((0, 2, [0, 1])), 3, -1, "no such", [], [7], 1.5, share=0.85)
    classes = {"classes": some(rng, ["a", "b", "c"], ["a"], "abc")} if rng.random() < 0.5 else {}
    return Call(
        maps.probability,
        (encoder, some(rng, head, torch.nn.Linear(1, 1))),
        {"label": label} | classes | _frame(rng),
        _drawn,
    )


@door("locenc.maps.values", SHARE)
def of_values(rng: random.Random, _: Path) -> Call:
    functions = (
        lambda lonlat: lonlat[:, 0],
        lambda lonlat: np.full(len(lonlat), np.nan),
        lambda lonlat: np.zeros(len(lonlat) + 1),
        lambda lonlat: ["x"] * len(lonlat),
        lambda lonlat: None,
        lambda lonlat: lonlat,
    )
    found = _frame(rng) | {"label": some(rng, "m", 3)}
    if rng.random() < 0.4:
        found["limits"] = some(rng, (0, 1), (1, 0), (0, 0), (0,), (np.nan, 1))
    return Call(maps.values, (some(rng, functions[0], *functions[1:], share=0.7),), found, _drawn)


@door("locenc.maps.plot", SHARE)
def plot(rng: random.Random, _: Path) -> Call:
    found: dict[str, Any] = {"resolution": some(rng, rng.choice((15, 30)), 0, -1, 7, "x", share=0.9)}
    if rng.random() < 0.5:
        found["num_clusters"] = some(rng, rng.choice((2, 3)), 0, 1, -1, 10**6)
    if rng.random() < 0.3:
        found["show"] = some(rng, rng.choice(("components", "clusters")), "no such")
    if rng.random() < 0.3:
        found["titles"] = some(rng, ["a"], ["a", "b", "c"], "a")
    if rng.random() < 0.2:
        found["seed"] = some(rng, 0, -1, "x")
    return Call(maps.plot, tuple(values.encoder(rng) for _ in range(rng.choice((1, 1, 1, 2, 0)))), found, _drawn)


@door("locenc.maps.html", SHARE)
def html(rng: random.Random, folder: Path) -> Call:
    path = some(rng, folder / "map.html", folder, folder / "map.png", "", 3, share=0.9)
    found: dict[str, Any] = {"resolution": some(rng, rng.choice((15, 30)), 0, -1, 7, "x", share=0.9)}
    if rng.random() < 0.5:
        found["num_clusters"] = some(rng, rng.choice((2, 3)), 0, 1, -1, 10**6)
    if rng.random() < 0.3:
        found["components"] = some(rng, rng.choice((1, 3)), 0, -1, 10**6)
    if rng.random() < 0.3:
        found["title"] = some(rng, "<script>alert(1)</script>", 3)
    return Call(maps.html, (values.encoder(rng), path), found)
