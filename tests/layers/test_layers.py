"""What every layer promises, and the formulas of the layers that draw no random numbers."""

import math

import numpy as np
import pytest
from layer_cases import CASES, PASSES, TRAINABLE, parameters_of
from tolerances import FLOAT32_ROUNDING, FLOAT64_ROUNDING

import minidrop as md
from minidrop.errors import ArrayError, UsageError

every_layer = pytest.mark.parametrize("name", CASES)
every_pass = pytest.mark.parametrize(("name", "training"), PASSES)
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def normals(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def make(name, features=4, dtype="float64", training=True):
    layer = CASES[name](features, dtype)
    layer.train(training)
    return layer


def passes(layer, x, dy):
    """y, dx and all parameter gradients of one step."""
    layer.set_step(0)
    y = layer.forward(x)
    dx = layer.backward(dy)
    return [y, dx, *(parameter.grad for parameter in parameters_of(layer).values())]


def outputs(name):
    """How many features the layers here put out for four that come in."""
    return 3 if name in TRAINABLE else 4


# -- the contract ------------------------------------------------------------------------------------------


@every_pass
@every_dtype
def test_every_result_keeps_the_dtype_and_float32_is_float64_rounded(name, training, dtype):
    x, dy = normals(5, 4), normals(5, outputs(name), seed=1)
    results = passes(make(name, 4, dtype, training), x.astype(dtype), dy.astype(dtype))
    exact = passes(make(name, 4, "float64", training), x, dy)
    for result, other in zip(results, exact, strict=True):
        assert result.dtype == dtype
        assert result.shape == other.shape
        np.testing.assert_allclose(result, other, rtol=FLOAT32_ROUNDING, atol=FLOAT32_ROUNDING)


@every_pass
def test_neither_pass_changes_its_argument(name, training):
    x, dy = normals(5, 4), normals(5, outputs(name), seed=1)
    x_before, dy_before = x.copy(), dy.copy()
    passes(make(name, training=training), x, dy)
    np.testing.assert_array_equal(x, x_before)
    np.testing.assert_array_equal(dy, dy_before)


@every_pass
def test_strides_do_not_matter(name, training):
    wide_x, wide_dy = normals(4, 10), normals(outputs(name) * 3, 5, seed=1)
    x, dy = wide_x.T[::2], wide_dy[::3].T
    assert not x.flags.c_contiguous
    assert not dy.flags.c_contiguous
    strided = passes(make(name, training=training), x, dy)
    packed = passes(make(name, training=training), x.copy(), dy.copy())
    for one, other in zip(strided, packed, strict=True):
        np.testing.assert_allclose(one, other, rtol=FLOAT64_ROUNDING, atol=FLOAT64_ROUNDING)


@every_pass
def test_gradients_are_written_and_not_accumulated(name, training):
    layer, x, dy = make(name, training=training), normals(5, 4), normals(5, outputs(name), seed=1)
    once = [result.copy() for result in passes(layer, x, dy)]
    layer.backward(np.ones_like(dy))
    for first, again in zip(once, passes(layer, x, dy), strict=True):
        np.testing.assert_array_equal(first, again)


@every_pass
def test_a_pass_knows_nothing_of_the_one_before_in_the_other_mode(name, training):
    layer, x, dy = make(name, training=not training), normals(5, 4), normals(5, outputs(name), seed=1)
    layer.forward(3 * x)
    layer.train(training)
    for one, other in zip(passes(layer, x, dy), passes(make(name, training=training), x, dy), strict=True):
        np.testing.assert_array_equal(one, other)


@every_pass
def test_two_results_never_share_memory(name, training):
    layer, x, dy = make(name, training=training), normals(5, 4), normals(5, outputs(name), seed=1)
    arrays = [x, dy, *passes(layer, x, dy)[:2], *passes(layer, x, dy)]
    for i, one in enumerate(arrays):
        assert not any(np.shares_memory(one, other) for other in arrays[:i])


@every_pass
def test_reused_buffers_change_no_number(name, training):
    fresh, reusing = make(name, training=training), make(name, training=training)
    reusing.reuse_buffers(True)
    for batch in (5, 2, 7, 5):
        x, dy = normals(batch, 4, seed=batch), normals(batch, outputs(name), seed=1)
        for one, other in zip(passes(fresh, x, dy), passes(reusing, x, dy), strict=True):
            np.testing.assert_array_equal(one, other)


@every_pass
def test_an_example_does_not_see_the_others(name, training):
    """Masks are functions of an element's position, so the first rows of a batch are a smaller batch's."""
    x, dy = normals(5, 4), normals(5, outputs(name), seed=1)
    all_five = passes(make(name, training=training), x, dy)
    first_two = passes(make(name, training=training), x[:2], dy[:2])
    for one, other in zip(all_five[:2], first_two[:2], strict=True):
        np.testing.assert_allclose(one[:2], other, rtol=FLOAT64_ROUNDING, atol=FLOAT64_ROUNDING)


@every_layer
def test_backward_needs_a_forward_pass(name):
    with pytest.raises(UsageError, match="backward needs a forward pass first"):
        make(name).backward(normals(5, outputs(name)))


@every_pass
def test_an_output_gradient_that_does_not_fit_is_refused(name, training):
    layer = make(name, training=training)
    y = layer.forward(normals(5, 4))
    for dy in (y[:4], y[:, :2], y.reshape(-1), y[None]):
        with pytest.raises(ArrayError, match=r"the output gradient of .* must have shape \(5, [34]\), got"):
            layer.backward(dy)
    with pytest.raises(ArrayError, match=r"the output gradient of .* must be float64, got float32"):
        layer.backward(y.astype(np.float32))
    with pytest.raises(ArrayError, match=r"the output gradient of .* must be a numpy\.ndarray, .*; got list"):
        layer.backward(y.tolist())


@every_layer
def test_a_bad_input_is_refused(name):
    layer = make(name)
    with pytest.raises(ArrayError, match=r"the input of .* must be a numpy\.ndarray, .*; got list"):
        layer.forward([[1.0] * 4])
    with pytest.raises(ArrayError, match="empty"):
        layer.forward(np.zeros((0, 4)))
    with pytest.raises(ArrayError, match=r"must be float(32 or float)?64, got int64: convert it"):
        layer.forward(np.ones((5, 4), np.int64))


@pytest.mark.parametrize("name", TRAINABLE)
def test_a_layer_with_weights_has_a_dtype_and_a_number_of_features(name):
    with pytest.raises(ArrayError, match=r"the input of .* must have shape \(any, 4\), got \(5, 3\)"):
        make(name).forward(normals(5, 3))
    with pytest.raises(ArrayError, match=r"the input of .* must have shape \(any, 4\), got \(4,\)"):
        make(name).forward(normals(4))
    with pytest.raises(ArrayError, match=r"the input of .* must be float32, got float64: convert it with"):
        make(name, dtype="float32").forward(normals(5, 4))


@pytest.mark.parametrize("name", [name for name in CASES if name not in TRAINABLE])
def test_an_elementwise_layer_takes_batches_of_any_shape(name):
    layer, x = make(name), normals(2, 3, 4)
    flat = make(name).forward(x.reshape(2, 12))
    np.testing.assert_array_equal(layer.forward(x), flat.reshape(2, 3, 4))
    assert layer.backward(x).shape == (2, 3, 4)
    with pytest.raises(ArrayError, match="empty or no batch"):
        layer.forward(np.array(1.0))


# -- the formulas ------------------------------------------------------------------------------------------

POINTS = np.array([[-1000.0, -3.5, -1.0, -1e-300], [-0.0, 0.0, 1e-300, 0.3], [1.0, 2.5, 30.0, 1000.0]])


def elementwise(function, x):
    return np.array([[function(value) for value in row] for row in x.tolist()])


@pytest.mark.parametrize(
    ("layer", "function", "derivative"),
    [
        (md.Identity(), lambda v: v, lambda v: 1),
        (md.ReLU(), lambda v: v if v > 0 else 0, lambda v: 1 if v > 0 else 0),
        (md.Tanh(), math.tanh, lambda v: 1 / math.cosh(min(abs(v), 300)) ** 2),
        (
            md.Sigmoid(),
            lambda v: 0.5 * (1 + math.tanh(v / 2)),
            lambda v: 0.25 / math.cosh(min(abs(v) / 2, 300)) ** 2,
        ),
    ],
    ids=["Identity", "ReLU", "Tanh", "Sigmoid"],
)
def test_elementwise_formulas_also_far_out_and_at_zero(layer, function, derivative):
    """No warning and no NaN at 1000, and ReLU's gradient at its kink is 0."""
    y = layer.forward(POINTS)
    np.testing.assert_allclose(y, elementwise(function, POINTS), rtol=FLOAT64_ROUNDING, atol=FLOAT64_ROUNDING)
    dx = layer.backward(np.full_like(POINTS, 3.0))
    expected = 3 * elementwise(derivative, POINTS)
    np.testing.assert_allclose(dx, expected, rtol=FLOAT64_ROUNDING, atol=FLOAT64_ROUNDING)
    layer.forward(POINTS.astype(np.float32))


@pytest.mark.parametrize("bias", [True, False])
def test_linear_is_a_sum_of_products(bias):
    layer, x, dy = md.Linear(4, 3, bias=bias, dtype="float64"), normals(5, 4), normals(5, 3, seed=1)
    W, b = layer.weight.value, layer.bias.value if bias else np.zeros(3)
    y, dx, *gradients = passes(layer, x, dy)
    batch, units, features = range(5), range(3), range(4)

    def check(actual, expected):
        np.testing.assert_allclose(actual, expected, rtol=FLOAT64_ROUNDING, atol=FLOAT64_ROUNDING)

    check(y, [[sum(W[j, k] * x[i, k] for k in features) + b[j] for j in units] for i in batch])
    check(dx, [[sum(dy[i, j] * W[j, k] for j in units) for k in features] for i in batch])
    check(gradients[0], [[sum(dy[i, j] * x[i, k] for i in batch) for k in features] for j in units])
    if bias:
        check(gradients[1], [sum(dy[i, j] for i in batch) for j in units])
    assert len(gradients) == 1 + bias


def test_linear_can_write_its_gradients_alone():
    layer, other, x, dy = (*(md.Linear(4, 3, dtype="float64") for _ in "ab"), normals(5, 4), normals(5, 3))
    layer.forward(x)
    assert layer.backward_parameters(dy) is None
    passes(other, x, dy)
    np.testing.assert_array_equal(layer.weight.grad, other.weight.grad)
    np.testing.assert_array_equal(layer.bias.grad, other.bias.grad)


@pytest.mark.parametrize("name", TRAINABLE)
def test_backward_parameters_writes_what_backward_writes(name):
    layer = CASES[name](4, "float64")
    y = layer.forward(np.random.default_rng(0).normal(size=(3, 4)))
    dy = np.random.default_rng(1).normal(size=y.shape)
    layer.backward(dy)
    expected = {key: parameter.grad.copy() for key, parameter in parameters_of(layer).items()}
    for parameter in parameters_of(layer).values():
        parameter.grad[...] = np.nan
    layer.backward_parameters(dy)
    for key, parameter in parameters_of(layer).items():
        np.testing.assert_array_equal(parameter.grad, expected[key])
