"""DropConnect: masks on weights, one for a batch or one for each example."""

import math

import numpy as np
import pytest
from tolerances import FLOAT64_ROUNDING, STANDARD_ERRORS

import minidrop as md
from minidrop.errors import ArgumentError, UsageError
from minidrop.layers.stochastic import DropRate
from minidrop.streams import Purpose, Stream

BIASES = pytest.mark.parametrize("bias", [True, False])
PER = pytest.mark.parametrize("per", ["batch", "example"])


def normals(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def dropconnect(**options):
    return md.DropConnect(4, 3, **{"drop_prob": 0.3, "dtype": "float64", "seed": 6} | options)


def linear_with(weights, bias):
    layer = md.Linear(4, 3, bias=bias is not None, dtype="float64")
    layer.weight.value = weights
    if bias is not None:
        layer.bias.value = bias.value
    return layer


def check(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=FLOAT64_ROUNDING, atol=FLOAT64_ROUNDING)


@PER
def test_masks_are_lanes_of_the_step_an_example_after_the_other(per):
    layer = dropconnect(per=per)
    for step in (0, 1, 5):
        layer.set_step(step)
        layer.forward(normals(5, 4))
        shape = (3, 4) if per == "batch" else (5, 3, 4)
        lanes = Stream(6, Purpose.MASK, 0).lanes(math.prod(shape), step).reshape(shape)
        np.testing.assert_array_equal(layer.mask, lanes >= round(0.3 * 65536), strict=True)


@BIASES
def test_one_mask_a_batch_is_linear_with_masked_and_scaled_weights(bias):
    layer, x, dy = dropconnect(bias=bias), normals(5, 4), normals(5, 3, seed=1)
    y, dx = layer.forward(x), layer.backward(dy)
    used = layer.mask * DropRate.of(0.3).scale
    assert 0 < layer.mask.sum() < 12
    linear = linear_with(used * layer.linear.weight.value, layer.linear.bias)
    check(y, linear.forward(x))
    check(dx, linear.backward(dy))
    check(layer.linear.weight.grad, used * linear.weight.grad)
    if bias:
        check(layer.linear.bias.grad, linear.bias.grad)


@BIASES
def test_one_mask_an_example_is_a_loop_over_linear_layers(bias):
    layer, x, dy = dropconnect(per="example", bias=bias), normals(5, 4), normals(5, 3, seed=1)
    y, masks = layer.forward(x), layer.mask
    dx = layer.backward(dy)  # which draws the masks again
    dW, db = np.zeros((3, 4)), np.zeros(3)
    for i in range(5):
        linear = linear_with(masks[i] * layer.linear.weight.value, layer.linear.bias)
        check(y[i], linear.forward(x[i : i + 1])[0])
        check(dx[i], linear.backward(dy[i : i + 1])[0])
        dW += masks[i] * linear.weight.grad
        db += linear.bias.grad if bias else 0
    assert len(np.unique(masks, axis=0)) == 5
    check(layer.linear.weight.grad, dW)
    if bias:
        check(layer.linear.bias.grad, db)


@PER
def test_a_given_mask_is_used_in_both_passes(per):
    layer, x, dy = dropconnect(per=per, bias=False), normals(2, 4), normals(2, 3, seed=1)
    mask = normals(*((3, 4) if per == "batch" else (2, 3, 4)), seed=2) > 0
    layer.use_mask(mask)
    y, dx, W = layer.forward(x), layer.backward(dy), layer.linear.weight.value
    scale = DropRate.of(0.3).scale if per == "batch" else 1
    used = np.broadcast_to(mask * scale, (2, 3, 4))
    check(y, np.einsum("boi,oi,bi->bo", used, W, x))
    check(dx, np.einsum("boi,oi,bo->bi", used, W, dy))
    check(layer.linear.weight.grad, np.einsum("boi,bo,bi->oi", used, dy, x))
    np.testing.assert_array_equal(layer.mask, mask)


@PER
def test_the_backward_pass_is_that_of_its_forward_pass_whatever_step_is_next(per):
    layer, other, x, dy = dropconnect(per=per), dropconnect(per=per), normals(5, 4), normals(5, 3, seed=1)
    layer.forward(x), other.forward(x)
    other.set_step(40)
    check(other.backward(dy), layer.backward(dy))
    check(other.linear.weight.grad, layer.linear.weight.grad)


def test_an_activation_comes_after_the_sum():
    layer, x = dropconnect(activation=md.Tanh()), normals(5, 4)
    y, plain = layer.forward(x), dropconnect()
    check(y, np.tanh(plain.forward(x)))
    assert [name for name, _ in md.Sequential(layer).leaves()] == ["0", "0.activation"]
    assert list(layer.parameters()) == ["weight", "bias"]


# -- evaluation --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", [None, md.Tanh()], ids=["linear", "tanh"])
def test_one_mask_a_batch_evaluates_with_the_raw_weights(activation):
    layer, x, dy = dropconnect(activation=activation), normals(5, 4), normals(5, 3, seed=1)
    layer.eval()
    linear = linear_with(layer.linear.weight.value, layer.linear.bias)
    y, expected = layer.forward(x), linear.forward(x)
    check(y, expected if activation is None else np.tanh(expected))
    dz = dy if activation is None else dy * (1 - y**2)
    check(layer.backward(dy), linear.backward(dz))
    check(layer.linear.weight.grad, linear.weight.grad)
    assert layer.step == 0


def gaussian_of(layer, x):
    """Mean and standard deviation of z: Wan et al. 2013, algorithm 2."""
    k, W = layer.rate.keep, layer.linear.weight.value
    mean = k * np.einsum("oi,bi->bo", W, x) + layer.linear.bias.value
    return mean, np.sqrt(k * (1 - k) * np.einsum("oi,bi->bo", W**2, x**2))


def test_one_mask_an_example_evaluates_to_the_mean_of_training():
    """Without an activation the mean is μ itself; and μ and v are the moments that training has."""
    layer, x = dropconnect(per="example"), normals(1, 4)
    n = 20_000
    z = layer.forward(np.repeat(x, n, axis=0))
    layer.eval()
    mean, std = gaussian_of(layer, x)
    check(layer.forward(x), mean)
    assert (abs(z.mean(axis=0) - mean) < STANDARD_ERRORS * std / math.sqrt(n)).all()
    fourth = ((z - mean) ** 4).mean(axis=0)  # the error of a variance is that of a mean of squares
    assert (abs(((z - mean) ** 2).mean(axis=0) - std**2) < STANDARD_ERRORS * np.sqrt(fourth / n)).all()


def test_moment_matching_averages_the_activation_over_gaussian_draws():
    layer, x = dropconnect(per="example", activation=md.Tanh(), samples=3), normals(5, 4)
    layer.eval()
    mean, std = gaussian_of(layer, x)
    draws = [Stream(6, Purpose.NOISE, 0).generator(s).standard_normal((5, 3)) for s in range(3)]
    check(layer.forward(x), sum(np.tanh(mean + std * epsilon) for epsilon in draws) / 3)


def test_moment_matching_of_relu_has_a_closed_form():
    """E max(z, 0) = σ φ(μ/σ) + μ Φ(μ/σ), and max(z, 0) varies less than z does."""
    samples = 2000
    layer, x = dropconnect(per="example", activation=md.ReLU(), samples=samples, seed=1), 3 * normals(6, 4)
    layer.eval()
    mean, std = gaussian_of(layer, x)
    r = mean / std
    phi = np.exp(-(r**2) / 2) / math.sqrt(2 * math.pi)
    Phi = np.array([0.5 * (1 + math.erf(value / math.sqrt(2))) for value in r.ravel()]).reshape(r.shape)
    expected = std * phi + mean * Phi
    assert (abs(layer.forward(x) - expected) < STANDARD_ERRORS * std / math.sqrt(samples)).all()
    assert (abs(expected - np.maximum(mean, 0)) > STANDARD_ERRORS * std / math.sqrt(samples)).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_moment_matching_keeps_the_dtype(dtype):
    layer = dropconnect(per="example", activation=md.ReLU(), samples=2, dtype=dtype)
    layer.eval()
    assert layer.forward(normals(2, 4).astype(dtype)).dtype == dtype


# -- edges -------------------------------------------------------------------------------------------------


@PER
def test_drop_0_is_linear_and_drop_1_is_the_bias(per):
    layer, x = dropconnect(per=per, drop_prob=0), normals(5, 4)
    linear = linear_with(layer.linear.weight.value, layer.linear.bias)
    check(layer.forward(x), linear.forward(x))
    check(layer.backward(np.ones((5, 3))), linear.backward(np.ones((5, 3))))
    layer = dropconnect(per=per, drop_prob=1)
    check(layer.forward(x), np.tile(layer.linear.bias.value, (5, 1)))
    assert not layer.backward(np.ones((5, 3))).any()
    assert not layer.linear.weight.grad.any()
    check(layer.linear.bias.grad, [5, 5, 5])


def test_the_weights_are_those_of_a_linear_layer_in_its_place():
    layer, linear = md.DropConnect(4, 3), md.Linear(4, 3)
    md.Sequential(md.ReLU(), layer, seed=3), md.Sequential(md.ReLU(), linear, seed=3)
    np.testing.assert_array_equal(layer.linear.weight.value, linear.weight.value)
    np.testing.assert_array_equal(layer.linear.bias.value, linear.bias.value)


def test_what_cannot_be_is_refused():
    with pytest.raises(ArgumentError, match="per must be one of batch, example; got 'element'"):
        dropconnect(per="element")
    with pytest.raises(ArgumentError, match="samples must be an integer of at least 1, got 0"):
        dropconnect(samples=0)
    layer = dropconnect(per="example", activation=md.ReLU(), samples=1)
    layer.forward(normals(2, 4))
    layer.eval()
    layer.forward(normals(2, 4))  # an average over Gaussians has no backward pass
    with pytest.raises(UsageError, match="moment matching, which has no backward pass"):
        layer.backward(np.ones((2, 3)))


def test_one_mask_given_for_all_examples_broadcasts():
    layer, x, mask = dropconnect(per="example", bias=False), normals(2, 4), normals(3, 4, seed=2) > 0
    layer.use_mask(mask)
    check(layer.forward(x), x @ (mask * layer.linear.weight.value).T)


def test_a_mask_taken_back_between_the_passes_still_counts_for_the_backward_pass():
    layer, x = dropconnect(per="example"), normals(2, 4)
    none = np.zeros((2, 3, 4), bool)
    layer.use_mask(none)
    layer.forward(x)
    layer.use_mask(None)
    assert not layer.backward(np.ones((2, 3))).any()
    layer.forward(x)
    layer.use_mask(none)  # and one that is given in between does not count yet
    assert layer.backward(np.ones((2, 3))).any()


def test_a_random_activation_is_seeded_and_stepped_with_its_layer():
    layer, x = dropconnect(activation=md.StochasticReLU(0.5)), normals(5, 4)
    model = md.Sequential(md.Identity(), layer, md.Dropout(0), seed=3)
    outputs = []
    for _ in range(2):
        model.set_step(7)
        outputs.append(model.forward(x))
    np.testing.assert_array_equal(*outputs)
    streams = [drawing.stream for drawing in (layer, layer.activation, model[2])]
    assert streams == [Stream(3, Purpose.MASK, index) for index in (1, 2, 3)]
