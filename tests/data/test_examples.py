"""Examples and data sets as objects, their splits and moments."""

import numpy as np
import pytest
from data_helpers import numbered
from hypothesis import given
from hypothesis import strategies as st

from minidrop.data import (
    Dataset,
    Examples,
    load,
    split,
    standard_moments,
)
from minidrop.errors import ArgumentError, DataError
from minidrop.streams import Purpose, Stream


@pytest.mark.parametrize("inputs_dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("labels_dtype", ["uint8", "int8", "int32", "int64", "uint64", ">i4"])
def test_examples_keep_the_dtype_of_inputs_and_make_labels_int64(inputs_dtype, labels_dtype):
    examples = Examples(np.ones((3, 4), inputs_dtype), np.array([2, 0, 1], labels_dtype))
    assert examples.inputs.dtype == np.dtype(inputs_dtype)
    assert examples.labels.dtype == np.int64
    assert examples.labels.dtype.isnative
    assert examples.labels.tolist() == [2, 0, 1]
    assert len(examples) == 3


def test_examples_are_contiguous():
    inputs = np.arange(12, dtype=np.uint8).reshape(4, 3).T
    examples = Examples(inputs, np.zeros(3, np.uint8))
    assert examples.inputs.flags.c_contiguous
    np.testing.assert_array_equal(examples.inputs, inputs)


def test_contiguous_inputs_are_not_copied():
    inputs = np.zeros((3, 4), np.uint8)
    assert np.shares_memory(Examples(inputs, np.arange(3)).inputs, inputs)


def poisoned(value):
    inputs = np.zeros((3, 4), np.float32)
    inputs[1, 2] = value
    return inputs


GOOD = np.zeros((3, 4), np.float32)


@pytest.mark.parametrize(
    ("inputs", "labels", "message"),
    [
        ([[0.0, 1.0]], np.zeros(1, int), r"inputs must be a numpy\.ndarray, got list"),
        (GOOD, [0, 1, 2], r"labels must be a numpy\.ndarray, got list"),
        (np.zeros((3, 2, 2)), np.zeros(3, int), r"shape \(N, features\).*got \(3, 2, 2\)"),
        (np.zeros(3), np.zeros(3, int), r"shape \(N, features\).*got \(3,\)"),
        (np.zeros((0, 4)), np.zeros(0, int), r"not be empty, got \(0, 4\)"),
        (np.zeros((3, 0)), np.zeros(3, int), r"not be empty, got \(3, 0\)"),
        (np.zeros((3, 4), np.int64), np.zeros(3, int), r"must be uint8, float32 or float64, got int64"),
        (np.zeros((3, 4), np.float16), np.zeros(3, int), r"got float16"),
        (np.zeros((3, 4), bool), np.zeros(3, int), r"got bool"),
        (
            GOOD,
            np.zeros((3, 1), int),
            r"labels must be integers .*, got int64 of shape \(3, 1\)",
        ),
        (GOOD, np.zeros(3), r"labels must be integers .*got float64"),
        (GOOD, np.zeros(3, bool), r"labels must be integers .*got bool"),
        (GOOD, np.zeros(2, int), r"3 inputs but 2 labels"),
        (GOOD, np.zeros(4, int), r"3 inputs but 4 labels"),
        (GOOD, np.array([0, 5, -2]), r"labels\[2\] is -2"),
        (poisoned(np.nan), np.zeros(3, int), r"inputs\[1, 2\] is nan"),
        (poisoned(np.inf), np.zeros(3, int), r"inputs\[1, 2\] is inf"),
        (poisoned(-np.inf), np.zeros(3, int), r"inputs\[1, 2\] is -inf"),
    ],
)
def test_examples_refuse_what_cannot_be_learned_from(inputs, labels, message):
    with pytest.raises(DataError, match=message) as caught:
        Examples(inputs, labels)
    assert "\n" not in str(caught.value)


def test_take_gives_copies_of_the_examples_asked_for_in_that_order():
    examples = numbered(5)
    taken = examples.take([3, 0, 3])
    assert taken.labels.tolist() == [3, 0, 3]
    assert taken.inputs[:, 0].tolist() == [3, 0, 3]
    assert not np.shares_memory(taken.inputs, examples.inputs)
    assert not np.shares_memory(taken.labels, examples.labels)


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([0, 5], r"within 0 \.\.\. 4, got 5"),
        ([0, -1], r"within 0 \.\.\. 4, got -1"),
        ([], r"integers of shape \(n,\)"),
        (np.zeros(0, int), r"integers of shape \(n,\)"),
        ([[0, 1]], r"integers of shape \(n,\)"),
        ([True, False], r"integers of shape \(n,\)"),
        ([0.5], r"integers of shape \(n,\)"),
    ],
)
def test_take_refuses_indices_that_are_not_there(indices, message):
    with pytest.raises(ArgumentError, match=message):
        numbered(5).take(indices)


def dataset(train=None, test=None, classes=3, maximum=1.0, shape=(2, 2)):
    good = Examples(GOOD, np.array([0, 1, 2]))
    return Dataset("toy", train or good, test or good, classes, maximum, shape)


def test_a_dataset_knows_its_features():
    assert dataset(shape=(2, 2)).features == dataset(shape=(4,)).features == 4


