"""Every optimizer along given gradients, for one step and for fifty, under random schedules."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import nn

import minidrop as md
from minidrop.optim import OPTIMIZERS
from reference import tolerances as tol
from reference.checks.rows import Check, Comparison, Row, Setting, row
from reference.models import tensor
from reference.optim import build

STEPS = 50

#: what the table calls it: (minidrop's name, options); lr is a random schedule below this one's
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": ("sgd", {"lr": 0.1}),
    "SGD, groups": ("sgd", {"lr": 0.1}),
    "Momentum torch": ("momentum", {"lr": 0.1}),
    "Momentum torch, dampened": ("momentum", {"lr": 0.1, "dampening": 0.4}),
    "Momentum torch, nesterov": ("momentum", {"lr": 0.1, "nesterov": True}),
    "Momentum classical": ("momentum", {"lr": 0.1, "form": "classical"}),
    "Momentum ema": ("momentum", {"lr": 0.1, "form": "ema"}),
    "Momentum hinton": ("momentum", {"lr": 0.1, "form": "hinton"}),
    "SGDHinton": ("hinton", {"lr": 0.2, "limit": 0.5}),
    "SGDHinton without limit": ("hinton", {"lr": 0.2, "limit": 0.0}),
    "SGDHinton published": ("hinton", {"lr": 0.2, "limit": 0.4, "slips": "published"}),
    "Adam": ("adam", {"lr": 0.1}),
    "Adam, other constants": ("adam", {"lr": 0.1, "beta1": 0.5, "beta2": 0.8, "eps": 0.3}),
    "Adam as printed": ("adam", {"lr": 0.01, "corrected": False}),
    "AdamW": ("adamw", {"lr": 0.1}),
    "Adagrad": ("adagrad", {"lr": 0.1, "lr_decay": 0.1}),
    "Adadelta": ("adadelta", {"lr": 1.0}),
    "RMSprop": ("rmsprop", {"lr": 0.05}),
    "RMSprop with momentum": ("rmsprop", {"lr": 0.05, "momentum": 0.9}),
    "RMSprop centered": ("rmsprop", {"lr": 0.05, "momentum": 0.5, "centered": True}),
    "Adamax": ("adamax", {"lr": 0.1}),
    "NAdam": ("nadam", {"lr": 0.1}),
}
#: what is different for the biases of the case with groups
BIASES = md.Group(lr_scale=0.5, weight_decay=0.3)
#: where PyTorch defines momentum 0 in the midst of a run, the random schedule has some
PAUSING = ("Momentum torch", "Momentum torch, dampened", "SGDHinton", "SGDHinton published")
#: and for these it begins with 0, so that the velocity's first step is not the first
LATE = ("Momentum torch", "Momentum torch, dampened")
#: elements in a piece of an update, in the runs with weight decay: parameters and rows are longer
CHUNK = 8
#: the published class has no weight decay
DECAYS = {"SGDHinton published": (0.0,)}


def checks(setting: Setting) -> Iterator[Check]:
    """One for each case."""
    for name, (kind, _) in CASES.items():
        yield Check(name, partial(_rows, setting, name), OPTIMIZERS[kind].update)


def _rows(setting: Setting, name: str) -> Iterator[Row]:
    found: dict[int, list[Comparison]] = {1: [], STEPS: []}
    for decay in DECAYS.get(name, (0.0, 0.05)):
        with small_pieces(setting) if decay else nullcontext():
            for steps, comparison in _compare(setting, name, decay):
                found[steps].append(comparison)
    kind = OPTIMIZERS[CASES[name][0]]
    for steps, comparisons in found.items():
        label = "1 step" if steps == 1 else f"{steps} steps, lr and momentum random"
        limits = (kind.project, md.MaxNorm.lengths) if "limit" in CASES[name][1] else ()
        yield row(name, label, comparisons, (kind.update, kind.step, *limits))


@contextmanager
def small_pieces(setting: Setting) -> Iterator[None]:
    """Let updates and projections take a few elements at a time, if the backend works in pieces at all."""
    before = setting.backend.chunk
    setting.backend.chunk = None if before is None else CHUNK
    try:
        yield
    finally:
        setting.backend.chunk = before


def _compare(setting: Setting, name: str, decay: float) -> Iterator[tuple[int, Comparison]]:
    kind, options = CASES[name]
    options = options | ({"weight_decay": decay} if name not in DECAYS else {})
    rng = setting.rng(crc32(name.encode()), int(1000 * decay))
    model = md.Sequential(
        *(md.Linear(n, m, dtype=setting.dtype) for n, m in ((9, 6), (6, 5), (5, 4))), seed=setting.seed
    )
    arena = model.parameters()
    theirs = {key: nn.Parameter(tensor(value)) for key, value in arena.state_dict().items()}
    scheduled = hasattr(OPTIMIZERS[kind], "momentum") and options.get("momentum") != 0
    scheduled = scheduled and (kind != "rmsprop" or "momentum" in options)
    lr = options["lr"] * rng.uniform(0.1, 1.0, STEPS)
    momentum = rng.uniform(0.05, 0.95, STEPS)
    if name in PAUSING:
        momentum[3::10] = 0.0
    if name in LATE:
        momentum[0] = 0.0
    first = {"lr": lr[0]} | ({"momentum": momentum[0]} if scheduled else {})
    groups = {"*.bias": BIASES} if name == "SGD, groups" else None
    mine = OPTIMIZERS[kind](arena, **(options | first), groups=groups)
    other = build(kind, theirs, **(options | first))
    if groups is not None:
        biases = [parameter for key, parameter in theirs.items() if key.endswith("bias")]
        other.param_groups[0]["params"] = [p for key, p in theirs.items() if not key.endswith("bias")]
        other.add_param_group({"params": biases, "weight_decay": BIASES.weight_decay})
    for t in range(STEPS):
        mine.lr = float(lr[t])
        now = {"lr": float(lr[t])}
        if scheduled:
            mine.momentum = now["momentum"] = float(momentum[t])  # type: ignore[attr-defined]
        for number, group in enumerate(other.param_groups):
            scale = BIASES.lr_scale if groups is not None and number else 1.0
            group.update(now | {"lr": now["lr"] * scale})
        _set_gradients(setting, arena, theirs, rng)
        mine.step()
        other.step()
        if t + 1 in (1, STEPS):
            for key, value in arena.state_dict().items():
                what = f"weight decay {decay:g}: {key} after step {t + 1}"
                allowed = tol.path(setting.dtype, kind, t + 1)
                yield t + 1, Comparison(what, value, theirs[key].detach().numpy().copy(), allowed)


def _set_gradients(
    setting: Setting,
    arena: md.parameters.ParameterArena,
    theirs: dict[str, nn.Parameter],
    rng: np.random.Generator,
) -> None:
    """The same random gradients for both, some of them exactly zero."""
    for key, parameter in arena.items():
        gradient = rng.standard_normal(parameter.shape).astype(setting.dtype)
        gradient.flat[0] = 0.0
        parameter.grad[...] = setting.backend.asarray(gradient)
        theirs[key].grad = torch.tensor(gradient)
