"""Mean, variance and their standard errors of what dropout makes of numbers uniform on [0, 1)."""

from collections.abc import Sequence
from math import sqrt

#: the keep rate of document 001's example
KEEP = 0.7
#: its million numbers, as 1000 examples of 1000 units
BATCH = UNITS = 1000


def theory(name: str, keep: float = KEEP) -> tuple[float, float, float]:
    """Mean, variance and fourth central moment of x, or of "paper training" ..., for x uniform on [0, 1).

    >>> [round(number, 4) for number in theory("paper training", 0.7)]
    [0.35, 0.1108, 0.0215]
    """
    factors = {"x": 1.0, "paper training": 1.0, "paper evaluation": keep}
    factors |= {"inverted training": 1 / keep, "inverted evaluation": 1.0}
    kept = keep if name.endswith("training") else 1.0
    return central([factors[name] ** j * kept / (j + 1) for j in range(1, 5)])


def noise_theory(per: str) -> tuple[float, float, float]:
    """The same of a unit's mean over a batch: of m x̄ with one mask, of a mean of m x with one each.

    x̄, the mean of a thousand, is normal to all purposes: its moments up to the fourth are used.
    """
    if per == "element":
        mean, variance, _ = theory("paper training")
        variance /= BATCH
        return mean, variance, 3 * variance**2
    m, s = 0.5, 1 / 12 / BATCH
    raw = (m, m**2 + s, m**3 + 3 * m * s, m**4 + 6 * m**2 * s + 3 * s**2)
    return central([KEEP * moment for moment in raw])


def central(raw: Sequence[float]) -> tuple[float, float, float]:
    """Mean, variance and fourth central moment from the raw moments E[y] ... E[y⁴]."""
    m, m2, m3, m4 = raw
    return m, m2 - m**2, m4 - 4 * m * m3 + 6 * m**2 * m2 - 3 * m**4


def standard_errors(moments: tuple[float, float, float], n: int) -> tuple[float, float]:
    """Of the mean √(Var / n), and of the variance √((μ₄ - Var²) / n)."""
    _, variance, fourth = moments
    return sqrt(variance / n), sqrt((fourth - variance**2) / n)
