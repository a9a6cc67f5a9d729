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
from collections.abc import Callable, Mapping, Sequence
from itertools import count
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
from minidrop.errors import ArgumentError, ArrayError, CheckpointError, DivergenceError, check_choice
from minidrop.fitting import fit
from minidrop.layers import Sequential
from minidrop.losses import SoftmaxCrossEntropy
from minidrop.plots import plot_history
from minidrop.progress import Reporter, silent
from minidrop.threads import limited
from minidrop.training import Evaluation, TrainStep, evaluate
from minidrop.versions import versions

#: what may change when a run is resumed, since the weights so far do not depend on it
RESUMABLE = ("epochs", "checkpoint_every", "data_dir")
#: what makes a model of a configuration
Builder = Callable[[TrainConfig], Sequential]
#: examples that are evaluated at a time
EVALUATION_BATCH = 1000
HOLDS_ANOTHER = "{} holds another run: choose another folder with --run, or go on with that run by --resume"


class Run:
    """A configuration with its objects, in a folder.

    Args:
        config: every choice.
        folder: where the run is written; by default the next free one of runs/DATASET-001, -002, ...
        build: what makes the model of the configuration, if not `build_model`.

    Raises:
        ArgumentError, DataError, BackendError: if the configuration cannot be built.
    """

    folder: Path

    def __init__(
        self, config: TrainConfig, folder: Path | None = None, *, build: Builder | None = None
    ) -> None:
        self.config = config
        self._config_changed = False
        if folder is not None:
            self.folder = folder
        self.state = TrainingState()
        self.dataset: Dataset = load(config.dataset, config.data_dir)
        check_fit(config, self.dataset)
        self.model: Sequential = (build or build_model)(config)
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
        """Make the folder, with config.json and versions.json; two runs never share one.

        Raises:
            CheckpointError: if the folder holds a run already, or cannot be written to.
        """
        if not hasattr(self, "folder"):
            self.folder = _claim_next_folder(self.config.dataset)
        if (self.folder / "checkpoint.safetensors").exists():
            raise CheckpointError(HOLDS_ANOTHER.format(self.folder))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(self.folder / "config.json", "x", encoding="utf-8") as file:
                file.write(_json(self.config.to_dict()))
        except FileExistsError:
            if not (self.folder / "config.json").exists():
                raise CheckpointError(f"{self.folder} is a file; a run needs a folder") from None
            raise CheckpointError(HOLDS_ANOTHER.format(self.folder)) from None
        except OSError as error:
            raise CheckpointError(f"cannot make the run folder {self.folder}: {error.strerror}") from None
        self._write("versions.json", _json(versions()))

    def execute(
        self, *, resume: bool = False, reporter: Reporter = silent, plot: bool = True
    ) -> tuple[TrainingState, Evaluation]:
        """Train, write the results into the folder, and return the history and how the test set is done.

        Args:
            resume: go on from the folder's checkpoint.
            reporter: is told of progress.
            plot: whether to draw curves.png.

        Raises:
            CheckpointError: if the folder cannot be written to, or cannot be resumed from.
            DivergenceError, Interrupted: as `fit`; what was learnt until then is in the folder.
        """
        try:
            self.model.backend.tf32 = self.config.tf32
            with limited(self.config.threads):
                state = self._fit(resume, reporter)
        except DivergenceError:
            if self.state.history and plot:
                self.plot()
            raise
        save_weights(self.folder / "model.safetensors", self.model.mean_network())
        result = self.evaluate("test")
        summary = {"best_epoch": state.best_epoch, "last_epoch": state.history[-1], "test": result._asdict()}
        self._write("summary.json", _json(summary))
        if plot:
            self.plot()
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

    def load_weights(self) -> None:
        """Put the weights of the run's checkpoint into the model: the best so far, or the last.

        Raises:
            CheckpointError: if there are none, or they are damaged.
        """
        path = self.folder / "checkpoint.safetensors"
        weights = load_weights(path)
        try:
            self.model.load_state_dict(weights)
        except ArrayError as error:
            raise CheckpointError(f"{path} does not fit config.json: {error}") from None

    def _saved(self, state: TrainingState) -> None:
        self.state = state
        if self._config_changed:  # by a resume, which has been accepted if it comes here
            self._write("config.json", _json(self.config.to_dict()))
            self._config_changed = False
        if not state.history:
            return
        text = io.StringIO()
        writer = csv.DictWriter(text, state.history[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(state.history)
        self._write("history.csv", text.getvalue())

    def plot(self) -> None:
        """Draw curves.png."""
        config = self.config
        root = config.limit**0.5 if config.limit_kind == "squared" else config.limit
        shown = root if config.limit and not config.match_paper and len(config.layer_sizes()) > 2 else None
        title = (
            f"{config.dataset}, {config.layers} {config.unit}, dropout {config.dropout}, seed {config.seed}"
        )
        plot_history(self.state.history, self.folder / "curves.png", title=title, limit=shown)

    def _write(self, name: str, text: str) -> None:
        with replacing(self.folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def open_run(
    folder: str | Path,
    explicit: Mapping[str, Any] | None = None,
    changeable: Sequence[str] = RESUMABLE,
    *,
    build: Builder | None = None,
) -> Run:
    """The run in `folder`, with `explicit` changes to what may change.

    Raises:
        CheckpointError: if there is no run, or a change would make it another run.
    """
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"there is no run in {folder}: it has no config.json")
    config = from_dict(read_config(folder / "config.json"), str(folder / "config.json"))
    changes = dict(explicit or {})
    if changes.get("data_dir") is not None:
        changes["data_dir"] = str(Path(changes["data_dir"]).absolute())
    changed = from_dict(config.to_dict() | changes)
    for key, value in changed.to_dict().items():
        before = getattr(config, key)
        if value != before and key not in changeable:
            raise CheckpointError(
                f"{folder} is a run with {key} {before}; it cannot go on with {value}: start a new run, or "
                f"leave {key} out"
            )
    run = Run(changed, folder, build=build)
    run._config_changed = changed != config
    return run


def _claim_next_folder(dataset: str, root: Path = Path("runs")) -> Path:
    """Make the first of runs/DATASET-001, -002, ... that does not exist, whoever else is doing the same."""
    for number in count(1):
        folder = root / f"{dataset}-{number:03}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise CheckpointError(f"cannot make the run folder {folder}: {error.strerror}") from None
        return folder
    raise AssertionError("count() does not end")


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=2) + "\n"
