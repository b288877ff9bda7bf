"""The directive ``command-help``: what a command of the package prints for ``--help``, made when the page is built."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class CommandHelp(SphinxDirective):
    """``{command-help} locenc embed`` shows ``locenc embed --help``."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Run the command, and keep its text as a literal block."""
        name, *arguments = self.arguments[0].split()
        program = Path(sys.executable).parent / name
        run = subprocess.run(
            [program, *arguments, "--help"],
            capture_output=True,
            check=True,
            text=True,
            env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"},
        )
        return [nodes.literal_block(text=run.stdout.rstrip(), language="text")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
