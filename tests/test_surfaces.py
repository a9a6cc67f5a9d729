"""The gradients of the surfaces against complex steps of their values, and walks on them against formulas."""

from functools import partial

import numpy as np
import pytest
from tolerances import COMPLEX_STEP, FLOAT32_ROUNDING, FLOAT64_ROUNDING, OPTIMIZER_PATH

import minidrop as md
from minidrop.errors import ArgumentError, ArrayError
from minidrop.optim import OPTIMIZERS
from minidrop.surfaces import Quadratic, Ravine, SteepOptima, descend

SURFACES = {
    "quadratic": Quadratic([[3.0, -1.0], [-1.0, 40.0]], [0.5, -2.0]),
    "ravine": Ravine(),
    "steep optima": SteepOptima(),
}


def complex_step(surface, w):
    """Im f(w + i h e) / h for each direction e; h is far below the rounding of w, so nothing is left out."""
    h = 1e-30
    slopes = [surface.value(w + 1j * h * e).imag / h for e in np.eye(w.shape[-1])]
    return np.stack(slopes, axis=-1)


@pytest.mark.parametrize("name", SURFACES)
def test_gradients_by_complex_step(name):
    w = np.random.default_rng(0).uniform(-6, 6, (500, 2))
    w[:100] /= 4
    gradient = SURFACES[name].gradient(w)
    expected = complex_step(SURFACES[name], w)
    assert abs(expected).max() > 0.1
    np.testing.assert_allclose(gradient, expected, rtol=COMPLEX_STEP, atol=COMPLEX_STEP)


@pytest.mark.parametrize("wrong", ["no absolute value", "another width", "another centre"])
def test_the_complex_step_sees_a_wrong_gradient(wrong):
    w = np.random.default_rng(1).uniform(-1, 1, (50, 2))
    right, made_wrong = {
        "no absolute value": (Ravine(), lambda w: Ravine().gradient(w) - [0.01, 0] * np.sign(w)),
        "another width": (SteepOptima(), SteepOptima(width=0.21).gradient),
        "another centre": (SURFACES["quadratic"], Quadratic(SURFACES["quadratic"].curvature).gradient),
    }[wrong]
    assert abs(made_wrong(w) - complex_step(right, w)).max() > 1e-3


@pytest.mark.parametrize("name", SURFACES)
def test_float32_stays_float32_and_near(name):
    """A sum that cancels rounds by its largest term, here at most 400."""
    surface = SURFACES[name]
    w = np.random.default_rng(2).uniform(-3, 3, (4, 25, 2))
    value, gradient = surface.value(w.astype(np.float32)), surface.gradient(w.astype(np.float32))
    assert value.dtype == gradient.dtype == np.float32
    assert (value.shape, gradient.shape) == ((4, 25), (4, 25, 2))
    for found, exact in ((value, surface.value(w)), (gradient, surface.gradient(w))):
        scale = max(abs(exact).max(), 1)
        np.testing.assert_allclose(found, exact, rtol=0, atol=FLOAT32_ROUNDING * scale)
    one = surface.gradient(w[0, 0].astype(np.float32))
    assert (one.dtype, one.shape) == (np.float32, (2,))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_overflows_far_out(dtype):
    far = np.array([[1e4, 1e4], [-1e4, -1e4]], dtype)
    np.testing.assert_array_equal(Ravine().value(far), np.array([102, 101], dtype))
    np.testing.assert_array_equal(Ravine().gradient(far)[:, 1], 0)
    np.testing.assert_array_equal(SteepOptima().gradient(far), 0)


def test_values_by_hand():
    assert Quadratic([[2.0]]).value(np.array([3.0])) == 9
    w = np.array([1.0, 2.0])
    by_hand = np.tanh(1) ** 2 + 0.01 + 1 / (1 + np.exp(-2))
    np.testing.assert_allclose(Ravine().value(w), by_hand, rtol=FLOAT64_ROUNDING)
    one = SteepOptima([(0.0, 0.0)], width=0.5)
    np.testing.assert_allclose(one.value(w), -np.exp(-5 / 0.5) / (2 * np.pi * 0.25), rtol=FLOAT64_ROUNDING)
    assert Ravine().gradient(np.zeros(2))[0] == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: Quadratic([[1.0, 2.0], [0.0, 1.0]]),
        lambda: Quadratic([1.0, 2.0]),
        lambda: Quadratic([[1.0]], [0.0, 0.0]),
        lambda: SteepOptima([]),
        lambda: SteepOptima([(1.0, 2.0, 3.0)]),
        lambda: SteepOptima(width=0),
        lambda: Quadratic([[1.0]]).stability_limit(1.0),
        lambda: descend(Ravine(), [], md.SGD, 1),
        lambda: descend(Ravine(), [[1.0, 2.0]], md.SGD, 1),
        lambda: descend(Ravine(), [1.0, 2.0], md.SGD, -1),
        lambda: descend(Ravine(), [1.0, 2.0], md.SGD, 1, "int32"),
    ],
)
def test_what_cannot_be_is_refused(make):
    with pytest.raises((ArgumentError, ArrayError)):
        make()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_walks(name, dtype):
    path = descend(SURFACES["quadratic"], (1.0, -1.5), partial(OPTIMIZERS[name], lr=0.01), 20, dtype)
    assert (path.shape, path.dtype) == ((21, 2), np.dtype(dtype))
    assert path[0].tolist() == [1.0, -1.5]
    assert np.isfinite(path).all()
    assert (path[1] != path[0]).all()


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_momentum_follows_its_recursion(momentum):
    bowl, eta = SURFACES["quadratic"], 0.02
    make = partial(md.Momentum, lr=eta, momentum=momentum, form="classical")
    path = descend(bowl, (1.0, 1.0), make, 50)
    for before, now, after in zip(path[:-2], path[1:-1], path[2:], strict=True):
        expected = now + momentum * (now - before) - eta * bowl.gradient(now)
        np.testing.assert_allclose(after, expected, rtol=OPTIMIZER_PATH, atol=OPTIMIZER_PATH)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_the_stability_limit_parts_what_converges_from_what_does_not(momentum):
    bowl = Quadratic([[3.0, -1.0], [-1.0, 40.0]])
    limit = bowl.stability_limit(momentum)
    make = partial(md.Momentum, momentum=momentum, form="classical")
    below, above = (
        np.hypot(*descend(bowl, (1.0, 1.0), partial(make, lr=factor * limit), 2000).T)
        for factor in (0.99, 1.01)
    )
    assert below[-1] < below[1000] or below[-1] == 0
    assert not above[-1] < above[1000]


def test_a_path_may_diverge():
    path = descend(Quadratic([[1.0]]), [1.0], partial(md.SGD, lr=1e6), 100, "float32")
    assert not np.isfinite(path[-1]).any()


def test_no_steps_are_a_path_of_one_point():
    assert descend(Ravine(), (5, 5), md.SGD, 0).tolist() == [[5.0, 5.0]]


def test_a_point_of_any_number_of_weights():
    path = descend(Quadratic(np.diag([1.0, 2.0, 3.0, 4.0])), np.ones(4), partial(md.SGD, lr=0.25), 1)
    assert path[1].tolist() == [0.75, 0.5, 0.25, 0.0]
