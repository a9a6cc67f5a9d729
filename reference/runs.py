"""One training run in minidrop and in PyTorch at once: same weights, batches, masks, schedules and limits."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

import minidrop as md
from minidrop.building import build_model, build_optimizer, build_scaling
from minidrop.config import TrainConfig
from minidrop.data import Batches, Dataset
from minidrop.specs import parse
from reference import models
from reference.losses import SoftmaxCrossEntropy
from reference.optim import build, hidden_matrices, max_norm_
from reference.optim import schedules as torch_schedules

Floats = np.ndarray[Any, np.dtype[np.float64]]

#: dropout on every layer's input, a limit that binds from the first step on, and schedules that are through
#: most of their range after six epochs
BASE = TrainConfig(
    layers="64-128-128-10",
    dropout="0.1,0.5,0.5",
    mode="paper",
    unit="relu",
    init="fan-in:1.4",
    limit=1.9,
    lr_schedule="exponential:0.9",
    momentum_schedule="constant",
    momentum=None,
    batch_size=32,
)
_MOVING = {"momentum": 0.5, "momentum_schedule": "linear:0.9,5"}

#: every optimizer that minidrop has, and every form of momentum
CASES: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd", "lr": 0.2},
    "momentum": {"optimizer": "momentum", "lr": 0.05, **_MOVING},
    "momentum, nesterov": {"optimizer": "momentum:nesterov=true", "lr": 0.05, **_MOVING},
    "momentum, dampened": {"optimizer": "momentum:dampening=0.5", "lr": 0.1, **_MOVING},
    "momentum, classical": {"optimizer": "momentum:form=classical", "lr": 0.05, **_MOVING},
    "momentum, ema": {"optimizer": "momentum:form=ema", "lr": 0.3, **_MOVING},
    "momentum, hinton": {"optimizer": "momentum:form=hinton", "lr": 0.3, **_MOVING},
    "hinton": {"optimizer": "hinton", "lr": 0.3, **_MOVING},
    "hinton, published": {"optimizer": "hinton:slips=published", "lr": 0.3, "limit": 1.5, **_MOVING},
    "adam": {"optimizer": "adam", "lr": 2e-3},
    "adamw": {"optimizer": "adamw", "lr": 2e-3, "weight_decay": 0.01},
    "adagrad": {"optimizer": "adagrad", "lr": 0.02},
    "adadelta": {"optimizer": "adadelta", "lr": 1.0},
    "rmsprop": {"optimizer": "rmsprop", "lr": 1e-3, **_MOVING},
    "adamax": {"optimizer": "adamax", "lr": 4e-3},
    "nadam": {"optimizer": "nadam", "lr": 2e-3},
}
#: those that MNIST's larger matrices are tried with
MNIST_CASES = ("hinton", "momentum, nesterov", "adam")
MNIST = {"dataset": "mnist", "layers": "784-128-128-10", "batch_size": 100, "normalise": "standard"}


class Case(NamedTuple):
    """A run of the table."""

    dataset: str
    name: str
    config: TrainConfig


@dataclass(frozen=True, eq=False)
class Pair:
    """What both sides did: the loss before each update, and all weights at the end."""

    losses: Floats
    torch_losses: Floats
    weights: dict[str, Floats]
    torch_weights: dict[str, Floats]


def cases(dataset: str, seed: int) -> Iterator[Case]:
    """The runs on one data set."""
    for name in CASES if dataset == "digits" else MNIST_CASES:
        changes = CASES[name] | ({} if dataset == "digits" else MNIST)
        yield Case(dataset, name, replace(BASE, seed=seed, **changes))


def train(config: TrainConfig, data: Dataset, steps: int, *, with_torch: bool = True, nudge: int = 0) -> Pair:
    """Train for `steps` updates on both sides, or in minidrop alone; `TrainConfig.dtype` is that of both.

    With a `nudge`, the number of a random choice, each initial weight is the next number above or below.
    """
    model = build_model(config)
    if nudge:
        _nudge(model, np.random.default_rng([config.seed, nudge]))
    mine = md.TrainStep(model, md.SoftmaxCrossEntropy(backend=config.backend), build_optimizer(config, model))
    theirs = TorchStep(config, model) if with_torch else None
    batches = Batches(
        data.train,
        config.batch_size,
        seed=config.seed,
        scaling=build_scaling(config, data),
        dtype=config.dtype,
        backend=config.backend,
    )
    rates = _schedules(config, -(-steps // len(batches)))
    losses: list[float] = []
    torch_losses: list[float] = []
    for t in range(steps):
        epoch, batch = divmod(t, len(batches))
        if batch == 0:
            stream = batches.epoch(epoch)
        now = {name: values[epoch] for name, values in rates.items()}
        for name, value in now.items():
            setattr(mine.optimizer, name, value)
        x, labels = next(stream)
        losses.append(float(mine(x, labels)))
        if theirs is not None:
            host = model.backend.to_host
            torch_losses.append(theirs(models.tensor(host(x)), models.tensor(host(labels)), now))
    weights = {name: value.astype(np.float64) for name, value in model.state_dict().items()}
    return Pair(np.array(losses), np.array(torch_losses), weights, theirs.weights() if theirs else {})


class TorchStep:
    """A training step as a user of PyTorch writes it, with the masks that minidrop has just used."""

    def __init__(self, config: TrainConfig, model: md.Sequential) -> None:
        self.source = model
        self.module = models.mlp(config)
        models.load(self.module, model)
        self.parameters: dict[str, nn.Parameter] = dict(self.module.named_parameters())
        name, _, options = parse(config.optimizer)
        options |= {"lr": config.lr}
        options |= {"momentum": config.momentum} if config.momentum is not None else {}
        options |= {"weight_decay": config.weight_decay} if config.weight_decay or name == "adamw" else {}
        options |= {"limit": config.limit} if name == "hinton" else {}
        self.optimizer = build(name, self.parameters, **options)
        self.limited = {} if name == "hinton" else hidden_matrices(self.parameters)
        self.length = config.limit**0.5
        self.loss = SoftmaxCrossEntropy()

    def __call__(self, x: torch.Tensor, labels: torch.Tensor, now: dict[str, float]) -> float:
        """Update; the loss before it."""
        models.share_masks(self.source, self.module)
        for group in self.optimizer.param_groups:
            group.update(now)
        loss = self.loss(self.module(x), labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        for weight in self.limited.values():
            max_norm_(weight, self.length)
        return float(loss.item())

    def weights(self) -> dict[str, Floats]:
        """All weights, in float64."""
        return {name: p.detach().numpy().astype(np.float64) for name, p in self.parameters.items()}


def _nudge(model: md.Sequential, rng: np.random.Generator) -> None:
    state = model.state_dict()
    for value in state.values():
        towards = np.where(rng.random(value.shape) < 0.5, -np.inf, np.inf).astype(value.dtype)
        value[...] = np.nextafter(value, towards)
    model.load_state_dict(state)


def _schedules(config: TrainConfig, epochs: int) -> dict[str, list[float]]:
    """Learning rate and momentum of each epoch, by PyTorch's schedulers, for both sides."""
    assert config.lr is not None
    specs = {"lr": (config.lr_schedule, config.lr)}
    if config.momentum is not None:
        specs["momentum"] = config.momentum_schedule, config.momentum
    found = {}
    for name, (spec, initial) in specs.items():
        kind, arguments, _ = parse(spec)
        found[name] = getattr(torch_schedules, kind)(initial, *arguments, n=epochs)
    return found
