"""Line coverage of locenc and locenc_csp by the tests. Takes half an hour on a core; parts may run apart.

    python -m scripts.measure_coverage [--parts suite plain interpreter] [--data FOLDER] [--save]

Three parts are combined: the suite, without the files that ask the same of every encoder and kernel again and again;
the CPU's kernels as plain Python, for compiled code is invisible to coverage; and tests of Triton's kernels in its
interpreter, of them the first two cases of each test function. So the whole suite covers what is said here, or more.
Processes that tests start count too.
The committed tree is measured, in a copy, so that files can be edited meanwhile. Each part's data stays in the
folder, with the tree, and a later call combines what lies there.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.report import Report

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = """
[run]
source_pkgs = locenc, locenc_csp
parallel = true
patch = subprocess, _exit
data_file = {data}/coverage
[report]
exclude_also =
    if TYPE_CHECKING:
    @overload
    \\.\\.\\.$
"""


class Part(NamedTuple):
    """A run of pytest: what is set in its environment, and which tests."""

    environment: dict[str, str]
    arguments: list[str]
    cases: int | None = None  # of each test function; all unless given


REPEATED = ("tests/test_every_encoder.py", "tests/test_harmonics.py", "tests/test_inductor.py", "tests/kernels")
PARTS = {
    "suite": Part({}, ["tests", *(f"--ignore={path}" for path in REPEATED)]),
    "plain": Part({}, ["tests/kernels/test_plain_python.py"]),
    "interpreter": Part({"TRITON_INTERPRET": "1"}, ["tests/triton", "tests/kernels", "-m", "cuda"], 2),
}


def main() -> None:
    """Run the parts, combine, report."""
    parser = argparse.ArgumentParser(prog="python -m scripts.measure_coverage", description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS), help="run these (default: all)")
    parser.add_argument("--data", type=Path, help="where to keep data (default: a temporary folder)")
    parser.add_argument("--save", action="store_true", help="keep the tables in docs/benchmarks")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="locenc-coverage-") as temporary:
        folder = (options.data or Path(temporary)).resolve()
        tree = folder / "checkout"
        if not tree.exists():
            copy_tree(tree)
        for name in options.parts:
            run(folder, name)
        coverage(tree, "combine", "--keep", "--data-file", str(folder / "combined"), *map(str, runs(folder)))
        numbers = folder / "coverage.json"
        coverage(tree, "json", "--data-file", str(folder / "combined"), "-o", str(numbers), "--pretty-print")
        done = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.part")}
        report(json.loads(numbers.read_text()), done, tree).finish(path=None, save=options.save)


def copy_tree(tree: Path) -> None:
    """Put the committed tree into a folder, with coverage's settings beside it."""
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(tree, filter="data")
    (tree / ".coveragerc").write_text(SETTINGS.format(data=tree.parent), encoding="utf-8")
    if (ROOT.parent / "shared").exists():  # reference arrays that some tests compare with
        (tree.parent / "shared").symlink_to(ROOT.parent / "shared")


def runs(folder: Path) -> list[Path]:
    """Files of data that processes wrote."""
    return sorted(folder.glob("coverage.*.*"))


def run(folder: Path, name: str) -> None:
    """Run a part, and note how it went."""
    start = time.monotonic()
    part = PARTS[name]
    arguments = part.arguments if part.cases is None else first_cases(folder / "checkout", part)
    command = ["run", "-m", "pytest", "-q", "--tb=short", *arguments]
    status = coverage(folder / "checkout", *command, environment=part.environment)
    note = {"pytest's exit status": status, "minutes": (time.monotonic() - start) / 60}
    (folder / f"{name}.part").write_text(json.dumps(note), encoding="utf-8")


def first_cases(tree: Path, part: Part) -> list[str]:
    """Names of the first cases of each test function of a part."""
    there = {**os.environ, "PYTHONPATH": str(tree), **part.environment}
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *part.arguments]
    listed = subprocess.run(command, cwd=tree, env=there, check=True, capture_output=True, text=True).stdout
    functions: dict[str, list[str]] = {}
    for line in listed.splitlines():
        if "::" in line:
            functions.setdefault(line.partition("[")[0], []).append(line)
    return [case for cases in functions.values() for case in cases[: part.cases]]


def coverage(tree: Path, *arguments: str, environment: dict[str, str] | None = None) -> int:
    """Run coverage in the tree, with one thread; its exit status."""
    there = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", **(environment or {})}
    return subprocess.run([sys.executable, "-m", "coverage", *arguments], cwd=tree, env=there, check=False).returncode


def report(numbers: dict, done: dict[str, dict], tree: Path) -> Report:
    """Lines by package, and the uncovered ones by file."""
    settings = {f"part {name}": f"{note['minutes']:.0f} minutes" for name, note in sorted(done.items())}
    found = Report(
        "coverage", "Line coverage", settings, counted=True, command="python -m scripts.measure_coverage --save"
    )
    rows = []
    for package in ("locenc", "locenc_csp"):
        percent, row = counted(package, numbers)
        rows.append(row)
        found.target(f"lines of {package} covered", percent, least=95, unit="%")
    found.table("Packages", ("package", "lines", "uncovered", "covered, %"), rows)
    rows = [
        (f"`{name}`", f"{file['summary']['percent_covered']:.1f}", ranges(file["missing_lines"]))
        for name, file in sorted(numbers["files"].items())
        if file["missing_lines"]
    ]
    found.table("Uncovered lines", ("file", "covered, %", "lines"), rows)
    return found


def counted(package: str, numbers: dict) -> tuple[float, tuple[str, int, int, str]]:
    """Percent covered of the files of a package, and their row."""
    files = [file["summary"] for name, file in numbers["files"].items() if name.startswith(f"{package}/")]
    lines, covered = (sum(file[key] for file in files) for key in ("num_statements", "covered_lines"))
    return 100 * covered / lines, (package, lines, lines - covered, f"{100 * covered / lines:.2f}")


def ranges(lines: list[int]) -> str:
    """Lines as 3-5, 9."""
    spans: list[list[int]] = []
    for line in lines:
        if spans and line == spans[-1][1] + 1:
            spans[-1][1] = line
        else:
            spans.append([line, line])
    return ", ".join(f"{first}-{last}" if first != last else str(first) for first, last in spans)


if __name__ == "__main__":
    main()
