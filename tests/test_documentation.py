"""What the texts show runs: their Python, and the examples in docstrings."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest
import torch

import locenc
import locenc_csp

README = Path(__file__).resolve().parent.parent / "README.md"

MODULES = [
    module.name
    for package in (locenc, locenc_csp)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.name.endswith(".cli")
]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str) -> None:
    module = importlib.import_module(name)
    results = doctest.testmod(module, extraglobs={"torch": torch, "locenc": locenc})
    assert results.failed == 0


@pytest.mark.parametrize(
    "name", ["README.md", "docs/objectives.md", "docs/finetuning.md", "docs/scale.md", "docs/places.md"]
)
def test_python_in_texts_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (README.parent / name).read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert blocks
    shared: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, name, "exec"), shared)


def test_readme_has_exactly_two_commands_for_a_fresh_machine() -> None:
    text = README.read_text(encoding="utf-8")
    commands = re.findall(r"<!-- command: (\w+) -->\n```\n(.*?)```", text, flags=re.DOTALL)
    assert [name for name, _ in commands] == ["demo", "tests"]
    for _, command in commands:
        assert command.count("\n") == 1
        assert "pip install" in command


@pytest.mark.parametrize("name", locenc.list_encoders())
def test_the_table_of_encoders_has_every_encoder(name: str) -> None:
    text = (README.parent / "docs" / "encoders.md").read_text(encoding="utf-8")
    row = next((line for line in text.splitlines() if line.startswith(f"| `{name}` |")), "")
    columns = f"{locenc.position_encoder(name).out_dim:,}"
    assert f" {columns} " in row, "run scripts/make_encoder_docs.py"
