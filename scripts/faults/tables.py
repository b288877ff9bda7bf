"""The statistics of the kills, as a report."""

from collections import Counter
from collections.abc import Mapping, Sequence

from benchmarks.report import Report
from scripts.faults.jobs import JOBS
from scripts.faults.kills import Trial


def report(found: Mapping[str, tuple[float, Sequence[Trial]]], seed: int) -> Report:
    """Tables and targets of all jobs: for each its undisturbed seconds and its trials."""
    made = Report(
        "faults",
        "Jobs killed at random moments",
        {"seed": seed, "threads of torch": 1},
        counted=True,
        command="python -m scripts.faults",
    )
    every = [trial for _, trials in found.values() for trial in trials]
    kills = [kill for trial in every for kill in trial.kills]
    bad = sum(bool(trial.failure or trial.differs) for trial in every)
    made.target("continued runs that failed, or ended in other bits than the undisturbed one", bad, most=0, unit="")
    torn = sum(bool(kill.broken) for kill in kills)
    made.target("kills after which a file under its final name was not whole", torn, most=0, unit="")
    made.target("continued runs that left a temporary file", sum(bool(trial.left) for trial in every), most=0, unit="")
    rows = []
    for name, (seconds, trials) in found.items():
        once, chains = ([trial for trial in trials if trial.kind == kind and trial.kills] for kind in ("once", "chain"))
        rows.append(
            (
                name,
                f"{JOBS[name].what}; {seconds:.1f} s",
                sum(len(trial.kills) for trial in trials),
                len(once),
                f"{len(chains)}, of up to {max((len(trial.kills) for trial in chains), default=0)} kills",
                f"{sum(not trial.failure and not trial.differs for trial in trials)} of {len(trials)}",
                max((len(kill.left) for trial in trials for kill in trial.kills), default=0),
            )
        )
        made.keep(name, {"undisturbed seconds": seconds, "trials": [_plain(trial) for trial in trials]})
    heads = ("job", "what", "kills", "killed once", "chains", "ended in the same bits", "temporary files at a kill")
    note = (
        "SIGKILL at moments uniform over the undisturbed run's time. Compared at the end: weights, checkpoints, "
        "metrics.jsonl, results, tables, pictures and Parquet, bit by bit; in text and JSON times alone are left out. "
        "Chains: runs that were killed anew until one ended before its moment. Temporary files: the most that any kill "
        "found."
    )
    made.table("Kills", heads, rows, note=note)
    stages = [
        (name, reached, count)
        for name, (_, trials) in found.items()
        for reached, count in Counter(kill.reached for trial in trials for kill in trial.kills).most_common()
    ]
    made.table("Where the kills fell", ("job", "what its files said", "kills"), stages)
    return made


def _plain(trial: Trial) -> dict[str, object]:
    return {**trial._asdict(), "kills": [kill._asdict() for kill in trial.kills]}
