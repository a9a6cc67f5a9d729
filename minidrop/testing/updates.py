"""The checks of one optimizer."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minidrop.errors import ArgumentError, MinidropError
from minidrop.testing.bench import Bench, Host, Make, run
from minidrop.testing.findings import Findings
from minidrop.testing.report import Outcome, SkipCheck
from minidrop.testing.tolerances import FLOAT32, PATH

Formula = Callable[..., Any]


class Trial:
    """The weights and gradients that an optimizer is tried with, the same for all checks."""

    def __init__(
        self,
        make: Make,
        plain: bool,
        steps: int,
        rng: np.random.Generator,
        shapes: Mapping[str, tuple[int, ...]],
    ) -> None:
        self.make, self.plain, self.steps = make, plain, steps
        # away from 0, so that small steps down a quadratic do not jump over it
        self.start = {n: rng.choice([-1, 1], s) * rng.uniform(0.5, 1.5, s) for n, s in shapes.items()}
        self.path = [{n: rng.standard_normal(s) for n, s in shapes.items()} for _ in range(steps)]
        for gradients in self.path:
            for gradient in gradients.values():
                if gradient.ndim == 2:
                    gradient[-1, -1] = 0.0  # throughout, as that of a weight behind a unit that is always off
        self.orders = {n: rng.permutation(int(np.prod(s))) for n, s in shapes.items()}

    def bench(self, values: Mapping[str, Host] | None = None, dtype: str = "float64") -> Bench:
        """A new optimizer over the weights."""
        return Bench(self.make, self.start if values is None else values, self.plain, dtype)


def gradients_unchanged(trial: Trial) -> Outcome:
    """step() only reads the gradients."""
    found, bench = Findings(), trial.bench()
    for t, gradients in enumerate(trial.path, 1):
        bench.step(gradients)
        for name, now in bench.gradients().items():
            for where in np.argwhere(now != gradients[name])[:1]:
                place = tuple(int(i) for i in where)
                old, new = gradients[name][place], now[place]
                found.require(
                    False, f"step {t} changed the gradient of {name} at {place} from {old:.8g} to {new:.8g}"
                )
        if found.problems:
            break
    return found.outcome()


def dtypes(trial: Trial) -> Outcome:
    """Weights keep their dtype, their memory and, in minidrop, the optimizer's slots keep theirs."""
    found, ends = Findings(FLOAT32), {}
    for dtype in ("float32", "float64"):
        bench = trial.bench(dtype=dtype)
        ends[dtype] = run(bench, trial.path)[-1]
        for name, value in bench.values().items():
            moved = bool((value != trial.start[name].astype(dtype)).any())
            found.require(
                moved, f"{name} did not move in {trial.steps} steps; step() must change it in place"
            )
            found.require(bool(np.isfinite(value).all()), f"{name} is not finite after {trial.steps} steps")
        for name, slot in (getattr(bench.optimizer, "state", {}) if bench.arena is not None else {}).items():
            found.require(slot.dtype == dtype, f"slot {name} is {slot.dtype} for {dtype} weights")
    for name, value in ends["float32"].items() if not found.problems else ():
        scale = float(np.abs(trial.start[name]).max())
        found.compare(f"{name} in float32", value, ends["float64"][name], "in float64", scale=scale)
    return found.outcome()


def independent(trial: Trial) -> Outcome:
    """Two optimizers side by side, each along its own gradients, do what each does alone."""
    found, exact = Findings(), 0.0
    found.tolerance = exact
    alone = run(trial.bench(), trial.path)[-1]
    one, other = trial.bench(), trial.bench()
    for ahead, gradients in zip(reversed(trial.path), trial.path, strict=True):
        other.step(ahead)
        one.step(gradients)
    for name, value in one.values().items():
        found.compare(f"{name} of one of two optimizers", value, alone[name], "the same one alone")
    return found.outcome()


