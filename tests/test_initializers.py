"""Initial weights: the distribution that each initializer promises, and which draws a layer gets."""

from math import sqrt

import numpy as np
import pytest
from tolerances import FLOAT64_ROUNDING, STANDARD_ERRORS

import minidrop as md
from minidrop.errors import ArgumentError
from minidrop.initializers import INITIALIZERS, Fans, draw
from minidrop.streams import Purpose, Stream

IN, OUT = 200, 300
FANS = Fans(fan_in=IN, fan_out=OUT)

# What the cited papers and torch.nn.Linear say, for a weight with 200 inputs and 300 units.
NORMALS = {  # initializer: (mean, standard deviation)
    md.Normal(): (0, 0.01),
    md.Normal(0.5, mean=2.0): (2.0, 0.5),
    md.FanIn(): (0, 1 / sqrt(200)),
    md.FanIn(gain=3): (0, 3 / sqrt(200)),
    md.XavierNormal(): (0, sqrt(2 / 500)),
    md.XavierNormal(gain=5 / 3): (0, 5 / 3 * sqrt(2 / 500)),
    md.KaimingNormal(): (0, sqrt(2 / 200)),
    md.KaimingNormal(gain=1, fan="out"): (0, sqrt(1 / 300)),
    md.Scaled(md.FanIn(), 0.8): (0, 0.8 / sqrt(200)),
}
UNIFORMS = {  # initializer: (low, high)
    md.Uniform(): (-0.1, 0.1),
    md.Uniform(1.0, 4.0): (1.0, 4.0),
    md.XavierUniform(): (-sqrt(6 / 500), sqrt(6 / 500)),
    md.XavierUniform(gain=2): (-2 * sqrt(6 / 500), 2 * sqrt(6 / 500)),
    md.KaimingUniform(): (-sqrt(6 / 200), sqrt(6 / 200)),
    md.KaimingUniform(gain=1, fan="out"): (-sqrt(3 / 300), sqrt(3 / 300)),
    md.TorchLinear(): (-1 / sqrt(200), 1 / sqrt(200)),
    md.Scaled(md.TorchLinear(), 0.5): (-0.5 / sqrt(200), 0.5 / sqrt(200)),
}


def check_moments(weights, mean, variance, kurtosis):
    """Both moments within six standard errors: σ/√n of the mean, σ²√((kurtosis - 1)/n) of the variance."""
    n = weights.size
    assert abs(weights.mean() - mean) < STANDARD_ERRORS * sqrt(variance / n)
    error_of_variance = variance * sqrt((kurtosis - 1) / n)
    assert abs(((weights - mean) ** 2).mean() - variance) < STANDARD_ERRORS * error_of_variance


@pytest.mark.parametrize("initializer", NORMALS, ids=repr)
def test_normals(initializer):
    mean, std = NORMALS[initializer]
    weights = draw(initializer, (OUT, IN), FANS, seed=1)
    check_moments(weights, mean, std**2, kurtosis=3)
    within = np.mean(abs(weights - mean) < std)  # and a normal it is: 68.27 % within one standard deviation
    assert abs(within - 0.682689) < STANDARD_ERRORS * sqrt(0.682689 * 0.317311 / weights.size)


@pytest.mark.parametrize("initializer", UNIFORMS, ids=repr)
def test_uniforms(initializer):
    low, high = UNIFORMS[initializer]
    weights = draw(initializer, (OUT, IN), FANS, seed=1)
    check_moments(weights, (low + high) / 2, (high - low) ** 2 / 12, kurtosis=9 / 5)
    rounding = FLOAT64_ROUNDING * (high - low)
    assert low - rounding <= weights.min()
    assert weights.max() <= high + rounding
    # of 60,000 draws none in the outermost 0.1 %: a chance of e^-60
    assert weights.min() < low + 0.001 * (high - low)
    assert weights.max() > high - 0.001 * (high - low)


def test_constant():
    assert draw(md.Constant(), (2, 3)).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert draw(md.Constant(0.005), (2,)).tolist() == [0.005, 0.005]
    assert draw(md.Scaled(md.Constant(3), 2), (2,)).tolist() == [6, 6]


def test_every_initializer_has_a_name():
    assert set(INITIALIZERS.values()) == {type(i) for i in [*NORMALS, *UNIFORMS, md.Constant()]} - {md.Scaled}


@pytest.mark.parametrize("initializer", [md.KaimingNormal, md.KaimingUniform])
def test_an_unknown_fan_is_refused(initializer):
    with pytest.raises(ArgumentError, match="fan must be one of in, out; got 'both'"):
        initializer(fan="both")


# -- in a layer --------------------------------------------------------------------------------------------


