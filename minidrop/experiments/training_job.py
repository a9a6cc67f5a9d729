"""The most frequent job: one ordinary training run in the job's folder."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from minidrop.checkpoint import Row
from minidrop.config import from_dict, resolve
from minidrop.errors import DivergenceError
from minidrop.experiments.experiment import Job, Plan, Result
from minidrop.progress import Report
from minidrop.run_folder import CHECKPOINT, OUTPUTS
from minidrop.runs import Run, open_run

#: a plain network: what an experiment does not mention, it does without
PLAIN: dict[str, Any] = {
    "dropout": "0",
    "mode": "inverted",
    "init": "torch-linear",
    "bias_init": "torch-linear",
    "optimizer": "sgd",
    "limit": 0.0,
    "threads": 0,
}


def training(plan: Plan, key: str, config: Mapping[str, Any], **arguments: Any) -> Job:
    """A job that trains by `config`, keys of `minidrop train`, beginning from `PLAIN` and from no preset.

    Its result has `history`, a row an epoch as in history.csv, `best_epoch`, `test` with loss, errors and
    size, `seconds`, and `diverged`, None or why it did not come to its end.

    Args:
        plan: the plan, whose backend and data folder are filled in.
        key: see `Job`.
        config: what differs from `PLAIN`; validated here.
        arguments: functions as "module:function": `build(config)` makes the model; `probe(run)` is asked at
            the run's end, and `follow(run)` after each epoch, for what JSON can hold; the result has it as
            `probe` and, a list, `followed`.
    """
    filled = PLAIN | {"backend": plan.backend, "data_dir": plan.data_dir} | dict(config)
    return Job(key, train, {"config": resolve(filled, preset="digits").to_dict(), **arguments})


def train(
    folder: Path,
    config: Mapping[str, Any],
    build: str | None = None,
    probe: str | None = None,
    follow: str | None = None,
) -> Result:
    """Train, or go on where a run that was killed had come to, if that was of the same configuration."""
    since = time.perf_counter()
    make = None if build is None else function(build)
    path = folder / "run"
    resume = (path / CHECKPOINT).exists()
    if resume:
        run = open_run(path, config, build=make)
    else:
        run = Run(from_dict(config), path, build=make)
        for name in ("config.json", *OUTPUTS):  # of a run that has no checkpoint: none yet, or none any more
            (path / name).unlink(missing_ok=True)
        run.create()
    following = _Following(run, folder / "followed.jsonl", follow)
    diverged, result = None, None
    try:
        state, result = run.execute(resume=resume, reporter=following, plot=False)
    except DivergenceError as error:
        diverged, state = str(error), run.state
    return {
        "history": state.history,
        "best_epoch": state.best_epoch,
        "test": result and result._asdict(),
        "diverged": diverged,
        "probe": None if probe is None else function(probe)(run),
        "followed": following.read(state.epoch),
        "seconds": time.perf_counter() - since,
    }


class _Following:
    """A reporter that asks a function after each epoch, and writes the answers down at once."""

    def __init__(self, run: Run, path: Path, name: str | None) -> None:
        self.run, self.path = run, path
        self.ask = None if name is None else function(name)

    @contextmanager
    def running(self, done: int, epochs: int, batches: int) -> Iterator[Report]:
        """See `Reporter`."""
        yield self

    def batch(self, batch: int, loss: float | None) -> None:
        """Nothing is asked after a batch."""

    def epoch(self, row: Row) -> None:
        """Ask, and write it down."""
        if self.ask is not None:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps([row["epoch"], self.ask(self.run)]) + "\n")

    def read(self, epochs: int) -> list[Any]:
        """The answers by epoch; None for one that a kill came before."""
        if self.ask is None or not self.path.exists():
            return []
        answers = dict(json.loads(line) for line in self.path.read_text("utf-8").splitlines())
        return [answers.get(epoch) for epoch in range(1, epochs + 1)]


def function(name: str) -> Any:
    """The function that "module:function" names."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


def last(result: Result, key: str) -> float:
    """A number of a training's last epoch, such as test_error, in percent."""
    return float(result["history"][-1][key])


def curve(result: Result, key: str) -> list[float]:
    """A number of every epoch."""
    return [row[key] for row in result["history"]]
