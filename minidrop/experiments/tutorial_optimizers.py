"""The optimizers of document 004, and what they do on fixed gradients beside the document's formulas."""

from collections.abc import Mapping, Sequence
from math import cos
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minidrop.building import build_optimizer
from minidrop.config import resolve
from minidrop.experiments.experiment import Result
from minidrop.experiments.training_job import PLAIN
from minidrop.initializers import Constant
from minidrop.layers import Linear, Sequential


class Contestant(NamedTuple):
    """An optimizer, and the accuracies in percent of the document's run: tested, and best validated.

    The second are from the result files of the document's authors; the document shows them as a curve.
    """

    title: str
    config: dict[str, Any]
    test: float | None = None
    validation: float | None = None


CONTESTANTS = {
    "sgd": Contestant("SGD, lr 0.1", {"optimizer": "sgd", "lr": 0.1}, 89.09, 89.87),
    "momentum": Contestant(
        "momentum 0.9, lr 0.1", {"optimizer": "momentum:form=ema", "lr": 0.1, "momentum": 0.9}, 88.83, 89.54
    ),
    "adam": Contestant("Adam, lr 0.001", {"optimizer": "adam", "lr": 1e-3}, 89.46, 89.78),
    "adam-printed": Contestant("Adam as printed", {"optimizer": "adam:corrected=false", "lr": 1e-3}),
}
#: (1 - 0.999ᵗ)^-½ at step t with the digits that are printed, and half of the last digit
INFLATION = ((1, 31.6, 0.05), (10, 10.0, 0.5), (100, 3.2, 0.05), (1000, 1.26, 0.005))


def updates(folder: Path, backend: str | None = None) -> Result:
    """Each optimizer on a single weight: its distance from the document's formula, and Adam's two steps."""
    gradients = [cos(t) + 0.1 * t for t in range(20)]
    distances = {}
    for key, contestant in CONTESTANTS.items():
        ours = path(contestant.config | {"backend": backend}, gradients)
        distances[key] = float(abs(np.subtract(ours, by_hand(key, gradients))).max())
    ones = [1.0] * INFLATION[-1][0]
    printed, coded = (
        np.diff(path(CONTESTANTS[key].config | {"backend": backend}, ones), prepend=0.0)
        for key in ("adam-printed", "adam")
    )
    return {"distances": distances, "inflation": (printed / coded).tolist()}


def path(config: Mapping[str, Any], gradients: Sequence[float]) -> list[float]:
    """Where a weight that begins at 0 comes to by an optimizer, as a training would build it.

    >>> path({"optimizer": "sgd", "lr": 0.5}, [1.0, 1.0])
    [-0.5, -1.0]
    """
    resolved = resolve(PLAIN | dict(config), preset="digits")
    layer = Linear(1, 1, bias=False, init=Constant(0), dtype="float64", backend=resolved.backend)
    optimizer = build_optimizer(resolved, Sequential(layer))
    found = []
    for gradient in gradients:
        layer.weight.new_grad()[...] = gradient
        optimizer.step()
        found.append(float(layer.weight.value[0, 0]))
    return found


def by_hand(key: str, gradients: Sequence[float]) -> list[float]:
    """The same by the formulas of the document, number by number."""
    w = m = v = 0.0
    found = []
    for t, g in enumerate(gradients, start=1):
        m = g if key == "sgd" else 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g**2
        if key in ("sgd", "momentum"):
            w -= 0.1 * m
        else:
            seen = v if key == "adam-printed" else v / (1 - 0.999**t)
            w -= 1e-3 / (seen**0.5 + 1e-8) * m / (1 - 0.9**t)
        found.append(w)
    return found
