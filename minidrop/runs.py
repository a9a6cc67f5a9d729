"""Run folders: a training run with everything that is needed to look at it, repeat it or go on with it.

config.json             every choice; `minidrop train --config` takes it back
versions.json           versions and machine
history.csv             one row an epoch
checkpoint.safetensors  weights, optimizer slots, position: what --resume goes on from
model.safetensors       the resulting weights alone, under PyTorch's names
curves.png              loss, error, learning rate and momentum, largest row norm
summary.json            the result
"""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minidrop.building import (
    build_model,
    build_optimizer,
    build_scaling,
    build_schedules,
    check_fit,
)
from minidrop.checkpoint import TrainingState, load_weights, replacing, save_weights
from minidrop.config import TrainConfig, from_dict, read_config
from minidrop.data.batches import Batches
from minidrop.data.datasets import Dataset, Examples, load, split
from minidrop.errors import ArgumentError, ArrayError, CheckpointError, check_choice
from minidrop.layers import Sequential
from minidrop.losses import SoftmaxCrossEntropy
from minidrop.plots import plot_history
from minidrop.progress import Reporter, silent
from minidrop.training import Evaluation, TrainStep, evaluate, fit
from minidrop.versions import versions

#: what may change when a run is resumed, since the weights so far do not depend on it
RESUMABLE = ("epochs", "checkpoint_every", "data_dir")
#: examples that are evaluated at a time
EVALUATION_BATCH = 1000


class Run:
    """A configuration with its objects, in a folder.

    Args:
        config: every choice.
        folder: where the run is written.

    Raises:
        ArgumentError, DataError, BackendError: if the configuration cannot be built.
    """

    def __init__(self, config: TrainConfig, folder: Path) -> None:
        self.config = config
        self.folder = folder
        self.state = TrainingState()
        self.dataset: Dataset = load(config.dataset, config.data_dir)
        check_fit(config, self.dataset)
        self.model: Sequential = build_model(config)
        optimizer = build_optimizer(config, self.model)
        self.schedules = build_schedules(config, optimizer)
        self.step = TrainStep(self.model, SoftmaxCrossEntropy(backend=self.model.backend), optimizer)
        train, validation = split(self.dataset.train, config.validation, config.seed)
        self.examples = {"train": train, "validation": validation, "test": self.dataset.test}
        self.scaling = build_scaling(config, self.dataset)
        self.train = self._batches(train, config.batch_size, shuffle=True, drop_last=config.drop_last)

    def evaluation(self, part: str) -> Batches | None:
        """The train, validation or test examples in order, in large batches; None if there are none."""
        examples = self.examples[part]
        if examples is None:
            return None
        return self._batches(examples, min(EVALUATION_BATCH, len(examples)), shuffle=False)

    def _batches(self, examples: Examples, size: int, **options: bool) -> Batches:
        return Batches(
            examples,
            size,
            seed=self.config.seed,
            scaling=self.scaling,
            dtype=self.config.dtype,
            backend=self.model.backend,
            **options,
        )

    def create(self) -> None:
        """Make the folder, with config.json and versions.json.

        Raises:
            CheckpointError: if the folder holds a run already, or cannot be written to.
        """
        if any((self.folder / name).exists() for name in ("config.json", "checkpoint.safetensors")):
            raise CheckpointError(
                f"{self.folder} holds another run: choose another folder with --run, or go on with that run "
                "by --resume"
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CheckpointError(f"cannot make the run folder {self.folder}: {error.strerror}") from None
        self._write_json("versions.json", versions())
        self._write_json("config.json", self.config.to_dict())

    def execute(
        self, *, resume: bool = False, reporter: Reporter = silent
    ) -> tuple[TrainingState, Evaluation]:
        """Train, write the results into the folder, and return the history and how the test set is done.

        Raises:
            CheckpointError: if the folder cannot be written to, or cannot be resumed from.
            DivergenceError, Interrupted: as `fit`; what was learnt until then is in the folder.
        """
        try:
            state = self._fit(resume, reporter)
        finally:
            if self.state.history:
                self.plot()
        save_weights(self.folder / "model.safetensors", self.model.state_dict())
        result = self.evaluate("test")
        self._write_json(
            "summary.json",
            {"best_epoch": state.best_epoch, "last_epoch": state.history[-1], "test": result._asdict()},
        )
        return state, result

    def _fit(self, resume: bool, reporter: Reporter) -> TrainingState:
        return fit(
            self.step,
            self.train,
            self.config.epochs,
            validation=self.evaluation("validation"),
            test=self.evaluation("test"),
            schedules=self.schedules,
            checkpoint=self.folder / "checkpoint.safetensors",
            checkpoint_every=self.config.checkpoint_every,
            on_save=self._saved,
            resume=resume,
            config=self.config.to_dict(),
            reporter=reporter,
        )

    def evaluate(self, part: str) -> Evaluation:
        """How the model does on the train, validation or test examples.

        Raises:
            ArgumentError: if there is no such part, or the run has none.
        """
        check_choice("part", part, self.examples)
        batches = self.evaluation(part)
        if batches is None:
            raise ArgumentError(f"the run has no {part} examples: it was trained with --validation 0")
        return evaluate(self.model, batches)

    def load_weights(self) -> Path:
        """Put the run's weights into the model: the resulting ones, or of an unfinished run the last.

        Raises:
            CheckpointError: if there are none, or they are damaged.
        """
        path = self.folder / "model.safetensors"
        if not path.exists():
            path = self.folder / "checkpoint.safetensors"
        weights = load_weights(path)
        try:
            self.model.load_state_dict(weights)
        except ArrayError as error:
            raise CheckpointError(f"{path} does not fit config.json: {error}") from None
        return path

    def _saved(self, state: TrainingState) -> None:
        self.state = state
        if not state.history:
            return
        text = io.StringIO()
        writer = csv.DictWriter(text, state.history[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(state.history)
        with replacing(self.folder / "history.csv") as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8")

    def plot(self) -> None:
        """Draw curves.png."""
        config = self.config
        root = config.limit**0.5 if config.limit_kind == "squared" else config.limit
        shown = root if config.limit and not config.match_paper else None
        title = (
            f"{config.dataset}, {config.layers} {config.unit}, dropout {config.dropout}, seed {config.seed}"
        )
        plot_history(self.state.history, self.folder / "curves.png", title=title, limit=shown)

    def _write_json(self, name: str, values: Mapping[str, Any]) -> None:
        with replacing(self.folder / name) as temporary:
            temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def open_run(folder: str | Path, explicit: Mapping[str, Any] | None = None) -> Run:
    """The run in `folder`, with `explicit` changes to what may change.

    Raises:
        CheckpointError: if there is no run, or a change would make it another run.
    """
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"there is no run in {folder}: it has no config.json")
    config = from_dict(read_config(folder / "config.json"), str(folder / "config.json"))
    changed = from_dict(config.to_dict() | dict(explicit or {}))
    for key, value in changed.to_dict().items():
        before = getattr(config, key)
        if value != before and key not in RESUMABLE:
            raise CheckpointError(
                f"{folder} is a run with {key} {before}; it cannot go on with {value}: start a new run, or "
                f"leave {key} out"
            )
    return Run(changed, folder)


def next_folder(dataset: str, root: Path = Path("runs")) -> Path:
    """The first of runs/DATASET-001, -002, ... that does not exist."""
    numbers = range(1, 1_000_000)
    return next(folder for n in numbers if not (folder := root / f"{dataset}-{n:03}").exists())
