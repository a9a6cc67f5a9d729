"""Random numbers as a function of (seed, purpose, index, step): exactly NumPy's Philox, in any order."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import STANDARD_ERRORS

import minidrop as md
from minidrop.errors import ArgumentError
from minidrop.streams import Purpose, Stream, check_seed


def test_the_bits_are_numpys_philox_under_the_documented_key_and_counter():
    seed, purpose, index, step = 2012, 3, 5, 11
    key = np.array([seed, purpose * 2**32 + index], np.uint64)
    counter = np.array([0, step, 0, 0], np.uint64)
    expected = np.random.Philox(key=key, counter=counter).random_raw(100)

    stream = Stream(seed, Purpose.SHUFFLE, index)

    assert stream.key == (seed, purpose * 2**32 + index)
    np.testing.assert_array_equal(stream.bits(step).random_raw(100), expected)
    np.testing.assert_array_equal(stream.bits(step, block=7).random_raw(72), expected[28:])


def test_a_generator_that_is_moved_gives_the_bits_of_a_new_one():
    """Also if it stopped inside a block, and gave halves of words."""
    stream, other = Stream(2012, Purpose.MASK, 5), Stream(7)
    for step, block in ((0, 0), (3, 7), (3, 0)):
        np.random.Generator(other.own_bits(1)).integers(0, 9, 3, dtype=np.uint32)
        other.own_bits(2).random_raw(3)
        words = stream.own_bits(step, block).random_raw(9)
        np.testing.assert_array_equal(words, stream.bits(step, block).random_raw(9))


def philox(counter, key, rounds=10):
    """Philox4x64 as Salmon et al. 2011 define it, in Python's integers."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(rounds):
        product0, product1 = 0xD2E7470EE14C6C93 * c0, 0xCA5A826395121157 * c2
        c0, c1, c2, c3 = (
            (product1 >> 64) ^ c1 ^ k0,
            product1 % 2**64,
            (product0 >> 64) ^ c3 ^ k1,
            product0 % 2**64,
        )
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) % 2**64, (k1 + 0xBB67AE8584CAA73B) % 2**64
    return [c0, c1, c2, c3]


def test_philox_is_what_its_authors_published():
    """First the known answer that comes with Random123, for a counter and a key of zeros; then our bits."""
    assert [f"{word:016x}" for word in philox((0, 0, 0, 0), (0, 0))] == [
        "16554d9eca36314c",
        "db20fe9d672d0fdc",
        "d7e772cee186176b",
        "7e68b68aec7ba23b",
    ]
    words = Stream(7, Purpose.MASK, index=2).bits(step=5).random_raw(12).tolist()
    key = (7, 2**32 + 2)
    blocks = [philox((block + 1, 5, 0, 0), key) for block in range(3)]  # NumPy adds 1 before the first block
    assert words == blocks[0] + blocks[1] + blocks[2]


def test_the_purposes_have_the_documented_numbers():
    """They are part of every key, so renumbering them would change every result."""
    assert {p.name: p.value for p in Purpose} == {
        "WEIGHTS": 0,
        "MASK": 1,
        "NOISE": 2,
        "SHUFFLE": 3,
        "SPLIT": 4,
    }


def test_a_word_gives_four_lanes_lowest_bits_first():
    stream = Stream(3)
    words = stream.bits(step=4).random_raw(5)
    expected = [(int(word) >> shift) & 0xFFFF for word in words for shift in (0, 16, 32, 48)]

    lanes = stream.lanes(20, step=4)

    assert lanes.dtype == np.uint16
    assert lanes.tolist() == expected


@settings(deadline=None)
@given(n=st.integers(0, 200), start=st.integers(0, 300), step=st.integers(0, 2**63))
def test_any_piece_of_lanes_is_that_slice_of_one_long_draw(n, start, step):
    stream = Stream(7, index=1)
    np.testing.assert_array_equal(
        stream.lanes(n, step, start), stream.lanes(500, step)[start : start + n], strict=True
    )


