"""Checking an optimizer."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from minidrop.errors import ArgumentError, MinidropError, check_count
from minidrop.testing import updates
from minidrop.testing.bench import SHAPES, Make
from minidrop.testing.report import Outcome, Report, raised, run_checks
from minidrop.testing.updates import Formula, Trial


def check_optimizer(
    make: Make,
    *,
    formula: Formula | None = None,
    steps: int = 20,
    plain: bool = False,
    seed: int = 0,
    skip: Iterable[str] = (),
    tolerance: float | None = None,
) -> Report:
    """Hold an optimizer to its formula, and to what every elementwise update does.

        w_t = formula(w_(t-1), g_t, memory, t),   t = 1, 2, ...

    Named as `skip` takes them:

        gradients unchanged    step() only reads them
        independent            two optimizers side by side do what each does alone
        dtype                  float32 weights stay float32, in the memory that they were in, and go where
                               float64 ones go; float64 likewise
        formula                every step is the formula's
        elementwise            permuted elements move as before, and parameters split otherwise too
        learning rate 0        does nothing, where there is an lr
        resume                 the state copied mid-way goes on bit for bit
        descent                small steps down a quadratic go down

    Args:
        make: builds the optimizer over the parameters that it is given: a `ParameterArena`, as minidrop's
            optimizers take, or with `plain` a mapping {name: (value, grad)} of NumPy arrays. Its
            `step()` must change the values in place.
        formula: a plain update of float64 arrays that returns the new w. `memory` is a dict that is empty at
            t = 1 and the parameter's own from then on. One that takes `lr` too is given the optimizer's,
            which is halved mid-way: a velocity that has lr in it differs then from one that has not.
        steps: how many steps along random gradients.
        plain: whether `make` takes the mapping.
        seed: of weights and gradients.
        skip: names of checks to leave out.
        tolerance: the largest error relative to the largest weight that `formula` may be off.

    Returns:
        A report; `str` of it is a table.

    Raises:
        CheckError: if any check fails, after all have run; the message tells what is wrong where.
        ArgumentError: if `make` does not build an optimizer, or an argument is wrong.

    The checks elementwise, learning rate 0 and descent leave out minidrop's projections, which act on rows.

    >>> import minidrop as md
    >>> def heavy_ball(w, g, memory, t):
    ...     memory["v"] = 0.9 * memory.get("v", 0.0) + g
    ...     return w - 0.1 * memory["v"]
    >>> report = check_optimizer(lambda parameters: md.Momentum(parameters, lr=0.1), formula=heavy_ball)
    >>> report["formula"].status
    'passed'
    """
    if not callable(make):
        name = type(make).__name__
        raise ArgumentError(
            f"make builds the optimizer: lambda parameters: {name}(parameters), not {name}(...)"
        )
    trial = Trial(make, plain, check_count("steps", steps, 2), np.random.default_rng(seed), SHAPES)
    checks: dict[str, Callable[[], Outcome]] = {
        "gradients unchanged": partial(updates.gradients_unchanged, trial),
        "independent": partial(updates.independent, trial),
        "dtype": partial(updates.dtypes, trial),
        "formula": partial(updates.formula, trial, formula, tolerance),
        "elementwise": partial(updates.elementwise, trial),
        "learning rate 0": partial(updates.zero_rate, trial),
        "resume": partial(updates.resume, trial),
        "descent": partial(updates.descent, trial),
    }
    call = ["make"] + ["formula=formula"] * (formula is not None) + [f"steps={steps}"]
    call += ["plain=True"] * plain + [f"seed={seed}"]
    needs: Mapping[str, tuple[str, ...]] = {
        name: ("gradients unchanged raised",) for name in checks if name != "gradients unchanged"
    }
    return run_checks(_name(trial, plain), f"check_optimizer({', '.join(call)})", checks, skip, needs)


def _name(trial: Trial, plain: bool) -> str:
    try:
        optimizer: Any = trial.bench().optimizer
    except MinidropError:
        raise
    except Exception as error:
        hint = "" if plain else "; does it take a mapping {name: (value, grad)}? Then say plain=True"
        raise ArgumentError(f"make did not build an optimizer: {raised(error)}{hint}") from error
    return type(optimizer).__name__
