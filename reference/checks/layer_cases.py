"""Every layer in every form that has formulas of its own, beside its equivalent."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

import minidrop as md
from reference import layers as ref
from reference import tolerances as tol
from reference.models import realised

UNITS, SAMPLES, DROP = 5, 20, 0.4
#: small enough that no tanh is saturated: where it is, 1 - y² has lost its digits on both sides
SMALL = md.Uniform(-0.3, 0.3)
P = realised(DROP)


@dataclass(frozen=True)
class Case:
    """A layer by the number of its inputs (and dtype), in minidrop and in PyTorch."""

    name: str
    layer: Callable[[int, str], md.Layer]
    module: Callable[[int], nn.Module]
    operations: int = tol.ELEMENTWISE
    matrices: int = 0  #: how many sums over features, units or examples follow one another
    samples: int = 0  #: how many draws an output averages over

    def sums(self, longest: int) -> int:
        """How many terms are summed on the way to a number, if `longest` is the largest size there is."""
        return self.matrices * max(longest, UNITS) + self.samples


def linear(name: str, **options: Any) -> Case:
    """A case of Linear."""
    return Case(
        name,
        lambda n, dtype: md.Linear(n, UNITS, seed=1, dtype=dtype, **options),
        lambda n: ref.Linear(n, UNITS, **options),
        matrices=1,
    )


def dropconnect(
    name: str, per: str, unit: tuple[type[md.Layer], type[nn.Module]] | None = None, **options: Any
) -> Case:
    """A case of DropConnect, with an activation or without."""
    return Case(
        name,
        lambda n, dtype: md.DropConnect(
            n,
            UNITS,
            drop_prob=DROP,
            per=per,
            activation=unit[0]() if unit else None,
            samples=SAMPLES,
            init=SMALL,
            seed=1,
            dtype=dtype,
            **options,
        ),
        lambda n: ref.DropConnect(n, UNITS, P, per, unit[1]() if unit else None, SAMPLES, **options),
        # with an activation: its own roundings, and Gaussian: squares, two products and a root
        operations=tol.FUNCTION + tol.ELEMENTWISE if unit else tol.ELEMENTWISE,
        matrices=1,
        samples=SAMPLES if unit and per == "example" else 0,
    )


CASES = [
    Case("Identity", lambda n, dtype: md.Identity(), lambda n: ref.Identity(), operations=0),
    Case("ReLU", lambda n, dtype: md.ReLU(), lambda n: ref.ReLU(), operations=0),
    Case("Sigmoid", lambda n, dtype: md.Sigmoid(), lambda n: ref.Sigmoid(), operations=tol.FUNCTION),
    Case("Tanh", lambda n, dtype: md.Tanh(), lambda n: ref.Tanh(), operations=tol.FUNCTION),
    linear("Linear"),
    linear("Linear without bias", bias=False),
    Case("Dropout", lambda n, dtype: md.Dropout(DROP), lambda n: ref.Dropout(P)),
    Case("Dropout paper", lambda n, dtype: md.Dropout(DROP, mode="paper"), lambda n: ref.Dropout(P, "paper")),
    Case(
        "Dropout per feature",
        lambda n, dtype: md.Dropout(DROP, per="feature"),
        lambda n: ref.Dropout(P, per="feature"),
    ),
    Case("Dropout of nothing", lambda n, dtype: md.Dropout(0), lambda n: ref.Dropout(0)),
    Case("Dropout of all", lambda n, dtype: md.Dropout(1), lambda n: ref.Dropout(1)),
    Case("StochasticReLU", lambda n, dtype: md.StochasticReLU(DROP), lambda n: ref.StochasticReLU(P)),
    Case(
        "StochasticReLU published",
        lambda n, dtype: md.StochasticReLU(DROP, scaled=False),
        lambda n: ref.StochasticReLU(P, scaled=False),
    ),
    Case("GaussianNoise", lambda n, dtype: md.GaussianNoise(0.5), lambda n: ref.GaussianNoise(0.5)),
    dropconnect("DropConnect per batch", "batch"),
    dropconnect("DropConnect per batch, no bias", "batch", bias=False),
    dropconnect("DropConnect per batch, tanh", "batch", (md.Tanh, ref.Tanh)),
    dropconnect("DropConnect per example", "example"),
    dropconnect("DropConnect per example, no bias", "example", bias=False),
    dropconnect("DropConnect per example, relu", "example", (md.ReLU, ref.ReLU)),
    dropconnect("DropConnect per example, tanh", "example", (md.Tanh, ref.Tanh)),
    Case(
        "Sequential",
        lambda n, dtype: md.Sequential(
            md.Dropout(DROP),
            md.Linear(n, 8, dtype=dtype),
            md.Sequential(md.Sigmoid(), md.Dropout(DROP, mode="paper")),
            md.Linear(8, UNITS, dtype=dtype),
            seed=1,
        ),
        lambda n: ref.Sequential(
            ref.Dropout(P),
            ref.Linear(n, 8),
            ref.Sequential(ref.Sigmoid(), ref.Dropout(P, "paper")),
            ref.Linear(8, UNITS),
        ),
        operations=2 * tol.ELEMENTWISE + tol.FUNCTION,
        matrices=3,  # forward 2, and a gradient sums over examples on top
    ),
    Case(
        "Sequential, DropConnect first",
        lambda n, dtype: md.Sequential(
            md.DropConnect(n, 8, drop_prob=DROP, init=SMALL, dtype=dtype),
            md.ReLU(),
            md.Linear(8, UNITS, dtype=dtype),
            seed=1,
        ),
        lambda n: ref.Sequential(ref.DropConnect(n, 8, P, "batch"), ref.ReLU(), ref.Linear(8, UNITS)),
        operations=3 * tol.ELEMENTWISE,
        matrices=3,
    ),
]
