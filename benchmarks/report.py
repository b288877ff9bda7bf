"""What a benchmark found: tables and targets as Markdown, and all of it as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import machine, peers

FOLDER = machine.ROOT / "docs" / "benchmarks"


class Table(NamedTuple):
    """A table: its title, column names, rows of texts, and a note below."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str


class Target(NamedTuple):
    """A number to reach."""

    what: str
    bound: str
    measured: float
    met: bool
    unit: str
    note: str


class Report:
    """Collects what a benchmark finds.

    Parameters
    ----------
    name : str
        Of the command: ``docs/benchmarks/<name>.md`` and ``.json``.
    title : str
        One line.
    settings : dict
        What the numbers depend on besides the machine: threads, sizes.
    counted : bool
        Whether numbers are counted, not measured.
    command : str, optional
        That makes it; ``python -m benchmarks.<name>`` unless given.
    """

    def __init__(
        self, name: str, title: str, settings: dict[str, Any], *, counted: bool = False, command: str | None = None
    ) -> None:
        self.name, self.title, self.settings = name, title, settings
        self.command = command or f"python -m benchmarks.{name}"
        self.verb = "counted" if counted else "measured"
        self.machine = machine.describe()
        self.tables: list[Table] = []
        self.targets: list[Target] = []
        self.numbers: dict[str, Any] = {}

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, note: str = "") -> None:
        """Add a table; numbers are shown with three digits, None as a dash."""
        self.tables.append(Table(title, tuple(columns), [tuple(map(shown, row)) for row in rows], note))

    def target(
        self,
        what: str,
        measured: float,
        *,
        least: float | None = None,
        most: float | None = None,
        unit: str = "×",
        note: str = "",
    ) -> None:
        """Add a number to reach: at ``least``, or at ``most``, so much."""
        met = (least is None or measured >= least) and (most is None or measured <= most)
        bound = f"≥ {shown(least)}" if least is not None else f"≤ {shown(most)}"
        self.targets.append(Target(what, f"{bound} {unit}".rstrip(), measured, met, unit, note))

    def keep(self, key: str, numbers: Any) -> None:
        """Put numbers into the JSON alone."""
        self.numbers[key] = numbers

    def markdown(self) -> str:
        """The whole report."""
        lines = [f"# {self.title}", "", f"Made by `{self.command}`.", ""]
        if self.verb == "counted":
            lines += ["Counted, not measured: no number here says how fast anything ran.", ""]
        elif self.settings.get("quick"):
            lines += ["Sizes are those of `--quick`: no number here says how fast anything is.", ""]
        if self.targets:
            rows = [
                (target.what, target.bound, f"{shown(target.measured)} {target.unit}".rstrip(), _verdict(target))
                for target in self.targets
            ]
            lines += _markdown(Table("Targets", ("what", "to reach", self.verb, ""), rows, ""))
        for table in self.tables:
            lines += _markdown(table)
        lines += [f"## {self.verb.title()} with", ""]
        settings = {**self.machine, **self.settings, "load at the end": machine.load()}
        lines += [f"- {name}: {shown(value)}" for name, value in settings.items()]
        lines += [f"- peer: {peer}" for peer in peers.asked.values()]
        return "\n".join([*lines, ""])

    def data(self) -> dict[str, Any]:
        """Everything, as JSON holds it."""
        return {
            "name": self.name,
            "title": self.title,
            "machine": self.machine,
            "settings": self.settings,
            "peers": [peer._asdict() for peer in peers.asked.values()],
            "targets": [target._asdict() for target in self.targets],
            "tables": [table._asdict() for table in self.tables],
            "numbers": self.numbers,
        }

    def finish(self, *, path: Path | None, save: bool, stem: str = "") -> None:
        """Print the report; write JSON to a path, and both forms to the docs, if they are to be kept."""
        text, data = self.markdown(), json.dumps(self.data(), indent=1, ensure_ascii=False) + "\n"
        print(text)
        if path is not None:
            path.write_text(data, encoding="utf-8")
        if save:
            stem = stem or self.name
            FOLDER.mkdir(parents=True, exist_ok=True)
            (FOLDER / f"{stem}.md").write_text(text, encoding="utf-8")
            (FOLDER / f"{stem}.json").write_text(data, encoding="utf-8")


def shown(value: object) -> str:
    """A value as tables show it: three digits, thousands separated."""
    if value is None:
        return "–"
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            return str(value)
        if value == 0 or 1e-3 <= abs(value) < 1e3:
            return f"{value:.3g}"
        return f"{value:,.0f}" if 1e3 <= abs(value) < 1e7 else f"{value:.1e}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def _verdict(target: Target) -> str:
    return ("met" if target.met else "**missed**") + (f": {target.note}" if target.note else "")


def _markdown(table: Table) -> list[str]:
    lines = [f"## {table.title}", "", f"| {' | '.join(table.columns)} |", f"|{' --- |' * len(table.columns)}"]
    lines += [f"| {' | '.join(row)} |" for row in table.rows]
    return [*lines, "", *([table.note, ""] if table.note else [])]
