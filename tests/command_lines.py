"""Whether a command that a text shows would be understood, without its job being run.

The program itself reads the line: it is stopped where its parser has understood the arguments. A parser that does not
understand them ends with SystemExit, as it would in a terminal.
"""

import argparse
import contextlib
import functools
import importlib.util
import io
import itertools
import re
import runpy
import shlex
import sys
import tomllib
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import mock

import tyro
from pages import ROOT

import locenc.cli
import locenc_csp.cli

sys.path.append(str(ROOT))  # benchmarks and scripts are not installed

OURS: dict[str, Callable[[Sequence[str]], int]] = {"locenc": locenc.cli.main, "locenc-csp": locenc_csp.cli.main}
OF_THE_MACHINE = {"cd", "git", "ls", "mkdir", "mypy", "python", "python3", "ruff", "sphinx-build", "source"}
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


class Understood(BaseException):
    """The arguments were read; nothing was done."""


def words(line: str) -> list[list[str]]:
    """The commands of a line, each without variables, folder of the program, and what its output goes to."""
    line = re.sub(r"\$\(which ([\w-]+)\)", r"\1", line.removeprefix("$ "))
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    commands: list[list[str]] = [[]]
    for word in lexer:
        if word in ("&&", "||", ";", "|", "&", ">", ">>", "<"):
            commands.append([])
        elif commands[-1] or not re.match(r"[A-Z_]+=", word):
            commands[-1].append(word)
    return [[Path(command[0]).name, *command[1:]] for command in commands if command]


def check(line: str) -> None:
    """Let each program of a line read its arguments; AssertionError for a program that nobody knows."""
    for program, *arguments in words(line):
        if program in OURS:
            _check_ours(program, arguments)
        elif program in ("python", "python3"):
            _check_python(arguments)
        elif program == "torchrun":
            _check_torchrun(arguments)
        elif program == "pip":
            _check_pip(arguments)
        elif program == "pytest":
            for path in (word for word in arguments if word.startswith("tests")):
                assert (ROOT / path).exists(), path
        else:
            assert program in OF_THE_MACHINE, f"what is {program!r} in {line!r}?"


def check_in_text(code: str) -> None:
    """A command in a sentence may leave out what it needs, but what it names is there."""
    program, *arguments = words(code)[0]
    if program not in OURS:
        return check(code)
    named = [word for word in arguments if word.startswith("--")]
    command = arguments[:1] if arguments and not arguments[0].startswith("-") else []
    for word in named:
        option = word.split("=")[0]
        assert option == "--help" or option in _options(program, *command), f"{program} has no {option}"
    if not named:
        _options(program, *command)


@functools.cache
def _options(program: str, *command: str) -> set[str]:
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        OURS[program]([*command, "--help"])
    assert printed.getvalue(), f"{program} has no command {' '.join(command)}"
    return set(re.findall(r"--[\w.-]+", printed.getvalue()))


def _read(program: Callable[[], object], parser: object = argparse.ArgumentParser, name: str = "parse_args") -> None:
    """Run a program until its parser has understood."""
    read = getattr(parser, name)

    def then_stop(*arguments: object, **options: object) -> None:
        read(*arguments, **options)
        raise Understood

    with mock.patch.object(parser, name, then_stop):
        try:
            program()
        except Understood:
            return
    raise AssertionError("the program read no arguments")


def _check_ours(program: str, arguments: list[str]) -> None:
    if program == "locenc":
        _read(lambda: locenc.cli.main(arguments))
    else:
        _read(lambda: locenc_csp.cli.main(arguments), tyro.extras, "subcommand_cli_from_dict")


def _check_python(arguments: list[str]) -> None:
    if arguments[:1] == ["-m"]:
        module = arguments[1]
        if module.split(".")[0] in ("benchmarks", "scripts", "locenc", "locenc_csp"):
            _run(_file_of(module), arguments[2:], lambda: runpy.run_module(module, run_name="__main__"))
    elif arguments and arguments[0].endswith(".py") and (ROOT / arguments[0].split("/")[0]).is_dir():
        path = ROOT / arguments[0]
        assert path.is_file(), f"there is no {arguments[0]}"
        _run(path, arguments[1:], lambda: runpy.run_path(str(path), run_name="__main__"))


def _file_of(module: str) -> Path:
    found = importlib.util.find_spec(module)
    assert found is not None, f"there is no module {module}"
    assert found.origin is not None
    path = Path(found.origin)
    return path.with_name("__main__.py") if path.name == "__init__.py" else path


def _run(path: Path, arguments: list[str], program: Callable[[], object]) -> None:
    assert path.is_file(), f"{path} cannot be run"
    if "__main__" not in path.read_text() and path.name != "__main__.py":
        raise AssertionError(f"{path} does nothing when it is run")
    if not re.search(r"argparse|options\(|import main", path.read_text()):
        assert not [word for word in arguments if word.startswith("-")], f"{path.name} has no options"
        return
    with mock.patch.object(sys, "argv", [str(path), *arguments]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*found in sys.modules", RuntimeWarning)
        _read(program)


def _check_torchrun(arguments: list[str]) -> None:
    from torch.distributed.run import parse_args

    given = parse_args(arguments)
    module = "locenc_csp.cli"
    assert given.training_script == (module if given.module else "locenc-csp"), given.training_script
    _check_ours("locenc-csp", given.training_script_args)


def _check_pip(arguments: list[str]) -> None:
    for word in arguments:
        for extra in re.findall(r"^(?:\.|locenc)\[(.*)\]$", word):
            assert set(extra.split(",")) <= set(EXTRAS), f"no such extra: {extra}"
    for flag, name in itertools.pairwise(arguments):
        if flag in ("-c", "-r"):
            assert (ROOT / name).is_file(), name
