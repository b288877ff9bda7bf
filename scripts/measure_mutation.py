"""Mutation testing: do tests notice when a line of the mathematics is changed? Takes about 15 minutes on a core.

    python -m scripts.measure_mutation [--save] [--only locenc/spec.py]

mutmut changes one thing at a time in a copy of the working tree (an operator, a number, an argument, a word of a
message) and runs the tests that reach it. A mutant that no test notices survives; each is listed, with what
scripts/judged_mutants.json says of it. mutmut changes the bodies of functions: constants of modules, and functions
with a decorator, stay as they are.
"""

import argparse
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.report import Report

ROOT = Path(__file__).resolve().parent.parent
JUDGED = Path(__file__).with_name("judged_mutants.json")
MODULES = [
    "locenc/spec.py",
    "locenc/sinusoidal.py",
    "locenc/harmonics.py",
    "locenc_csp/objectives.py",
    "locenc_csp/forms.py",
    "locenc_csp/terms.py",
]
#: Tests that take seconds; of larger files the tests that these modules need.
TESTS = [
    "tests/test_spec.py",
    "tests/test_seamless.py",
    "tests/test_scales.py",
    "tests/test_harmonics_options.py",
    "tests/test_harmonics.py::test_first_columns_are_the_textbooks",
    "tests/test_harmonics.py::test_fewer_degrees_are_the_first_columns_of_more",
    "tests/test_harmonics.py::test_satclips_are_those_of_the_antipode_with_longer_zonal_ones",
    "tests/csp/test_objectives.py",
    "tests/csp/test_objective_edges.py",
    "tests/csp/test_forms.py",
    "tests/csp/test_learned_temperature.py",
]
KILLED = ("killed", "timeout", "suspicious", "segfault")


def main() -> None:
    """Copy the working tree, run mutmut there, report."""
    parser = argparse.ArgumentParser(prog="python -m scripts.measure_mutation", description=__doc__.splitlines()[0])
    parser.add_argument("--save", action="store_true", help="keep the tables in docs/benchmarks")
    parser.add_argument("--only", nargs="+", choices=MODULES, default=MODULES, help="these modules alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="locenc-mutants-") as folder:
        copy = Path(folder)
        copy_tree(copy, options.only)
        start = time.monotonic()
        mutmut(copy, "run", "--max-children", "1")
        minutes = (time.monotonic() - start) / 60
        states = dict(line.split(": ") for line in map(str.strip, mutmut(copy, "results", "--all", "true")) if line)
        changes = {name: change(copy, name) for name, state in states.items() if state not in KILLED}
    report(states, changes, minutes, options.only).finish(path=None, save=options.save)


def copy_tree(copy: Path, modules: list[str]) -> None:
    """Copy what git knows of the working tree, with mutmut's settings."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy / name)
    settings = {
        "source_paths": ["locenc", "locenc_csp"],
        "only_mutate": modules,
        "also_copy": ["README.md", "docs", "scripts", "benchmarks"],
        "pytest_add_cli_args_test_selection": TESTS,
    }
    with (copy / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("\n[tool.mutmut]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))


def mutmut(copy: Path, *arguments: str) -> list[str]:
    """Run mutmut in the copy with one thread; lines that it printed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}  # the copy, not this checkout
    command = [sys.executable, "-m", "mutmut", *arguments]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"mutmut {arguments[0]} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout.splitlines()


def change(copy: Path, name: str) -> str:
    """The lines that a mutant takes out and puts in."""
    lines = [line for line in mutmut(copy, "show", name) if line[:1] in "+-" and line[:3] not in ("---", "+++")]
    return "\n".join(" ".join(line.split()) for line in lines)


def report(states: dict[str, str], changes: dict[str, str], minutes: float, modules: list[str]) -> Report:
    """Kills of each module, and the survivors with their judgement."""
    judged = json.loads(JUDGED.read_text(encoding="utf-8"))
    found = Report(
        "mutation",
        "Mutation testing",
        {"minutes": f"{minutes:.0f}", "tool": "mutmut", "tests": ", ".join(TESTS)},
        command="python -m scripts.measure_mutation --save",
    )
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for name, state in states.items():
        counts[module_of(name)][("killed" if state in KILLED else "survived")] += 1
    rows = [(m, n.total(), n["killed"], n["survived"], 100 * n["killed"] / n.total()) for m, n in counts.items()]
    killed = sum(state in KILLED for state in states.values())
    found.target("mutants killed", 100 * killed / len(states), least=85, unit="%")
    found.table("Kills", ("module", "mutants", "killed", "survived", "killed, %"), rows)
    survivors = [(function_of(name), code(text), judged.get(text, "not judged")) for name, text in changes.items()]
    found.table("Survivors", ("function", "change", "judgement"), survivors)
    found.keep("states", states)
    return found


def module_of(mutant: str) -> str:
    """File of a mutant ``locenc.spec.x_phase__mutmut_3``."""
    return "/".join(mutant.split(".")[:2]) + ".py"


def function_of(mutant: str) -> str:
    """Function of a mutant, with its module."""
    _, module, name = mutant.split("__mutmut_")[0].split(".")
    return f"`{module}.{name.removeprefix('x_').removeprefix('xǁ').replace('ǁ', '.')}`"


def code(text: str) -> str:
    """A change in a table's cell."""
    return "<br>".join(f"`{line.replace('|', chr(92) + '|')}`" for line in text.splitlines())


if __name__ == "__main__":
    main()
