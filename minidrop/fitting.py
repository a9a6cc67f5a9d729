"""The training loop, and what it promises about stopping and going on."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from minidrop.checkpoint import HostArrays, Row, TrainingState, load_checkpoint, save_checkpoint
from minidrop.data.batches import Batches
from minidrop.errors import ArgumentError, DivergenceError, Interrupted, check_count
from minidrop.optim import largest_row_norm
from minidrop.optim.schedules import Schedule
from minidrop.progress import Reporter, silent
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
    check_count("epochs", epochs)
    check_count("checkpoint_every", checkpoint_every)
    run = _Run(step, train, validation, test, schedules or {}, checkpoint, config, on_save)
    if resume and checkpoint is not None and Path(checkpoint).exists():
        run.load(epochs)
    else:
        run.save()
    with (
        _signals() as stop,
        reporter.running(run.state.epoch, epochs, len(train)) as report,
        np.errstate(over="ignore", divide="ignore", invalid="ignore"),  # what overflows is a DivergenceError
    ):
        while run.state.epoch < epochs:
            for loss in run.epoch():
                report.batch(run.state.batch, loss)
                if stop.is_set():
                    run.interrupted()
            row = run.finish_epoch()
            if run.state.epoch % checkpoint_every == 0 or run.state.epoch == epochs:
                run.save()
            report.epoch(row)
    run.load_best()
    return run.state


class _Run:
    """The state of `fit` and the parts of its loop."""

    def __init__(
        self,
        step: TrainStep,
        train: Batches,
        validation: Batches | None,
        test: Batches | None,
        schedules: Mapping[str, Schedule],
        checkpoint: str | Path | None,
        config: Mapping[str, Any] | None,
        on_save: Callable[[TrainingState], None] | None,
    ) -> None:
        foreign = [name for name in schedules if not hasattr(step.optimizer, name)]
        if foreign:
            raise ArgumentError(f"{type(step.optimizer).__name__} has no {foreign[0]} to schedule")
        self.step, self.train, self.config, self.on_save = step, train, config, on_save
        self.evaluations = {"validation": validation, "test": test}
        self.schedules = schedules
        self.path = None if checkpoint is None else Path(checkpoint)
        self.parameters = step.model.parameters()
        self.state = TrainingState()
        self.best: HostArrays | None = None

    def epoch(self) -> Iterator[float | None]:
        """Train on what is left of the epoch, yielding each batch's loss if it is known."""
        state, optimizer = self.state, self.step.optimizer
        for name, schedule in self.schedules.items():
            setattr(optimizer, name, schedule(state.epoch))
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
        raise DivergenceError(
            f"{what} in epoch {self.state.epoch + 1}, step {optimizer.steps} ({where}): the run has "
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
        """Save, and say so."""
        self.look()
        self.save()
        state = self.state
        where = f"epoch {state.epoch + 1} after batch {state.batch} of {len(self.train)}"
        saved = f"saved in {self.path}" if self.path else "nothing is saved: fit was given no checkpoint"
        raise Interrupted(f"interrupted in {where}; {saved}")


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; a second one acts as usual. Only the main thread can listen."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {number: handler for number, handler in handlers.items() if handler is not None}

    def request(number: int, frame: Any) -> None:
        stop.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, request)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
