"""Intervals and verdicts, by hand and against SciPy."""

import math

import pytest

from minidrop.experiments import Claim, Quantity
from minidrop.experiments.verdicts import AGREES, DIFFERS, NOT_JUDGED, OPEN, alike, crossing, gaps, ordered
from minidrop.intervals import interval, student


def test_students_quantiles_are_scipys():
    stats = pytest.importorskip("scipy.stats", reason="SciPy is not installed")
    for degrees in (*range(1, 41), 100, 1000):
        for tail in (0.025, 0.025 / 6, 0.001):
            assert student(degrees, tail) == pytest.approx(stats.t.ppf(1 - tail, degrees), abs=1e-4)


def test_students_quantiles_of_one_and_two_degrees_by_hand():
    """P(|T| < t) is 2/π arctan t, and t / √(2 + t²)."""
    for tail in (0.25, 0.025, 0.005):
        p = 1 - 2 * tail
        assert student(1, tail) == pytest.approx(math.tan(math.pi / 2 * p), abs=1e-4)
        assert student(2, tail) == pytest.approx(p * math.sqrt(2 / (1 - p * p)), abs=1e-4)


def test_what_one_interval_says_several_need_not_say_together():
    found = [0.5, 1.0, 1.5, 1.0]
    assert ordered("a beats b", found).verdict == AGREES
    assert ordered("a beats b", found, among=20).verdict == OPEN
    assert alike("a is b", found).verdict == DIFFERS
    assert alike("a is b", found, among=20).verdict == OPEN
    assert ordered("a beats b", found, among=20).detail == "+1.0000 ± 1.9320 (20 together)"


def test_a_crossing_counts_only_if_it_lasts():
    assert crossing([3, 1, 3, 1], [2, 2, 2, 2]) == 4
    assert crossing([1, 1, 3], [2, 2, 2]) is None
    assert crossing(99 * [1] + [3], 100 * [2]) == 1
    assert crossing(89 * [1] + 11 * [3], 100 * [2]) is None
    assert crossing([], []) is None


def test_a_single_epoch_does_not_undo_a_crossing_and_more_than_one_in_twenty_do():
    for above, expected in ([10], 3), ([10, 15], 16), ([21], None):
        curve = [3, 3] + [3 if epoch in above else 1 for epoch in range(3, 22)]
        assert crossing(curve, 21 * [2]) == (expected if above != [10] else 11)
    curve = [3] + [1] * 9 + [3] + [1] * 10
    assert crossing(curve, 21 * [2]) == 2


def test_a_crossing_in_the_last_epochs_is_none():
    for last, expected in ((9, None), (10, 91)):
        assert crossing((100 - last) * [3] + last * [1], 100 * [2]) == expected


def test_an_interval_by_hand():
    mean, half = interval([1.0, 3.0])  # s = √2, √n = √2, t = 12.7062
    assert (mean, half) == (2.0, pytest.approx(12.7062))
    assert interval([5.0]) == (5.0, math.inf)
    assert interval([1.0, math.nan])[1] == math.inf


@pytest.mark.parametrize(
    ("quantity", "verdict"),
    [
        (Quantity("q", [1.0, 3.0], 14.7), AGREES),
        (Quantity("q", [1.0, 3.0], 14.8), DIFFERS),
        (Quantity("q", [1.0, 3.0], 14.8, tolerance=0.1), AGREES),
        (Quantity("q", [1.0], 1.0), NOT_JUDGED),
        (Quantity("q", [1.0], 1.05, tolerance=0.1), AGREES),
        (Quantity("q", [1.0], 1.2, tolerance=0.1), DIFFERS),
        (Quantity("q", [1.0, 1.0]), NOT_JUDGED),
        (Quantity("q", [1.0, 1.0], 9.0, judge=False), NOT_JUDGED),
        (Quantity("q", [1.0, 1.0], 1.0, "exact"), AGREES),
        (Quantity("q", [1.0, 1.01], 1.0, "exact"), DIFFERS),
        (Quantity("q", [1.0, 1.01], 1.0, "exact", 0.02), AGREES),
        (Quantity("q", [math.nan], 1.0, "exact", 0.02), DIFFERS),
        (Quantity("q", [math.nan, 1.0], 1.0), DIFFERS),
        (Claim("c", True), AGREES),
        (Claim("c", False), DIFFERS),
        (Claim("c", None), OPEN),
    ],
)
def test_verdicts(quantity, verdict):
    assert quantity.verdict == verdict


@pytest.mark.parametrize(
    ("differences", "order", "equality"),
    [
        ([[0.2, 0.21, 0.19]], AGREES, DIFFERS),
        ([[-0.2, -0.21, -0.19]], DIFFERS, DIFFERS),
        ([[0.2, -0.1, 0.3]], OPEN, OPEN),  # above 0 on average, but not beyond doubt
        ([[0.2]], OPEN, OPEN),
        ([[]], OPEN, OPEN),
        ([[0.0, 0.0]], OPEN, OPEN),  # no differences prove that there is none
        ([[0.2, math.nan]], OPEN, OPEN),
        ([[0.2, 0.21], [0.2, -0.1]], OPEN, None),
        ([[0.2, -0.1], [-0.2, -0.2]], DIFFERS, None),
        ([[0.2, 0.2], [0.3, 0.3]], AGREES, None),
    ],
)
def test_the_one_rule_of_order(differences, order, equality):
    assert ordered("text", *differences).verdict == order
    if equality is not None:
        assert alike("text", *differences).verdict == equality


def test_the_interval_of_differences_seed_by_seed_orders_what_spreads_widely():
    one, other = {0: 0.70, 1: 0.80, 2: 0.90}, {0: 0.69, 1: 0.79, 2: 0.89, 3: 0.1}
    assert ordered("one is better", gaps(one, other)).verdict == AGREES
    assert ordered("one is better", gaps(one, other)).detail == "+0.0100 ± 0.0000"
    assert ordered("text", [1.0], detail="so").detail == "so"


def test_what_must_be_exact_is_a_check_of_our_own_unless_a_document_states_it():
    assert Quantity("q", [1.0], 1.0, "exact").own
    assert Claim("c", True, exact=True).own
    assert not Quantity("q", [1.0], 1.0, "exact", stated=True).own
    assert not Claim("c", True, exact=True, stated=True).own
    assert not Quantity("q", [1.0, 2.0], 1.0).own
    assert not Claim("c", True).own


def test_what_must_be_exact_has_no_interval():
    assert Quantity("q", [2.0, 2.0], 2.0, "exact", digits=1).text() == "2.0"


def test_texts():
    assert Quantity("q", [130.0, 132.0, 134.0], digits=1).text() == "132.0 ± 5.0"
    assert Quantity("q", [1.0]).text() == "1.0000"
    assert Quantity("q", [1.0]).published_text() == "—"
