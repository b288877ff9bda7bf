"""docs/data.md: its commands are understood, its file names are those that the importers look for."""

import re
import shlex
from pathlib import Path

import pytest
import tyro

from locenc_csp.cli import COMMANDS
from locenc_csp.datasets.published import PUBLISHED

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("line", re.findall(r"^(?:# lite0\.py: )?locenc-csp (.*)$", TEXT, flags=re.MULTILINE))
def test_a_command_is_understood(line: str) -> None:
    arguments = shlex.split(line, comments=True)
    recipe = tyro.extras.subcommand_cli_from_dict(COMMANDS, prog="locenc-csp", args=arguments)
    assert type(recipe) is COMMANDS[arguments[0]]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_data_set_is_described(name: str) -> None:
    assert f"`{name}`" in TEXT
    assert PUBLISHED[name].prefix in TEXT
    assert PUBLISHED[name].features in TEXT
