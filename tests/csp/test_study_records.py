"""The study's records and tables, against numbers computed by hand."""

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from locenc_csp.study import methods, parts
from locenc_csp.study.cells import Cell, Workplace
from locenc_csp.study.markdown import HEADINGS, render
from locenc_csp.study.records import SUPERVISED, best_encoder, best_setting, gather, paired
from locenc_csp.study.verdicts import verdicts

METHODS = {
    method.key: method for method in (*map(methods.supervised, methods.ENCODERS), *methods.compared(), *methods.terms())
}
SPLITS = ("block_0", "block_1", "block_2")
WRAP, SPHERE, GRID = "supervised-wrap", "supervised-sphereC+", "supervised-grid"
ENCODERS = (WRAP, SPHERE, GRID)

# Accuracy on validation of each split at 1 %; at 5 % grid is the best everywhere. Pre-trained ones do not compete.
VALIDATION = {
    WRAP: (0.50, 0.30, 0.30),
    SPHERE: (0.40, 0.50, 0.55),
    GRID: (0.45, 0.40, 0.40),
    "mse": (0.90, 0.90, 0.90),
    "nce-b": (0.90, 0.90, 0.90),
}
# Accuracy of the product on test: in block_0 it would choose another encoder than validation does.
PRODUCT = {
    WRAP: (0.50, 0.52, 0.54),
    SPHERE: (0.60, 0.56, 0.58),
    GRID: (0.40, 0.41, 0.42),
    "mse": (0.53, 0.55, 0.63),
    "nce-b": (0.58, 0.60, 0.64),
}
LOCATION = {method: [value - 0.2 for value in values] for method, values in PRODUCT.items()} | {
    "nce-b": [0.30, 0.40, 0.50]
}


