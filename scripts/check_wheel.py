"""Check the wheel: built through the sdist, it holds the packages, their data and the licence, and nothing else.

    python scripts/check_wheel.py

Then compares the installed locenc with it, file by file: what tests of an installed locenc ran on is the wheel.
Needs `build`, and the network for hatchling.
"""

import importlib.metadata
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import locenc

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("locenc", "locenc_csp")
METADATA = ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")


def main() -> None:
    """Build, compare, say what was found."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "build", "--outdir", folder, str(ROOT)], check=True, capture_output=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            held = {name: archive.read(name) for name in archive.namelist()}
    same(
        "the wheel", set(held), source_files() | {f"locenc-{locenc.__version__}.dist-info/{name}" for name in METADATA}
    )

    distribution = importlib.metadata.distribution("locenc")
    site = Path(str(distribution.locate_file(""))).resolve()
    if Path(locenc.__file__).resolve().parent != site / "locenc" or site == ROOT:
        sys.exit(f"locenc is imported from {locenc.__file__}, not from an installed wheel")
    code = {name for name in held if ".dist-info/" not in name}
    installed = {path.relative_to(site).as_posix() for package in PACKAGES for path in files(site / package)}
    same(f"locenc in {site}", installed, code)
    if changed := sorted(name for name in code if (site / name).read_bytes() != held[name]):
        sys.exit(f"installed files differ from the wheel's: {', '.join(changed)}")
    print(f"{wheel.name}: {len(code)} files, built through the sdist; the same are imported from {site}")


def source_files() -> set[str]:
    """Files of both packages in the checkout."""
    return {path.relative_to(ROOT).as_posix() for package in PACKAGES for path in files(ROOT / package)}


def files(folder: Path) -> list[Path]:
    """Files below a folder, but for what Python and numba keep."""
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def same(where: str, found: set[str], expected: set[str]) -> None:
    """Stop where two sets of names differ."""
    if missing := sorted(expected - found):
        sys.exit(f"{where} lacks {', '.join(missing)}")
    if more := sorted(found - expected):
        sys.exit(f"{where} holds what is no part of it: {', '.join(more)}")


if __name__ == "__main__":
    main()
