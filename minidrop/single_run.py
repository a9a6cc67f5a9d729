"""One training run: what it is made of, where it stands, and the parts of its loop."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from minidrop.checkpoint import HostArrays, Row, TrainingState, load_checkpoint, save_checkpoint
from minidrop.data.batches import Batches
from minidrop.errors import (
    ArgumentError,
    DivergenceError,
    Interrupted,
    check_choice,
    check_type,
)
from minidrop.optim import Optimizer, largest_row_norm
from minidrop.optim.schedules import Schedule
from minidrop.replica_step import ReplicaStep
from minidrop.training import TrainStep, evaluate

#: A mean loss above this is a run that has diverged, although its numbers may still be finite: guessing has a
#: loss of ln(classes), 2.3 for ten, and a network that is wrong with certainty e^-100 has 100.
DIVERGED = 1e4


@dataclass(frozen=True)
class Replica:
    """One of the runs that `fit_replicas` trains at once: what `fit` is told of a run, and its name.

    Args:
        step: the model with its loss and optimizer; no other replica's.
        train: what to learn from.
        validation: what to choose the best epoch by; None for the last epoch.
        test: what to report beside it.
        schedules: attributes of the optimizer as functions of the epoch.
        checkpoint: the file to save to, no other replica's; None for none.
        config: what else to write into the checkpoint.
        on_save: is called with the state after each checkpoint, and when one is resumed from.
        name: what messages call the run.

    `fit_replicas` looks at all this, and raises what `fit` would.

    >>> import minidrop as md
    >>> model, train = md.Linear(64, 10), md.data.Batches(md.data.load("digits").train, 500)
    >>> step = md.TrainStep(model, md.SoftmaxCrossEntropy(), md.SGD(model.parameters(), lr=0.01))
    >>> md.fit_replicas([md.Replica(step, train, name="seed 0")], epochs=2)[0].best_epoch
    2
    """

    step: TrainStep
    train: Batches
    validation: Batches | None = None
    test: Batches | None = None
    schedules: Mapping[str, Schedule] = field(default_factory=dict)
    checkpoint: str | Path | None = None
    config: Mapping[str, Any] | None = None
    on_save: Callable[[TrainingState], None] | None = None
    name: str = ""


def scheduled(optimizer: Optimizer) -> list[str]:
    """What a schedule may set: an optimizer's settable properties, and a number of a class of one's own."""
    kind = type(optimizer)
    properties = [name for name in dir(kind) if getattr(getattr(kind, name), "fset", None)]
    return properties + [
        name for name, value in vars(optimizer).items() if isinstance(value, float) and name[0] != "_"
    ]


class SingleRun:
    """The state of one run, and the parts of its loop."""

    def __init__(self, replica: Replica) -> None:
        step, schedules, checkpoint = replica.step, replica.schedules, replica.checkpoint
        check_type("step", step, TrainStep)
        for what in ("train", "validation", "test"):
            if what == "train" or getattr(replica, what) is not None:
                such_as = f"md.data.Batches(dataset.{what}, 100)"
                check_type(what, getattr(replica, what), Batches, such_as)
        for name, schedule in schedules.items():
            if not callable(schedule):
                raise ArgumentError(
                    f"the schedule of {name} must be a function of the epoch, such as "
                    f"md.schedules.constant(0.1); got {schedule!r}"
                )
        for name in schedules:
            check_choice("what a schedule sets", name, scheduled(step.optimizer))
        if getattr(step.loss, "reduction", "mean") != "mean":
            raise ArgumentError('fit adds up means of batches: give TrainStep a loss with reduction="mean"')
        self.step, self.train, self.config = step, replica.train, replica.config
        self.on_save, self.name = replica.on_save, replica.name
        self.evaluations = {"validation": replica.validation, "test": replica.test}
        self.schedules = schedules
        self.path = None if checkpoint is None else Path(checkpoint)
        self.parameters = step.model.parameters()
        self.state = TrainingState(order=replica.train.recipe)
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
        """Go back to where the checkpoint was written; ArgumentError if that is after `epochs` epochs.

        Within the next epoch is after them, too: these are not the weights that the last one ended with.
        """
        assert self.path is not None
        order = self.train.recipe
        state, best, _ = load_checkpoint(self.path, self.parameters, self.step.optimizer, order)
        if (state.epoch, state.batch) > (epochs, 0):
            begun = " and a part of the next" if state.batch else ""
            raise ArgumentError(
                f"the run has {state.epoch} epochs{begun} already; it cannot end after {epochs}"
            )
        self.state, self.best = state, best or None
        if self.on_save is not None:
            self.on_save(self.state)

    def load_best(self) -> None:
        """Leave the best weights in the model."""
        if self.best is not None:
            self.step.model.load_state_dict(self.best)

    def interrupted(self, several: int) -> None:
        """Say where the run, which is saved like the others of `several`, has come to."""
        state = self.state
        where = f"epoch {state.epoch + 1} after batch {state.batch} of {len(self.train)}"
        saved = f"saved in {self.path}" if self.path else "nothing is saved: fit was given no checkpoint"
        if several > 1:
            where = f"{where} ({self.name or 'the first run'})"
            saved = f"all {several} runs are saved" if self.path else saved
        raise Interrupted(f"interrupted in {where}; {saved}")
