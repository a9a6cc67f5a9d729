"""The configuration of a training run: what `minidrop train` takes, what config.json holds."""

import difflib
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

from minidrop.backends import get_backend
from minidrop.errors import ArgumentError, DataError, check_choice, check_count, check_path, check_range
from minidrop.streams import check_seed

#: the preset that a data set gets if none is asked for
DEFAULT_PRESETS = {"digits": "digits", "mnist": "hinton-relu", "fashion-mnist": "hinton-relu"}
PRESETS = ("digits", "hinton-relu", "hinton-2012")
#: what an optimizer other than the preset's does not inherit from the preset
_OWN_DEFAULTS = {"lr": None, "momentum": None, "lr_schedule": "constant", "momentum_schedule": "constant"}
#: of one run: the models of all are in memory at once
MOST_REPLICAS = 1000


def _key(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class TrainConfig:
    """Every choice of a training run; the defaults are the preset `digits`.

    >>> TrainConfig(epochs=5).layers
    '64-256-256-10'
    """

    dataset: str = _key("digits", "digits (embedded), mnist or fashion-mnist.")
    data_dir: str | None = _key(None, "Folder with MNIST/raw; else MINIDROP_DATA, else the user cache.")
    examples: int = _key(0, "Training examples to learn from, drawn by the seed; 0: all not held out.")
    validation: int = _key(0, "Training examples to hold out; the epoch with the fewest errors there wins.")
    normalise: str = _key("unit", "Inputs: none (raw pixels), unit ([0,1]), standard (mean 0, variance 1).")
    layers: str = _key("64-256-256-10", "Layer sizes, input to output.")
    unit: str = _key("relu", "Hidden units: relu, sigmoid, tanh or identity.")
    dropout: str = _key("0.1,0.5,0.5", "Drop probability of each layer's input; one number is for all.")
    mode: str = _key("paper", "Dropout: paper (scale in evaluation) or inverted (scale in training).")
    per: str = _key("element", "Masks: per element, or per feature and shared by the batch.")
    match_paper: bool = _key(
        False, "With mode inverted: rescale lr, limit and init to the paper's trajectory."
    )
    init: str = _key("fan-in:1.4", "Initial weights, such as normal:0.01 or xavier-uniform.")
    bias_init: str = _key("constant:0", "Initial biases, in the same form.")
    optimizer: str = _key("hinton", "Optimizer and options, such as adam:beta2=0.99 or momentum:form=ema.")
    lr: float | None = _key(0.5, "Learning rate; the optimizer's own default if another one is chosen.")
    momentum: float | None = _key(0.5, "Initial momentum, for optimizers that have one.")
    lr_schedule: str = _key(
        "exponential:0.99",
        "Learning rate by epoch, as exponential:DECAY; constant if another optimizer is chosen.",
    )
    momentum_schedule: str = _key(
        "linear:0.95,40",
        "Momentum by epoch, as linear:FINAL,EPOCHS; constant if another optimizer is chosen.",
    )
    weight_decay: float | None = _key(None, "Weight decay; the optimizer's own default unless given.")
    limit: float = _key(15.0, "Max-norm: largest squared length of a unit's incoming weights; 0 for none.")
    limit_kind: str = _key("squared", "Whether the limit bounds the squared length or the length.")
    limit_layers: str = _key("hidden", "Which layers the limit is for: hidden or all.")
    epochs: int = _key(60, "How many times to go through the training set.")
    batch_size: int = _key(32, "Examples in a batch.")
    drop_last: bool = _key(False, "Leave out a last batch that is smaller.")
    seed: int = _key(0, "Of initial weights, masks, shuffles and the validation split.")
    replicas: int = _key(1, "How many seeds (seed, seed + 1, ...) to train at once: mean and spread.")
    dtype: str = _key("float32", "float32 or float64.")
    backend: str | None = _key(None, "numpy, numba or cupy; else MINIDROP_BACKEND, else numpy.")
    tf32: bool = _key(False, "Let a GPU round the factors of float32 products to TF32: faster, less exact.")
    threads: int = _key(0, "Threads for products and steps; 0: as many as NumPy's products use.")
    checkpoint_every: int = _key(1, "Epochs between checkpoints.")

    def __post_init__(self) -> None:
        for name in CHOICES:
            check_choice(name.replace("_", " "), getattr(self, name), CHOICES[name])
        check_choice("data set", self.dataset, DEFAULT_PRESETS)
        sizes, drops = self.layer_sizes(), self.drop_probs()
        if len(drops) != len(sizes) - 1:
            raise ArgumentError(
                f"dropout {self.dropout} has {len(drops)} numbers, but {self.layers} has {len(sizes) - 1} "
                "layers with an input to drop from; give one number for all, or one for each"
            )
        for name in ("epochs", "batch_size", "checkpoint_every", "replicas"):
            check_count(name.replace("_", " "), getattr(self, name))
        if self.replicas > MOST_REPLICAS:
            raise ArgumentError(
                f"replicas must be at most {MOST_REPLICAS}, whose models are all in memory; got "
                f"{self.replicas}: train further seeds with --seed in another run"
            )
        check_count("examples", self.examples, 0)
        check_count("validation", self.validation, 0)
        check_count("threads", self.threads, 0)
        check_seed(check_count("seed", self.seed, 0) + self.replicas - 1)
        if self.lr is not None:
            check_range("lr", self.lr, 0)
        if self.momentum is not None:
            check_range("momentum", self.momentum, 0, 1, exclude_high=True)
        if self.weight_decay is not None:
            check_range("weight decay", self.weight_decay, 0)
        check_range("limit", self.limit, 0)
        check_path("data_dir", self.data_dir or "")
        if self.match_paper and self.mode != "inverted":
            raise ArgumentError("match_paper rescales mode inverted; with mode paper there is nothing to do")

    def layer_sizes(self) -> list[int]:
        """The sizes in `layers`: at least two positive integers.

        >>> TrainConfig().layer_sizes()
        [64, 256, 256, 10]
        """
        try:
            sizes = [int(part) for part in self.layers.split("-")]
        except ValueError:
            sizes = []
        if len(sizes) < 2 or min(sizes) < 1:
            raise ArgumentError(f"layers must be sizes such as 784-800-800-10, got {self.layers!r}")
        return sizes

    def drop_probs(self) -> list[float]:
        """The drop probability of each layer's input.

        >>> TrainConfig(dropout="0.2").drop_probs()
        [0.2, 0.2, 0.2]
        """
        try:
            drops = [float(part) for part in self.dropout.split(",")]
        except ValueError:
            raise ArgumentError(
                f"dropout must be numbers such as 0.2,0.5,0.5, got {self.dropout!r}"
            ) from None
        for drop in drops:
            check_range("dropout", drop, 0, 1)
        return drops * (len(self.layer_sizes()) - 1) if len(drops) == 1 else drops

    def to_dict(self) -> dict[str, Any]:
        """All keys with their values, as config.json holds them."""
        return asdict(self)


CHOICES = {
    "unit": ("relu", "sigmoid", "tanh", "identity"),
    "mode": ("paper", "inverted"),
    "per": ("element", "feature"),
    "limit_kind": ("squared", "length"),
    "limit_layers": ("hidden", "all"),
    "normalise": ("none", "unit", "standard"),
    "dtype": ("float32", "float64"),
}


def resolve(
    explicit: Mapping[str, Any], *, file: str | Path | None = None, preset: str | None = None
) -> TrainConfig:
    """The configuration of a run: the preset, changed by the file, changed by what is `explicit`.

    The backend is named, and the data folder absolute, so that the configuration means the same elsewhere.

    The learning rate, momentum and schedules of a preset, or of a file that names its optimizer, belong to
    that optimizer: with another one they are that one's own defaults, unless given.

    Raises:
        ArgumentError: for an unknown key or preset, or a value that cannot be used.
        BackendError: for a backend that does not exist or run here.

    >>> resolve({"optimizer": "adam"}).lr is None
    True
    """
    filed = {} if file is None else read_config(file)
    chosen = explicit.get("optimizer")
    if chosen is not None and _name(filed.get("optimizer", chosen)) != _name(chosen):
        filed = {key: value for key, value in filed.items() if key not in _OWN_DEFAULTS}
    changes = {**filed, **explicit}
    if preset is None:
        preset = DEFAULT_PRESETS.get(str(changes.get("dataset", "digits")), "digits")
    base = read_preset(preset)
    before = base.get("optimizer", TrainConfig.optimizer)
    if _name(changes.get("optimizer", before)) != _name(before):
        base |= _OWN_DEFAULTS
    config = from_dict({**base, **changes})
    folder = None if config.data_dir is None else absolute(config.data_dir)
    return replace(config, backend=get_backend(config.backend).name, data_dir=folder)


def absolute(folder: str) -> str:
    """The folder by a name that means the same elsewhere; of a user who is not there it stays as it is."""
    return str(Path(os.path.expanduser(folder)).absolute())


def _name(spec: Any) -> str:
    return str(spec).partition(":")[0]


def from_dict(values: Mapping[str, Any], source: str = "the configuration") -> TrainConfig:
    """A configuration from keys and values; lists may stand for the texts of layers and dropout.

    Raises:
        ArgumentError: for an unknown key, a value of the wrong type, or one that cannot be used.

    >>> from_dict({"layers": [64, 32, 10], "dropout": 0.5}).layers
    '64-32-10'
    """
    known = {f.name: getattr(f.type, "__name__", str(f.type)) for f in fields(TrainConfig)}
    clean: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"the keys are {', '.join(known)}"
            raise ArgumentError(f"{source} has an unknown key {key!r}; {hint}")
        clean[key] = _convert(key, value, known[key], source)
    return TrainConfig(**clean)


def _convert(key: str, value: Any, wanted: str, source: str) -> Any:
    if key in ("layers", "dropout") and not isinstance(value, str):
        parts = value if isinstance(value, list) else [value]
        return ("-" if key == "layers" else ",").join(map(str, parts))
    kinds = {"str": str, "int": int, "float": (int, float), "bool": bool}
    accepted = kinds[wanted.partition(" ")[0]]
    if value is None and "None" in wanted:
        return None
    if not isinstance(value, accepted) or (isinstance(value, bool) and accepted is not bool):  # type: ignore[arg-type]
        raise ArgumentError(f"{source}: {key} must be of type {wanted}, got {value!r}")
    if accepted != (int, float):
        return value
    try:
        return float(value)
    except OverflowError:
        raise ArgumentError(f"{source}: {key} is too large: {str(value)[:20]}...") from None


def read_config(path: str | Path) -> dict[str, Any]:
    """The keys and values of a TOML or JSON file.

    Raises:
        DataError: if the file cannot be read as either.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise DataError(f"cannot read the configuration {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        kind = "JSON" if path.suffix == ".json" else "TOML"
        raise DataError(f"the configuration {path} is not valid {kind}: {error}") from None
    if not isinstance(values, dict):
        raise DataError(f"the configuration {path} must be a table of keys and values")
    return values


def read_preset(name: str) -> dict[str, Any]:
    """What a preset changes; the first comment of its file says what it is."""
    check_choice("preset", name, PRESETS)
    text = resources.files("minidrop").joinpath(f"presets/{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
