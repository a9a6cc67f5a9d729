"""Replicas: several seeds of one configuration, trained at once, for a mean with its spread.

config.json    the configuration, with replicas = K
versions.json  versions and machine
seed-0/ ...    a whole run folder for each seed, the one that the seed would have alone
history.csv    one row an epoch: means, and standard deviations as NAME_std
curves.png     the means with a band of one standard deviation
summary.json   the test set: mean, standard deviation, 95 % interval and each seed's value
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from minidrop.checkpoint import TrainingState
from minidrop.config import TrainConfig
from minidrop.data.datasets import load
from minidrop.intervals import mean_row, spread
from minidrop.progress import Reporter, silent
from minidrop.run_folder import (
    RESUMABLE,
    check_free,
    claimed,
    create_folder,
    read_changed,
    write_history,
    write_json,
)
from minidrop.runs import Run, plot_run, train_runs
from minidrop.training import Evaluation


class ReplicaRun:
    """A configuration with several seeds, in a folder that has the run of each seed inside.

    Args:
        config: every choice; the seeds are seed, seed + 1, ..., seed + replicas - 1.
        folder: see `Run`.

    Raises:
        ArgumentError, DataError, BackendError: if the configuration cannot be built.
    """

    folder: Path

    def __init__(self, config: TrainConfig, folder: Path | None = None) -> None:
        self.config = config
        self.config_changed = False
        seeds = range(config.seed, config.seed + config.replicas)
        dataset = load(config.dataset, config.data_dir)
        self.runs = [Run(replace(config, seed=seed, replicas=1), dataset=dataset) for seed in seeds]
        if folder is not None:
            self._place(folder)

    def _place(self, folder: Path) -> None:
        self.folder = folder
        for run in self.runs:
            run.folder = folder / f"seed-{run.config.seed}"

    def create(self) -> None:
        """Make the folder, and in it that of each seed; see `Run.create`."""
        for run in self.runs if hasattr(self, "folder") else ():
            check_free(run.folder)
        self._place(create_folder(getattr(self, "folder", None), self.config))
        for run in self.runs:
            run.create()

    def execute(
        self, *, resume: bool = False, reporter: Reporter = silent, plot: bool = True
    ) -> list[tuple[TrainingState, Evaluation]]:
        """Train all seeds, and return what `Run.execute` returns for each; see there."""
        with ExitStack() as claims:
            for folder in (self.folder, *(run.folder for run in self.runs)):
                claims.enter_context(claimed(folder))
            return self._execute(resume, reporter, plot)

    def _execute(
        self, resume: bool, reporter: Reporter, plot: bool
    ) -> list[tuple[TrainingState, Evaluation]]:
        for run in self.runs:
            if not (run.folder / "config.json").exists():  # it was killed while it made its folders
                run.create()
            run.config_changed = self.config_changed
        try:
            train_runs(self.runs, resume=resume, reporter=reporter, plot=plot)
        finally:
            self._write_means(plot)
        results = [run.finish(plot) for run in self.runs]
        states = [run.state for run in self.runs]
        summary = {
            "seeds": [run.config.seed for run in self.runs],
            "best_epoch": [state.best_epoch for state in states],
            "last_epoch": mean_row([state.history[-1] for state in states]),
            "test": {
                "loss": spread([result.loss for result in results]),
                "errors": spread([result.errors for result in results]),
                "size": results[0].size,
            },
        }
        write_json(self.folder / "summary.json", summary)
        return list(zip(states, results, strict=True))

    def _write_means(self, plot: bool) -> None:
        """Write history.csv and curves.png as far as all seeds are; config.json if a resume changed it."""
        if self.config_changed and not any(run.config_changed for run in self.runs):
            write_json(self.folder / "config.json", self.config.to_dict())
        histories = [run.state.history for run in self.runs]
        if means := [mean_row(rows) for rows in zip(*histories, strict=False)]:
            write_history(self.folder / "history.csv", means)
            if plot:
                what = f"mean ± s of {len(self.runs)} seeds"
                plot_run(self.config, means, self.folder / "curves.png", what)

    def evaluate(self, part: str) -> list[Evaluation]:
        """How each seed's model does; see `Run.evaluate`."""
        return [run.evaluate(part) for run in self.runs]

    def load_weights(self) -> None:
        """Put the weights of each seed's checkpoint into its model; see `Run.load_weights`."""
        for run in self.runs:
            run.load_weights()


def make_run(config: TrainConfig, folder: Path | None = None) -> Run | ReplicaRun:
    """A run of one seed or of several, as the configuration says."""
    return Run(config, folder) if config.replicas == 1 else ReplicaRun(config, folder)


def open_run(
    folder: str | Path, explicit: Mapping[str, Any] | None = None, changeable: Sequence[str] = RESUMABLE
) -> Run | ReplicaRun:
    """The run in `folder`, of one seed or of several; see `minidrop.runs.open_run`."""
    config, changed = read_changed(Path(folder), explicit, changeable)
    run = make_run(config, Path(folder))
    run.config_changed = changed
    return run
