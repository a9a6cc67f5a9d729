"""The injection itself: it changes what it says, puts everything back, and refuses what it does not find."""

import pytest
from mutation import Mutant, inject

import minidrop as md
from minidrop import training
from minidrop.layers.stochastic import DropRate


def injected(monkeypatch, where, old, new):
    inject(Mutant("a bug", where, old, new, ""), monkeypatch)


def test_methods_properties_class_methods_and_super_and_back(monkeypatch):
    with monkeypatch.context() as patch:
        injected(
            patch, "minidrop.layers.stochastic:DropRate.keep", "_LANES - self.threshold", "self.threshold"
        )
        injected(patch, "minidrop.layers.stochastic:DropRate.of", "* _LANES", "* _LANES / 2")
        injected(
            patch, "minidrop.optim.momentum:Momentum.scalars", "super().scalars()", "{**super().scalars()}"
        )
        assert DropRate.of(0.5) == DropRate(16384)
        assert DropRate.of(0.5).keep == 0.25
        optimizer = md.Momentum(md.Linear(1, 1).parameters())
        assert optimizer.scalars() == {"steps": 0, "velocity_steps": 0}
    assert DropRate.of(0.5) == DropRate(32768)
    assert DropRate.of(0.25).keep == 0.75


def test_a_function_changes_in_every_module_that_imported_it(monkeypatch):
    original = training.evaluate
    with monkeypatch.context() as patch:
        injected(
            patch,
            "minidrop.training:evaluate",
            "total, errors, size = 0.0, 0, 0",
            "total, errors, size = 0, 9, 0",
        )
        assert md.evaluate is training.evaluate is not original
    assert md.evaluate is training.evaluate is original


@pytest.mark.parametrize(("piece", "count"), [("no such piece", 0), ("x", 6)])
def test_a_piece_that_is_not_there_exactly_once_is_an_error(monkeypatch, piece, count):
    with pytest.raises(LookupError, match=r"ReLU.function has .* exactly once"):
        injected(monkeypatch, "minidrop.layers.relu:ReLU.function", piece, "y")
