"""One training loop: knows steps, seeds, checkpoints and metrics, and nothing of what it trains.

Every random number of a run is drawn from generators keyed by (seed, epoch) or (seed, step), so a run that was
killed and started again continues exactly: on the CPU it ends in the same bits.
"""

import io
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from locenc._files import explained, write_bytes, write_text
from locenc_csp.balance import Balance
from locenc_csp.early_stop import EarlyStop
from locenc_csp.losses import Losses, numbers
from locenc_csp.optimisers import Group, make_optimiser, make_rate
from locenc_csp.processes import ALONE, Ranks
from locenc_csp.recipes import Schedule

CHECKPOINT, METRICS = "checkpoint.pt", "metrics.jsonl"

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
    plan = _Plan(rows.to(device), schedule, balance)
    optimiser = make_optimiser(model, schedule, groups)
    rate = make_rate(optimiser, schedule, num_steps=plan.num_steps, steps_per_epoch=plan.steps_per_epoch)
    kept = {"model": model, "optimiser": optimiser, "rate": rate}
    if early_stop is not None:
        kept["early_stop"] = early_stop
    state = _Checkpoint(folder, kept, dict(fingerprint or {}))
    start = state.load(ranks)
    log, losses = _Metrics(folder, start), Losses(schedule.log_every)

    with (
        torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
        tqdm(total=plan.num_steps, initial=start, desc=label, unit="step", disable=None if progress else True) as bar,
    ):
        try:
            for number, batch in plan.batches(start):
                if early_stop is not None and early_stop.is_over:
                    break
                torch.manual_seed(_key(schedule.seed, 1, number))
                loss, terms = step(batch, torch.Generator(device).manual_seed(_key(schedule.seed, 2, number)))
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


@dataclass(frozen=True)
class _Plan:
    """Which rows each step takes: a function of seed and step alone."""

    rows: Tensor
    schedule: Schedule
    balance: Balance | None = None

    def __post_init__(self) -> None:
        if len(self.rows) == 0:
            raise ValueError("no rows to train on: every row was left out by its split, label or location")

    @property
    def batch_size(self) -> int:
        return min(self.schedule.batch_size, self._rows_per_epoch)

    @property
    def steps_per_epoch(self) -> int:
        return self._rows_per_epoch // self.batch_size

    @property
    def _rows_per_epoch(self) -> int:
        return len(self.rows) if self.balance is None else self.balance.num_rows

    @property
    def num_steps(self) -> int:
        return self.schedule.steps or self.schedule.epochs * self.steps_per_epoch

    def batches(self, start: int) -> Iterator[tuple[int, Tensor]]:
        order, drawn = torch.empty(0, dtype=torch.int64), -1
        for number in range(start, self.num_steps):
            epoch, place = divmod(number, self.steps_per_epoch)
            if epoch != drawn:
                generator = torch.Generator().manual_seed(_key(self.schedule.seed, 0, epoch))
                shuffled = torch.randperm(len(self.rows), generator=generator)  # on the CPU: the same for all devices
                if self.balance is not None:
                    shuffled = self.balance.keep(shuffled)
                order, drawn = self.rows[shuffled.to(self.rows.device)], epoch
            yield number, order[place * self.batch_size : (place + 1) * self.batch_size]


class _Checkpoint:
    """The state of a run on disk, replaced atomically."""

    def __init__(self, folder: Path | None, parts: dict[str, Any], fingerprint: Any) -> None:
        self.path = None if folder is None else folder / CHECKPOINT
        self.parts = parts
        self.fingerprint = json.loads(json.dumps(fingerprint, default=str))
        self.saved = 0

    def save(self, step: int) -> None:
        if self.path is None:
            return
        states = {name: part.state_dict() for name, part in self.parts.items()}
        content = {"step": step, "fingerprint": json.dumps(self.fingerprint), **states}
        buffer = io.BytesIO()  # torch's own writer turns a full disk into an error that names no file
        torch.save(content, buffer)
        write_bytes(self.path, buffer.getvalue())
        self.saved = step

    def load(self, ranks: Ranks) -> int:
        """Continue from the first rank's file, if there is one: the number of steps done."""
        content = ranks.from_first(self._read())
        if content is None:
            return 0
        for name, part in self.parts.items():
            part.load_state_dict(content[name])
        self.saved = int(content["step"])
        return self.saved

    def _read(self) -> dict[str, Any] | None:
        if self.path is None or not self.path.exists():
            return None
        content = read_checkpoint(self.path)
        there = json.loads(content["fingerprint"])
        if (difference := first_difference(there, self.fingerprint)) is not None:
            raise ValueError(
                f"{self.path} belongs to another run: {difference}. Choose another output folder, or delete "
                f"{self.path.parent}"
            )
        return content

    def where(self) -> str:
        return "the start" if self.path is None or not self.saved else f"step {self.saved} ({self.path})"


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of `fit`.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If the file is damaged or holds something else.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}: expected the {CHECKPOINT} of a pre-training run")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        missing = {"step", "fingerprint", "model"} - set(content)
    except Exception as error:  # torch raises many types for a damaged file
        raise ValueError(f"{path} is damaged or cut short ({error!s:.200}); delete it to start over") from error
    if missing:
        raise ValueError(f"{path} is no checkpoint of this trainer: it lacks {', '.join(sorted(missing))}")
    return dict(content)


class _Metrics:
    """metrics.jsonl: one line of numbers each; lines past the checkpoint are dropped when a run is continued."""

    def __init__(self, folder: Path | None, start: int) -> None:
        self.path = None if folder is None else folder / METRICS
        self.clock, self.step = time.perf_counter(), start
        if self.path is not None:
            kept = [line for line in self._lines() if line["step"] <= start]
            write_text(self.path, "".join(json.dumps(line) + "\n" for line in kept))

    def _lines(self) -> Iterator[dict[str, Any]]:
        if self.path is None or not self.path.exists():
            return
        for text in self.path.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(text)
            except ValueError:  # a line that a kill cut short
                return

    def rate(self, step: int, batch_size: int) -> float:
        now = time.perf_counter()
        seconds, steps = now - self.clock, step - self.step
        self.clock, self.step = now, step
        return round(steps * batch_size / max(seconds, 1e-9), 1)

    def write(self, step: int, **values: float) -> None:
        if self.path is not None:
            try:
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"step": step, **values}) + "\n")
            except OSError as error:
                raise explained(error, self.path, "The last checkpoint is whole") from error


def _in_eval_mode(model: nn.Module, validate: Validate) -> dict[str, float]:
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.inference_mode():
            return dict(validate())
    finally:
        for module, mode in training.items():
            module.training = mode


def _key(seed: int, stream: int, number: int) -> int:
    """Make an independent 63-bit seed for each (seed, stream, number)."""
    return int(np.random.SeedSequence([seed, stream, number]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def first_difference(there: Mapping[str, Any], here: Mapping[str, Any], prefix: str = "") -> str | None:
    """Say how the settings of a run on disk differ from those of the present one; None where they are equal.

    A setting that is absent is one that was not given, None: runs of before an option existed go on.
    """
    for key in sorted({*there, *here}):
        old, new = there.get(key), here.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            if (inner := first_difference(old, new, f"{prefix}{key}.")) is not None:
                return inner
        elif old != new:
            return f"{prefix}{key} was {old!r}, now {new!r}"
    return None
