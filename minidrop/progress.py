"""Progress: a live bar where the output is a terminal, plain lines where it is not, nothing if not asked."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

from minidrop.checkpoint import Row

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Report(Protocol):
    """What a run tells while it runs."""

    def batch(self, batch: int, loss: float | None) -> None:
        """`batch` batches of the epoch are done; the last had `loss`, if that is known by now."""

    def epoch(self, row: Row) -> None:
        """An epoch is complete."""


class Reporter(Protocol):
    """What `fit` takes: it is told when a run begins and gives what the run reports to."""

    def running(self, done: int, epochs: int, batches: int) -> AbstractContextManager[Report]:
        """A run of `epochs` epochs of `batches` batches begins, after `done` epochs."""
        ...


class _Silent:
    def batch(self, batch: int, loss: float | None) -> None:
        pass

    def epoch(self, row: Row) -> None:
        pass

    @contextmanager
    def running(self, done: int, epochs: int, batches: int) -> Iterator[Report]:
        yield self


#: says nothing
silent: Reporter = _Silent()


def describe(row: Row) -> str:
    """An epoch in one line; of several seeds it is their mean with the standard deviation.

    >>> describe({"epoch": 3, "train_loss": 0.25, "validation_error": None, "test_error": 2.5})
    'epoch 3  train loss 0.2500  test error 2.50 %'
    """
    parts = [f"epoch {row['epoch']}", f"train loss {row['train_loss']:.4f}"]
    for name in ("validation", "test"):
        error, std = row.get(f"{name}_error"), row.get(f"{name}_error_std")
        if error is not None:
            spread = "" if std is None else f" (std {std:.2f})"
            parts.append(f"{name} error {error:.2f} %{spread}")
    return "  ".join(parts)


class Lines:
    """One line an epoch, with its time."""

    _since: float

    def batch(self, batch: int, loss: float | None) -> None:
        """Say nothing: lines are for epochs."""

    def epoch(self, row: Row) -> None:
        """Print the epoch's line."""
        now = time.perf_counter()
        print(f"{describe(row)}  {now - self._since:.1f} s", flush=True)
        self._since = now

    @contextmanager
    def running(self, done: int, epochs: int, batches: int) -> Iterator[Report]:
        """Begin to measure time."""
        self._since = time.perf_counter()
        yield self


class Bar:
    """A live bar over all batches, with the newest epoch beside it."""

    @contextmanager
    def running(self, done: int, epochs: int, batches: int) -> Iterator[Report]:
        """Show the bar until the run ends."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("epochs"),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
        )
        with Progress(*columns) as progress:
            task = progress.add_task("", total=epochs, completed=done)
            yield _BarReport(progress, task, done, batches)


class _BarReport:
    def __init__(self, progress: "Progress", task: "TaskID", done: float, batches: int) -> None:
        self.progress, self.task, self.done, self.batches = progress, task, done, batches

    def batch(self, batch: int, loss: float | None) -> None:
        self.progress.update(self.task, completed=self.done + batch / self.batches)

    def epoch(self, row: Row) -> None:
        self.done = row["epoch"] or 0
        self.progress.update(self.task, completed=self.done, description=describe(row))


def make_reporter() -> Reporter:
    """A bar if the standard output is a terminal, else lines."""
    import sys

    return Bar() if sys.stdout.isatty() else Lines()