@pytest.mark.parametrize("which", ["train", "test"])
def test_a_label_beyond_the_classes_is_named(which):
    bad = Examples(GOOD, np.array([0, 3, 7]))
    message = rf"^toy, {which} split: labels\[1\] is 3, but the 3 classes are 0 \.\.\. 2$"
    with pytest.raises(DataError, match=message):
        dataset(**{which: bad})


@pytest.mark.parametrize("which", ["train", "test"])
def test_examples_of_another_size_are_named(which):
    bad = Examples(np.zeros((3, 5)), np.zeros(3, int))
    message = rf"^toy, {which} split: the examples have 5 features, but images of shape \(2, 2\) have 4$"
    with pytest.raises(DataError, match=message):
        dataset(**{which: bad})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("classes", 1),
        ("classes", 2.5),
        ("maximum", 0.0),
        ("maximum", -1),
        ("maximum", np.nan),
        ("shape", (4, 0)),
        ("shape", (4, 1.0)),
        ("shape", 4),
    ],
)
def test_a_dataset_refuses_impossible_facts(name, value):
    with pytest.raises(ArgumentError, match=name):
        dataset(**{name: value})


@given(data=st.data(), n=st.integers(2, 200), seed=st.integers(0, 2**64 - 1))
def test_a_split_is_disjoint_complete_in_order_and_the_documented_permutation(data, n, seed):
    n_validation = data.draw(st.integers(0, n - 1))
    n_training = data.draw(st.integers(0, n - n_validation))
    train, validation = split(numbered(n), n_validation, seed, n_training)
    order = Stream(seed, Purpose.SPLIT).permutation(n, step=0)
    end = n_validation + n_training if n_training else n
    assert (validation is None) == (n_validation == 0)
    for part, expected in ((validation, order[:n_validation]), (train, order[n_validation:end])):
        if part is None:
            continue
        assert part.labels.tolist() == sorted(expected.tolist())
        np.testing.assert_array_equal(part.inputs[:, 0], part.labels)
    if n_training == 0:
        held_out = [] if validation is None else validation.labels
        assert sorted([*train.labels, *held_out]) == list(range(n))


def test_the_seed_decides_who_is_held_out():
    held_out = {tuple(split(numbered(100), 10, seed)[1].labels) for seed in range(5)}
    assert len(held_out) == 5
    assert tuple(split(numbered(100), 10, seed=0)[1].labels) in held_out


@pytest.mark.parametrize("n_training", [0, 3])
def test_nothing_need_be_held_out(n_training):
    examples = numbered(3)
    assert split(examples, 0, seed=0, n_training=n_training) == (examples, None)


def test_fewer_examples_are_some_of_more():
    few, more = (split(numbered(100), 10, 0, n)[0].labels.tolist() for n in (5, 50))
    assert (len(few), len(more)) == (5, 50)
    assert set(few) < set(more)


def test_no_more_can_be_learnt_from_than_there_are():
    with pytest.raises(ArgumentError, match="at most 2, which are left to train on; got 3"):
        split(numbered(3), 1, seed=0, n_training=3)


@pytest.mark.parametrize("n_validation", [3, 4])
def test_something_must_be_left_to_train_on(n_validation):
    with pytest.raises(ArgumentError, match=rf"got {n_validation} of 3 examples"):
        split(numbered(3), n_validation, seed=0)


@pytest.mark.parametrize(
    ("n_validation", "seed", "n_training"),
    [(-1, 0, 0), (1.0, 0, 0), (True, 0, 0), (1, -1, 0), (1, 2**64, 0), (0, -1, 0), (0, 0, -1), (0, 0, 1.0)],
)
def test_a_split_refuses_other_arguments(n_validation, seed, n_training):
    with pytest.raises(ArgumentError, match=r"n_validation|n_training|seed"):
        split(numbered(3), n_validation, seed, n_training)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_moments_of_a_coin(dtype):
    """Of p = 476 ones in 1500, spread unevenly over the blocks: p/n and sqrt(p/n (1 - p/n)), by hand."""
    inputs = np.repeat(np.arange(1500) >= 1024, 3).reshape(1500, 3).astype(dtype) * np.dtype(dtype).type(255)
    examples = Examples(inputs, np.zeros(1500, int))
    assert standard_moments(examples, 255) == (0.3173, 0.4654)
    assert standard_moments(examples, 2550) == (0.0317, 0.0465)


def test_moments_are_over_all_elements_alike():
    inputs = np.array([[0, 1], [2, 5]], np.uint8)  # mean 2, variance (4 + 1 + 0 + 9) / 4 = 3.5
    assert standard_moments(Examples(inputs, np.zeros(2, int)), 1) == (2.0, 1.8708)


def test_moments_of_bytes_and_of_the_same_floats_agree():
    train = load("digits").train
    for dtype in ("float32", "float64"):
        floats = Examples(train.inputs.astype(dtype), train.labels)
        assert standard_moments(floats, 16) == standard_moments(train, 16)


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_constant_inputs_have_no_scale(dtype):
    with pytest.raises(DataError, match=r"the inputs are all \(nearly\) 7: "):
        standard_moments(Examples(np.full((3, 4), 7, dtype), np.zeros(3, int)), 255)


@pytest.mark.parametrize("maximum", [0, -1, np.nan, np.inf, "255", None])
def test_moments_refuse_an_impossible_maximum(maximum):
    with pytest.raises(ArgumentError, match="maximum"):
        standard_moments(numbered(3), maximum)
