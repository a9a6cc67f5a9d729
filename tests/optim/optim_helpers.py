"""What the optimizer tests share: a small model, fixed gradients, and a run along them that is written down.

A test of an optimizer needs no loss. It writes gradients of its own choice into the model, steps, and looks
at the weights. Since every update but max-norm acts on each weight by itself, a formula needs no arrays
either: here it is a generator of plain floats, for one weight and its gradients over time.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from tolerances import OPTIMIZER_PATH, OPTIMIZER_PATH_FLOAT32

import minidrop as md
from minidrop.backends import Backend

seeds = st.integers(0, 2**32 - 1)
#: the same examples in every run, so that a test that passed once passes always
fixed_examples = settings(deadline=None, derandomize=True, max_examples=15)

#: what no number may be; each hyperparameter adds what lies outside its own range
NOT_A_NUMBER = (float("nan"), -1.0, float("inf"), None, "x", True)

#: every optimizer with every option that changes its formula, as (class, options); max-norm binds where it is
EVERY: dict[str, tuple[type[md.optim.Optimizer], dict[str, Any]]] = {
    "sgd": (md.SGD, {"lr": 0.1}),
    "torch": (md.Momentum, {"lr": 0.1}),
    "dampened": (md.Momentum, {"lr": 0.1, "dampening": 0.5}),
    "nesterov": (md.Momentum, {"lr": 0.1, "nesterov": True}),
    "classical": (md.Momentum, {"lr": 0.1, "form": "classical"}),
    "ema": (md.Momentum, {"lr": 0.1, "form": "ema"}),
    "hinton": (md.Momentum, {"lr": 0.1, "form": "hinton"}),
    "sgd-hinton": (md.SGDHinton, {"lr": 0.1, "limit": 0.5}),
    "published": (md.SGDHinton, {"lr": 0.1, "limit": 0.5, "slips": "published"}),
    "adam": (md.Adam, {"lr": 0.1}),
    "adam as printed": (md.Adam, {"lr": 0.01, "corrected": False}),
    "adamw": (md.AdamW, {"lr": 0.1}),
    "adagrad": (md.Adagrad, {"lr": 0.1, "lr_decay": 0.1}),
    "adadelta": (md.Adadelta, {"lr": 1.0}),
    "rmsprop": (md.RMSprop, {"lr": 0.1}),
    "rmsprop with momentum": (md.RMSprop, {"lr": 0.1, "momentum": 0.9}),
    "rmsprop centered": (md.RMSprop, {"lr": 0.1, "momentum": 0.5, "centered": True}),
    "adamax": (md.Adamax, {"lr": 0.1}),
    "nadam": (md.NAdam, {"lr": 0.1}),
}


def small_model(dtype: str = "float64", seed: int = 0, backend: str | Backend = "numpy") -> md.Sequential:
    """Three matrices and three biases, 39 numbers, on NumPy whatever the current backend is."""
    sizes = [(5, 3), (3, 4), (4, 1)]
    layers = [md.Linear(n_in, n_out, dtype=dtype, backend=backend) for n_in, n_out in sizes]
    return md.Sequential(*layers, seed=seed)


def make(name: str, model: md.Sequential | None = None, **options: Any) -> md.optim.Optimizer:
    """An optimizer of `EVERY`, for `model` or a new small one; `options` come on top."""
    cls, own = EVERY[name]
    return cls((model or small_model()).parameters(), **(own | options))


def random_gradients(seed: int, steps: int, size: int = 39) -> np.ndarray:
    """N(0, 1), one row for each step."""
    return np.random.default_rng(seed).standard_normal((steps, size))


def run(
    optimizer: md.optim.Optimizer,
    gradients: np.ndarray,
    lr: Sequence[float] | None = None,
    momentum: Sequence[float] | None = None,
) -> np.ndarray:
    """Step along `gradients`, with lr and momentum set anew at each step; all weights after each step."""
    arena, path = optimizer.parameters, []
    for t, g in enumerate(gradients):
        if lr is not None:
            optimizer.lr = float(lr[t])
        if momentum is not None:
            optimizer.momentum = float(momentum[t])
        arena.flat_gradients[...] = g
        optimizer.step()
        path.append(arena.flat_values.copy())
    return np.array(path)


def by_weight(
    formula: Callable[..., Iterator[float]],
    start: np.ndarray,
    gradients: np.ndarray,
    *series: Iterable[float],
    **constants: Any,
) -> np.ndarray:
    """The path that `formula` predicts, for one weight after the other; the shape is that of `run`."""
    paths = [
        list(formula(float(w), [float(x) for x in g], *series, **constants))
        for w, g in zip(start, gradients.T, strict=True)
    ]
    return np.array(paths).T


def start_of(optimizer: md.optim.Optimizer) -> np.ndarray:
    """A copy of the weights before the first step."""
    return optimizer.parameters.flat_values.copy()


def assert_same_path(actual: np.ndarray, expected: np.ndarray) -> None:
    """Equal but for the order in which float64 operations were written down."""
    np.testing.assert_allclose(actual, expected, rtol=OPTIMIZER_PATH, atol=OPTIMIZER_PATH)


def net(backend, dtype, sizes):
    """Linear layers alone."""
    layers = [md.Linear(a, b, dtype=dtype, backend=backend) for a, b in pairwise(sizes)]
    return md.Sequential(*layers, seed=1)


def states_along(backend, name, dtype, sizes, steps, change=lambda optimizer, t: None, **options):
    """The weights and all slots after each of some steps along random gradients."""
    cls, own = EVERY[name]
    model = net(backend, dtype, sizes)
    optimizer = cls(model.parameters(), **(own | options))
    arena, states = optimizer.parameters, []
    for t, g in enumerate(random_gradients(2, steps, arena.size)):
        change(optimizer, t)
        arena.flat_gradients[...] = arena.backend.asarray(g, dtype)
        optimizer.step()
        arrays = [arena.flat_values, *optimizer.state.values()]
        states.append([np.array(arena.backend.to_host(array)) for array in arrays])
    return states


def assert_same_states(found, expected, dtype):
    """Equal but for rounding, in the dtype that they are given."""
    tolerance = {"float32": OPTIMIZER_PATH_FLOAT32, "float64": OPTIMIZER_PATH}[dtype]
    for step, (mine, theirs) in enumerate(zip(found, expected, strict=True)):
        for a, b in zip(mine, theirs, strict=True):
            assert a.dtype == dtype
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=f"step {step + 1}")


def schedule(optimizer, t):
    """Another learning rate from the third step on; another momentum, from 0 on, at every other step."""
    optimizer.lr *= 0.5 if t == 2 else 1
    if hasattr(optimizer, "momentum"):
        optimizer.momentum = 0.0 if t == 0 else 0.3 + 0.1 * (t // 2)
