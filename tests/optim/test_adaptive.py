"""The optimizers with a rate of their own for each weight, against their papers' formulas in plain floats.

Each formula is a generator for one weight: it takes a gradient and a learning rate a step and yields the
weight after it. `decay` is L2 regularisation, g + λ w, except in AdamW, where the weight shrinks by itself.
"""

from collections.abc import Iterator, Sequence
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from optim_helpers import (
    assert_same_path,
    by_weight,
    fixed_examples,
    random_gradients,
    run,
    seeds,
    small_model,
    start_of,
)

import minidrop as md

Floats = Sequence[float]


def adam(w, gradients: Floats, lr: Floats, decay, beta1, beta2, eps, corrected=True) -> Iterator[float]:
    m = v = 0.0
    for t, (g, eta) in enumerate(zip(gradients, lr, strict=True), start=1):
        g = g + decay * w
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t) if corrected else v
        w = w - eta * m_hat / (sqrt(v_hat) + eps)
        yield w


def adamw(w, gradients: Floats, lr: Floats, decay, beta1, beta2, eps) -> Iterator[float]:
    m = v = 0.0
    for t, (g, eta) in enumerate(zip(gradients, lr, strict=True), start=1):
        w = w - eta * decay * w
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        w = w - eta * m / (1 - beta1**t) / (sqrt(v / (1 - beta2**t)) + eps)
        yield w


def adagrad(w, gradients: Floats, lr: Floats, decay, lr_decay, eps) -> Iterator[float]:
    total = 0.0
    for t, (g, eta) in enumerate(zip(gradients, lr, strict=True), start=1):
        g = g + decay * w
        total = total + g**2
        w = w - eta / (1 + (t - 1) * lr_decay) * g / (sqrt(total) + eps)
        yield w


def adadelta(w, gradients: Floats, lr: Floats, decay, rho, eps) -> Iterator[float]:
    squares = squared_steps = 0.0
    for g, eta in zip(gradients, lr, strict=True):
        g = g + decay * w
        squares = rho * squares + (1 - rho) * g**2
        delta = sqrt(squared_steps + eps) / sqrt(squares + eps) * g
        squared_steps = rho * squared_steps + (1 - rho) * delta**2
        w = w - eta * delta
        yield w


def rmsprop(w, gradients: Floats, lr: Floats, decay, alpha, eps, momentum, centered) -> Iterator[float]:
    squares = mean = velocity = 0.0
    for g, eta in zip(gradients, lr, strict=True):
        g = g + decay * w
        squares = alpha * squares + (1 - alpha) * g**2
        mean = alpha * mean + (1 - alpha) * g
        variance = squares - mean**2 if centered else squares
        velocity = momentum * velocity + g / (sqrt(variance) + eps)
        w = w - eta * velocity
        yield w


def adamax(w, gradients: Floats, lr: Floats, decay, beta1, beta2, eps) -> Iterator[float]:
    m = u = 0.0
    for t, (g, eta) in enumerate(zip(gradients, lr, strict=True), start=1):
        g = g + decay * w
        m = beta1 * m + (1 - beta1) * g
        u = max(beta2 * u, abs(g) + eps)
        w = w - eta / (1 - beta1**t) * m / u
        yield w


def nadam(w, gradients: Floats, lr: Floats, decay, beta1, beta2, eps, momentum_decay) -> Iterator[float]:
    def mu(t: int) -> float:
        return beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))

    m = v = 0.0
    product = 1.0
    for t, (g, eta) in enumerate(zip(gradients, lr, strict=True), start=1):
        g = g + decay * w
        product = product * mu(t)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat = mu(t + 1) * m / (1 - product * mu(t + 1)) + (1 - mu(t)) * g / (1 - product)
        w = w - eta * m_hat / (sqrt(v / (1 - beta2**t)) + eps)
        yield w


