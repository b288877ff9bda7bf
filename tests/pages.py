"""The texts as the tests read them: README.md, docs/**/*.md and their siblings; blocks, links, code in sentences."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BESIDE = ["README.md", "CONTRIBUTING.md", "examples/README.md"]
PAGES = [*BESIDE, *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))]

FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,}|:{3,})(?P<language>.*)$")
SHELL = ("sh", "bash", "console")


class Block(NamedTuple):
    """What stands between two fences."""

    language: str
    line: int  # of its first line in the page, from 1
    text: str

    def python(self, page: str) -> object:
        """Its code, with the page's own line numbers in tracebacks."""
        return compile("\n" * (self.line - 1) + self.text, page, "exec")

    def commands(self) -> list[str]:
        """Its lines as a shell reads them: those that end in a backslash go on."""
        return [line.strip() for line in re.sub(r"\\\n", " ", self.text).splitlines() if line.strip()]


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def split(text: str) -> tuple[list[Block], str]:
    """Blocks of a page, and the page without them."""
    blocks, outside, opened = [], [], None
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if opened is None:
            if fence is None:
                outside.append(line)
            else:
                opened, start, inside = fence, number + 1, []
        elif fence and not fence["language"].strip() and fence["fence"].startswith(opened["fence"]):
            blocks.append(Block(opened["language"].strip(), start, "".join(inside)))
            opened = None
        else:
            inside.append(line.removeprefix(opened["indent"]) + "\n")
    assert opened is None, f"a fence is not closed: {opened}"
    return blocks, "\n".join(outside)


def code_in_lines(text: str) -> Iterator[str]:
    """What stands between single backticks; a line may end inside."""
    for paragraph in re.split(r"\n\s*\n", text):
        yield from re.findall(r"(?<!`)`([^`]+)`(?!`)", paragraph.replace("\n", " "))


def links(text: str) -> list[str]:
    """Targets of links and images that lie in the repository."""
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def anchors(text: str) -> set[str]:
    """Names by which the headings of a page are linked."""
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", title.lower()).strip()) for title in titles}
