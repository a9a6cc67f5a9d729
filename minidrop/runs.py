"""Run folders: a training run with everything that is needed to look at it, repeat it or go on with it.

config.json             every choice; `minidrop train --config` takes it back
versions.json           versions and machine
history.csv             one row an epoch
checkpoint.safetensors  weights, optimizer slots, position: what --resume goes on from
model.safetensors       the resulting weights alone, under PyTorch's names
curves.png              loss, error, learning rate and momentum, largest row norm
summary.json            the result
.lock                   held by the process that trains here
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from minidrop.building import (
    build_model,
    build_optimizer,
    build_scaling,
    build_schedules,
    check_fit,
)
from minidrop.checkpoint import Row, TrainingState, load_weights, save_weights
from minidrop.config import TrainConfig
from minidrop.data.batches import Batches
from minidrop.data.datasets import Dataset, Examples, load, split
from minidrop.errors import ArgumentError, ArrayError, CheckpointError, DivergenceError, check_choice
from minidrop.fitting import fit_replicas
from minidrop.layers import Sequential
from minidrop.losses import SoftmaxCrossEntropy
from minidrop.plots import plot_history
from minidrop.progress import Reporter, silent
from minidrop.run_folder import (
    CHECKPOINT,
    RESUMABLE,
    check_own,
    claimed,
    create_folder,
    read_changed,
    write_history,
    write_json,
)
from minidrop.single_run import Replica
from minidrop.threads import limited
from minidrop.training import Evaluation, TrainStep, evaluate

#: what makes a model of a configuration
Builder = Callable[[TrainConfig], Sequential]
#: examples that are evaluated at a time
EVALUATION_BATCH = 1000


class Run:
    """A configuration with its objects, in a folder.

    Args:
        config: every choice, for one seed; `minidrop.replicas` has what trains several.
        folder: where the run is written; by default the next free one of runs/DATASET-001, -002, ...
        build: what makes the model of the configuration, if not `build_model`.
        dataset: the configuration's, if it is loaded already.

    Raises:
        ArgumentError, DataError, BackendError: if the configuration cannot be built.
    """

    folder: Path

    def __init__(
        self,
        config: TrainConfig,
        folder: Path | None = None,
        *,
        build: Builder | None = None,
        dataset: Dataset | None = None,
    ) -> None:
        self.config = config
        self.config_changed = False
        if folder is not None:
            self.folder = folder
        self.state = TrainingState()
        if config.replicas != 1:
            raise ArgumentError(f"a run has one seed, not {config.replicas} replicas: leave replicas out")
        self.dataset: Dataset = dataset or load(config.dataset, config.data_dir)
        check_fit(config, self.dataset)
        self.model: Sequential = (build or build_model)(config)
        optimizer = build_optimizer(config, self.model)
        self.schedules = build_schedules(config, optimizer)
        self.step = TrainStep(self.model, SoftmaxCrossEntropy(backend=self.model.backend), optimizer)
        train, validation = split(self.dataset.train, config.validation, config.seed, config.examples)
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
        self.folder = create_folder(getattr(self, "folder", None), self.config)

    def execute(
        self, *, resume: bool = False, reporter: Reporter = silent, plot: bool = True
    ) -> tuple[TrainingState, Evaluation]:
        """Train, write the results into the folder, and return the history and how the test set is done.

        Args:
            resume: go on from the folder's checkpoint.
            reporter: is told of progress.
            plot: whether to draw curves.png.

        Raises:
            CheckpointError: if the folder cannot be written to, or cannot be resumed from, or another process
                trains in it.
            DivergenceError, Interrupted: as `fit`; what was learnt until then is in the folder.
        """
        with claimed(self.folder):
            train_runs([self], resume=resume, reporter=reporter, plot=plot)
            return self.state, self.finish(plot)

    def replica(self, name: str = "") -> Replica:
        """The run as `fit_replicas` takes it."""
        return Replica(
            self.step,
            self.train,
            validation=self.evaluation("validation"),
            test=self.evaluation("test"),
            schedules=self.schedules,
            checkpoint=self.folder / CHECKPOINT,
            config=self.config.to_dict(),
            on_save=self._saved,
            name=name,
        )

    def finish(self, plot: bool = True) -> Evaluation:
        """Write the results of the trained model into the folder, and return how the test set is done."""
        state = self.state
        save_weights(self.folder / "model.safetensors", self.model.mean_network())
        result = self.evaluate("test")
        summary = {"best_epoch": state.best_epoch, "last_epoch": state.history[-1], "test": result._asdict()}
        write_json(self.folder / "summary.json", summary)
        if plot:
            self.plot()
        return result

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
        path = self.folder / CHECKPOINT
        check_own(path, self.config)
        weights = load_weights(path)
        try:
            self.model.load_state_dict(weights)
        except ArrayError as error:
            raise CheckpointError(f"{path} does not fit config.json: {error}") from None

    def _saved(self, state: TrainingState) -> None:
        self.state = state
        if self.config_changed:  # by a resume, which has been accepted if it comes here
            write_json(self.folder / "config.json", self.config.to_dict())
            self.config_changed = False
        if state.history:
            write_history(self.folder / "history.csv", state.history)

    def plot(self) -> None:
        """Draw curves.png."""
        plot_run(self.config, self.state.history, self.folder / "curves.png", f"seed {self.config.seed}")


def train_runs(
    runs: Sequence[Run], *, resume: bool = False, reporter: Reporter = silent, plot: bool = True
) -> None:
    """Train runs that differ in their seeds alone, at once; see `Run.execute`."""
    config = runs[0].config
    for run in runs if resume else ():
        if (run.folder / CHECKPOINT).exists():
            check_own(run.folder / CHECKPOINT, run.config)
        elif (run.folder / "history.csv").exists():
            raise CheckpointError(
                f"{run.folder} was trained, but its {CHECKPOINT} is gone: put it back, or start a new run"
            )
    try:
        runs[0].model.backend.tf32 = config.tf32
        with limited(config.threads):
            fit_replicas(
                [run.replica(f"seed {run.config.seed}" if len(runs) > 1 else "") for run in runs],
                config.epochs,
                checkpoint_every=config.checkpoint_every,
                resume=resume,
                reporter=reporter,
            )
    except DivergenceError:
        for run in runs:
            if run.state.history and plot:
                run.plot()
        raise


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
    config, changed = read_changed(Path(folder), explicit, changeable)
    run = Run(config, Path(folder), build=build)
    run.config_changed = changed
    return run


def plot_run(config: TrainConfig, history: Sequence[Row], path: Path, of: str) -> None:
    """Draw curves.png."""
    root = config.limit**0.5 if config.limit_kind == "squared" else config.limit
    shown = root if config.limit and not config.match_paper and len(config.layer_sizes()) > 2 else None
    title = f"{config.dataset}, {config.layers} {config.unit}, dropout {config.dropout}, {of}"
    plot_history(history, path, title=title, limit=shown)