def write(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_study(out: Path, names: tuple[str, ...] = (*ENCODERS, "mse", "nce-b"), label: str = "land_cover") -> None:
    """Files of three splits at 1 % and 5 %: at 5 % every accuracy on test is higher by 0.1."""
    for i, split in enumerate(SPLITS):
        for ratio, more in (("0.01", 0.0), ("0.05", 0.1)):
            baselines = {
                "image": {"top1": 0.44 + 0.01 * i + more},
                "nearest_neighbour": {"top1": 0.30 + 0.02 * i + more},
                "num_labels": 10 + i if ratio == "0.01" else 55,
            }
            write(out / split / "baselines" / f"{label}-{ratio}" / "scores.json", baselines)
            for method in names:
                folder = out / split / method / f"{label}-{ratio}"
                val = VALIDATION[method][i] if ratio == "0.01" else 0.6 if method == GRID else 0.2
                product = PRODUCT[method][i] + more
                scores = {
                    "location": {"top1": LOCATION[method][i] + more, "mrr": 0.1},
                    "image": {"top1": 0.99, "mrr": 0.99},  # the same for every method: the baselines' is shown
                    "product": {"top1": product, "mrr": product + 0.1},
                    "weighted": {"top1": product + 0.02, "mrr": 0.2},
                }
                write(folder / "result.json", {"chosen": {"mode": "full", "lr": 1e-3, "val_top1": val}})
                write(folder / "scores.json", {"scores": scores})
    for split in SPLITS:
        for method in names:
            write(out / split / method / "cell.json", {"seconds": 10.0})


def cells(names: tuple[str, ...], num_splits: int = 3) -> list[Cell]:
    return parts.cells([METHODS[name] for name in names], 0, range(num_splits), ratios=(0.01, 0.05))


def place(out: Path) -> Workplace:
    return Workplace(out / "table.parquet", out)


@pytest.fixture
def records(tmp_path: Path) -> list[dict]:
    write_study(tmp_path)
    return gather(place(tmp_path), cells((*ENCODERS, "mse", "nce-b")))


def rows(text: str) -> Iterator[list[str]]:
    """Cells of the tables' rows."""
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith(("| |", "| ---")):
            yield [cell.strip() for cell in line[1:-1].split("|")]


# Tables


def test_the_best_supervised_encoder_is_chosen_on_validation(records: list[dict]) -> None:
    best = {(record["split"], record["ratio"]): record for record in records if record["row"] == SUPERVISED}
    assert len(best) == 6
    wrap, sphere, grid = (METHODS[name].title for name in ENCODERS)
    assert [best[split, 0.01]["encoder"] for split in SPLITS] == [wrap, sphere, sphere]
    assert [best[split, 0.05]["encoder"] for split in SPLITS] == [grid] * 3
    first = best["block_0", 0.01]  # on test sphereC+ has 0.60
    assert (first["location"], first["product"], first["weighted"]) == pytest.approx((0.30, 0.50, 0.52))
    assert first["mrr"] == pytest.approx(0.60)
    assert first["chosen"]["val_top1"] == 0.50


def test_records_hold_what_the_files_hold(records: list[dict]) -> None:
    assert len(records) == 3 * 2 * (2 + 3 + 1 + 2)
    here = {record["row"]: record for record in records if record["split"] == "block_2" and record["ratio"] == 0.05}
    assert {record["label"] for record in records} == {"land_cover"}
    assert here["image only"]["product"] == pytest.approx(0.56)
    assert "location" not in here["image only"]
    assert here["1-nearest-neighbour"]["location"] == pytest.approx(0.44)
    assert "product" not in here["1-nearest-neighbour"]
    assert here["CSP-NCE-B"]["location"] == pytest.approx(0.60)
    assert {record["num_labels"] for record in records if record["ratio"] == 0.01} == {10, 11, 12}


def test_means_deviations_and_paired_differences(records: list[dict]) -> None:
    location, product, weighted = (list(rows(render(records, "land_cover", [name]))) for name in HEADINGS)
    # The best supervised product is 50, 56, 58; MSE differs from it by 3, -1, 5, NCE-B by 8, 4, 6. Of locations it is
    # 30, 36, 38, and NCE-B differs by 0, 4, 12.
    assert [row[:2] for row in product[1:]] == [
        ["image only", "45.0 ± 1.0"],
        ["supervised, wrap", "52.0 ± 2.0"],
        ["supervised, Sphere2Vec sphereC+", "58.0 ± 2.0"],
        ["supervised, Space2Vec grid", "41.0 ± 1.0"],
        ["best supervised", "54.7 ± 4.2"],
        ["MSE", "57.0 ± 5.3 (+2.3 ± 3.1)"],
        ["CSP-NCE-B", "60.7 ± 3.1 (+6.0 ± 2.0)"],
    ]
    assert [row[:2] for row in location[1:]] == [
        ["1-nearest-neighbour", "32.0 ± 2.0"],
        ["supervised, wrap", "32.0 ± 2.0"],
        ["supervised, Sphere2Vec sphereC+", "38.0 ± 2.0"],
        ["supervised, Space2Vec grid", "21.0 ± 1.0"],
        ["best supervised", "34.7 ± 4.2"],
        ["MSE", "37.0 ± 5.3 (+2.3 ± 3.1)"],
        ["CSP-NCE-B", "40.0 ± 10.0 (+5.3 ± 6.1)"],
    ]
    assert weighted[-1][1] == "62.7 ± 3.1 (+6.0 ± 2.0)"
    for values, mean, deviation in [
        ((53, 55, 63), "57.0", "5.3"),
        ((3, -1, 5), "2.3", "3.1"),
        ((50, 56, 58), "54.7", "4.2"),
        ((0, 4, 12), "5.3", "6.1"),
    ]:
        assert f"{np.mean(values):.1f}" == mean
        assert f"{np.std(values, ddof=1):.1f}" == deviation
    # At 5 % grid is the base: 50, 51, 52 against MSE's 63, 65, 73.
    assert product[5][2] == "51.0 ± 1.0"
    assert product[6][2] == "67.0 ± 5.3 (+16.0 ± 4.4)"


def test_headings_and_the_encoders_that_were_chosen(records: list[dict]) -> None:
    lines = render(records, "land_cover").splitlines()
    assert [line for line in lines if line.startswith("**")] == [
        "**land cover, location, top-1 %, 3 splits**",
        "**land cover, image x location, top-1 %, 3 splits**",
        "**land cover, weighted product, top-1 %, 3 splits**",
    ]
    assert lines[2:4] == ["| labels | 1 % (10 to 12) | 5 % (55) |", "| --- | --- | --- |"]
    assert [line for line in lines if line.startswith("Best")] == [
        "Best supervised encoder on validation: 1 %: Sphere2Vec sphereC+ (2), wrap (1); 5 %: Space2Vec grid (3)."
    ]


def test_one_split_shows_no_deviation_and_one_encoder_no_row_of_its_own(tmp_path: Path) -> None:
    names = (WRAP, "nce-b")
    write_study(tmp_path, names)
    text = render(gather(place(tmp_path), cells(names, num_splits=1)), "land_cover", ["product"])
    assert "±" not in text
    assert "1 split**" in text
    assert [row[:2] for row in rows(text)] == [
        ["labels", "1 % (10)"],
        ["image only", "44.0"],
        ["best supervised", "50.0"],
        ["CSP-NCE-B", "58.0 (+8.0)"],
    ]


def test_a_table_for_each_label(tmp_path: Path) -> None:
    names = (WRAP, "nce-b")
    write_study(tmp_path, names)
    write_study(tmp_path, names, label="koppen")
    both = [Cell(METHODS[name], "block_1", 0, ("land_cover", "koppen"), (0.05,)) for name in names]
    found = gather(place(tmp_path), both)
    for label in ("land cover", "koppen"):
        text = render(found, label.replace(" ", "_"), ["location"])
        assert text.startswith(f"**{label}, location, top-1 %, 1 split**")
        assert "5 % (55)" in text


def test_image_features_are_compared_among_themselves(tmp_path: Path) -> None:
    names = (WRAP, "nce-b")
    write_study(tmp_path, names)
    other = [dataclasses.replace(METHODS[name], key=f"{name}-both", features="features-both") for name in names]
    other = [dataclasses.replace(method, title=f"{method.title}, both") for method in other]
    for split in SPLITS:
        for ratio in ("0.01", "0.05"):
            write(
                tmp_path / split / "baselines-both" / f"land_cover-{ratio}" / "scores.json",
                {"image": {"top1": 0.9}, "nearest_neighbour": {"top1": 0.1}, "num_labels": 10},
            )
            for method, product in zip(other, (0.6, 0.65), strict=True):
                folder = tmp_path / split / method.key / f"land_cover-{ratio}"
                scores = {name: {"top1": product, "mrr": 0.1} for name in ("location", "product", "weighted")}
                write(folder / "scores.json", {"scores": scores})
                write(folder / "result.json", {"chosen": {"mode": "full", "lr": 1e-3, "val_top1": 0.5}})
        for method in other:
            write(tmp_path / split / method.key / "cell.json", {"seconds": 1.0})
    made = [*cells(names), *parts.cells(other, 0, range(3), ratios=(0.01, 0.05))]
    found = [row[:2] for row in rows(render(gather(place(tmp_path), made), "land_cover", ["product"]))]
    assert ["image only, both kinds of features", "90.0 ± 0.0"] in found
    assert ["best supervised, both kinds of features", "60.0 ± 0.0"] in found
    assert ["CSP-NCE-B, both", "65.0 ± 0.0 (+5.0 ± 0.0)"] in found
    assert ["CSP-NCE-B", "60.7 ± 3.1 (+8.7 ± 1.2)"] in found  # against wrap, 50, 52, 54


# Choices on validation, and verdicts


def test_what_validation_chooses(records: list[dict]) -> None:
    # At 1 % and 5 %: wrap 0.5 0.3 0.3, 0.2; sphereC+ 0.4 0.5 0.55, 0.2; grid 0.45 0.4 0.4, 0.6.
    assert best_encoder(records) == GRID
    better = [{**r, "val_top1": 0.95} if r["row"] == "MSE" else r for r in records]
    assert best_setting(better) == "mse"


def test_differences_of_two_rows(records: list[dict]) -> None:
    found = paired(records, "CSP-NCE-B", "MSE", "product")
    assert found == pytest.approx({"block_0": 5.0, "block_1": 5.0, "block_2": 1.0})
    assert paired(records, "CSP-NCE-B", "no such row", "product") == {}


def test_verdicts() -> None:
    def record(row: str, split: int, product: float, ratio: float = 0.05) -> dict:
        return {"row": row, "split": f"block_{split}", "ratio": ratio, "product": product, "kind": "pretrained"}

    values = {"CSP-MC-B": (0.5, 0.5), "CSP-MC-BL": (0.51, 0.53), "CSP-MC-BD": (0.4, 0.45), "CSP-MC-BLD": (0.39, 0.46)}
    made = [record(row, split, value) for row, own in values.items() for split, value in enumerate(own)]
    made += [record("CSP-MC-BL", split, 0.0, ratio=1.0) for split in range(2)]  # shares beyond 20 % do not count
    lines = [line for line in verdicts({"terms": made}).splitlines() if " over " in line]
    assert lines == [
        "| CSP-MC-BL over CSP-MC-B | terms | +2.0 ± 1.4 | yes, in every split |",
        "| CSP-MC-BD over CSP-MC-B | terms | -7.5 ± 3.5 | no: the other way round in every split |",
        "| CSP-MC-BLD over CSP-MC-BL | terms | -9.5 ± 3.5 | no: the other way round in every split |",
        "| CSP-MC-BLD over CSP-MC-BD | terms | +0.0 ± 1.4 | open: splits differ |",
    ]
    assert verdicts({}) == ""


def test_a_damaged_file_says_what_to_delete(tmp_path: Path) -> None:
    write_study(tmp_path)
    folder = tmp_path / "block_1" / "mse" / "land_cover-0.05"
    (folder / "result.json").write_text('{"chosen"')
    with pytest.raises(
        ValueError, match=rf"result\.json is damaged or cut short .*delete {re.escape(str(folder))} and run again"
    ):
        gather(place(tmp_path), cells((*ENCODERS, "mse")))
