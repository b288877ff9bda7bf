"""The command line ``locenc-csp``, made from the recipes; nothing heavy is imported before a command runs."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

from locenc._signals import Terminated, terminable
from locenc_csp.recipes import Data, Demo, Evaluate, Features, Finetune, Import, ImportTable, Pretrain, Table

COMMANDS: dict[str, Callable[..., Any]] = {
    "data": Data,
    "import": Import,
    "import-table": ImportTable,
    "features": Features,
    "pretrain": Pretrain,
    "finetune": Finetune,
    "evaluate": Evaluate,
    "demo": Demo,
    "table": Table,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns
    -------
    int
        0 if it succeeded, 1 with one line on stderr if not, 130 if interrupted, 143 if terminated. One of several
        processes of a run ends at once, without a word, when it is terminated.
    """
    try:
        import tyro
    except ModuleNotFoundError:
        return _fail('tyro is needed for the command line: pip install "locenc[csp]"')
    recipe = tyro.extras.subcommand_cli_from_dict(
        COMMANDS,
        prog="locenc-csp",
        description="Contrastive spatial pre-training of location encoders.",
        args=arguments,
    )
    code = 0
    try:
        with terminable() if os.environ.get("WORLD_SIZE", "1") == "1" else nullcontext():
            _RUN[type(recipe)](recipe)
    except KeyboardInterrupt as error:
        what, code = ("terminated", 143) if isinstance(error, Terminated) else ("interrupted", 130)
        print(f"{what}; the same command continues where it stopped", file=sys.stderr)
    except (ValueError, TypeError, OSError, ImportError, FloatingPointError) as error:
        code = _fail(str(error))
    if isinstance(recipe, Pretrain):
        from locenc_csp.joining import end_if_several

        end_if_several(code)
    return code


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 1


def _data(recipe: Data) -> None:
    from locenc_csp.building import build_data

    build_data(recipe)


def _import(recipe: Import | ImportTable) -> None:
    from locenc_csp.datasets.importing import import_published, import_table

    done = import_published(recipe) if isinstance(recipe, Import) else import_table(recipe)
    roles = ", ".join(f"{count} {name}" for name, count in done.meta["rows"].items())
    print(f"{done.meta['title']}: {done.meta['num_rows']} rows{f' ({roles})' if roles else ''}")
    print(f"  {len(done.meta['classes'])} classes; {done.meta['without_location']} rows without a location, kept")
    print(f"table: {done.table}")
    if done.features is not None:
        print(f"features: {done.features}")
    for path in done.probabilities.values():
        print(f"P(class | image): {path}")
    if "terms" in done.meta:
        print(f"terms: {done.meta['terms']}")


def _features(recipe: Features) -> None:
    from locenc_csp.extracting import build_features

    print(f"features: {build_features(recipe)}")


def _pretrain(recipe: Pretrain) -> None:
    from locenc_csp.joining import is_first
    from locenc_csp.pretraining import pretrain

    encoder = pretrain(recipe)
    if is_first():
        print(f"encoder: {encoder}")


def _finetune(recipe: Finetune) -> None:
    from locenc_csp.finetuning import finetune

    result = finetune(recipe)
    chosen = result["chosen"]
    print(f"{result['num_labels']} labels, {len(result['classes'])} classes")
    settings = [f"{name} {value:g}" for name, value in chosen.items() if name not in ("mode", "val_top1")]
    top1 = "no rows" if chosen["val_top1"] is None else format(chosen["val_top1"], ".3f")
    print(f"chosen: {', '.join([chosen['mode'], *settings])}; top-1 on validation: {top1}")
    print(f"run: {recipe.out}")


def _evaluate(recipe: Evaluate) -> None:
    from locenc_csp.evaluating import evaluate

    report = evaluate(recipe)
    for branch, scores in report["scores"].items():
        numbers = ", ".join(f"{name} {scores[name]:.3f}" for name in ("top1", "top3", "top5", "top10", "mrr"))
        print(f"{branch:10} {numbers}, {scores['count']} rows")
    if found := report.get("calibration"):
        before, after = (found[when]["expected_calibration_error"] for when in ("before", "after"))
        print(f"location   temperature {found['temperature']:.3g}, calibration error {before:.3f}, then {after:.3f}")
    if found := report.get("geo_bias"):
        names = [name for name in found if name[:3] in ("ssi", "sri")]
        numbers = ", ".join(f"{name} {'none' if found[name] is None else format(found[name], '.4g')}" for name in names)
        print(f"geo-bias   {numbers}; {report['branch']}, within {found['radius_km']:g} km")
    if recipe.map:
        print(f"map: {recipe.map}")


def _demo(recipe: Demo) -> None:
    from locenc_csp.demo import run_demo

    run_demo(recipe)


def _table(recipe: Table) -> None:
    from locenc_csp.table import run_table

    print(f"table: {run_table(recipe)}")


_RUN: dict[type[Any], Callable[[Any], None]] = {
    Data: _data,
    Import: _import,
    ImportTable: _import,
    Features: _features,
    Pretrain: _pretrain,
    Finetune: _finetune,
    Evaluate: _evaluate,
    Demo: _demo,
    Table: _table,
}

if __name__ == "__main__":
    sys.exit(main())
