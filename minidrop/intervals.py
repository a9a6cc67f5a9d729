"""The mean over n seeds, and how sure it is.

    mean m = Σ x / n        standard deviation s = √(Σ (x - m)² / (n - 1))        95 % interval m ± t s / √n

with t the 97.5 % quantile of Student's distribution for n - 1 degrees of freedom.
"""

from collections.abc import Mapping, Sequence
from math import inf, isfinite, sqrt
from statistics import NormalDist, fmean, stdev
from typing import Any

#: a run's numbers by name; None where there is nothing to report
Numbers = Mapping[str, float | None]
#: what is the same for every seed of a configuration
SAME = ("epoch", "step", "learning_rate", "momentum")

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


def spread(values: Sequence[float]) -> dict[str, Any]:
    """The mean of at least two values, their standard deviation, the mean's 95 % interval, and the values.

    >>> spread([1.0, 2.0, 3.0])["std"], spread([2.0, 2.0])["interval"]
    (1.0, [2.0, 2.0])
    """
    mean, half = interval(values)
    return {
        "mean": mean,
        "std": stdev(values),
        "interval": [mean - half, mean + half],
        "values": list(values),
    }


def mean_row(rows: Sequence[Numbers]) -> dict[str, float | None]:
    """The mean of each number over rows of several seeds, and behind it as NAME_std the standard deviation.

    What is the same for every seed, such as the epoch, stands alone.

    >>> mean_row([{"epoch": 1, "test_errors": 5}, {"epoch": 1, "test_errors": 7}])
    {'epoch': 1, 'test_errors': 6.0, 'test_errors_std': 1.4142135623730951}
    """
    found: dict[str, float | None] = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if name in SAME:
            found[name] = values[0]
        else:
            numbers = [value for value in values if value is not None]
            complete = len(numbers) == len(rows)
            found[name] = fmean(numbers) if complete else None
            found[f"{name}_std"] = stdev(numbers) if complete else None
    return found
