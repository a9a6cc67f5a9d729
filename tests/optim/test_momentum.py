"""SGD and the forms of momentum against their formulas, for one weight at a time and in plain floats."""

from collections.abc import Iterator, Sequence

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


def sgd(w: float, gradients: Floats, lr: Floats, decay: float) -> Iterator[float]:
    for g, eta in zip(gradients, lr, strict=True):
        w = w - eta * (g + decay * w)
        yield w


def torch_form(
    w: float, gradients: Floats, lr: Floats, momentum: Floats, decay: float, dampening=0.0, nesterov=False
) -> Iterator[float]:
    """The loop in the documentation of torch.optim.SGD."""
    v = None
    for g, eta, mu in zip(gradients, lr, momentum, strict=True):
        g = g + decay * w
        if mu != 0:
            v = g if v is None else mu * v + (1 - dampening) * g
            g = g + mu * v if nesterov else v
        w = w - eta * g
        yield w


def classical_form(
    w: float, gradients: Floats, lr: Floats, momentum: Floats, decay: float
) -> Iterator[float]:
    v = 0.0
    for g, eta, mu in zip(gradients, lr, momentum, strict=True):
        v = mu * v + eta * (g + decay * w)
        w = w - v
        yield w


def ema_form(w: float, gradients: Floats, lr: Floats, momentum: Floats, decay: float) -> Iterator[float]:
    v = 0.0
    for g, eta, mu in zip(gradients, lr, momentum, strict=True):
        v = mu * v + (1 - mu) * (g + decay * w)
        w = w - eta * v
        yield w


def hinton_form(w: float, gradients: Floats, lr: Floats, momentum: Floats, decay: float) -> Iterator[float]:
    v = 0.0
    for g, eta, mu in zip(gradients, lr, momentum, strict=True):
        v = mu * v - (1 - mu) * eta * (g + decay * w)
        w = w + v
        yield w


FORMS = {"torch": torch_form, "classical": classical_form, "ema": ema_form, "hinton": hinton_form}
TORCH_OPTIONS = [{}, {"dampening": 0.3}, {"dampening": 1.0}, {"nesterov": True}]


def random_schedules(seed: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """A learning rate and a momentum that jump at every step."""
    rng = np.random.default_rng([seed, 1])
    return rng.uniform(0.01, 0.3, steps), rng.uniform(0.01, 0.99, steps)


@pytest.mark.parametrize("decay", [0.0, 0.2])
@pytest.mark.parametrize("steps", [1, 30])
@given(seed=seeds)
@fixed_examples
def test_sgd_follows_its_formula(seed, steps, decay):
    optimizer = md.SGD(small_model().parameters(), lr=1.0, weight_decay=decay)
    gradients, (lr, _) = random_gradients(seed, steps), random_schedules(seed, steps)
    expected = by_weight(sgd, start_of(optimizer), gradients, lr, decay=decay)
    assert_same_path(run(optimizer, gradients, lr), expected)


@pytest.mark.parametrize("decay", [0.0, 0.2])
@pytest.mark.parametrize("steps", [1, 30])
@pytest.mark.parametrize("form", FORMS)
@given(seed=seeds)
@fixed_examples
def test_each_form_follows_its_formula(seed, form, steps, decay):
    optimizer = md.Momentum(small_model().parameters(), lr=1.0, form=form, weight_decay=decay)
    gradients, schedules = random_gradients(seed, steps), random_schedules(seed, steps)
    expected = by_weight(FORMS[form], start_of(optimizer), gradients, *schedules, decay=decay)
    assert_same_path(run(optimizer, gradients, *schedules), expected)


@pytest.mark.parametrize("decay", [0.0, 0.2])
@pytest.mark.parametrize("steps", [1, 2, 30])
@pytest.mark.parametrize("options", TORCH_OPTIONS, ids=str)
@given(seed=seeds)
@fixed_examples
def test_the_options_of_the_torch_form(seed, options, steps, decay):
    optimizer = md.Momentum(small_model().parameters(), lr=1.0, weight_decay=decay, **options)
    gradients, schedules = random_gradients(seed, steps), random_schedules(seed, steps)
    expected = by_weight(torch_form, start_of(optimizer), gradients, *schedules, decay=decay, **options)
    assert_same_path(run(optimizer, gradients, *schedules), expected)


@pytest.mark.parametrize("options", TORCH_OPTIONS, ids=str)
def test_torch_momentum_that_pauses_keeps_its_velocity_meanwhile(options):
    """With momentum 0 a step is η g and v waits, as in torch.optim.SGD."""
    gradients, lr, momentum = random_gradients(3, 6), np.full(6, 0.1), [0.9, 0.9, 0.0, 0.0, 0.9, 0.5]
    optimizer = md.Momentum(small_model().parameters(), lr=0.1, **options)
    expected = by_weight(torch_form, start_of(optimizer), gradients, lr, momentum, decay=0.0, **options)
    assert_same_path(run(optimizer, gradients, lr, momentum), expected)


def test_dampening_spares_the_first_gradient_that_the_velocity_gets():
    """In torch.optim.SGD v ← g when the buffer is new, also where momentum was 0 for some steps before."""
    gradients, lr, momentum = random_gradients(3, 4), np.full(4, 0.1), [0.0, 0.9, 0.9, 0.9]
    optimizer = md.Momentum(small_model().parameters(), lr=0.1, dampening=0.5)
    expected = by_weight(torch_form, start_of(optimizer), gradients, lr, momentum, decay=0.0, dampening=0.5)
    assert_same_path(run(optimizer, gradients, lr, momentum), expected)


@pytest.mark.parametrize("form", ["classical", "ema", "hinton"])
def test_other_forms_with_momentum_zero_are_plain_descent(form):
    gradients = random_gradients(0, 5)
    plain = run(md.SGD(small_model().parameters(), lr=0.1), gradients)
    mine = run(md.Momentum(small_model().parameters(), lr=0.1, momentum=0, form=form), gradients)
    assert_same_path(mine, plain)
