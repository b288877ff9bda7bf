"""Kill jobs at random moments and let them finish: ``python -m scripts.faults``.

Each job runs undisturbed once. Then it is killed (SIGKILL) at moments drawn uniformly from that run's time: half of
the kills once in a fresh folder, after which a second run finishes; the other half in chains, each run killed anew
until one ends before its moment. Processes are forked from one that has imported the library, so the kills fall into
the work and not into the imports. After each kill every file under its final name is read; at the end all files are
compared with those of the undisturbed run, bit by bit, times left out.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

NAMES = ("pretrain", "finetune", "table", "embed_parquet")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command: 0 if every run ended in the bits of the undisturbed one, and all files were whole."""
    parser = argparse.ArgumentParser(prog="python -m scripts.faults", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="of each job, at least (default: 50)")
    parser.add_argument("--jobs", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--save", action="store_true", help="keep the table in docs/benchmarks")
    given = parser.parse_args(arguments)

    from scripts.faults.kills import Trial, trials
    from scripts.faults.tables import report

    found: dict[str, tuple[float, list[Trial]]] = {}
    for name in given.jobs:
        with tempfile.TemporaryDirectory(prefix="locenc-faults-") as folder:
            made = trials(name, Path(folder), given.kills, given.seed)
            found[name] = (next(made), [])  # type: ignore[assignment]
            for trial in made:
                assert isinstance(trial, Trial)
                found[name][1].append(trial)
                print(name, trial, file=sys.stderr, flush=True)
    made_report = report(found, given.seed)
    made_report.finish(path=None, save=given.save)
    return 0 if all(target.met for target in made_report.targets) else 1


if __name__ == "__main__":
    sys.exit(main())
