"""Dropout: its masks, its two readings, and what both have in common."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from tolerances import FLOAT64_ROUNDING, STANDARD_ERRORS

import minidrop as md
from minidrop.errors import ArgumentError, UsageError
from minidrop.layers.stochastic import DropRate
from minidrop.streams import Stream

MODES = pytest.mark.parametrize("mode", ["inverted", "paper"])
PER = pytest.mark.parametrize("per", ["element", "feature"])


def normals(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def lanes(n, *, seed, index=0, step=0):
    """The 16-bit lanes behind a mask, from NumPy's generator and the documented key and counter alone."""
    key = np.array([seed, 2**32 + index], np.uint64)  # purpose 1: masks
    bits = np.random.Philox(key=key, counter=np.array([0, step, 0, 0], np.uint64))
    return bits.random_raw(n // 4 + 1).view(np.uint16)[:n]


class EveryLaneOnce(Stream):
    """A stream whose lanes are 0 ... 65535, one after the other: all that can happen, each once."""

    def bits(self, step, block=0):
        return Words(iter(np.arange(65536, dtype=np.uint16).view(np.uint64)[4 * block :]))

    own_bits = bits


@dataclass
class Words:
    """The part of NumPy's bit generators that masks ask for."""

    words: Iterator[np.uint64]

    def random_raw(self, n):
        return np.array([next(self.words) for _ in range(n)], np.uint64)


# -- masks -------------------------------------------------------------------------------------------------


@MODES
def test_a_mask_is_a_function_of_seed_position_and_step(mode):
    model = md.Sequential(md.ReLU(), md.Identity(), md.Dropout(0.3, mode=mode), seed=7)
    layer, x = model[2], np.ones((5, 6))
    for step in (0, 1, 2, 9, 2, 0):  # not of what was drawn before
        model.set_step(step)
        model.forward(x)
        expected = lanes(30, seed=7, index=2, step=step).reshape(5, 6) >= round(0.3 * 65536)
        np.testing.assert_array_equal(layer.mask, expected, strict=True)


def test_each_training_pass_draws_the_next_step_and_evaluation_draws_none():
    layer, x = md.Dropout(0.5, seed=3), np.ones((4, 8))
    masks = []
    for training in (True, False, True, False, False, True):
        layer.train(training)
        layer.forward(x)
        if training:
            masks.append(layer.mask)
    for step, mask in enumerate(masks):
        np.testing.assert_array_equal(mask, lanes(32, seed=3, step=step).reshape(4, 8) >= 32768)
    layer.eval()
    layer.forward(x)
    np.testing.assert_array_equal(layer.mask, masks[2])  # that of the last training pass


def test_one_mask_a_feature_is_shared_by_the_batch():
    layer, x = md.Dropout(0.4, per="feature", seed=1), normals(50, 40)
    y = layer.forward(x)
    expected = lanes(40, seed=1) >= round(0.4 * 65536)
    np.testing.assert_array_equal(layer.mask, expected)
    np.testing.assert_array_equal(y != 0, np.tile(expected, (50, 1)))
    np.testing.assert_array_equal(layer.backward(np.ones((50, 40))) != 0, np.tile(expected, (50, 1)))


@PER
@MODES
def test_a_mask_can_be_given_and_taken_back(mode, per):
    layer, x = md.Dropout(0.25, mode=mode, per=per, seed=1), normals(2, 3)
    mask = np.array([True, False, True])
    if per == "element":
        mask = np.array([mask, [False, False, True]])
    layer.use_mask(mask)
    factor = 4 / 3 if mode == "inverted" else 1
    for _ in range(2):
        np.testing.assert_allclose(layer.forward(x), factor * x * mask, rtol=FLOAT64_ROUNDING)
        np.testing.assert_allclose(layer.backward(x), factor * x * mask, rtol=FLOAT64_ROUNDING)
        np.testing.assert_array_equal(layer.mask, mask)

    layer.use_mask(None)
    layer.forward(x)
    drawn = lanes(mask.size, seed=1, step=2).reshape(mask.shape) >= 16384  # two passes have gone by
    np.testing.assert_array_equal(layer.mask, drawn)


def test_a_given_mask_may_broadcast():
    layer = md.Dropout(0.5)
    layer.use_mask(np.array([[True], [False]]))
    assert layer.forward(np.ones((2, 3))).tolist() == [[2, 2, 2], [0, 0, 0]]
    assert layer.mask.shape == (2, 3)


def test_there_is_no_mask_before_a_training_pass():
    layer = md.Dropout(0.5)
    layer.eval()
    layer.forward(np.ones((2, 2)))
    with pytest.raises(UsageError, match="has no mask before its first forward pass in training"):
        _ = layer.mask


# -- rates -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("drop_prob", [0.2, 0.5, 0.9, 1e-3])
@PER
def test_the_fraction_dropped_is_binomial(drop_prob, per):
    n = 300_000
    shape = (300, 1000) if per == "element" else (1, n)
    layer = md.Dropout(drop_prob, per=per, seed=5)
    layer.forward(np.ones(shape, np.float32))
    dropped = n - int(layer.mask.sum())
    p = round(drop_prob * 65536) / 65536
    assert abs(dropped - n * p) < STANDARD_ERRORS * math.sqrt(n * p * (1 - p))


@pytest.mark.parametrize("drop_prob", [0, 2**-16, 0.2, 1 / 3, 0.5, 0.8, 1 - 2**-16])
def test_the_expectation_is_exact(drop_prob):
    """Over all 65,536 lanes, each once, the mean of training is the value of evaluation, in both readings."""
    threshold = round(drop_prob * 65536)
    for mode, factor, value in (
        ("inverted", 65536 / (65536 - threshold), 1.0),
        ("paper", 1.0, (65536 - threshold) / 65536),
    ):
        layer, x = md.Dropout(drop_prob, mode=mode), np.ones((256, 256))
        layer.stream = EveryLaneOnce(0)
        y = layer.forward(x)
        assert np.count_nonzero(y) == 65536 - threshold
        assert set(y.ravel().tolist()) <= {0.0, factor}
        layer.eval()
        assert (layer.forward(x) == value).all()
        np.testing.assert_allclose(y.mean(), value, rtol=FLOAT64_ROUNDING)


def test_the_rate_is_the_nearest_multiple_of_a_lane():
    assert [DropRate.of(p).threshold for p in (0, 0.2, 0.5, 0.9999999, 1)] == [0, 13107, 32768, 65536, 65536]
    assert DropRate.of(0.25).keep == 0.75
    assert DropRate.of(0.25).scale == 4 / 3
    assert DropRate.of(1).keep == DropRate.of(1).scale == 0


@MODES
@PER
@pytest.mark.parametrize("training", [True, False])
def test_drop_0_is_the_identity_bit_for_bit(mode, per, training):
    layer, x = md.Dropout(0, mode=mode, per=per), normals(5, 4)
    layer.train(training)
    np.testing.assert_array_equal(layer.forward(x), x, strict=True)
    np.testing.assert_array_equal(layer.backward(x), x, strict=True)
    if training:
        assert layer.mask.shape == ((5, 4) if per == "element" else (4,))
        assert layer.mask.all()


@MODES
@PER
def test_drop_1_gives_zeros(mode, per):
    layer, x = md.Dropout(1, mode=mode, per=per), normals(5, 4)
    assert not layer.forward(x).any()
    assert not layer.backward(x).any()
    assert not layer.mask.any()
    layer.eval()
    np.testing.assert_array_equal(layer.forward(x), x if mode == "inverted" else 0 * x)


@pytest.mark.parametrize(
    "drop_prob", [1.5, -0.1, 1.0000001, math.nan, math.inf, None, True, "0.5", [0.5], 1j]
)
@pytest.mark.parametrize(
    "layer", [md.Dropout, md.StochasticReLU, lambda p: md.DropConnect(2, 2, drop_prob=p)]
)
def test_what_is_no_probability_is_refused(layer, drop_prob):
    with pytest.raises(ArgumentError, match=r"^drop_prob must be a number in \[0, 1\], got ") as error:
        layer(drop_prob)
    assert repr(drop_prob) in str(error.value)


def test_unknown_words_are_refused():
    with pytest.raises(ArgumentError, match="mode must be one of inverted, paper; got 'test'"):
        md.Dropout(0.5, mode="test")
    with pytest.raises(ArgumentError, match="per must be one of element, feature; got 'batch'"):
        md.Dropout(0.5, per="batch")


# -- the formulas ------------------------------------------------------------------------------------------


@MODES
@PER
@pytest.mark.parametrize("training", [True, False])
def test_the_table_of_factors(mode, per, training):
    layer, x, dy = md.Dropout(0.25, mode=mode, per=per, seed=2), normals(6, 5), normals(6, 5, seed=1)
    layer.train(training)
    y, dx = layer.forward(x), layer.backward(dy)
    m = layer.mask if training else 1
    c = {("inverted", True): 4 / 3, ("inverted", False): 1, ("paper", True): 1, ("paper", False): 3 / 4}
    np.testing.assert_allclose(y, c[mode, training] * x * m, rtol=FLOAT64_ROUNDING)
    np.testing.assert_allclose(dx, c[mode, training] * dy * m, rtol=FLOAT64_ROUNDING)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("drop_prob", [0.2, 0.5])
def test_paper_dropout_is_inverted_dropout_times_k(training, drop_prob):
    """With the same masks; so weights W behind the one and kW behind the other make the same network."""
    paper, inverted = md.Dropout(drop_prob, mode="paper", seed=4), md.Dropout(drop_prob, seed=4)
    after, scaled = md.Linear(5, 3, dtype="float64"), md.Linear(5, 3, dtype="float64")
    k = inverted.rate.keep
    scaled.weight.value = k * after.weight.value
    x = normals(6, 5)
    for layer in (paper, inverted):
        layer.train(training)
    p, i = paper.forward(x), inverted.forward(x)
    np.testing.assert_allclose(p, k * i, rtol=FLOAT64_ROUNDING)
    np.testing.assert_allclose(after.forward(p), scaled.forward(i), rtol=FLOAT64_ROUNDING)
