"""The initializers' distributions: minidrop's draws and PyTorch's as two samples of one law."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch

import minidrop as md
from minidrop.backends import Array
from reference import tolerances as tol
from reference.checks.rows import Check, Comparison, Row, Setting, row
from reference.initializers import PAIRS

SHAPE = (300, 200)
#: E[(x - mean)^4] / variance^2 - 1, of which the variance's standard error is a root
KURTOSIS = {"normal": 2.0, "uniform": 0.8}


def checks(setting: Setting) -> Iterator[Check]:
    """One for each pair."""
    for name, (initializer, _, _) in PAIRS.items():
        yield Check(name, partial(_rows, setting, name), type(initializer).__call__)


def _rows(setting: Setting, name: str) -> Iterator[Row]:
    initializer, fill, law = PAIRS[name]
    layer = md.Linear(
        SHAPE[1], SHAPE[0], bias=False, init=initializer, dtype=setting.dtype, seed=setting.seed
    )
    mine = setting.backend.to_host(layer.weight.value)
    generator = torch.get_rng_state()
    torch.manual_seed(setting.seed)
    weight = torch.empty(SHAPE, dtype=getattr(torch, setting.dtype))
    with torch.no_grad():
        fill(weight)
    torch.set_rng_state(generator)
    theirs, source = weight.numpy(), type(initializer).__call__
    if law == "constant":
        yield row(name, "values", [Comparison("weight", mine, theirs, 0.0)], source)
        return
    for check, comparison in _statistics(mine, theirs, law):
        yield row(name, check, [comparison], source)


def _statistics(mine: Array, theirs: Array, law: str) -> Iterator[tuple[str, Comparison]]:
    mine, theirs = mine.astype(np.float64), theirs.astype(np.float64)
    n, variance = mine.size, theirs.var()
    two = np.sqrt(2 / n)  # both samples have an error
    yield (
        "mean, in standard errors",
        Comparison("mean", mine.mean(), theirs.mean(), tol.STANDARD_ERRORS, np.sqrt(variance) * two),
    )
    yield (
        "variance, in standard errors",
        Comparison(
            "variance", mine.var(), variance, tol.STANDARD_ERRORS, variance * np.sqrt(KURTOSIS[law]) * two
        ),
    )
    if law == "uniform":
        ends = [np.array([a.min(), a.max()]) for a in (mine, theirs)]
        width = float(np.ptp(ends[1]))
        yield "bounds, of the width", Comparison("[low, high]", ends[0], ends[1], tol.EXTREME / n, width)
