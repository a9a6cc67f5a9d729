"""The training loop, and what it promises about stopping and going on."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from minidrop.checkpoint import HostArrays, Row, TrainingState, load_checkpoint, save_checkpoint
from minidrop.data.batches import Batches, ReplicaBatches, are_alike
from minidrop.errors import ArgumentError, DivergenceError, Interrupted, check_count
from minidrop.intervals import mean_row
from minidrop.optim import largest_row_norm
from minidrop.optim.schedules import Schedule
from minidrop.progress import Report, Reporter, silent
from minidrop.replica_step import ReplicaStep, are_replicas
from minidrop.signals import stop_requests
from minidrop.training import TrainStep, evaluate

#: A mean loss above this is a run that has diverged, although its numbers may still be finite: guessing has a
#: loss of ln(classes), 2.3 for ten, and a network that is wrong with certainty e^-100 has 100.
DIVERGED = 1e4


def fit(
    step: TrainStep,
    train: Batches,
    epochs: int,
    *,
    validation: Batches | None = None,
    test: Batches | None = None,
    schedules: Mapping[str, Schedule] | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 1,
    resume: bool = False,
    config: Mapping[str, Any] | None = None,
    on_save: Callable[[TrainingState], None] | None = None,
    reporter: Reporter = silent,
) -> TrainingState:
    """Train for `epochs` epochs and return the history, leaving the best weights in the model.

    The best epoch is the one with the fewest validation errors, then the least validation loss; without a
    validation set it is the last. The test set is looked at each epoch for the history, and chooses nothing.

    With a `checkpoint`, the run is saved before the first epoch, after every `checkpoint_every` ones, at the
    end and when it is interrupted; resumed from there it gives the same weights, slots and history, bit for
    bit, as a run that never stopped. Ctrl-C or SIGTERM lets the step under way finish first. On a device the
    losses are read once an epoch, or when the run is interrupted.

    Args:
        step: the model with its loss and optimizer.
        train: what to learn from.
        epochs: how many epochs in all, those before a resume included.
        validation: what to choose the best epoch by.
        test: what to report beside it.
        schedules: attributes of the optimizer as functions of the epoch: {"lr": ..., "momentum": ...}.
        checkpoint: the file to save to.
        checkpoint_every: how many epochs apart.
        resume: go on from `checkpoint`, if that file exists.
        config: what else to write into the checkpoint.
        on_save: is called with the state after each checkpoint, and when one is resumed from.
        reporter: is told of progress.

    Raises:
        DivergenceError: naming epoch and step, when the loss is no longer finite or above 1e4; the last
            checkpoint stays as it was.
        Interrupted: after a signal, once the run is saved.
        CheckpointError: if a checkpoint cannot be written, or cannot be resumed from.
    """
    one = Replica(step, train, validation, test, schedules or {}, checkpoint, config, on_save)
    options: dict[str, Any] = {"checkpoint_every": checkpoint_every, "resume": resume, "reporter": reporter}
    return fit_replicas([one], epochs, **options)[0]


@dataclass(frozen=True)
class Replica:
    """One of the runs that `fit_replicas` trains at once: what `fit` is told of a run, and its name."""

    step: TrainStep
    train: Batches
    validation: Batches | None = None
    test: Batches | None = None
    schedules: Mapping[str, Schedule] = field(default_factory=dict)
    checkpoint: str | Path | None = None
    config: Mapping[str, Any] | None = None
    on_save: Callable[[TrainingState], None] | None = None
    name: str = ""


def fit_replicas(
    replicas: Sequence[Replica],
    epochs: int,
    *,
    checkpoint_every: int = 1,
    resume: bool = False,
    reporter: Reporter = silent,
) -> list[TrainingState]:
    """Train several runs at once, such as one configuration's with several seeds; return their histories.

    They have nothing to do with one another, so each is the run that `fit` makes of it: on NumPy a thread
    takes one batch of whichever run is waiting, with its products to itself, and the bits are those of a run
    on one thread. No run begins an epoch before all have ended the one before.

    Args:
        replicas: the runs, each with a model, an optimizer, batches and a checkpoint file of its own.
        epochs: see `fit`.
        checkpoint_every: see `fit`.
        resume: see `fit`; a run whose checkpoint is older than the others' catches up with them first.
        reporter: is told the mean over the runs, see `mean_row`.

    Raises:
        DivergenceError: see `fit`; if one run diverges, all stop.
        Interrupted: see `fit`.
        CheckpointError: see `fit`.

    >>> import minidrop as md
    >>> digits = md.data.load("digits")
    >>> def replica(seed):
    ...     model = md.Sequential(md.Linear(64, 32), md.ReLU(), md.Dropout(0.2), md.Linear(32, 10), seed=seed)
    ...     step = md.TrainStep(model, md.SoftmaxCrossEntropy(), md.Momentum(model.parameters(), lr=0.001))
    ...     return md.Replica(step, md.data.Batches(digits.train, 50, seed=seed))
    >>> states = md.fit_replicas([replica(seed) for seed in range(3)], epochs=2)
    >>> [len(state.history) for state in states]
    [2, 2, 2]
    """
    check_count("epochs", epochs)
    check_count("checkpoint_every", checkpoint_every)
    check_count("the number of replicas", len(replicas))
    runs = [_Run(replica) for replica in replicas]
    for run in runs:
        if resume and run.path is not None and run.path.exists():
            run.load(epochs)
        else:
            run.save()
    done = min(run.state.epoch for run in runs)
    with (
        stop_requests() as stop,
        reporter.running(done, epochs, sum(len(run.train) for run in runs)) as report,
        np.errstate(over="ignore", divide="ignore", invalid="ignore"),  # what overflows is a DivergenceError
    ):
        for epoch in range(done + 1, epochs + 1):
            saves = epoch % checkpoint_every == 0 or epoch == epochs
            _train_until(epoch, runs, stop, report, saves)
            unfinished = [run for run in runs if run.state.epoch < epoch]
            if unfinished:
                for run in runs:
                    run.save_midway()
                unfinished[0].interrupted()
            rows = [run.state.history[epoch - 1] for run in runs]
            report.epoch(rows[0] if len(runs) == 1 else mean_row(rows))
    for run in runs:
        run.load_best()
    return [run.state for run in runs]


def _train_until(
    epoch: int, runs: Sequence["_Run"], stop: threading.Event, report: Report, saves: bool
) -> None:
    """Bring every run to the end of `epoch`, unless it is there or `stop` is set."""
    waiting = deque(_groups([run for run in runs if run.state.epoch < epoch]))
    reporting = threading.Lock()

    def work(_: int) -> None:
        while not stop.is_set():
            try:
                group, batches = waiting.popleft()
            except IndexError:  # the others have what is left
                return
            try:
                for loss in batches:
                    with reporting:
                        report.batch(sum(run.batches_of(epoch) for run in runs), loss)
                    waiting.append((group, batches))
                    break
                else:
                    for run in group:
                        run.finish_epoch()
                        if saves:
                            run.save()
            except BaseException:
                stop.set()
                raise

    if len(runs) == 1:
        work(0)
    else:
        runs[0].step.model.backend.side_by_side(work, len(waiting))


def _groups(runs: "list[_Run]") -> "Iterator[tuple[list[_Run], Iterator[float | None]]]":
    """Runs that take their steps together, with the losses of their epoch: on a device all, if they can."""
    first, steps, batches = runs[0], [run.step for run in runs], [run.train for run in runs]
    for run in runs:
        run.set_rates()
    alike = are_replicas(steps) and are_alike(batches)
    if not alike or any(run.state.batch != first.state.batch for run in runs):
        for run in runs:
            yield [run], run.epoch()
        return
    if first.together is None or first.together.steps != steps:
        first.together = ReplicaStep(steps)
    yield runs, _epoch_together(runs, first.together)


def _epoch_together(runs: "list[_Run]", step: ReplicaStep) -> Iterator[None]:
    """Train all runs on what is left of the epoch."""
    state, sums = runs[0].state, [run.state.loss_sum for run in runs]
    batches = ReplicaBatches([run.train for run in runs])
    for loss in step.epoch(batches, state.epoch, state.batch, sums):
        for run in runs:
            run.state.batch = run.step.tally.batches
        yield loss
    for run in runs:
        run.look()


class _Run:
    """The state of one run, and the parts of its loop."""

    def __init__(self, replica: Replica) -> None:
        step, schedules, checkpoint = replica.step, replica.schedules, replica.checkpoint
        foreign = [name for name in schedules if not hasattr(step.optimizer, name)]
        if foreign:
            raise ArgumentError(f"{type(step.optimizer).__name__} has no {foreign[0]} to schedule")
        self.step, self.train, self.config = step, replica.train, replica.config
        self.on_save, self.name = replica.on_save, replica.name
        self.evaluations = {"validation": replica.validation, "test": replica.test}
        self.schedules = schedules
        self.path = None if checkpoint is None else Path(checkpoint)
        self.parameters = step.model.parameters()
        self.state = TrainingState()
        self.best: HostArrays | None = None
        self.together: ReplicaStep | None = None

    def batches_of(self, epoch: int) -> int:
        """How many batches of `epoch`, which is the present one or the last, are done."""
        return self.state.batch if self.state.epoch < epoch else len(self.train)

    def set_rates(self) -> None:
        """Give the optimizer the epoch's learning rate and momentum."""
        for name, schedule in self.schedules.items():
            setattr(self.step.optimizer, name, schedule(self.state.epoch))

    def epoch(self) -> Iterator[float | None]:
        """Train on what is left of the epoch, yielding each batch's loss if it is known."""
        state = self.state
        for loss in self.step.epoch(self.train, state.epoch, state.batch, state.loss_sum):
            state.batch = self.step.tally.batches
            if loss is not None:
                self._look("loss", loss)
            yield loss
        self.look()

    def look(self) -> None:
        """Look at the losses of the epoch so far."""
        state, train = self.state, self.train
        seen = min(state.batch * train.batch_size, train.size)
        self._look("mean loss of the epoch", self.step.tally.loss_sum / seen)

    def _look(self, what: str, loss: float) -> None:
        state = self.state
        if not loss < DIVERGED:
            self._diverged(f"the {what} became {loss:g}", f"batch {state.batch} of {len(self.train)}")
        state.loss_sum = self.step.tally.loss_sum

    def _diverged(self, what: str, where: str) -> NoReturn:
        optimizer = self.step.optimizer
        kept = "" if self.path is None else f"; the last good state is in {self.path}"
        name = self.name and f"{self.name}: "
        raise DivergenceError(
            f"{name}{what} in epoch {self.state.epoch + 1}, step {optimizer.steps} ({where}): the run has "
            f"diverged; lower the learning rate, {optimizer.lr:g} here, or limit the weights{kept}"
        )

    def finish_epoch(self) -> Row:
        """Evaluate, keep the best weights, and write the epoch's row."""
        state, optimizer, train = self.state, self.step.optimizer, self.train
        if not self.step.model.backend.xp.isfinite(self.parameters.flat_values).all():
            self._diverged("weights became infinite or NaN", "its last")
        seen = len(train) * train.batch_size if train.drop_last else train.size
        row: Row = {
            "epoch": state.epoch + 1,
            "step": optimizer.steps,
            "learning_rate": optimizer.lr,
            "momentum": getattr(optimizer, "momentum", None),
            "train_loss": state.loss_sum / seen,
        }
        for name, batches in self.evaluations.items():
            result = None if batches is None else evaluate(self.step.model, batches)
            if result is not None and not result.loss < DIVERGED:
                self._diverged(f"the {name} loss became {result.loss:g}", "its last")
            row |= {
                f"{name}_loss": result and result.loss,
                f"{name}_errors": result and result.errors,
                f"{name}_error": result and result.error,
            }
        row["largest_row_norm"] = largest_row_norm(self.parameters)
        state.epoch += 1
        state.history.append(row)
        state.batch, state.loss_sum = 0, 0.0
        if self.evaluations["validation"] is not None:
            rank = [(r["validation_errors"] or 0, r["validation_loss"] or 0) for r in state.history]
            if min(rank) == rank[-1] and rank.index(rank[-1]) == len(rank) - 1:
                state.best_epoch = state.epoch
                self.best = self.step.model.state_dict()
        else:
            state.best_epoch = state.epoch
        return row

    def save(self) -> None:
        """Write the checkpoint, if there is to be one."""
        if self.path is not None:
            optimizer = self.step.optimizer
            save_checkpoint(
                self.path, self.parameters, optimizer, self.state, best=self.best, config=self.config
            )
            if self.on_save is not None:
                self.on_save(self.state)

    def save_midway(self) -> None:
        """Write the checkpoint as the run is, between two batches."""
        if self.state.batch and self.state.batch == self.step.tally.batches:  # there are losses to look at
            self.look()
        self.save()

    def load(self, epochs: int) -> None:
        """Go back to where the checkpoint was written; ArgumentError if that is after `epochs` epochs."""
        assert self.path is not None
        self.state, best, _ = load_checkpoint(self.path, self.parameters, self.step.optimizer)
        self.best = best or None
        if self.state.epoch > epochs:
            raise ArgumentError(
                f"the run has {self.state.epoch} epochs already; it cannot end after {epochs}"
            )
        if self.on_save is not None:
            self.on_save(self.state)

    def load_best(self) -> None:
        """Leave the best weights in the model."""
        if self.best is not None:
            self.step.model.load_state_dict(self.best)

    def interrupted(self) -> None:
        """Say where the run, which is saved, has come to."""
        state = self.state
        where = f"epoch {state.epoch + 1} after batch {state.batch} of {len(self.train)}"
        saved = f"saved in {self.path}" if self.path else "nothing is saved: fit was given no checkpoint"
        raise Interrupted(f"interrupted in {where}; {saved}")
