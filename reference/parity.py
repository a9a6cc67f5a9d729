"""Whole training runs in minidrop and in PyTorch, and by how much they may differ.

In float64 the weights must agree to 1e-9 after all steps, in a net of ReLU units.

In float32 no number can be named beforehand, since training carries roundings on. So the bound is measured.
The same minidrop run in float64, whose own roundings are nothing beside those of float32, shows what float32
does to minidrop's losses. A few float32 runs more, whose initial weights are one unit in the last place away
and whose roundings are therefore others, show how much that varies:

    E(t) = the largest |loss32 - loss64| in any of those runs at the steps up to t, and at the first 45 anyway

PyTorch's float32 run is off the float64 run by roundings of the same number and size, only others again: its
own largest deviation T(t) has the distribution of each of the runs that E is the largest of. It may come out
above them all, but hardly three times as large, and the two float32 runs differ by at most E(t) + T(t):

    |loss32 of minidrop - loss32 of PyTorch| <= 4 E(t)

This holds for smooth units only, so the float32 runs are of tanh units. A ReLU's gradient jumps at its kink:
a rounding may move one example's sum across it in one run and not in another, and the weights then differ at
once by a part of a gradient, hundreds of roundings. What ReLU runs do is what the float64 part is for.
"""

import sys
from argparse import Namespace
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from minidrop.backends import get_backend
from minidrop.data import Dataset, load
from minidrop.errors import check_count
from minidrop.files import write_text
from minidrop.optim import OPTIMIZERS
from minidrop.specs import parse
from reference import tolerances as tol
from reference.checks.rows import Row, difference, where
from reference.data import data_root, missing
from reference.figure import draw
from reference.precision import default_dtype
from reference.report import print_table, to_json
from reference.runs import Case, Floats, Pair, cases, train

#: a largest deviation is taken over at least this many steps
WINDOW = 45
#: how many further float32 runs
OTHERS = 4


@dataclass(frozen=True, eq=False)
class Result:
    """One case: both dtypes, with the bound for the losses in float32, step by step."""

    case: Case
    double: Pair
    single: Pair
    bound: Floats

    def rows(self) -> list[Row]:
        """Its two lines in the table."""
        return [self._weights(), self._losses()]

    def _weights(self) -> Row:
        errors = {
            name: difference(value, self.double.torch_weights[name])
            for name, value in self.double.weights.items()
        }
        name = max(errors, key=lambda name: errors[name][0])
        error, detail = errors[name]
        return self._row("float64: weights", error, tol.RUN_WEIGHTS, f"{name} {detail}")

    def _losses(self) -> Row:
        pair = self.single
        gap = np.abs(pair.losses - pair.torch_losses)
        gap = np.where(np.isnan(gap), np.inf, gap)
        t = int(np.argmax(gap / self.bound))
        detail = f"step {t + 1}: expected {pair.torch_losses[t]:.9g}, got {pair.losses[t]:.9g}"
        return self._row("float32: losses", float(gap[t]), float(self.bound[t]), detail)

    def _row(self, check: str, error: float, tolerance: float, detail: str) -> Row:
        op = f"{self.case.dataset}: {self.case.name}"
        if error <= tolerance:
            return Row(op, check, "pass", error, tolerance)
        source = OPTIMIZERS[parse(self.case.config.optimizer)[0]].update
        message = (
            f"{op}, {check}, {detail}; difference {error:.1e} > {tolerance:.1e}; see {where(source)}, and "
            "`python -m reference` for single ops"
        )
        return Row(op, check, "fail", error, tolerance, message)


def compare(case: Case, data: Dataset, steps: int) -> Result:
    """Run one case in float64 with ReLU, and in float32 with tanh beside its float64 run."""
    smooth = replace(case.config, unit="tanh")
    with default_dtype("float64"):
        double = train(replace(case.config, dtype="float64"), data, steps)
        exact = train(replace(smooth, dtype="float64"), data, steps, with_torch=False)
    with default_dtype("float32"):
        smooth = replace(smooth, dtype="float32")
        single = train(smooth, data, steps)
        others = [train(smooth, data, steps, with_torch=False, nudge=i + 1).losses for i in range(OTHERS)]
    bound = rounding_bound(np.array([single.losses, *others]), exact.losses)
    return Result(case, double, single, bound)


def rounding_bound(runs: Floats, double: Floats) -> Floats:
    """4 E(t), as this file's beginning derives it, of `runs` (runs, steps); one rounding at least."""
    largest = np.maximum.accumulate(np.abs(runs - double).max(axis=0))
    largest[:WINDOW] = largest[:WINDOW][-1]
    return tol.RUN_FACTOR * np.maximum(largest, tol.eps("float32") / 2 * np.abs(double))


def run_all(options: Namespace) -> int:
    """Run every case, write figures and results.json to options.out, and print the table."""
    check_count("steps", options.steps)
    get_backend(options.backend)
    out = Path(options.out or "runs/parity")
    rows: list[Row] = []
    for dataset in ("digits", "mnist"):
        chosen = [case for case in cases(dataset, options.seed) if options.filter.lower() in case.name]
        reason = missing(dataset, data_root()) if dataset != "digits" else ""
        if reason and chosen:
            rows.append(Row(dataset, "all runs", "skip", message=f"{dataset}: {reason}"))
        if reason or not chosen:
            continue
        data = load(dataset, data_root())
        results = []
        screen = Console(stderr=True)
        for case in track(chosen, f"{dataset}, {options.steps} steps", console=screen, transient=True):
            config = replace(case.config, backend=options.backend)
            results.append(compare(case._replace(config=config), data, options.steps))
            rows += results[-1].rows()
        out.mkdir(parents=True, exist_ok=True)
        draw(results, out / f"parity-{dataset}.png")
    if not rows:
        print(f"no run contains {options.filter!r}", file=sys.stderr)
        return 2
    about = {"backend": options.backend, "seed": options.seed, "steps": options.steps}
    text = to_json(rows, **about)
    write_text(out / "results.json", text + "\n")
    if options.json:
        print(text)
    else:
        print_table(rows, f"whole runs against PyTorch: {options.backend}, {options.steps} steps")
        print(f"figures and results.json: {out}")
    return int(any(row.status == "fail" for row in rows))
