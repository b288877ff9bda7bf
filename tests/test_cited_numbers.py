"""Numbers in docs/csp.md and docs/kernels.md are those of the benchmarks' pages that they cite."""

import json
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"
TERMS = {
    "NCE-B over the best supervised encoder": "CSP-NCE-B over best supervised",
    "MC-B over the best supervised encoder": "CSP-MC-B over best supervised",
    "NCE-B with shuffled pairs over the best supervised encoder": "CSP-NCE-B, shuffled pairs over best supervised",
    "add L: MC-BL over MC-B": "CSP-MC-BL over CSP-MC-B",
    "add D: MC-BD over MC-B": "CSP-MC-BD over CSP-MC-B",
    "add D: MC-BLD over MC-BL": "CSP-MC-BLD over CSP-MC-BL",
    "D alone over MC-B": "CSP-MC-D over CSP-MC-B",
}
SPLITS = {"yes": "yes", "no": "open: splits differ", "worse in every split": "no: the other way round in every split"}


def read(page):
    return (DOCS / page).read_text(encoding="utf-8")


def rows(page, first):
    """Cells of the rows of a page whose first cell is this."""
    lines = [line for line in read(page).splitlines() if line.startswith(f"| {first} |")]
    return [[cell.strip() for cell in line.strip("| ").split("|")][1:] for line in lines]


@pytest.mark.parametrize("comparison", TERMS)
def test_what_each_term_did(comparison):
    product, location = rows("benchmarks/table.md", TERMS[comparison])
    stated = rows("csp.md", comparison)[0]
    assert stated[:2] == [location[1], product[1]]
    every = {location[2].partition(",")[0], product[2].partition(",")[0]}
    assert every == {SPLITS[stated[2]]}


def test_temperatures():
    text = " ".join(read("csp.md").split())
    found = re.search(r"with temperature 1, 0\.3, 0\.1 and 0\.03 is ([\d., and]+) %", text)[1]
    names = ["MC-B, temperature 1", "MC-B, temperature 0.3", "CSP-MC-B", "MC-B, temperature 0.03"]
    search = [next(row for row in rows("benchmarks/table.md", name) if len(row) == 6) for name in names]
    assert re.findall(r"\d+\.\d", found) == [row[0] for row in search]


@pytest.mark.parametrize(("page", "title", "first", "name"), [
    ("encoders", "Encoding, warm", "sphereC", "sphereC"),
    ("encoders", "Encoding, warm", "sphereM+", "sphereM+"),
    ("encoders", "Encoding, warm", "dfs", "dfs"),
    ("encoders", "Encoding, warm", "grid", "grid"),
    ("harmonics", "Encoding, warm", "40", "spherical harmonics, L = 40"),
])  # fmt: skip
def test_rates(page, title, first, name):
    tables = json.loads(read(f"benchmarks/{page}.json"))["tables"]
    table = next(table for table in tables if table["title"] == title)
    row = dict(zip(table["columns"], next(row for row in table["rows"] if row[0] == first), strict=True))
    rate, share, times = rows("kernels.md", name)[0]
    assert float(rate) == float(row["G features/s"].split()[0])
    assert float(share) == pytest.approx(float(row["% of a fill"]), abs=0.51)
    peer = row.get("× TorchSpatial or GeoCLIP")
    assert times == "–" if peer is None else float(times) == pytest.approx(float(peer), abs=0.51)
