"""What the texts show holds: Python and how-to commands run, other commands are understood, links lead somewhere.

Blocks of one page share a namespace and a temporary folder, in which `page_files` has laid what the page's reader has.
"""

import contextlib
import doctest
import importlib
import io
import pkgutil
import re
import sys
import tomllib
from pathlib import Path

import command_lines
import pages
import pytest
import torch
from matplotlib import pyplot
from page_files import FILES

import locenc
import locenc_csp

MODULES = [
    module.name
    for package in (locenc, locenc_csp)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.name.endswith(".cli")
]
BLOCKS = {page: pages.split(pages.read(page))[0] for page in pages.PAGES}
HOW_TO = [page for page in pages.PAGES if page.startswith("docs/howto/")]
REFERENCE = "".join(pages.read(page) for page in pages.PAGES if page.startswith("docs/reference/"))


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str) -> None:
    module = importlib.import_module(name)
    results = doctest.testmod(module, extraglobs={"torch": torch, "locenc": locenc})
    assert results.failed == 0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a page; modules that it writes are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCENC_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    pyplot.close("all")


@pytest.mark.filterwarnings("ignore:.*treespec:FutureWarning")  # torch's own, in its exporter to ONNX
@pytest.mark.parametrize("page", [page for page, blocks in BLOCKS.items() if "python" in {b.language for b in blocks}])
def test_a_page_runs(page: str, folder: Path) -> None:
    """In the order of the page: Python, and in how-tos the lines of `locenc` and `locenc-csp`.

    A block of `text` is what they printed since the last one, if they did; see `is_shown`.
    """
    FILES.get(page, lambda _: None)(folder)
    shared: dict[str, object] = {"__name__": "page"}
    printed = io.StringIO()
    for block in BLOCKS[page]:
        with contextlib.redirect_stdout(printed):
            if block.language == "python":
                exec(block.python(page), shared)
            elif page in HOW_TO and block.language in pages.SHELL:
                run_ours(block)
        if block.language == "text" and printed.getvalue():
            same = is_shown(printed.getvalue(), block.text)
            assert same, f"{page}:{block.line} printed:\n{printed.getvalue()}"
            printed = io.StringIO()


def is_shown(printed: str, shown: str) -> bool:
    """Whether a text is what was printed: `...` stands for anything, decimals may differ as machines do, by 10 %."""
    decimal = r"\d+\.\d+"
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    same = doctest.OutputChecker().check_output(re.sub(decimal, "#", shown), re.sub(decimal, "#", printed), options)
    pairs = zip(re.findall(decimal, printed), re.findall(decimal, shown), strict=False)
    close = all(float(a) == pytest.approx(float(b), rel=0.1, abs=0.02) for a, b in pairs)
    return same and (close or "..." in shown)


def run_ours(block: pages.Block) -> None:
    for line in block.commands():
        for program, *arguments in command_lines.words(line):
            if program in command_lines.OURS:
                assert command_lines.OURS[program](arguments) == 0, line


@pytest.mark.parametrize("page", pages.PAGES)
def test_python_is_called_python(page: str) -> None:
    """Under another name it would not run."""
    for block in BLOCKS[page]:
        assert not re.match(r"py\b|python3|pycon|\{code", block.language), f"{page}:{block.line}"


@pytest.mark.parametrize("page", pages.PAGES)
def test_commands_are_understood(page: str) -> None:
    for block in BLOCKS[page]:
        known = block.language in pages.SHELL
        for line in block.commands() if known or not block.language else ():
            if known or re.match(r"(\$ )?(\S*/)?(locenc|locenc-csp|python3?|torchrun|pytest) ", line):
                command_lines.check(line)
    outside = pages.split(pages.read(page))[1]
    for code in pages.code_in_lines(outside):
        whole = not re.search(r"\.\.\.|…|<|\[", code)
        if whole and re.match(r"(locenc|locenc-csp) [a-z]|torchrun |python -m |python \w+/", code):
            command_lines.check_in_text(code)


