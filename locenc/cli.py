"""The command line ``locenc``; nothing heavy is imported before a command runs."""

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from locenc._signals import Terminated, terminable
from locenc.commands import embed, facts, grid, map


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns
    -------
    int
        0 if it succeeded, 1 with one line on stderr if not, 2 for wrong usage, 130 if interrupted, 143 if terminated.
    """
    parser = argparse.ArgumentParser(prog="locenc", description="Location encoders: places to vectors, grids and maps.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (facts, embed, grid, map):
        command.add(commands)
    chosen = parser.parse_args(arguments)
    try:
        with terminable(), warnings.catch_warnings():
            warnings.showwarning = _say  # type: ignore[assignment]
            chosen.run(chosen)
        sys.stdout.flush()
    except KeyboardInterrupt as error:
        what, code = ("terminated", 143) if isinstance(error, Terminated) else ("interrupted", 130)
        print(what, file=sys.stderr)
        return code
    except BrokenPipeError:  # whoever read has enough: what is left is for nobody
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (ValueError, TypeError, OSError, ImportError, MemoryError) as error:
        print(f"error: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
        return 1
    return 0


def _say(message: Any, *_: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
