"""From a configuration to the objects that it describes."""

from typing import Any

from minidrop.backends import Scaling, get_backend
from minidrop.config import TrainConfig
from minidrop.data.datasets import Dataset, standard_moments
from minidrop.errors import ArgumentError, DataError, check_choice
from minidrop.initializers import INITIALIZERS, Initializer, Scaled
from minidrop.layers import Dropout, Identity, Layer, Linear, ReLU, Sequential, Sigmoid, Tanh
from minidrop.layers.stochastic import DropRate
from minidrop.optim import OPTIMIZERS, Group, MaxNorm, Optimizer
from minidrop.optim.max_norm import weight_matrices
from minidrop.optim.schedules import SCHEDULES, Schedule
from minidrop.parameters import ParameterArena
from minidrop.specs import build, options, parse

UNITS: dict[str, type[Layer]] = {"relu": ReLU, "sigmoid": Sigmoid, "tanh": Tanh, "identity": Identity}


def check_fit(config: TrainConfig, dataset: Dataset) -> None:
    """Refuse layer sizes that do not fit the data.

    Raises:
        DataError: naming the size that is wrong.
    """
    sizes = config.layer_sizes()
    if sizes[0] != dataset.features or sizes[-1] != dataset.classes:
        raise DataError(
            f"layers {config.layers} do not fit {dataset.name}, which has {dataset.features} inputs and "
            f"{dataset.classes} classes: use {dataset.features}-...-{dataset.classes}"
        )


def build_model(config: TrainConfig) -> Sequential:
    """Dropout, Linear, unit, ..., Dropout, Linear: one dropout before each matrix, none at the output.

    A dropout of 0 is a layer too, so that the same seed draws the same initial weights with and without.

    >>> build_model(TrainConfig(layers="64-32-10", dropout="0,0.5"))[1]
    Linear(64, 32)
    """
    backend = get_backend(config.backend)
    init: Initializer = build("init", config.init, INITIALIZERS)
    bias_init: Initializer = build("bias init", config.bias_init, INITIALIZERS)
    sizes = config.layer_sizes()
    layers: list[Layer] = []
    for i, drop in enumerate(config.drop_probs()):
        keep = DropRate.of(drop).keep
        layers += [
            Dropout(drop, mode=config.mode, per=config.per, backend=backend),
            Linear(
                sizes[i],
                sizes[i + 1],
                init=Scaled(init, keep) if config.match_paper else init,
                bias_init=bias_init,
                dtype=config.dtype,
                backend=backend,
            ),
        ]
        if i < len(sizes) - 2:
            layers.append(UNITS[config.unit](backend))
    return Sequential(*layers, seed=config.seed)


def build_optimizer(config: TrainConfig, model: Sequential) -> Optimizer:
    """The optimizer over the model's parameters, with its max-norm."""
    parameters = model.parameters()
    name, _, keywords = parse(config.optimizer)
    takes = options(OPTIMIZERS[check_choice("optimizer", name, OPTIMIZERS)], skip=1)
    given: dict[str, Any] = {}
    for key in ("lr", "momentum", "weight_decay"):
        value = getattr(config, key)
        if value is not None:
            if key not in takes:
                raise ArgumentError(f"optimizer {name} has no {key}; leave {key} out")
            given[key] = value
    limit: float | dict[str, float] = config.limit
    if config.match_paper:
        if name not in ("sgd", "momentum", "hinton") or "slips" in keywords:
            raise ArgumentError(
                f"match_paper holds for the optimizers sgd, momentum and hinton without slips, not for "
                f"{config.optimizer}"
            )
        given["groups"], limit = _match_paper(config, parameters)
    norm: dict[str, Any] = {"squared": config.limit_kind == "squared", "layers": config.limit_layers}
    if name == "hinton":
        given |= {"limit": limit, **norm}
    elif limit:
        given["projections"] = [MaxNorm(limit, **norm)]
    optimizer: Optimizer = build("optimizer", config.optimizer, OPTIMIZERS, parameters, **given)
    return optimizer


def _match_paper(
    config: TrainConfig, parameters: ParameterArena
) -> tuple[dict[str, Group], dict[str, float] | float]:
    """Groups and limits with which inverted dropout follows the trajectory of paper dropout.

    Let k be the keep probability of a matrix's input. What the paper's net computes with W the inverted one
    computes with W' = k W, and the gradient by W' is that by W over k. So W' takes the learning rate k² η,
    the weight decay λ / k², the limit k c and, in `build_model`, k times the initial weights; biases change
    nothing. This needs an update that is linear in the gradient.
    """
    keeps = [DropRate.of(drop).keep for drop in config.drop_probs()]
    if 0 in keeps:
        raise ArgumentError("match_paper needs drop probabilities below 1")
    paired = dict(zip(weight_matrices(parameters), keeps, strict=True))
    decay = config.weight_decay or 0.0
    groups = {name: Group(lr_scale=keep**2, weight_decay=decay / keep**2) for name, keep in paired.items()}
    if not config.limit:
        return groups, 0.0
    power = 2 if config.limit_kind == "squared" else 1
    limited = weight_matrices(parameters, config.limit_layers)
    return groups, {name: config.limit * paired[name] ** power for name in limited} or 0.0


def build_schedules(config: TrainConfig, optimizer: Optimizer) -> dict[str, Schedule]:
    """Learning rate and momentum as functions of the epoch, beginning with the optimizer's own values.

    Raises:
        ArgumentError: naming the epoch, if a schedule leaves the range that the optimizer takes.
    """
    schedules = {"lr": build("lr schedule", config.lr_schedule, SCHEDULES, optimizer.lr)}
    momentum = getattr(optimizer, "momentum", None)
    if momentum is not None:
        schedules["momentum"] = build("momentum schedule", config.momentum_schedule, SCHEDULES, momentum)
    elif parse(config.momentum_schedule)[0] != "constant":
        raise ArgumentError(f"optimizer {config.optimizer} has no momentum to schedule")
    for name, schedule in schedules.items():
        for epoch in (*range(config.epochs), 0):  # ending with the values to begin with
            try:
                setattr(optimizer, name, schedule(epoch))
            except (ArgumentError, ArithmeticError) as error:
                raise ArgumentError(f"{name} schedule, epoch {epoch + 1}: {error}") from None
    return schedules


def build_scaling(config: TrainConfig, dataset: Dataset) -> Scaling:
    """How the data set's pixels become inputs: raw, in [0, 1], or with mean 0 and variance 1."""
    if config.normalise == "none":
        return Scaling()
    if config.normalise == "unit":
        return Scaling(dataset.maximum)
    mean, std = standard_moments(dataset.train, dataset.maximum)
    return Scaling(dataset.maximum, mean, std)