def formula(trial: Trial, formula: Formula | None, tolerance: float | None) -> Outcome:
    """Every step is the formula's; if that takes the learning rate, also after it was halved mid-way."""
    if formula is None:
        raise SkipCheck("no formula given")
    found, bench = Findings(PATH if tolerance is None else tolerance), trial.bench()
    taken = inspect.signature(formula).parameters.get("lr")
    takes_rate = taken is not None and bench.lr is not None
    if taken is not None and not takes_rate and taken.default is taken.empty:
        raise ArgumentError("the formula takes lr, but the optimizer has neither lr nor learning_rate")
    memories: dict[str, dict[str, Any]] = {name: {} for name in trial.start}
    expected = {name: value.copy() for name, value in trial.start.items()}
    for t, gradients in enumerate(trial.path, 1):
        if takes_rate and t == trial.steps // 2 + 1:
            bench.set_lr((bench.lr or 0.0) / 2)
        rate = {"lr": bench.lr} if takes_rate else {}
        before = bench.values()
        bench.step(gradients)
        for name, w in expected.items():
            new = np.asarray(formula(w.copy(), gradients[name].copy(), memories[name], t, **rate))
            change, right = bench.values()[name] - before[name], new - w
            expected[name] = new
            scale = float(np.abs(new).max(initial=0))
            found.compare(f"the change of {name} in step {t}", change, right, "the formula", scale=scale)
        if found.problems:
            break
    return found.outcome()


def elementwise(trial: Trial) -> Outcome:
    """Permuted elements move as before, and so do the elements of parameters split otherwise."""
    found = Findings(PATH)
    end = run(trial.bench().without_projections(), trial.path)[-1]

    def permuted(values: Mapping[str, Host]) -> dict[str, Host]:
        return {n: v.reshape(-1)[trial.orders[n]].reshape(v.shape) for n, v in values.items()}

    bench = trial.bench(permuted(trial.start)).without_projections()
    moved = run(bench, [permuted(gradients) for gradients in trial.path])[-1]
    for name, value in permuted(end).items():
        found.compare(f"{name} with its elements permuted", moved[name], value, "permuting afterwards")

    def split(values: Mapping[str, Host]) -> dict[str, Host]:
        pieces = {}
        for name, value in values.items():
            place, _, what = name.partition(".")
            pieces[f"{place}.a.{what}"], pieces[f"{place}.b.{what}"] = value[:1], value[1:]
        return pieces

    try:
        bench = trial.bench(split(trial.start)).without_projections()
    except MinidropError as error:
        return found.outcome(f"not split: {error}")
    pieces = run(bench, [split(gradients) for gradients in trial.path])[-1]
    for name, value in split(end).items():
        found.compare(f"{name}, a part of a parameter", pieces[name], value, "the whole parameter")
    return found.outcome()


def zero_rate(trial: Trial) -> Outcome:
    """A learning rate of 0 does nothing."""
    found, bench = Findings(), trial.bench().without_projections()
    if not bench.set_lr(0.0):
        raise SkipCheck("the optimizer has neither lr nor learning_rate")
    found.tolerance = 0.0
    for name, value in run(bench, trial.path)[-1].items():
        found.compare(f"{name} with learning rate 0", value, trial.start[name], "where it began")
    return found.outcome()


def resume(trial: Trial) -> Outcome:
    """The state copied mid-way goes on bit for bit."""
    found, middle = Findings(), trial.steps // 2
    found.tolerance = 0.0
    whole = run(trial.bench(), trial.path)[-1]
    bench = trial.bench()
    if bench.arena is not None and not (
        hasattr(bench.optimizer, "state") and hasattr(bench.optimizer, "scalars")
    ):
        raise SkipCheck("no state and scalars() to copy")
    run(bench, trial.path[:middle])
    twin = bench.moved(trial.make)
    run(bench, trial.path[::-1])  # what the original does from now on is nothing to the copy
    for name, value in run(twin, trial.path[middle:])[-1].items():
        found.compare(f"{name}, resumed after {middle} steps,", value, whole[name], "the run in one go")
    return found.outcome()


def descent(trial: Trial) -> Outcome:
    """Small steps down L = ½ Σ c w², whose gradient is c w, make L smaller."""
    found, bench = Findings(), trial.bench().without_projections()
    small = bench.set_lr(1e-3)
    curvature = {name: 1 + np.abs(g) for name, g in trial.path[0].items()}

    def loss() -> float:
        return float(sum((curvature[n] * w * w).sum() for n, w in bench.values().items()) / 2)

    before = loss()
    for _ in range(5 if small else 1):
        bench.step({name: curvature[name] * w for name, w in bench.values().items()})
    after = loss()
    found.require(
        after < before,
        f"L = ½ Σ c w² rose from {before:.8g} to {after:.8g}, or stayed, in {5 if small else 1} steps"
        + " with learning rate 0.001" * small,
    )
    return found.outcome(f"{before:.3f} to {after:.3f}" if after < before else "")
