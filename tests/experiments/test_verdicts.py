"""Intervals and verdicts, by hand and against SciPy."""

import math

import pytest

from minidrop.experiments import Claim, Quantity
from minidrop.experiments.verdicts import AGREES, DIFFERS, NOT_JUDGED
from minidrop.intervals import interval, student


def test_students_quantiles_are_scipys():
    stats = pytest.importorskip("scipy.stats", reason="SciPy is not installed")
    for degrees in (*range(1, 41), 100, 1000):
        assert student(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), abs=1e-4)


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
        (Claim("c", None), NOT_JUDGED),
    ],
)
def test_verdicts(quantity, verdict):
    assert quantity.verdict == verdict


def test_texts():
    assert Quantity("q", [130.0, 132.0, 134.0], digits=1).text() == "132.0 ± 5.0"
    assert Quantity("q", [1.0]).text() == "1.0000"
    assert Quantity("q", [1.0]).published_text() == "—"
