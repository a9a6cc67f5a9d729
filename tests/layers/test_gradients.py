"""The golden test: what backward computes is the derivative of what forward computes, for every layer.

The derivative is taken by complex step, f'(x) = Im f(x + ih) / h, of a twin of the layer in complex128. With
h = 1e-30 nothing is subtracted, so it is exact to the last bits, and the two may differ by rounding only.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_cases import CASES, PASSES, parameters_of
from tolerances import FLOAT64_ROUNDING

H = 1e-30
STEP = 3  # the training step whose randomness layer and twin both draw


def make(name, features, dtype, training):
    layer = CASES[name](features, dtype)
    layer.train(training)
    layer.set_step(STEP)
    return layer


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (5, 1), (4, 3)], ids=str)
@pytest.mark.parametrize(("name", "training"), PASSES)
def test_every_gradient_is_the_derivative_by_complex_step(name, training, shape):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape)
    layer = make(name, shape[1], "float64", training)
    dy = rng.normal(size=layer.forward(x).shape)
    dx = layer.backward(dy)

    twin, z = make(name, shape[1], "complex128", training), x.astype(complex)

    def derivative(array):
        """d <dy, y> / d array, one element at a time; `array` is z or a parameter of the twin."""
        slope = np.empty(array.shape)
        for where in np.ndindex(*array.shape):
            before = array[where]
            array[where] += 1j * H
            twin.set_step(STEP)
            slope[where] = (dy * twin.forward(z)).sum().imag / H
            array[where] = before
        return slope

    def check(gradient, slope):
        np.testing.assert_allclose(gradient, slope, rtol=FLOAT64_ROUNDING, atol=FLOAT64_ROUNDING)

    check(dx, derivative(z))
    for key, parameter in parameters_of(layer).items():
        check(parameter.grad, derivative(parameters_of(twin)[key].value))


@settings(deadline=None, max_examples=300)
@given(
    case=st.sampled_from(PASSES),
    shape=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    seed=st.integers(0, 2**32 - 1),
)
def test_backward_is_the_adjoint_of_the_forward_map(case, shape, seed):
    """<dy, J v> = <Jᵀ dy, v>, where v moves the input and all parameters at once."""
    rng = np.random.default_rng(seed)
    x, v = rng.normal(size=shape), rng.normal(size=shape)
    name, training = case
    layer = make(name, shape[1], "float64", training)
    dy = rng.normal(size=layer.forward(x).shape)
    right = (layer.backward(dy) * v).sum()

    twin = make(name, shape[1], "complex128", training)
    for key, parameter in parameters_of(twin).items():
        direction = rng.normal(size=parameter.shape)
        parameter.value[...] += 1j * H * direction
        right += (parameters_of(layer)[key].grad * direction).sum()
    products = dy * twin.forward(x + 1j * H * v).imag / H

    scale = max(1, abs(products).sum())
    np.testing.assert_allclose(products.sum(), right, rtol=0, atol=FLOAT64_ROUNDING * scale)