def test_draws_do_not_depend_on_what_was_drawn_before():
    stream = Stream(5)
    first = stream.lanes(10, step=1), stream.generator(step=1).random(), stream.permutation(9, step=1)
    stream.lanes(1000, step=0), stream.generator(step=1).random(50), stream.permutation(4, step=1)
    again = stream.lanes(10, step=1), stream.generator(step=1).random(), stream.permutation(9, step=1)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("other", "step"),
    [
        (Stream(1, Purpose.MASK, 0), 0),
        (Stream(2**63, Purpose.MASK, 0), 0),
        (Stream(0, Purpose.NOISE, 0), 0),
        (Stream(0, Purpose.WEIGHTS, 0), 0),
        (Stream(0, Purpose.MASK, 1), 0),
        (Stream(0, Purpose.MASK, 0), 1),
    ],
)
def test_another_seed_purpose_index_or_step_is_another_stream(other, step):
    here, there = Stream(0, Purpose.MASK, 0).bits(0).random_raw(1024), other.bits(step).random_raw(1024)
    assert not np.isin(here, there).any()  # 2^20 pairs of 64-bit words: by accident once in 2^44 trials


def test_lanes_are_uniform():
    """The mean of n uniform integers below 65536 has the standard error 65536 / sqrt(12 n)."""
    n = 1_000_000
    lanes = Stream(0).lanes(n, step=0)
    assert abs(lanes.mean() - 65535 / 2) < STANDARD_ERRORS * 65536 / np.sqrt(12 * n)
    assert lanes.min() == 0
    assert lanes.max() == 65535


@settings(deadline=None)
@given(n=st.integers(0, 300), seed=st.integers(0, 2**64 - 1), step=st.integers(0, 1000))
def test_a_permutation_is_the_order_of_raw_keys(n, seed, step):
    stream = Stream(seed, Purpose.SHUFFLE)
    permutation = stream.permutation(n, step)
    assert sorted(permutation.tolist()) == list(range(n))
    keys = stream.bits(step).random_raw(n)
    assert np.all(np.diff(keys[permutation].astype(object)) > 0)


def test_each_step_has_its_own_permutation():
    stream = Stream(0, Purpose.SHUFFLE)
    orders = {tuple(stream.permutation(50, step).tolist()) for step in range(20)}
    assert len(orders) == 20


def test_a_generator_is_numpys_over_the_same_bits():
    expected = np.random.Generator(
        np.random.Philox(key=np.array([9, 0], np.uint64), counter=np.array([0, 2, 0, 0], np.uint64))
    )
    np.testing.assert_array_equal(
        Stream(9, Purpose.WEIGHTS).generator(step=2).standard_normal(10), expected.standard_normal(10)
    )


@pytest.mark.parametrize("seed", [0, 2**64 - 1, np.int64(3), np.uint64(2**64 - 1)])
def test_seeds_of_64_bits_are_taken(seed):
    assert check_seed(seed) == int(seed)
    assert isinstance(check_seed(seed), int)
    assert Stream(check_seed(seed)).lanes(3, step=0).shape == (3,)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, "0", None, True, np.float64(2)])
def test_other_seeds_are_refused(seed):
    with pytest.raises(ArgumentError, match="seed must be"):
        check_seed(seed)
    with pytest.raises(ArgumentError, match="seed must be"):
        md.Linear(2, 2, seed=seed)
    with pytest.raises(ArgumentError, match="seed must be"):
        md.Dropout(0.5, seed=seed)
    with pytest.raises(ArgumentError, match="seed must be"):
        md.Sequential(md.ReLU(), md.Linear(2, 2), seed=seed)


@pytest.mark.skipif(sys.byteorder == "big", reason="views of the words' bytes are compared")
def test_lanes_are_the_bytes_of_the_words():
    stream = Stream(1)
    assert stream.lanes(16, step=0).tobytes() == stream.bits(0).random_raw(4).tobytes()