@pytest.mark.parametrize("page", pages.BESIDE)
def test_links_of_pages_outside_docs_lead_somewhere(page: str) -> None:
    """Those inside are checked when the documentation is built."""
    for target in pages.links(pages.read(page)):
        path, _, anchor = target.partition("#")
        found = (pages.ROOT / page).parent / path if path else pages.ROOT / page
        assert found.exists(), target
        assert not anchor or anchor in pages.anchors(found.read_text(encoding="utf-8")), target


def test_readme_has_exactly_two_commands_for_a_fresh_machine() -> None:
    commands = re.findall(r"<!-- command: (\w+) -->\n```\n(.*?)```", pages.read("README.md"), flags=re.DOTALL)
    assert [name for name, _ in commands] == ["demo", "tests"]
    for _, command in commands:
        assert command.count("\n") == 1
        assert "pip install" in command


NUMBER = r"(?<![\w.,])\d+(?:,\d{3})*(?:\.\d+)?(?:e-\d+)?(?![\w.]*\w)"


@pytest.mark.parametrize("page", ["README.md", "docs/benchmarks/index.md"])
def test_numbers_of_benchmarks_are_those_of_their_pages(page: str) -> None:
    """Decimals and large numbers in rows that link a page which a command wrote."""
    folder = (pages.ROOT / page).parent
    rows = [line for line in pages.read(page).splitlines() if line.startswith("|")]
    linked = {row: re.findall(r"\]\(((?:docs/benchmarks/)?\w+\.md)\)", row) for row in rows}
    seen = 0
    for row, targets in linked.items():
        written = [(folder / target).read_text(encoding="utf-8") for target in targets]
        written = [text for text in written if "Made by `" in text]
        for number in re.findall(NUMBER, re.sub(r"`[^`]*`|package [\d.]+", "", row)) if written else ():
            if re.search(r"[.,e]", number):
                seen += 1
                assert any(number in re.findall(NUMBER, text) for text in written), f"{number} is in no page of {row}"
    assert seen > 5


def test_every_benchmark_page_is_in_the_index() -> None:
    """Or, where it says how reliable something is, linked from docs/reliability.md."""
    rows, reliability = pages.read("docs/benchmarks/index.md").splitlines(), pages.read("docs/reliability.md")
    for page in (page for page in pages.PAGES if page.startswith("docs/benchmarks/") and "index" not in page):
        row = next((row for row in rows if f"]({Path(page).name})" in row), None)
        if row is None:
            assert f"](benchmarks/{Path(page).name})" in reliability, page
        else:
            made = re.search(r"Made by (`[^`]+`)", pages.read(page))
            assert made is not None, page
            assert made[1] in row, f"{page} is made by {made[1]}: {row}"


def test_supported_versions_are_those_of_the_package() -> None:
    project = tomllib.loads((pages.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lowest = dict(re.findall(r"^(\w+)>=([\d.]+)", "\n".join(project["dependencies"]), flags=re.MULTILINE))
    lowest["Python"] = project["requires-python"].removeprefix(">=")
    text = pages.read("docs/security.md")
    for name in ("Python", "torch", "numpy", "numba"):
        stated = re.search(rf"^\| {name} \| ([\d.]+)", text, flags=re.MULTILINE)
        assert stated is not None
        assert stated[1].removesuffix(".0") == lowest[name].removesuffix(".0")
    pinned = re.search(r"^torch==([\d.]+)", (pages.ROOT / "constraints.txt").read_text(), flags=re.MULTILINE)
    assert pinned is not None
    assert f"every change: {pinned[1]}" in text


@pytest.mark.parametrize("package", [locenc, locenc_csp])
def test_every_public_name_is_in_the_reference(package: object) -> None:
    listed = {name.split(".")[0] for name in re.findall(r"^   ([\w.]+)$", REFERENCE, flags=re.MULTILINE)}
    assert set(package.__all__) - listed == set()


@pytest.mark.parametrize("name", locenc.list_encoders())
def test_the_table_of_encoders_has_every_encoder(name: str) -> None:
    row = next((line for line in pages.read("docs/encoders.md").splitlines() if line.startswith(f"| `{name}` |")), "")
    columns = f"{locenc.position_encoder(name).out_dim:,}"
    assert f" {columns} " in row, "run scripts/make_encoder_docs.py"
