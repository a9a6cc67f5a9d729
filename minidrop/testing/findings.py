"""Comparing arrays, and saying what is wrong in words."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from minidrop.backends import Array
from minidrop.testing.report import Outcome
from minidrop.testing.subject import host
from minidrop.testing.tolerances import RATIO

Host = np.ndarray[Any, Any]


class Findings:
    """What one check has found so far: the largest error and the problems.

    >>> found = Findings(1e-9)
    >>> found.compare("gradient of b", np.array([2.0, 4.0]), np.array([1.0, 2.0]), "central differences")
    >>> print(found.outcome().problems[0])
    gradient of b at (1,): expected 2 (central differences), got 4
      got is 2 times expected
      wrong at 2 of 2 elements, by up to 1 of the largest (tolerance 1.0e-09)
    """

    def __init__(self, tolerance: float | None = None, batch: int | None = None) -> None:
        self.tolerance = tolerance
        self.batch = batch
        self.error: float | None = None
        self.problems: list[str] = []

    def require(self, fine: bool, problem: str) -> bool:
        """Note `problem` unless all is `fine`; return `fine`."""
        if not fine:
            self.problems.append(problem)
        return fine

    def compare(
        self,
        what: str,
        got: Array,
        expected: Array,
        method: str,
        *,
        scale: float = 0.0,
        valid: Host | None = None,
        x: Host | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        """Note where `got` is not `expected`, relative to the largest of |expected| and `scale`.

        Args:
            what: the array's name.
            got: an array.
            expected: what it should be; another shape is a problem too.
            method: how `expected` was found.
            scale: the least that errors are relative to.
            valid: False where nothing is known.
            x: the layer's input, if `got` is the gradient of it.
            labels: what to call the elements instead of their index.
        """
        got, expected = host(got), host(expected)
        if got.shape != expected.shape:
            turned = got.ndim == 2 and got.T.shape == expected.shape
            extra = ": it may be the transpose" if turned else ""
            self.problems.append(f"{what} has shape {got.shape}, expected {expected.shape}{extra}")
            return
        if got.size == 0:
            return
        known = np.ones(got.shape, bool) if valid is None else valid
        with np.errstate(all="ignore"):
            unit = max(float(np.abs(expected[known]).max(initial=0)), scale, float(np.finfo(float).tiny))
            errors = np.where(known, np.abs(got - expected) / unit, 0.0)
        errors[np.isnan(errors)] = np.inf
        largest = float(errors.max())
        self.error = max(self.error or 0.0, largest)
        tolerance = self.tolerance or 0.0
        if largest <= tolerance:
            return
        wrong = errors > tolerance
        where = np.unravel_index(int(errors.argmax()), errors.shape)
        place = f"at {tuple(int(i) for i in where)}" if labels is None else labels[int(where[0])]
        lines = [f"{what} {place}: expected {expected[where]:.8g} ({method}), got {got[where]:.8g}"]
        lines += [f"  {line}" for line in self._relations(got, expected, wrong, unit * tolerance, x)]
        of = f"{int(wrong.sum())} of {int(known.sum())} {'elements' if labels is None else 'directions'}"
        lines.append(f"  wrong at {of}, by up to {largest:.2g} of the largest (tolerance {tolerance:.1e})")
        self.problems.append("\n".join(lines))

    def outcome(self, note: str = "") -> Outcome:
        """The check's outcome: failed if there is a problem."""
        status = "failed" if self.problems else "passed"
        tolerance = self.tolerance if self.error is not None else None
        return Outcome("", status, self.error, tolerance, note, self.problems)

    def _relations(
        self, got: Host, expected: Host, wrong: Host, absolute: float, x: Host | None
    ) -> list[str]:
        """What got is of expected, in words, where that is simple."""
        relations = []
        g, e = got[wrong], expected[wrong]
        if not np.isfinite(g).all():
            return [f"got is not finite at {int((~np.isfinite(g)).sum())} elements"]
        square = got.ndim == 2 and got.shape == got.T.shape and got.shape[0] > 1
        if square and np.abs(got.T - expected).max() <= absolute:
            relations.append("got is the transpose of expected")
        elif np.abs(g).max() <= absolute:
            relations.append("got is 0 where expected is not")
        elif np.abs(e).max() <= absolute:
            relations.append("got is not 0 where expected is 0")
        else:
            relations += self._ratio(g, e, absolute)
        if x is not None and x.shape == got.shape and not wrong.all():
            if (x[wrong] < 0).all():
                relations.append("all wrong elements have x < 0")
            elif (x[wrong] > 0).all():
                relations.append("all wrong elements have x > 0")
        return relations

    def _ratio(self, g: Host, e: Host, absolute: float) -> list[str]:
        big = np.abs(e) > 10 * absolute
        if not big.any() or np.abs(g[~big]).max(initial=0) > 100 * absolute:
            return []
        ratios = g[big] / e[big]
        ratio = float(np.median(ratios))
        if ratio == 0 or np.abs(ratios / ratio - 1).max() > RATIO:
            return []
        simple = Fraction(ratio).limit_denominator(max(12, self.batch or 0))
        short = simple.denominator == 1 or abs(simple.numerator) <= 12
        if not short or simple == 0 or abs(float(simple) / ratio - 1) > RATIO:
            return [f"got is {ratio:.4g} times expected"] if len(ratios) > 1 else []
        if simple == 1:
            return []
        if simple == -1:
            return ["got is expected with the sign turned"]
        hint = ""
        if self.batch and self.batch > 1 and float(simple) in (self.batch, 1 / self.batch):
            hint = f" (the batch has {self.batch} examples)"
        return [f"got is {simple} times expected{hint}"]
