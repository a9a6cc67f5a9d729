"""StochasticReLU and Gaussian noise, and what all layers that draw random numbers share."""

import math

import numpy as np
import pytest
from tolerances import FLOAT32_ONE_ROUNDING, FLOAT64_ROUNDING, STANDARD_ERRORS

import minidrop as md
from minidrop.errors import ArgumentError, UsageError
from minidrop.streams import Purpose, Stream


def normals(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


LAYERS = pytest.mark.parametrize(
    "make",
    [
        md.Dropout,
        md.StochasticReLU,
        md.GaussianNoise,
        lambda **options: md.DropConnect(6, 3, **options),
        lambda **options: md.DropConnect(6, 3, per="example", **options),
    ],
    ids=["Dropout", "StochasticReLU", "GaussianNoise", "DropConnect", "DropConnect per example"],
)


@LAYERS
def test_randomness_is_a_function_of_seed_position_and_step(make):
    def output(position, seed, step):
        layer = make()
        md.Sequential(*(md.Identity() for _ in range(position)), layer, seed=seed)
        layer.set_step(step)
        return layer.forward(normals(4, 6).astype("float32")).tolist()

    assert output(2, 7, 3) == output(2, 7, 3)
    different = [output(2, 7, 3), output(1, 7, 3), output(2, 8, 3), output(2, 7, 4)]
    assert all(different[i] != different[j] for i in range(4) for j in range(i))


@LAYERS
def test_passes_go_on_to_the_next_step_until_a_step_is_set(make):
    layer, x = make(seed=1), normals(4, 6).astype("float32")
    outputs = [layer.forward(x).tolist() for _ in range(3)]
    assert outputs[0] != outputs[1] != outputs[2] != outputs[0]
    layer.set_step(1)
    assert [layer.forward(x).tolist() for _ in range(2)] == outputs[1:]
    assert layer.step == 3


@LAYERS
def test_evaluation_is_not_random_and_leaves_the_step_alone(make):
    layer, x = make(), normals(4, 6).astype("float32")
    layer.eval()
    assert layer.forward(x).tolist() == layer.forward(x).tolist()
    assert layer.step == 0
    with pytest.raises(UsageError, match="has no mask before its first forward pass in training"):
        _ = layer.mask


# -- StochasticReLU ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scaled", "mode"), [(True, "inverted"), (False, "paper")])
def test_stochastic_relu_is_relu_then_dropout(scaled, mode):
    """Corrected it is ReLU and inverted dropout; published, what paper dropout does in training."""
    layer = md.StochasticReLU(0.3, scaled=scaled, seed=4)
    relu, dropout = md.ReLU(), md.Dropout(0.3, mode=mode, seed=4)
    x, dy = normals(20, 10), normals(20, 10, seed=1)
    for _ in range(2):
        np.testing.assert_allclose(layer.forward(x), dropout.forward(relu.forward(x)), rtol=FLOAT64_ROUNDING)
        expected = relu.backward(dropout.backward(dy))
        np.testing.assert_allclose(layer.backward(dy), expected, rtol=FLOAT64_ROUNDING)
        np.testing.assert_array_equal(layer.mask, dropout.mask)
    assert np.any(layer.mask & (x < 0))
    assert np.any(~layer.mask & (x > 0))


@pytest.mark.parametrize("scaled", [True, False])
def test_stochastic_relu_evaluates_as_relu(scaled):
    layer, x = md.StochasticReLU(0.3, scaled=scaled), normals(5, 4)
    layer.eval()
    np.testing.assert_array_equal(layer.forward(x), np.where(x > 0, x, 0))
    np.testing.assert_array_equal(layer.backward(x), np.where(x > 0, x, 0))


def test_only_the_corrected_one_trains_on_what_it_evaluates():
    """The slip of document 003: unscaled, the mean of training is k relu(x), and not relu(x)."""
    x, k = np.ones((1, 100_000)), 1 - round(0.3 * 65536) / 65536
    error = math.sqrt(k * (1 - k) / x.size)
    published = md.StochasticReLU(0.3, scaled=False, seed=2).forward(x).mean()
    corrected = md.StochasticReLU(0.3, seed=2).forward(x).mean()
    assert abs(published - k) < STANDARD_ERRORS * error
    assert abs(corrected - 1) < STANDARD_ERRORS * error / k


def test_a_mask_given_to_stochastic_relu():
    layer = md.StochasticReLU(0.5)
    layer.use_mask(np.array([True, False, True]))
    assert layer.forward(np.array([[1.0, 2.0, -3.0]])).tolist() == [[2, 0, 0]]
    assert layer.backward(np.array([[1.0, 1.0, 1.0]])).tolist() == [[2, 0, 0]]


# -- Gaussian noise ----------------------------------------------------------------------------------------


def test_noise_has_mean_1_and_the_given_deviation():
    std, n = 0.5, 250_000
    layer = md.GaussianNoise(std, seed=3)
    r = layer.forward(np.ones((500, 500)))
    np.testing.assert_array_equal(r, layer.mask)
    assert abs(r.mean() - 1) < STANDARD_ERRORS * std / math.sqrt(n)
    assert abs(r.var() - std**2) < STANDARD_ERRORS * std**2 * math.sqrt(2 / n)


def test_noise_multiplies_both_ways():
    layer, x, dy = md.GaussianNoise(0.7, seed=3), normals(4, 5), normals(4, 5, seed=1)
    r = 1 + 0.7 * Stream(3, Purpose.NOISE, 0).generator(0).standard_normal((4, 5))
    np.testing.assert_allclose(layer.forward(x), x * r, rtol=FLOAT64_ROUNDING)
    np.testing.assert_allclose(layer.backward(dy), dy * r, rtol=FLOAT64_ROUNDING)
    layer.eval()
    np.testing.assert_array_equal(layer.forward(x), x)
    np.testing.assert_array_equal(layer.backward(dy), dy)


def test_float32_noise_is_float64_noise_rounded():
    single, double = md.GaussianNoise(0.7, seed=3), md.GaussianNoise(0.7, seed=3)
    single.forward(np.ones((50, 20), np.float32))
    double.forward(np.ones((50, 20)))
    assert single.mask.dtype == np.float32
    # it rounds when it is drawn and multiplied, relative to |r - 1|, and when 1 is added, relative to |r|
    bound = FLOAT32_ONE_ROUNDING * (2.1 * abs(double.mask - 1) + abs(double.mask))
    assert (abs(single.mask - double.mask) <= bound).all()


def test_noise_of_deviation_0_is_the_identity():
    layer, x = md.GaussianNoise(0), normals(4, 5)
    np.testing.assert_array_equal(layer.forward(x), x)
    np.testing.assert_array_equal(layer.backward(x), x)


def test_noise_can_be_given():
    layer = md.GaussianNoise(1.0)
    layer.use_mask(np.array([[0.5, -2.0]]))
    assert layer.forward(np.array([[4.0, 3.0], [1.0, 1.0]])).tolist() == [[2, -6], [0.5, -2]]
    assert layer.backward(np.array([[1.0, 1.0], [2.0, 2.0]])).tolist() == [[0.5, -2], [1, -4]]


@pytest.mark.parametrize("std", [-0.1, math.nan, math.inf, None, True, "1"])
def test_what_is_no_deviation_is_refused(std):
    with pytest.raises(ArgumentError, match=r"^std must be a number in \[0, inf\), got "):
        md.GaussianNoise(std)
