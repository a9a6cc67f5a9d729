"""The updates of minidrop/optim and max-norm as loops, each of which reads and writes an array once.

The formulas are those of the classes of the same names. Every loop begins with the weight decay λ: the
gradient is g + decay w, and the weight begins as shrink w, where of decay = λ and shrink = 1 - η λ the one
that does not apply is 0 or 1. What else all elements share is worked out before, by `prepared`.
"""

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
from numba import njit

from minidrop.backends.loops import Array, compiled
from minidrop.backends.values import Formula, Moving

#: a loop, and the numbers that it takes after arrays, decay and shrink
Prepared = tuple[Callable[..., None], tuple[float, ...]]
#: the forms of momentum, as a formula's constants count them; 0 is PyTorch's
_CLASSICAL, _EMA, _HINTON = 1, 2, 3

#: for sums that may be added up in any order, which is what lets a processor add several at a time
summing = njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc"})


@summing
def squared_length(row: Array) -> Any:
    """Σ row²."""
    squares = row.dtype.type(0)
    for j in range(len(row)):
        squares += row[j] * row[j]
    return squares


@compiled
def limit_length(row: Array, limit: Any) -> None:
    """row ← row c / max(c, |row|), c = limit; within it the row is only read."""
    length = np.sqrt(squared_length(row))
    if not length <= limit:  # so that a NaN goes through the whole row
        factor = limit / length
        for j in range(len(row)):
            row[j] *= factor


@compiled
def limit_row_norms(matrix: Array, limit: Any) -> None:
    """`limit_length` of each row."""
    for i in range(len(matrix)):
        limit_length(matrix[i], limit)


@compiled
def sgd(w: Array, g: Array, decay: Any, shrink: Any, lr: Any) -> None:
    """w ← w - η g."""
    for i in range(len(w)):
        w[i] = shrink * w[i] - lr * (g[i] + decay * w[i])


@compiled
def plain(w: Array, g: Array, v: Array, decay: Any, shrink: Any, lr: Any) -> None:
    """w ← w - η g, by an optimizer whose velocity stays as it is."""
    sgd(w, g, decay, shrink, lr)


@compiled
def momentum(w: Array, g: Array, v: Array, decay: Any, shrink: Any, mu: Any, factor: Any, step: Any) -> None:
    """v ← μ v + factor g, w ← w + step v."""
    for i in range(len(w)):
        v[i] = mu * v[i] + factor * (g[i] + decay * w[i])
        w[i] = shrink * w[i] + step * v[i]


@compiled
def nesterov(w: Array, g: Array, v: Array, decay: Any, shrink: Any, mu: Any, lr: Any) -> None:
    """v ← μ v + g, w ← w - η (g + μ v)."""
    for i in range(len(w)):
        gradient = g[i] + decay * w[i]
        v[i] = mu * v[i] + gradient
        w[i] = shrink * w[i] - lr * (gradient + mu * v[i])


@compiled
def follow(w: Array, v: Array, step: Any) -> None:
    """w ← w + step v."""
    for i in range(len(w)):
        w[i] += step * v[i]


@compiled
def follow_rows(w: Array, v: Array, step: Any, limit: Any) -> None:
    """The same for a matrix, each of whose rows is limited at once, while it is in cache."""
    for i in range(len(w)):
        row, velocity = w[i], v[i]
        follow(row, velocity, step)
        limit_length(row, limit)


@compiled
def adam(
    w: Array, g: Array, m: Array, v: Array, decay: Any, shrink: Any,
    beta1: Any, rest1: Any, beta2: Any, rest2: Any, eps: Any, step: Any,
) -> None:  # fmt: skip
    """m ← β₁ m + (1 - β₁) g, v ← β₂ v + (1 - β₂) g², w ← w - step m / (√v + ε)."""
    for i in range(len(w)):
        gradient = g[i] + decay * w[i]
        m[i] = beta1 * m[i] + rest1 * gradient
        v[i] = beta2 * v[i] + rest2 * (gradient * gradient)
        w[i] = shrink * w[i] - step * (m[i] / (np.sqrt(v[i]) + eps))


@compiled
def nadam(
    w: Array, g: Array, m: Array, v: Array, decay: Any, shrink: Any,
    beta1: Any, rest1: Any, beta2: Any, rest2: Any, eps: Any, of_gradient: Any, of_moment: Any, unbiased: Any,
) -> None:  # fmt: skip
    """The moments of Adam, w ← w - (of_gradient g + of_moment m) / (√(v / (1 - β₂ᵗ)) + ε)."""
    for i in range(len(w)):
        gradient = g[i] + decay * w[i]
        m[i] = beta1 * m[i] + rest1 * gradient
        v[i] = beta2 * v[i] + rest2 * (gradient * gradient)
        step = of_gradient * gradient + of_moment * m[i]
        w[i] = shrink * w[i] - step / (np.sqrt(v[i] / unbiased) + eps)


@compiled
def adamax(
    w: Array, g: Array, m: Array, u: Array, decay: Any, shrink: Any,
    beta1: Any, rest1: Any, beta2: Any, eps: Any, step: Any,
) -> None:  # fmt: skip
    """m ← β₁ m + (1 - β₁) g, u ← max(β₂ u, |g| + ε), w ← w - step m / u; a NaN stays one."""
    for i in range(len(w)):
        gradient = g[i] + decay * w[i]
        m[i] = beta1 * m[i] + rest1 * gradient
        norm, size = beta2 * u[i], np.abs(gradient) + eps
        u[i] = size if norm < size or size != size else norm
        w[i] = shrink * w[i] - step * (m[i] / u[i])


