"""Whole random nets: backward is the derivative of forward, and the adjoint of it.

The derivative is taken by complex step, f'(x) = Im f(x + ih) / h with h = 1e-30, in a complex copy of the net
with the same weights and masks: nothing is subtracted, so nothing but rounding may differ. Single layers are
tested so in tests/layers/test_gradients.py.
"""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import NOISES, batch_for, gradients, nets, seeds, share
from tolerances import ADJOINT, COMPLEX_STEP, KINK

import minidrop as md

H = 1e-30


def is_away_from_kinks(model, x, step) -> bool:
    """Whether no input of a ReLU is nearly 0, where its derivative jumps."""
    model.set_step(step)
    for layer in model:
        if isinstance(layer, md.ReLU | md.StochasticReLU) and abs(x).min() < KINK:
            return False
        x = layer.forward(x)
    return True


def check_gradients(model, batch, step):
    """Compare each element of each gradient with its derivative."""
    x, labels = batch
    _, found = gradients(model, x, labels, step=step)

    twin, z, loss = model.astype("complex128"), x.astype(complex), md.SoftmaxCrossEntropy()
    arrays = {"input": z} | {name: parameter.value for name, parameter in twin.parameters().items()}
    for name, array in arrays.items():
        slope = np.empty(array.shape)
        for where in np.ndindex(*array.shape):
            before = array[where]
            array[where] += 1j * H
            twin.set_step(step)
            slope[where] = loss.forward(twin.forward(z), labels).imag / H
            array[where] = before
        np.testing.assert_allclose(found[name], slope, rtol=COMPLEX_STEP, atol=COMPLEX_STEP, err_msg=name)


@share(2)
@given(net=nets(), size=st.integers(1, 4), seed=seeds, step=st.integers(0, 2**40), training=st.booleans())
def test_every_gradient_of_a_net_is_its_derivative(net, size, seed, step, training):
    assume(training or net.has_evaluation_gradients)
    model, (x, labels) = net.build(), batch_for(net, size, seed)
    model.train(training)
    assume(is_away_from_kinks(model, x, step))
    check_gradients(model, (x, labels), step)


@given(net=nets(), size=st.integers(1, 6), seed=seeds, training=st.booleans())
def test_backward_of_a_net_is_the_adjoint_of_its_derivative(net, size, seed, training):
    """<dy, J v> = <Jᵀ dy, v>, where v moves the input and all parameters at once."""
    assume(training or net.has_evaluation_gradients)
    model, (x, _) = net.build(), batch_for(net, size, seed)
    model.train(training)
    assume(is_away_from_kinks(model, x, 0))
    twin, rng = model.astype("complex128"), np.random.default_rng([seed, 1])
    model.set_step(0), twin.set_step(0)
    dy = rng.standard_normal(model.forward(x).shape)
    v = rng.standard_normal(x.shape)
    right = [(model.backward(dy) * v).ravel()]
    for name, parameter in twin.parameters().items():
        direction = rng.standard_normal(parameter.shape)
        parameter.value[...] += 1j * H * direction
        right.append((model.parameters()[name].grad * direction).ravel())
    left, right = dy * twin.forward(x + 1j * H * v).imag / H, np.concatenate(right)
    scale = max(1, abs(left).sum(), abs(right).sum())
    np.testing.assert_allclose(left.sum(), right.sum(), rtol=0, atol=ADJOINT * scale)


@given(
    noise=st.sampled_from(list(NOISES)),
    p=st.sampled_from([0.1, 0.5, 0.9]),
    shape=st.tuples(*[st.integers(1, 6)] * 2),
    seed=seeds,
)
def test_noise_is_linear_and_its_own_adjoint(noise, p, shape, seed):
    """A diagonal map: <dy, forward(x)> = <backward(dy), x>, with zeros in the same places both ways."""
    layer, rng = NOISES[noise](p), np.random.default_rng(seed)
    layer.seed(seed)
    x, dy = rng.standard_normal(shape), rng.standard_normal(shape)
    y, dx = layer.forward(x), layer.backward(dy)
    np.testing.assert_allclose((dy * y).sum(), (dx * x).sum(), rtol=0, atol=ADJOINT * abs(dy * y).sum())
    np.testing.assert_array_equal(y == 0, dx == 0)
