"""Which forms of momentum are the same, and by exactly how much the others differ.

The table, with learning rate η (or ε) and momentum μ:

    torch      v ← μ v + g              w ← w - η v
    classical  v ← μ v + η g            w ← w - v
    ema        v ← μ v + (1 - μ) g      w ← w - η v
    hinton     v ← μ v - (1 - μ) ε g    w ← w + v

All gradients here are given in advance, so two optimizers that part never meet again by themselves.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optim_helpers import assert_same_path, fixed_examples, random_gradients, run, seeds, small_model
from tolerances import OPTIMIZERS_APART

import minidrop as md

STEPS = 30
momenta = st.floats(0.05, 0.95)
rates = st.floats(0.01, 1.0)


def path(form: str, gradients, lr, momentum, **options) -> np.ndarray:
    """The weights after each step; lr and momentum are numbers or one number for each step."""
    optimizer = md.Momentum(small_model().parameters(), lr=0.0, form=form, **options)
    steps = len(gradients)
    return run(optimizer, gradients, np.broadcast_to(lr, steps), np.broadcast_to(momentum, steps))


# -- constant η and μ ------------------------------------------------------------------------------------


@given(seed=seeds, lr=rates, mu=momenta)
@fixed_examples
def test_constant_torch_is_classical_and_ema_is_hinton(seed, lr, mu):
    g = random_gradients(seed, STEPS)
    assert_same_path(path("torch", g, lr, mu), path("classical", g, lr, mu))
    assert_same_path(path("ema", g, lr, mu), path("hinton", g, lr, mu))


@given(seed=seeds, lr=rates, mu=momenta)
@fixed_examples
def test_constant_torch_is_hinton_with_the_rate_divided_by_one_minus_momentum(seed, lr, mu):
    g = random_gradients(seed, STEPS)
    assert_same_path(path("torch", g, lr, mu), path("hinton", g, lr / (1 - mu), mu))


@given(seed=seeds, lr=rates, mu=momenta)
@fixed_examples
def test_dampened_torch_minus_ema_is_a_multiple_of_the_first_gradient(seed, lr, mu):
    """Its first buffer is g_1, not (1 - μ) g_1; the surplus μ g_1 decays with μ and sums up:

    difference after t steps = -η μ (1 - μᵗ) / (1 - μ) g_1
    """
    g = random_gradients(seed, STEPS)
    t = np.arange(1, STEPS + 1)[:, None]
    predicted = -lr * mu * (1 - mu**t) / (1 - mu) * g[0]
    difference = path("torch", g, lr, mu, dampening=mu) - path("ema", g, lr, mu)
    assert_same_path(difference, predicted)


@pytest.mark.parametrize(("mu", "multiple"), [(0.9, 9), (0.5, 1)])
def test_dampened_torch_ends_up_to_nine_first_steps_away_from_ema(mu, multiple):
    lr, g = 0.1, random_gradients(0, 500)
    difference = path("torch", g, lr, mu, dampening=mu)[-1] - path("ema", g, lr, mu)[-1]
    assert_same_path(difference, -multiple * lr * g[0])


# -- scheduled μ, constant η -----------------------------------------------------------------------------

RISING = np.linspace(0.5, 0.8, STEPS)


@given(seed=seeds, lr=rates)
@fixed_examples
def test_scheduled_momentum_keeps_both_pairs_together(seed, lr):
    g, mu = random_gradients(seed, STEPS), np.random.default_rng(seed).uniform(0.05, 0.95, STEPS)
    assert_same_path(path("torch", g, lr, mu), path("classical", g, lr, mu))
    assert_same_path(path("ema", g, lr, mu), path("hinton", g, lr, mu))


@given(seed=seeds, lr=rates)
@fixed_examples
def test_scheduled_momentum_parts_torch_from_hinton(seed, lr):
    """η_t = (1 - μ_t) ε is right for the present gradient and re-prices those in the buffer.

    After the second step: torch - hinton = -ε μ_2 ((1 - μ_2) - (1 - μ_1)) g_1 = ε μ_2 (μ_2 - μ_1) g_1
    """
    g = random_gradients(seed, STEPS)
    difference = path("torch", g, (1 - RISING) * lr, RISING) - path("hinton", g, lr, RISING)
    assert_same_path(difference[0], np.zeros_like(g[0]))
    assert_same_path(difference[1], lr * RISING[1] * (RISING[1] - RISING[0]) * g[0])
    assert np.abs(difference[1]).max() > OPTIMIZERS_APART


# -- scheduled η, constant μ -----------------------------------------------------------------------------


@given(seed=seeds, lr=rates, mu=momenta)
@fixed_examples
def test_scheduled_rate_parts_both_pairs(seed, lr, mu):
    """Torch and ema price g_1 at today's rate, classical and hinton at its own day's.

    After the second step: torch - classical = -μ (η_2 - η_1) g_1, and ema - hinton is (1 - μ) of that.
    """
    g, rate = random_gradients(seed, 2), np.array([lr, 0.5 * lr])
    predicted = -mu * (rate[1] - rate[0]) * g[0]
    assert_same_path((path("torch", g, rate, mu) - path("classical", g, rate, mu))[1], predicted)
    assert_same_path((path("ema", g, rate, mu) - path("hinton", g, rate, mu))[1], (1 - mu) * predicted)
    assert np.abs(predicted).max() > OPTIMIZERS_APART


# -- both scheduled: the exact emulation -----------------------------------------------------------------


@pytest.mark.parametrize("target", ["classical", "hinton"])
@given(seed=seeds, lr=rates)
@fixed_examples
def test_torch_emulates_the_others_exactly_with_a_corrected_decay_factor(target, seed, lr):
    """With a_t = η_t (classical) or (1 - μ_t) ε_t (hinton): rate a_t, momentum μ_t a_(t-1) / a_t."""
    g, rate = random_gradients(seed, STEPS), lr * 0.998 ** np.arange(STEPS)
    a = rate if target == "classical" else (1 - RISING) * rate
    corrected = RISING * np.concatenate([[1.0], a[:-1] / a[1:]])  # the first velocity is zero: any factor
    assert_same_path(path("torch", g, a, corrected), path(target, g, rate, RISING))
    assert np.abs(path("torch", g, a, RISING) - path(target, g, rate, RISING)).max() > OPTIMIZERS_APART