@compiled
def rmsprop(
    w: Array, g: Array, s: Array, v: Array, decay: Any, shrink: Any,
    alpha: Any, rest: Any, eps: Any, mu: Any, lr: Any,
) -> None:  # fmt: skip
    """s ← α s + (1 - α) g², v ← μ v + g / (√s + ε), w ← w - η v."""
    for i in range(len(w)):
        gradient = g[i] + decay * w[i]
        s[i] = alpha * s[i] + rest * (gradient * gradient)
        v[i] = mu * v[i] + gradient / (np.sqrt(s[i]) + eps)
        w[i] = shrink * w[i] - lr * v[i]


@compiled
def centered_rmsprop(
    w: Array, g: Array, s: Array, v: Array, a: Array, decay: Any, shrink: Any,
    alpha: Any, rest: Any, eps: Any, mu: Any, lr: Any,
) -> None:  # fmt: skip
    """The same with the root of s - a², a ← α a + (1 - α) g, which rounding can leave just below zero."""
    zero = w.dtype.type(0)
    for i in range(len(w)):
        gradient = g[i] + decay * w[i]
        s[i] = alpha * s[i] + rest * (gradient * gradient)
        a[i] = alpha * a[i] + rest * gradient
        variance = s[i] - a[i] * a[i]
        variance = zero if variance < zero else variance
        v[i] = mu * v[i] + gradient / (np.sqrt(variance) + eps)
        w[i] = shrink * w[i] - lr * v[i]


@compiled
def adagrad(w: Array, g: Array, s: Array, decay: Any, shrink: Any, eps: Any, step: Any) -> None:
    """s ← s + g², w ← w - step g / (√s + ε)."""
    for i in range(len(w)):
        gradient = g[i] + decay * w[i]
        s[i] += gradient * gradient
        w[i] = shrink * w[i] - step * (gradient / (np.sqrt(s[i]) + eps))


@compiled
def adadelta(
    w: Array, g: Array, s: Array, d: Array, decay: Any, shrink: Any, rho: Any, rest: Any, eps: Any, lr: Any
) -> None:
    """s ← ρ s + (1 - ρ) g², δ = √(d + ε) / √(s + ε) g, d ← ρ d + (1 - ρ) δ², w ← w - η δ."""
    for i in range(len(w)):
        gradient = g[i] + decay * w[i]
        s[i] = rho * s[i] + rest * (gradient * gradient)
        delta = np.sqrt(d[i] + eps) / np.sqrt(s[i] + eps) * gradient
        d[i] = rho * d[i] + rest * (delta * delta)
        w[i] = shrink * w[i] - lr * delta


def prepared(formula: Formula, now: Moving, lr: float) -> Prepared:
    """The loop of a formula, and what all elements of a step share, with η = lr.

    >>> prepared(Formula("adagrad", (1e-10, 0.5)), Moving(lr=1.0, steps=3), 1.0)[1]
    (1e-10, 0.5)
    """
    return _PREPARED[formula.name](now, lr, *formula.constants)


def _sgd(now: Moving, lr: float) -> Prepared:
    return sgd, (lr,)


def _momentum(now: Moving, lr: float, form: float, dampening: float, looks_ahead: float) -> Prepared:
    mu = now.momentum
    if form == _CLASSICAL:
        return momentum, (mu, lr, -1)
    if form == _EMA:
        return momentum, (mu, 1 - mu, -lr)
    if form == _HINTON:
        return momentum, (mu, -(1 - mu) * lr, 1)
    if mu == 0:
        return plain, (lr,)
    if looks_ahead:
        return nesterov, (mu, lr)
    return momentum, (mu, 1 if now.velocity_steps == 1 else 1 - dampening, -lr)


def _moments(beta1: float, beta2: float) -> tuple[float, ...]:
    return beta1, 1 - beta1, beta2, 1 - beta2


def _adam(now: Moving, lr: float, beta1: float, beta2: float, eps: float, corrected: float) -> Prepared:
    # √v̂ + ε = (√v + ε c) / c
    c = sqrt(1 - beta2**now.steps) if corrected else 1.0
    return adam, (*_moments(beta1, beta2), eps * c, lr * c / (1 - beta1**now.steps))


def _nadam(now: Moving, lr: float, beta1: float, beta2: float, eps: float, psi: float) -> Prepared:
    mu, ahead = (beta1 * (1 - 0.5 * 0.96 ** (t * psi)) for t in (now.steps, now.steps + 1))
    product = now.momentum_product
    of_gradient, of_moment = lr * (1 - mu) / (1 - product), lr * ahead / (1 - product * ahead)
    return nadam, (*_moments(beta1, beta2), eps, of_gradient, of_moment, 1 - beta2**now.steps)


def _adamax(now: Moving, lr: float, beta1: float, beta2: float, eps: float) -> Prepared:
    return adamax, (beta1, 1 - beta1, beta2, eps, lr / (1 - beta1**now.steps))


def _rmsprop(now: Moving, lr: float, alpha: float, eps: float, centered: float) -> Prepared:
    return centered_rmsprop if centered else rmsprop, (alpha, 1 - alpha, eps, now.momentum, lr)


def _adagrad(now: Moving, lr: float, eps: float, lr_decay: float) -> Prepared:
    return adagrad, (eps, lr / (1 + (now.steps - 1) * lr_decay))


def _adadelta(now: Moving, lr: float, rho: float, eps: float) -> Prepared:
    return adadelta, (rho, 1 - rho, eps, lr)


_PREPARED: dict[str, Callable[..., Prepared]] = {
    "sgd": _sgd,
    "momentum": _momentum,
    "adam": _adam,
    "nadam": _nadam,
    "adamax": _adamax,
    "rmsprop": _rmsprop,
    "adagrad": _adagrad,
    "adadelta": _adadelta,
}
