"""Test the oldest versions that pyproject.toml allows, or the newest there are.

    python -m scripts.check_versions oldest|newest [--save]

Makes a virtual environment with uv in a temporary folder (about 7 GB: torch comes with CUDA from PyPI), builds the
wheel, installs it there and runs tests that use each of the dependencies, and that compile and export encoders, from
outside the checkout. Oldest: each direct requirement at its floor, all that comes with them as uv resolves it. Warnings
of old or new versions are no errors here. Takes about ten minutes, and the network.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from benchmarks.report import FOLDER, Report

ROOT = Path(__file__).resolve().parent.parent
RESOLUTION = {"oldest": "lowest-direct", "newest": "highest"}
EXTRAS = ("geo", "raster", "sklearn", "hub", "csp", "places", "dask", "onnx", "test")
#: Tools that tests need no floor of, and Triton, which comes with torch.
TOOLS = {"locenc", "triton", "selenium", "ruff", "mypy"}
TESTS = (
    "tests/test_spec.py",
    "tests/test_seamless.py",
    "tests/test_pretrained.py",
    "tests/test_places.py",
    "tests/test_grids.py",
    "tests/test_nearest.py",
    "tests/test_lazy.py",
    "tests/test_onnx.py::test_onnx[sphere2vec-sphereC]",
    "tests/test_maps.py",
    "tests/maps",
    "tests/sklearn",
    "tests/parquet",
    "tests/test_fused.py::test_compiled_graphs_hold_the_operator",
    "tests/test_fused.py::test_compiled_is_eager",
    "tests/test_fused.py::test_exported_programs_hold_plain_torch",
    "tests/test_every_encoder.py::test_compiles_without_a_break",
    "tests/test_every_encoder.py::test_exports",
    "tests/test_every_encoder.py::test_a_whole_encoder_compiles_and_exports",
    "tests/kernels/test_choice.py",
    "tests/kernels/test_sinusoids.py",
    "tests/csp/test_objectives.py",
    "tests/csp/test_features.py",
    "tests/csp/test_import_table.py",
    "tests/csp/test_loop.py",
    "tests/csp/test_patches.py",
    "tests/csp/test_polygons.py",
    "tests/csp/test_pretraining.py",
    "tests/csp/test_probes.py",
)


def main() -> None:
    """Install, test, report."""
    parser = argparse.ArgumentParser(prog="python -m scripts.check_versions", description=__doc__.splitlines()[0])
    parser.add_argument("which", choices=RESOLUTION)
    parser.add_argument("--save", action="store_true", help="keep the tables in docs/benchmarks")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="locenc-versions-") as folder:
        python = install(Path(folder), options.which)
        found = {"versions": versions(python), **tests(Path(folder), python)}
    earlier = FOLDER / "versions.json"
    both = json.loads(earlier.read_text(encoding="utf-8"))["numbers"] if earlier.exists() else {}
    report({**both, options.which: found}).finish(path=None, save=options.save)
    sys.exit(bool(found["counts"]["failed"]))


def requirements() -> list[str]:
    """Lines of pyproject.toml: what is needed, and all extras that are tested."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in EXTRAS for line in project["optional-dependencies"][extra])]
    return [line for line in dict.fromkeys(lines) if name_of(line) not in TOOLS]


def name_of(requirement: str) -> str:
    """A requirement's package."""
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def install(folder: Path, which: str) -> Path:
    """Make the environment with the wheel in it; its Python."""
    python = folder / "venv" / "bin" / "python"
    listed = folder / "requirements.txt"
    listed.write_text("\n".join([*requirements(), ""]), encoding="utf-8")
    uv("venv", str(folder / "venv"), "--python", sys.executable)
    uv("pip", "install", "--python", str(python), "--resolution", RESOLUTION[which], "-r", str(listed))
    uv("build", "--out-dir", str(folder / "dist"), str(ROOT))
    (wheel,) = (folder / "dist").glob("*.whl")
    uv("pip", "install", "--python", str(python), "--no-deps", str(wheel))
    return python


def uv(*arguments: str) -> None:
    """Run uv, which says what failed."""
    subprocess.run([sys.executable, "-m", "uv", "--quiet", *arguments], check=True)


def versions(python: Path) -> dict[str, str]:
    """What is installed of the requirements, and pandas, which comes with geopandas."""
    ask = "import json, importlib.metadata as m; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    done = subprocess.run([str(python), "-c", ask], check=True, capture_output=True, text=True)
    there = {name.lower().replace("_", "-"): version for name, version in json.loads(done.stdout).items()}
    asked = sorted({name_of(line).lower().replace("_", "-") for line in requirements()} | {"pandas", "llvmlite"})
    return {"python": ".".join(map(str, sys.version_info[:3])), **{name: there[name] for name in asked}}


def tests(folder: Path, python: Path) -> dict[str, Any]:
    """Run the tests in a copy that has no locenc beside them."""
    for part in ("tests", "scripts", "benchmarks", "docs"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("pyproject.toml", "README.md"):
        shutil.copyfile(ROOT / part, folder / part)
    environment = {**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1"}
    command = [
        str(python),
        "-m",
        "pytest",
        "-q",
        "--tb=short",
        "-o",
        "filterwarnings=",
        "--junitxml=result.xml",
        *TESTS,
    ]
    start = time.monotonic()
    subprocess.run(command, cwd=folder, env=environment, check=False)
    (suite,) = ElementTree.parse(folder / "result.xml").getroot()
    total, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    bad = [case for case in suite.iter("testcase") if {part.tag for part in case} & {"failure", "error"}]
    names = [f"{case.get('classname')}.{case.get('name')}" for case in bad]
    counts = {"passed": total - failed - skipped, "failed": failed, "skipped": skipped}
    return {"counts": counts, "failed": names, "minutes": (time.monotonic() - start) / 60}


def report(found: dict[str, Any]) -> Report:
    """Versions side by side, and what the tests said."""
    text = "Oldest and newest versions"
    made = Report("versions", text, {"tests": ", ".join(TESTS)}, command="python -m scripts.check_versions ... --save")
    for which, result in found.items():
        made.target(f"tests that fail, {which} versions", result["counts"]["failed"], most=0, unit="")
    rows = [
        (which, *result["counts"].values(), result["minutes"], ", ".join(result["failed"]) or None)
        for which, result in found.items()
    ]
    made.table("Tests", ("versions", "passed", "failed", "skipped", "minutes", "which failed"), rows)
    packages = dict.fromkeys(name for result in found.values() for name in result["versions"])
    rows = [(name, *(result["versions"].get(name) for result in found.values())) for name in packages]
    made.table("Versions", ("package", *found), rows)
    made.numbers.update(found)
    return made


if __name__ == "__main__":
    main()
