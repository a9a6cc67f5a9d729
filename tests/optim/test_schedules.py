"""Schedules of learning rate and momentum: plain functions of the epoch."""

from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optim_helpers import NOT_A_NUMBER, fixed_examples
from tolerances import FLOAT64_ROUNDING

from minidrop.errors import ArgumentError
from minidrop.optim.schedules import SCHEDULES, constant, exponential, linear, saturating, step

epochs_passed = st.one_of(st.integers(0, 3000), st.floats(0, 3000))
values = st.floats(0, 10)
durations = st.integers(1, 1000)


def close(value: float):
    return pytest.approx(value, rel=FLOAT64_ROUNDING, abs=FLOAT64_ROUNDING)


@given(k=epochs_passed, value=values)
@fixed_examples
def test_constant(k, value):
    assert constant(value)(k) == value


@given(k=st.integers(0, 200), initial=values, decay=st.floats(0.5, 1.0))
@fixed_examples
def test_exponential_multiplies_once_an_epoch(k, initial, decay):
    expected = initial
    for _ in range(k):
        expected *= decay
    assert exponential(initial, decay)(k) == close(expected)


def test_exponential_of_the_paper():
    lr = exponential(10.0, 0.998)
    assert lr(0) == 10.0
    assert lr(1) == close(9.98)
    assert lr(0.5) ** 2 == close(10.0 * 9.98)


@given(k=epochs_passed, initial=values, final=values, duration=durations)
@fixed_examples
def test_linear_is_the_momentum_of_document_000(k, initial, final, duration):
    def get_momentum(epoch, p_i, p_f, T):  # the document's function
        return (epoch / T) * p_f + (1 - (epoch / T)) * p_i if epoch < T else p_f

    assert linear(initial, final, duration)(k) == close(get_momentum(k, initial, final, duration))


def test_linear_of_the_paper():
    """The paper prints initial and final swapped; momentum rises."""
    momentum = linear(0.5, 0.99, 500)
    assert momentum(0) == 0.5
    assert momentum(250) == close(0.745)
    assert momentum(125.5) == close(0.5 + 0.49 * 125.5 / 500)
    assert momentum(499) < 0.99
    assert momentum(500) == momentum(500.5) == momentum(3000) == 0.99


@given(k=epochs_passed, initial=values, final=values, duration=durations)
@fixed_examples
def test_saturating(k, initial, final, duration):
    expected = final - (final - initial) * exp(-k / duration)
    assert saturating(initial, final, duration)(k) == close(expected)


def test_saturating_covers_a_fixed_part_of_what_is_left_in_each_duration():
    momentum = saturating(0.5, 0.9, 10)
    assert momentum(0) == close(0.5)
    for k in (0, 5, 10, 20, 12.5):
        assert (0.9 - momentum(k + 10)) / (0.9 - momentum(k)) == close(exp(-1))
    assert momentum(5000) == 0.9


def test_step_changes_at_multiples_of_its_duration_only():
    lr = step(0.8, 0.5, 10)
    assert [lr(k) for k in (0, 5, 9, 9.99, 10, 19, 20, 25.5, 30)] == [
        0.8, 0.8, 0.8, 0.8, 0.4, 0.4, 0.2, 0.2, 0.1
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (constant, {"initial": 1.0}),
        (exponential, {"initial": 1.0, "decay": 0.9}),
        (linear, {"initial": 0.5, "final": 0.9, "epochs": 10}),
        (saturating, {"initial": 0.5, "final": 0.9, "epochs": 10}),
        (step, {"initial": 1.0, "factor": 0.5, "epochs": 10}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_arguments_that_are_no_numbers_at_least_zero_are_refused(make, arguments):
    make(**arguments)
    for name in arguments:
        for bad in (*NOT_A_NUMBER, *([0] if name == "epochs" else [])):
            with pytest.raises(ArgumentError, match=name):
                make(**arguments | {name: bad})


def test_a_configuration_finds_them_by_name():
    assert {
        "constant": constant,
        "exponential": exponential,
        "linear": linear,
        "saturating": saturating,
        "step": step,
    } == SCHEDULES
