"""The mean over n seeds with its 95 % interval: mean ± t s / √n, with Student's t."""

from collections.abc import Sequence
from math import inf, isfinite, sqrt
from statistics import NormalDist, fmean, stdev

#: the 97.5 % quantiles of Student's t for 1 ... 30 degrees of freedom
STUDENT = (
    *(12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281),
    *(2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860),
    *(2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423),
)


def student(degrees: int) -> float:
    """The 97.5 % quantile of Student's t; above 30 degrees of freedom to better than 1e-4 by its expansion.

    >>> student(2), round(student(120), 3)
    (4.3027, 1.98)
    """
    if degrees <= len(STUDENT):
        return STUDENT[degrees - 1]
    z = NormalDist().inv_cdf(0.975)
    return z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean of `values` and the half width of its 95 % interval, infinite for a single value.

    >>> mean, half = interval([1.0, 2.0, 3.0])
    >>> mean, round(half, 3)
    (2.0, 2.484)
    """
    if len(values) < 2 or not all(map(isfinite, values)):
        return fmean(values), inf
    return fmean(values), student(len(values) - 1) * stdev(values) / sqrt(len(values))
