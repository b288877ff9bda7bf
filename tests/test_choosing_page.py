"""docs/choosing.md: its tables are those of the benchmark on its page, and what it recommends can be built."""

import re
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent))  # scripts and benchmarks are not installed

import locenc
from scripts import make_choosing_docs

FINER = make_choosing_docs.FINER
TEXT = make_choosing_docs.PAGE.read_text(encoding="utf-8")


def test_tables_are_those_of_the_benchmark():
    assert make_choosing_docs.written(TEXT) == TEXT, "run python -m scripts.make_choosing_docs"


@pytest.mark.parametrize("call", re.findall(r"`(locenc\.create\(.*?\))`", TEXT))
def test_recommendations_can_be_built(call):
    assert eval(call, {"locenc": locenc}).dim == 256


def test_finer_settings_do_not_win_where_labels_are_far():
    """What the page says of its table."""
    scores = make_choosing_docs.summary()
    gains = [
        make_choosing_docs.across(scores[fine]) - make_choosing_docs.across(scores[coarse]) for coarse, fine in FINER
    ]
    assert max(gains) < 0.01
    assert f"up to {-min(gains):.2f}" in TEXT


def test_what_is_recommended_is_near_the_best():
    scores = make_choosing_docs.summary()
    behind = {
        (label, split): -float(make_choosing_docs.mean(scores[label][f"{split}: less the best"]))
        for label in ("sphere2vec-sphereM+, 1000 km", "spherical-harmonics, 10")
        for split in make_choosing_docs.SPLITS
    }
    assert round(behind["sphere2vec-sphereM+, 1000 km", "random"], 2) == 0.01
    assert round(behind["spherical-harmonics, 10", "random"], 2) == 0.02
    assert behind["spherical-harmonics, 10", "blocks"] == 0
