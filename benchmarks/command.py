"""What the commands share: their options, and the state of the process that is timed."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch


class Options(argparse.Namespace):
    """Options of a benchmark command."""

    threads: int
    quick: bool
    json: Path | None
    save: bool
    only: list[str]


def options(
    name: str, description: str | None, arguments: Sequence[str] | None = None, *, parts: Sequence[str] = ()
) -> Options:
    """Read the command line, and set torch's threads.

    Parameters
    ----------
    name : str
        Of the command, as in ``python -m benchmarks.<name>``.
    description : str
        For ``--help``.
    arguments : sequence of str, optional
        Instead of those of the process.
    parts : sequence of str
        What ``--only`` can name; ``only`` holds all of them unless it is given.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    parser.add_argument("--threads", type=int, default=1, help="threads that torch and the kernels use (default: 1)")
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds: does it run?")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write every number to this file")
    parser.add_argument("--save", action="store_true", help="keep the tables in docs/benchmarks")
    parser.add_argument(
        "--only", nargs="+", choices=parts, default=list(parts), help="these alone" if parts else argparse.SUPPRESS
    )
    found = parser.parse_args(arguments, namespace=Options())
    if found.threads < 1:
        parser.error(f"--threads must be at least 1, got {found.threads}")
    torch.set_num_threads(found.threads)
    return found
