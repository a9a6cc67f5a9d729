"""Minibatches: which examples, in which order, with which numbers in them."""

import numpy as np
import pytest
from tolerances import FLOAT32_ROUNDING

import minidrop as md
from minidrop.data import Batches, Examples
from minidrop.errors import ArgumentError
from minidrop.streams import Purpose, Stream

EXAMPLES = Examples(np.arange(22, dtype=np.uint8).reshape(11, 2), np.arange(11))


def labels_of(batches, epoch, start=0):
    return [labels.tolist() for _, labels in batches.epoch(epoch, start)]


def test_an_epoch_is_the_permutation_of_its_stream_in_pieces():
    order = Stream(5, Purpose.SHUFFLE).permutation(11, step=3).tolist()
    assert labels_of(Batches(EXAMPLES, 4, seed=5), 3) == [order[:4], order[4:8], order[8:]]


def test_epochs_and_seeds_differ_and_repeat():
    batches = Batches(EXAMPLES, 11, seed=1)
    first = labels_of(batches, 0)
    assert labels_of(batches, 0) == first
    assert labels_of(batches, 1) != first
    assert labels_of(Batches(EXAMPLES, 11, seed=2), 0) != first


@pytest.mark.parametrize(("drop_last", "sizes"), [(False, [4, 4, 3]), (True, [4, 4])])
def test_the_last_batch_is_kept_or_dropped(drop_last, sizes):
    batches = Batches(EXAMPLES, 4, drop_last=drop_last)
    assert [len(labels) for labels in labels_of(batches, 0)] == sizes
    assert len(batches) == len(sizes)


def test_an_epoch_can_begin_in_the_middle():
    batches = Batches(EXAMPLES, 4)
    whole = labels_of(batches, 2)
    assert [labels_of(batches, 2, start) for start in range(4)] == [whole[start:] for start in range(4)]


def test_inputs_go_with_their_labels_and_are_scaled():
    for x, labels in Batches(EXAMPLES, 4, scaling=md.Scaling(10, 0.5, 2.0)).epoch(0):
        assert x.dtype == np.float32
        pixels = np.stack([2 * labels, 2 * labels + 1], axis=1)
        np.testing.assert_allclose(x, (pixels / 10 - 0.5) / 2.0, rtol=FLOAT32_ROUNDING, atol=FLOAT32_ROUNDING)


@pytest.mark.parametrize("stored", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("wanted", ["float32", "float64"])
def test_any_stored_dtype_becomes_the_models(stored, wanted):
    examples = Examples(EXAMPLES.inputs.astype(stored), EXAMPLES.labels)
    x, _ = next(Batches(examples, 11, shuffle=False, dtype=wanted).epoch(0))
    assert x.dtype == wanted
    np.testing.assert_array_equal(x, EXAMPLES.inputs)


def test_the_examples_stay_as_they_are():
    before = EXAMPLES.inputs.copy()
    for x, _ in Batches(EXAMPLES, 11, scaling=md.Scaling(10)).epoch(0):
        x[...] = -1
    np.testing.assert_array_equal(EXAMPLES.inputs, before)


@pytest.mark.parametrize(
    ("size", "match"),
    [
        (0, "batch size must be an integer of at least 1, got 0"),
        (12, "batch size 12 is larger than the data, 11"),
    ],
)
def test_batch_sizes_that_cannot_be(size, match):
    with pytest.raises(ArgumentError, match=match):
        Batches(EXAMPLES, size)
