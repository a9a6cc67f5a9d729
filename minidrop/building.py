"""From a configuration to the objects that it describes."""

import inspect
from typing import Any

from minidrop.backends import Scaling, get_backend
from minidrop.config import TrainConfig
from minidrop.data.datasets import Dataset, standard_moments
from minidrop.errors import ArgumentError, DataError
from minidrop.initializers import INITIALIZERS, Initializer, Scaled
from minidrop.layers import Dropout, Identity, Layer, Linear, ReLU, Sequential, Sigmoid, Tanh
from minidrop.layers.stochastic import DropRate
from minidrop.optim import OPTIMIZERS, Group, MaxNorm, Optimizer
from minidrop.optim.schedules import SCHEDULES, Schedule
from minidrop.specs import build, parse

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
    """The optimizer over the model's parameters, with its max-norm.

    With `match_paper`, inverted dropout follows the trajectory of paper dropout. Let k be the keep
    probability of a matrix's input. The paper's net computes with W what the inverted one computes with
    W' = k W, whose gradient is that of W over k; so its learning rate is k² lr, its limit k c and its initial
    weights are scaled by k. Biases stay as they are.
    """
    parameters = model.parameters()
    options: dict[str, Any] = {"weight_decay": config.weight_decay}
    name, _, _ = parse(config.optimizer)
    takes = inspect.signature(OPTIMIZERS[name]).parameters if name in OPTIMIZERS else {}
    if config.lr is not None:
        options["lr"] = config.lr
    if config.momentum is not None:
        if takes and "momentum" not in takes:
            raise ArgumentError(f"optimizer {name} has no momentum; leave momentum out")
        options["momentum"] = config.momentum
    squared = config.limit_kind == "squared"
    limit: float | dict[str, float] = config.limit
    if config.match_paper:
        keeps = [DropRate.of(drop).keep for drop in config.drop_probs()]
        matrices = [name for name, parameter in parameters.items() if parameter.rows_are_units]
        paired = dict(zip(matrices, keeps, strict=True))
        options["groups"] = {name: Group(lr_scale=keep**2) for name, keep in paired.items()}
        limited = matrices[:-1] if config.limit_layers == "hidden" else matrices
        limit = {name: config.limit * paired[name] ** (2 if squared else 1) for name in limited}
    if name == "hinton":
        options["limit"] = 0.0
    if name == "hinton" and squared and config.limit_layers == "hidden" and not config.match_paper:
        options["limit"] = config.limit  # so that the slips, which concern this very limit, apply
    elif config.limit and limit:
        options["projections"] = [MaxNorm(limit, squared=squared, layers=config.limit_layers)]
    optimizer: Optimizer = build("optimizer", config.optimizer, OPTIMIZERS, parameters, **options)
    return optimizer


def build_schedules(config: TrainConfig, optimizer: Optimizer) -> dict[str, Schedule]:
    """Learning rate and momentum as functions of the epoch, beginning with the optimizer's own values."""
    schedules = {"lr": build("lr schedule", config.lr_schedule, SCHEDULES, optimizer.lr)}
    momentum = getattr(optimizer, "momentum", None)
    if momentum is not None:
        schedules["momentum"] = build("momentum schedule", config.momentum_schedule, SCHEDULES, momentum)
    elif parse(config.momentum_schedule)[0] != "constant":
        raise ArgumentError(f"optimizer {config.optimizer} has no momentum to schedule")
    return schedules


def build_scaling(config: TrainConfig, dataset: Dataset) -> Scaling:
    """How the data set's pixels become inputs: raw, in [0, 1], or with mean 0 and variance 1."""
    if config.normalise == "none":
        return Scaling()
    if config.normalise == "unit":
        return Scaling(dataset.maximum)
    mean, std = standard_moments(dataset.train, dataset.maximum)
    return Scaling(dataset.maximum, mean, std)
