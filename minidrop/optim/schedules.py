"""Schedules: plain functions of the epoch, counted from 0; a fraction of an epoch is fine.

>>> lr, momentum = exponential(10.0, 0.998), linear(0.5, 0.99, 500)
>>> [round(lr(k), 3) for k in (0, 1, 500)], [round(momentum(k), 3) for k in (0, 250, 500, 3000)]
([10.0, 9.98, 3.675], [0.5, 0.745, 0.99, 0.99])
"""

from collections.abc import Callable
from math import exp, floor, inf
from typing import TypeAlias

from minidrop.errors import ArgumentError, check_range

Schedule: TypeAlias = Callable[[float], float]


def constant(initial: float) -> Schedule:
    """s(k) = initial.

    Raises:
        ArgumentError: if `initial` is below 0 or not finite.

    >>> constant(0.1)(300)
    0.1
    """
    check_range("initial", initial, 0)
    return lambda epoch: initial


def exponential(initial: float, decay: float) -> Schedule:
    """s(k) = initial · decayᵏ: the learning rate of Hinton et al. 2012, with decay 0.998.

    Raises:
        ArgumentError: if `initial` or `decay` is below 0 or not finite.

    >>> [exponential(8.0, 0.5)(k) for k in (0, 1, 2, 3)]
    [8.0, 4.0, 2.0, 1.0]
    """
    check_range("initial", initial, 0)
    check_range("decay", decay, 0)
    return lambda epoch: float(initial * _power(decay, epoch))


def linear(initial: float, final: float, epochs: float) -> Schedule:
    """s(k) = (k/K) final + (1 - k/K) initial for k < K = epochs, then final.

    The momentum of Hinton et al. 2012, appendix A, which prints initial and final swapped (document 000).

    Raises:
        ArgumentError: if `initial` or `final` is below 0, `epochs` is not above 0, or one is not finite.

    >>> [linear(0.5, 1.0, epochs=4)(k) for k in (0, 1, 4, 100)]
    [0.5, 0.625, 1.0, 1.0]
    """
    check_range("initial", initial, 0)
    check_range("final", final, 0)
    _check_epochs(epochs)
    return lambda epoch: (
        epoch / epochs * final + (1 - epoch / epochs) * initial if epoch < epochs else float(final)
    )


def saturating(initial: float, final: float, epochs: float) -> Schedule:
    """s(k) = final - (final - initial) e^(-k/K), K = epochs: the momentum of Srivastava's deepnet.

    Raises:
        ArgumentError: as that of `linear`.

    >>> [round(saturating(0.0, 1.0, epochs=10)(k), 3) for k in (0, 10, 30)]  # 1 - 1/e and 1 - 1/e³
    [0.0, 0.632, 0.95]
    """
    check_range("initial", initial, 0)
    check_range("final", final, 0)
    _check_epochs(epochs)
    return lambda epoch: final - (final - initial) * exp(-epoch / epochs)


def step(initial: float, factor: float, epochs: float) -> Schedule:
    """s(k) = initial · factor^⌊k/K⌋, K = epochs.

    Raises:
        ArgumentError: if `initial` or `factor` is below 0, `epochs` is not above 0, or one is not finite.

    >>> [step(1.0, 0.5, epochs=10)(k) for k in (0, 9, 10, 25)]
    [1.0, 1.0, 0.5, 0.25]
    """
    check_range("initial", initial, 0)
    check_range("factor", factor, 0)
    _check_epochs(epochs)
    return lambda epoch: float(initial * _power(factor, floor(epoch / epochs)))


def _power(base: float, exponent: float) -> float:
    """base^exponent, infinite where it is too large, which an optimizer refuses by name."""
    try:
        return float(base**exponent)
    except OverflowError:
        return inf


def _check_epochs(epochs: float) -> None:
    if check_range("epochs", epochs, 0) == 0:
        raise ArgumentError("epochs of a schedule must be above 0")


#: the schedules by the name that a configuration gives them
SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "constant": constant,
    "exponential": exponential,
    "linear": linear,
    "saturating": saturating,
    "step": step,
}
