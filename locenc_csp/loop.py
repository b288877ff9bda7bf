"""One training loop: knows steps, seeds, checkpoints and metrics, and nothing of what it trains.

Every random number of a run is drawn from generators keyed by (seed, epoch) or (seed, step), so a run that was
killed and started again continues exactly: on the CPU it ends in the same bits.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from locenc_csp.balance import Balance
from locenc_csp.batches import Plan, key
from locenc_csp.checkpoints import Checkpoint
from locenc_csp.early_stop import EarlyStop
from locenc_csp.losses import Losses, numbers
from locenc_csp.metrics_log import MetricsLog
from locenc_csp.optimisers import Group, make_optimiser, make_rate
from locenc_csp.processes import ALONE, Ranks
from locenc_csp.recipes import Schedule

#: Row numbers of a batch and the step's generator, to the loss and its terms.
Step = Callable[[Tensor, torch.Generator], tuple[Tensor, Mapping[str, Tensor]]]
Validate = Callable[[], Mapping[str, float]]


def fit(
    step: Step,
    model: nn.Module,
    rows: Tensor,
    schedule: Schedule,
    *,
    folder: Path | None = None,
    fingerprint: Mapping[str, Any] | None = None,
    validate: Validate | None = None,
    validate_every: int | None = None,
    early_stop: EarlyStop | None = None,
    groups: Sequence[Group] = (),
    balance: Balance | None = None,
    label: str = "training",
    progress: bool = True,
    ranks: Ranks = ALONE,
) -> None:
    """Train a model in place.

    Parameters
    ----------
    step : callable
        ``step(rows, generator) -> (loss, terms)``: the loss of a batch, and its terms as scalars for the log. Every
        random draw must come from the generator or from torch's global one, which is seeded for the step. Rows and
        generator are on the device of the model's parameters. The host looks at losses when they are logged, saved or
        validated, and does not wait for the device in between.
    model : Module
        Its parameters with ``requires_grad`` are trained, by AdamW; see `Schedule`.
    rows : Tensor
        ``(N,)`` int64 row numbers; batches are drawn from them without replacement, shuffled for each epoch. A last
        batch that is not full is left out.
    schedule : Schedule
        Epochs, batch size, learning rate, seed, and how often to save and to log.
    folder : Path, optional
        Where ``checkpoint.pt`` and ``metrics.jsonl`` go. A run found there is continued. Without it nothing is saved.
    fingerprint : mapping, optional
        Plain values that identify the run; a checkpoint with others is refused.
    validate : callable, optional
        Called in evaluation mode after each epoch and at the end; its numbers go to the metrics.
    validate_every : int, optional
        Steps between validations, in place of an epoch.
    early_stop : EarlyStop, optional
        Ends the training by what ``validate`` finds; the model is left with its best weights.
    groups : sequence of Group
        Parts of the model with a learning rate or a weight decay of their own.
    balance : Balance, optional
        Which of the N rows an epoch holds; all of them unless given.
    label : str
        Text before the progress bar.
    progress : bool
        Whether to show a bar (on a terminal only).
    ranks : Ranks
        Processes that all call this with the same; their gradients are averaged. The first alone writes, reads a run
        that is there, validates and shows a bar; checkpoints are those of one process.

    Raises
    ------
    ValueError
        If there are no rows, a checkpoint is damaged, or it belongs to another run.
    FloatingPointError
        If a loss is found not to be finite, when they are looked at; the last checkpoint is kept.
    OSError
        If a checkpoint cannot be written, and the one before stays whole; or another of the processes has ended.
    """
    if not ranks.is_first:
        folder, progress = None, False
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    device = parameters[0].device
    plan = Plan(rows.to(device), schedule, balance)
    optimiser = make_optimiser(model, schedule, groups)
    rate = make_rate(optimiser, schedule, num_steps=plan.num_steps, steps_per_epoch=plan.steps_per_epoch)
    kept = {"model": model, "optimiser": optimiser, "rate": rate}
    if early_stop is not None:
        kept["early_stop"] = early_stop
    state = Checkpoint(folder, kept, dict(fingerprint or {}))
    start = state.load(ranks)
    log, losses = MetricsLog(folder, start), Losses(schedule.log_every)

    with (
        torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
        tqdm(total=plan.num_steps, initial=start, desc=label, unit="step", disable=None if progress else True) as bar,
    ):
        try:
            for number, batch in plan.batches(start):
                if early_stop is not None and early_stop.is_over:
                    break
                torch.manual_seed(key(schedule.seed, 1, number))
                loss, terms = step(batch, torch.Generator(device).manual_seed(key(schedule.seed, 2, number)))
                losses.keep(loss)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                ranks.average_gradients(parameters)
                if schedule.max_grad_norm is not None:
                    nn.utils.clip_grad_norm_(parameters, schedule.max_grad_norm)
                optimiser.step()
                done = number + 1
                logs, saves = (
                    done % every == 0 or done == plan.num_steps for every in (schedule.log_every, schedule.save_every)
                )
                due = done % (validate_every or plan.steps_per_epoch) == 0 or done == plan.num_steps
                ends = validate is not None and due
                if logs or saves or ends:
                    losses.look(number)
                if logs:
                    values = numbers({"loss": loss, **{f"loss_{name}": value for name, value in terms.items()}})
                    log.write(
                        done,
                        epoch=number // plan.steps_per_epoch,
                        lr=float(rate.get_last_lr()[0]),
                        **values,
                        samples_per_second=log.rate(done, len(batch)),
                    )
                    bar.set_postfix_str(f"loss {values['loss']:.4f}", refresh=False)
                rate.step()
                if validate is not None and ends:
                    found = ranks.from_first(_in_eval_mode(model, validate) if ranks.is_first else None)
                    log.write(done, epoch=number // plan.steps_per_epoch, **found)
                    if early_stop is not None:
                        early_stop.look(found)
                bar.update()
                if saves or (early_stop is not None and early_stop.is_over):
                    state.save(done)
        except KeyboardInterrupt:
            if progress:
                bar.write(f"interrupted; the same command continues from {state.where()}")
            raise
    if early_stop is not None:
        early_stop.restore()


def _in_eval_mode(model: nn.Module, validate: Validate) -> dict[str, float]:
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.inference_mode():
            return dict(validate())
    finally:
        for module, mode in training.items():
            module.training = mode
