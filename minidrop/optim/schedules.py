"""Schedules: plain functions of the epoch, counted from 0; a fraction of an epoch is fine.

>>> lr, momentum = exponential(10.0, 0.998), linear(0.5, 0.99, 500)
>>> [round(lr(k), 3) for k in (0, 1, 500)], [round(momentum(k), 3) for k in (0, 250, 500, 3000)]
([10.0, 9.98, 3.675], [0.5, 0.745, 0.99, 0.99])
"""

from collections.abc import Callable
from math import exp, floor
from typing import TypeAlias

from minidrop.errors import ArgumentError, check_range

Schedule: TypeAlias = Callable[[float], float]


def constant(initial: float) -> Schedule:
    """s(k) = initial."""
    check_range("initial", initial, 0)
    return lambda epoch: initial


def exponential(initial: float, decay: float) -> Schedule:
    """s(k) = initial · decayᵏ: the learning rate of Hinton et al. 2012, with decay 0.998."""
    check_range("initial", initial, 0)
    check_range("decay", decay, 0)
    return lambda epoch: float(initial * decay**epoch)


def linear(initial: float, final: float, epochs: float) -> Schedule:
    """s(k) = (k/K) final + (1 - k/K) initial for k < K = epochs, then final.

    The momentum of Hinton et al. 2012, appendix A, which prints initial and final swapped (document 000).
    """
    check_range("initial", initial, 0)
    check_range("final", final, 0)
    _check_epochs(epochs)
    return lambda epoch: (
        epoch / epochs * final + (1 - epoch / epochs) * initial if epoch < epochs else float(final)
    )


def saturating(initial: float, final: float, epochs: float) -> Schedule:
    """s(k) = final - (final - initial) e^(-k/K), K = epochs: the momentum of Srivastava's deepnet."""
    check_range("initial", initial, 0)
    check_range("final", final, 0)
    _check_epochs(epochs)
    return lambda epoch: final - (final - initial) * exp(-epoch / epochs)


def step(initial: float, factor: float, epochs: float) -> Schedule:
    """s(k) = initial · factor^⌊k/K⌋, K = epochs."""
    check_range("initial", initial, 0)
    check_range("factor", factor, 0)
    _check_epochs(epochs)
    return lambda epoch: float(initial * factor ** floor(epoch / epochs))


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
