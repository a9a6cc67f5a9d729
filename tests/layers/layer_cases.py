"""Every layer in every form that has formulas of its own, for the tests that hold for all of them."""

from collections.abc import Callable

import minidrop as md

UNITS = 3  # what a Linear or DropConnect of these cases puts out


def dropconnect(**options: object) -> Callable[[int, str], md.Layer]:
    return lambda n, dtype: md.DropConnect(n, UNITS, seed=5, dtype=dtype, **options)


#: name: (features of the input, dtype) -> layer; complex128 is for derivatives by complex step
CASES: dict[str, Callable[[int, str], md.Layer]] = {
    "Identity": lambda n, dtype: md.Identity(),
    "ReLU": lambda n, dtype: md.ReLU(),
    "Sigmoid": lambda n, dtype: md.Sigmoid(),
    "Tanh": lambda n, dtype: md.Tanh(),
    "Linear": lambda n, dtype: md.Linear(n, UNITS, seed=5, dtype=dtype),
    "Linear without bias": lambda n, dtype: md.Linear(n, UNITS, bias=False, seed=5, dtype=dtype),
    "Dropout": lambda n, dtype: md.Dropout(0.4, seed=5),
    "Dropout, paper": lambda n, dtype: md.Dropout(0.4, mode="paper", seed=5),
    "Dropout, per feature": lambda n, dtype: md.Dropout(0.4, per="feature", seed=5),
    "StochasticReLU": lambda n, dtype: md.StochasticReLU(0.4, seed=5),
    "StochasticReLU, published": lambda n, dtype: md.StochasticReLU(0.4, scaled=False, seed=5),
    "GaussianNoise": lambda n, dtype: md.GaussianNoise(0.5, seed=5),
    "DropConnect, per batch": dropconnect(drop_prob=0.4),
    "DropConnect, per batch, no bias": dropconnect(drop_prob=0.4, bias=False),
    "DropConnect, per batch, tanh": lambda n, dtype: md.DropConnect(
        n, UNITS, drop_prob=0.4, activation=md.Tanh(), seed=5, dtype=dtype
    ),
    "DropConnect, per example": dropconnect(drop_prob=0.4, per="example"),
    "DropConnect, per example, no bias": dropconnect(drop_prob=0.4, per="example", bias=False),
    "DropConnect, per example, tanh": lambda n, dtype: md.DropConnect(
        n, UNITS, drop_prob=0.4, per="example", activation=md.Tanh(), seed=5, dtype=dtype
    ),
    "Sequential": lambda n, dtype: md.Sequential(
        md.Linear(n, 4, dtype=dtype),
        md.Sequential(md.Sigmoid(), md.Dropout(0.4)),
        md.Linear(4, UNITS, dtype=dtype),
        seed=5,
    ),
}

#: the layers that have parameters, and hence a dtype and a number of features of their own
TRAINABLE = [name for name in CASES if name.startswith(("Linear", "DropConnect", "Sequential"))]

#: (name, training) of every pass that has a backward pass: all but per-example DropConnect's evaluation
PASSES = [
    (name, training) for name in CASES for training in (True, False) if training or "per example" not in name
]


def parameters_of(layer: md.Layer) -> dict[str, object]:
    """All parameters by name, also of a layer that has none."""
    return {
        f"{prefix}.{name}": parameter
        for prefix, leaf in layer.leaves()
        for name, parameter in leaf.own_parameters().items()
    }
