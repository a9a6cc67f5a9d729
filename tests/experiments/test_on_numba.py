"""Each experiment on another backend than NumPy: its jobs run, and what must be exact is."""

import pytest

from minidrop.experiments import NAMES, Plan, experiment
from minidrop.experiments.reproduce import reproduce


@pytest.mark.parametrize("name", NAMES)
def test_a_quick_run_is_as_it_must_be_on_numba(name, tmp_path):
    outcome = reproduce(experiment(name), Plan(quick=True, backend="numba"), tmp_path)
    assert outcome.failed == {}
    assert not outcome.broken