def test_a_layer_passes_its_fans_in_and_out():
    seen = []

    def spy(rng, fans, out):
        seen.append((fans.fan_in, fans.fan_out, out.shape, out.dtype))
        out[:] = 1

    layer = md.Linear(5, 3, init=spy)
    assert layer.weight.value.tolist() == np.ones((3, 5)).tolist()
    assert layer.bias.value.tolist() == [1, 1, 1]
    assert seen == [(5, 3, (15,), np.float64), (5, 3, (3,), np.float64)]


def test_the_default_is_that_of_torch():
    """U(-1/√in, 1/√in) for weights and biases alike; `init` counts for both unless `bias_init` is given."""
    layer = md.Linear(IN, OUT, dtype="float64", seed=4)
    weights, biases = layer.weight.value, layer.bias.value
    check_moments(weights, 0, 1 / (3 * IN), kurtosis=9 / 5)
    check_moments(biases, 0, 1 / (3 * IN), kurtosis=9 / 5)
    assert max(abs(weights).max(), abs(biases).max()) <= 1 / sqrt(IN)

    assert md.Linear(2, 2, init=md.Constant(3)).bias.value.tolist() == [3, 3]
    assert md.Linear(2, 2, init=md.Constant(3), bias_init=md.Constant()).bias.value.tolist() == [0, 0]


def test_weights_and_biases_are_steps_0_and_1_of_the_layers_stream():
    layer = md.Linear(4, 3, init=md.Normal(1.0), dtype="float64", seed=11)
    stream = Stream(11, Purpose.WEIGHTS, 0)
    np.testing.assert_array_equal(layer.weight.value, stream.generator(0).standard_normal((3, 4)))
    np.testing.assert_array_equal(layer.bias.value, stream.generator(1).standard_normal(3))


@pytest.mark.parametrize("initializer", [md.Normal(), md.TorchLinear(), md.KaimingNormal()], ids=repr)
def test_float32_weights_are_float64_weights_rounded(initializer):
    single = md.Linear(30, 20, init=initializer, seed=5)
    double = md.Linear(30, 20, init=initializer, seed=5, dtype="float64")
    for ours, exact in ((single.weight, double.weight), (single.bias, double.bias)):
        assert exact.value.dtype == np.float64
        np.testing.assert_array_equal(ours.value, exact.value.astype(np.float32), strict=True)


@pytest.mark.parametrize("in_arena", [False, True])
def test_a_large_weight_is_one_draw_although_it_is_made_in_pieces(in_arena):
    layer = md.Linear(1100, 1000, bias=False, init=md.Normal(1.0), dtype="float64", seed=2)  # > 2^20 elements
    if in_arena:
        layer.parameters()
    expected = Stream(2, Purpose.WEIGHTS).generator(0).standard_normal((1000, 1100))
    np.testing.assert_array_equal(layer.weight.value, expected)


def test_the_position_in_a_model_selects_the_draws_and_not_the_order_of_looking():
    def weights(looking):
        model = md.Sequential(md.Linear(3, 3), md.ReLU(), md.Linear(3, 3), md.Linear(3, 3), seed=8)
        return {i: model[i].weight.value.copy() for i in looking}

    one, two = weights([0, 2, 3]), weights([3, 0, 2])
    for i in (0, 2, 3):
        np.testing.assert_array_equal(one[i], two[i])
        alone = md.Linear(3, 3)
        alone.seed(8, index=i)
        np.testing.assert_array_equal(one[i], alone.weight.value)
    assert not np.isin(one[0], one[2]).any()
    assert not np.isin(one[2], one[3]).any()

    other_seed = md.Sequential(md.Linear(3, 3), seed=9)
    assert not np.isin(one[0], other_seed[0].weight.value).any()


def test_a_model_draws_the_same_weights_alone_and_into_its_arena():
    lazily = md.Sequential(md.Linear(3, 4), md.Linear(4, 2), seed=1)
    at_once = md.Sequential(md.Linear(3, 4), md.Linear(4, 2), seed=1)
    flat = at_once.parameters().flat_values
    pieces = [lazily[0].weight, lazily[0].bias, lazily[1].weight, lazily[1].bias]
    np.testing.assert_array_equal(flat, np.concatenate([p.value.reshape(-1) for p in pieces]))


def test_weights_looked_at_or_set_before_the_model_stay():
    looked_at, given, untouched = md.Linear(3, 3, seed=1), md.Linear(3, 3, seed=1), md.Linear(3, 3, seed=1)
    drawn = looked_at.weight.value.copy()
    given.weight.value = np.full((3, 3), 7, np.float32)
    model = md.Sequential(md.Identity(), looked_at, given, untouched, seed=2)
    for _ in range(2):
        np.testing.assert_array_equal(looked_at.weight.value, drawn)
        np.testing.assert_array_equal(given.weight.value, 7)
        assert not np.isin(untouched.weight.value, drawn).any()
        model.parameters()  # neither does moving into the arena change them