#: usual values, and unusual ones with an ε so large that its place in the formula shows
CASES = [
    (md.Adam, adam, {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}),
    (md.Adam, adam, {"beta1": 0.5, "beta2": 0.8, "eps": 0.3}),
    (md.Adam, adam, {"beta1": 0.0, "beta2": 0.0, "eps": 0.3}),
    (md.Adam, adam, {"beta1": 0.9, "beta2": 0.99, "eps": 0.1, "corrected": False}),
    (md.AdamW, adamw, {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}),
    (md.AdamW, adamw, {"beta1": 0.5, "beta2": 0.8, "eps": 0.3}),
    (md.Adagrad, adagrad, {"lr_decay": 0.0, "eps": 1e-10}),
    (md.Adagrad, adagrad, {"lr_decay": 0.3, "eps": 0.3}),
    (md.Adadelta, adadelta, {"rho": 0.9, "eps": 1e-6}),
    (md.Adadelta, adadelta, {"rho": 0.5, "eps": 0.1}),
    (md.RMSprop, rmsprop, {"alpha": 0.99, "eps": 1e-8, "momentum": 0.0, "centered": False}),
    (md.RMSprop, rmsprop, {"alpha": 0.7, "eps": 0.3, "momentum": 0.9, "centered": False}),
    (md.RMSprop, rmsprop, {"alpha": 0.9, "eps": 0.3, "momentum": 0.0, "centered": True}),
    (md.RMSprop, rmsprop, {"alpha": 0.7, "eps": 0.1, "momentum": 0.5, "centered": True}),
    (md.Adamax, adamax, {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}),
    (md.Adamax, adamax, {"beta1": 0.5, "beta2": 0.6, "eps": 0.5}),
    (md.NAdam, nadam, {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "momentum_decay": 4e-3}),
    (md.NAdam, nadam, {"beta1": 0.5, "beta2": 0.8, "eps": 0.3, "momentum_decay": 0.5}),
]


@pytest.mark.parametrize("decay", [0.0, 0.2])
@pytest.mark.parametrize("steps", [1, 30])
@pytest.mark.parametrize(
    ("cls", "formula", "options"), CASES, ids=[f"{cls.__name__} {options}" for cls, _, options in CASES]
)
@given(seed=seeds)
@fixed_examples
def test_follows_its_formula(seed, cls, formula, options, steps, decay):
    optimizer = cls(small_model().parameters(), lr=1.0, weight_decay=decay, **options)
    gradients = random_gradients(seed, steps)
    lr = np.random.default_rng([seed, 1]).uniform(0.01, 0.3, steps)
    expected = by_weight(formula, start_of(optimizer), gradients, lr, decay=decay, **options)
    assert_same_path(run(optimizer, gradients, lr), expected)


def test_momentum_of_rmsprop_can_be_scheduled():
    """After a step with momentum 0 the velocity is that step alone."""
    gradients = random_gradients(0, 3)
    scheduled = md.RMSprop(small_model().parameters(), lr=0.1, alpha=1.0, eps=1.0)  # s = 0: the root is 1
    path = run(scheduled, gradients, momentum=[0.9, 0.0, 0.5])
    assert_same_path(path[2] - path[1], -0.1 * (gradients[2] + 0.5 * gradients[1]))


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_centered_rmsprop_survives_a_variance_that_rounds_below_zero(backend):
    """With a constant gradient s - a² tends to zero, and rounding puts it on either side."""
    model = small_model(backend=backend)
    optimizer = md.RMSprop(model.parameters(), lr=0.1, alpha=0.5, centered=True)
    gradients = np.broadcast_to(random_gradients(0, 1), (100, 39))
    squares, mean = optimizer.state["squares"], optimizer.state["mean"]
    below_zero = False
    for gradient in gradients:
        run(optimizer, gradient[None])
        below_zero |= bool((squares < mean * mean).any())
        assert np.isfinite(optimizer.parameters.flat_values).all()
    assert below_zero, "the case that this test is about did not occur"
