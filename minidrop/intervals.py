"""The mean over n seeds, and how sure it is.

    mean m = Σ x / n        standard deviation s = √(Σ (x - m)² / (n - 1))        95 % interval m ± t s / √n

with t the 97.5 % quantile of Student's distribution for n - 1 degrees of freedom.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from math import atan, cos, inf, isfinite, pi, sin, sqrt
from statistics import fmean, stdev
from typing import Any

#: a run's numbers by name; None where there is nothing to report
Numbers = Mapping[str, float | None]
#: what is the same for every seed of a configuration
SAME = ("epoch", "step", "learning_rate", "momentum")


@cache
def student(degrees: int, tail: float = 0.025) -> float:
    """The t that Student's T exceeds with the probability `tail`, to four decimals as in printed tables.

    By bisection of P(|T| < t), which is finite for n degrees of freedom (Abramowitz and Stegun 1964, 26.7.3
    and 26.7.4): with tan θ = t / √n

        n even    sin θ (1 + 1/2 cos² θ + (1·3)/(2·4) cos⁴ θ + ... )                        n/2 terms
        n odd     2/π (θ + sin θ (cos θ + 2/3 cos³ θ + (2·4)/(3·5) cos⁵ θ + ... ))          (n-1)/2 terms

    >>> student(2), student(120), student(1, 0.005)
    (4.3027, 1.9799, 63.6567)
    """
    low, high = 0.0, 1.0
    while inside(high, degrees) < 1 - 2 * tail:
        low, high = high, 2 * high
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if inside(middle, degrees) < 1 - 2 * tail else (low, middle)
    return round(high, 4)


def inside(t: float, degrees: int) -> float:
    """P(|T| < t) for Student's T; see `student`.

    >>> round(inside(1.0, 1), 6)
    0.5
    """
    theta, odd = atan(t / sqrt(degrees)), degrees % 2
    term, total = cos(theta) ** odd, 0.0
    for k in range(1, degrees - odd, 2):
        total += term
        term *= (k + odd) / (k + 1 + odd) * cos(theta) ** 2
    return 2 / pi * (theta + sin(theta) * total) if odd else sin(theta) * total


def interval(values: Sequence[float], among: int = 1) -> tuple[float, float]:
    """The mean of `values` and the half width of its 95 % interval, infinite for a single value.

    Of `among` intervals that answer one question 95 % is for all together: each misses with a probability of
    at most 5 % / among (Bonferroni).

    >>> mean, half = interval([1.0, 2.0, 3.0])
    >>> mean, round(half, 3), round(interval([1.0, 2.0, 3.0], among=5)[1], 3)
    (2.0, 2.484, 5.73)
    """
    if len(values) < 2 or not all(map(isfinite, values)):
        return fmean(values), inf
    return fmean(values), student(len(values) - 1, 0.025 / among) * stdev(values) / sqrt(len(values))


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
