"""The training loop, and what it promises about stopping and going on."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minidrop.captured_replicas import together
from minidrop.checkpoint import TrainingState
from minidrop.data.batches import Batches, ReplicaBatches, are_alike
from minidrop.errors import ArgumentError, CheckpointError, check_count
from minidrop.intervals import mean_row
from minidrop.optim.schedules import Schedule
from minidrop.progress import Report, Reporter, silent
from minidrop.replica_step import ReplicaStep, are_replicas
from minidrop.signals import stop_requests
from minidrop.single_run import Replica, SingleRun
from minidrop.training import TrainStep


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
        ArgumentError: if the step, batches or a schedule are of another kind, a count is below 1, the run has
            more epochs already, or it resumes without a checkpoint.
        DivergenceError: naming epoch and step, when the loss is no longer finite or above 1e4; the last
            checkpoint stays as it was.
        Interrupted: after a signal, once the run is saved.
        CheckpointError: if a checkpoint cannot be written, or cannot be resumed from; or if the file is there
            without `resume`, and would be lost.

    >>> import minidrop as md
    >>> model, train = md.Linear(64, 10), md.data.Batches(md.data.load("digits").train, 500)
    >>> step = md.TrainStep(model, md.SoftmaxCrossEntropy(), md.SGD(model.parameters()))
    >>> state = md.fit(step, train, epochs=3, schedules={"lr": md.schedules.exponential(0.01, 0.5)})
    >>> state.epoch, step.optimizer.steps, step.optimizer.lr  # 3 batches an epoch; 0.01 / 2²
    (3, 9, 0.0025)
    """
    one = Replica(step, train, validation, test, schedules or {}, checkpoint, config, on_save)
    options: dict[str, Any] = {"checkpoint_every": checkpoint_every, "resume": resume, "reporter": reporter}
    return fit_replicas([one], epochs, **options)[0]


def fit_replicas(
    replicas: Sequence[Replica],
    epochs: int,
    *,
    checkpoint_every: int = 1,
    resume: bool = False,
    reporter: Reporter = silent,
) -> list[TrainingState]:
    """Train several runs at once, such as one configuration's with several seeds; return their histories.

    They have nothing to do with one another, so each is the run that `fit` makes of it. On NumPy a thread
    takes one batch of whichever run is waiting, with its products to itself, and the bits are those of a run
    on one thread. On a device one step trains them all, to rounding, if they are fused chains that differ in
    their seeds s, s + 1, ... alone; otherwise they take turns. No run begins an epoch before all have ended
    the one before.

    Args:
        replicas: the runs, each with a model, an optimizer, batches and a checkpoint file of its own.
        epochs: see `fit`.
        checkpoint_every: see `fit`.
        resume: see `fit`; a run whose checkpoint is older than the others' catches up with them first.
        reporter: is told the mean over the runs, see `mean_row`.

    Raises:
        ArgumentError: see `fit`; also if there is no replica, or two share a model or a checkpoint.
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
    if resume and all(replica.checkpoint is None for replica in replicas):
        raise ArgumentError("resume goes on from a checkpoint: give its file as checkpoint")
    runs = [SingleRun(replica) for replica in replicas]
    for what, owned in (
        ("model", [id(run.step.model) for run in runs]),
        ("checkpoint", [run.path for run in runs if run.path is not None]),
    ):
        if len(set(owned)) < len(owned):
            raise ArgumentError(f"two of the replicas have one {what}: each needs its own")
    there = [run.path for run in runs if run.path is not None and run.path.exists()]
    if there and not resume:
        raise CheckpointError(f"{there[0]} is there already: go on with it by resume=True, or name another")
    for run in runs:
        if run.path in there:
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
                unfinished[0].interrupted(len(runs))
            rows = [run.state.history[epoch - 1] for run in runs]
            report.epoch(rows[0] if len(runs) == 1 else mean_row(rows))
    for run in runs:
        run.load_best()
    return [run.state for run in runs]


def _train_until(
    epoch: int, runs: Sequence[SingleRun], stop: threading.Event, report: Report, saves: bool
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


def _groups(runs: list[SingleRun]) -> Iterator[tuple[list[SingleRun], Iterator[float | None]]]:
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
        first.together = together(steps, ReplicaBatches(batches))
    yield runs, _epoch_together(runs, first.together)


def _epoch_together(runs: list[SingleRun], step: ReplicaStep) -> Iterator[None]:
    """Train all runs on what is left of the epoch."""
    state, sums = runs[0].state, [run.state.loss_sum for run in runs]
    for loss in step.epoch(state.epoch, state.batch, sums):
        for run in runs:
            run.state.batch = run.step.tally.batches
        yield loss
    for run in runs:
        run.look()
