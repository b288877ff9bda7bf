"""docs/licences.md: every dependency is in it, and a licence that nobody understands is not passed over."""

import re
import runpy
from importlib import metadata
from pathlib import Path

import pytest
from packaging.licenses import canonicalize_license_expression

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "list_licences.py"))
PAGE = SCRIPT["PAGE"].read_text(encoding="utf-8")


def test_every_dependency_is_in_the_page() -> None:
    listed = {name: (needed, spdx) for name, needed, spdx in re.findall(r"^\| (\S+) \| (.+?) \| (.+?) \|", PAGE, re.M)}
    for name, where in SCRIPT["dependencies"]().items():
        assert name in listed, f"{name} is not in docs/licences.md: run scripts/list_licences.py"
        needed, spdx = listed[name]
        assert needed == ", ".join(where)
        assert spdx == SCRIPT["UNSTATED"].get(name) or canonicalize_license_expression(spdx) == spdx


@pytest.mark.parametrize(
    ("lines", "text", "expected"),
    [
        ("License-Expression: mit", "", "MIT"),
        ("License: 3-clause BSD", "", "BSD-3-Clause"),
        ("License: Apache\nClassifier: License :: OSI Approved :: Apache Software License", "", "Apache-2.0"),
        ("License: BSD", "Redistribution and use in source and binary\nforms, with", "BSD-2-Clause"),
        ("License: BSD", "Redistribution and use in source and binary forms ... endorse\nor promote", "BSD-3-Clause"),
    ],
)
def test_what_packages_state(
    lines: str, text: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, lines, text)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert SCRIPT["licence"]("somebodys") == expected


@pytest.mark.parametrize("lines", ["License: ask me", "License: UNKNOWN", "Summary: none"])
def test_a_licence_that_is_not_understood(lines: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, lines, "")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match=r"somebodys states .* read its licence, and teach this script what it is"):
        SCRIPT["licence"]("somebodys")


def test_a_package_that_is_not_installed() -> None:
    with pytest.raises(metadata.PackageNotFoundError):
        SCRIPT["licence"]("somebodys-other")


def install(folder: Path, lines: str, text: str) -> None:
    """A package of which there is nothing but what it says about itself."""
    about = folder / "somebodys-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.4\nName: somebodys\nVersion: 1.0\n{lines}\n")
    (about / "LICENSE").write_text(text)
    (about / "RECORD").write_text("somebodys-1.0.dist-info/METADATA,,\nsomebodys-1.0.dist-info/LICENSE,,\n")
