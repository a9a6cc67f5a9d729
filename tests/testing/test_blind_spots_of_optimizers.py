"""Optimizers whose bugs only another learning rate, dtype or a gradient of 0 shows."""

import numpy as np
import pytest
from failing import failures

from minidrop.errors import ArgumentError
from minidrop.testing import check_optimizer


class Plain:
    """An optimizer of a stranger; its parameters are {name: (value, grad)}."""

    def __init__(self, parameters):
        self.parameters, self.lr = parameters, 0.1
        self.v = {name: np.zeros_like(w) for name, (w, _) in parameters.items()}

    def step(self):
        for name, (w, g) in self.parameters.items():
            self.v[name] = np.asarray(0.9, w.dtype) * self.v[name] + g
            w -= np.asarray(self.lr, w.dtype) * self.v[name]


class RateInVelocity(Plain):
    def step(self):
        for name, (w, g) in self.parameters.items():
            self.v[name] = np.asarray(0.9, w.dtype) * self.v[name] - np.asarray(self.lr, w.dtype) * g
            w += self.v[name]


class FirstRate(Plain):
    kept = None

    def step(self):
        self.kept = self.lr = self.kept if self.kept is not None else self.lr
        super().step()


class NoEpsilon(Plain):
    """Adam's direction without ε."""

    def step(self):
        for name, (w, g) in self.parameters.items():
            self.v[name] = np.asarray(0.9, w.dtype) * self.v[name] + g * g
            with np.errstate(all="ignore"):
                w -= np.asarray(self.lr, w.dtype) * g / np.sqrt(self.v[name])


class FasterInFloat32(Plain):
    def step(self):
        super().step()
        for w, g in self.parameters.values():
            if w.dtype == "float32":
                w -= g


def momentum(w, g, memory, t, lr=0.1):
    memory["v"] = 0.9 * memory.get("v", 0.0) + g
    return w - lr * memory["v"]


def without_rate(w, g, memory, t):
    return momentum(w, g, memory, t)


@pytest.mark.parametrize(("optimizer", "check"), [(RateInVelocity, "formula"), (FirstRate, "formula")])
def test_a_rate_that_changes_is_held_to_a_formula_that_takes_it(optimizer, check):
    assert check_optimizer(Plain, formula=momentum, plain=True).passed
    assert check_optimizer(RateInVelocity, formula=without_rate, plain=True).passed
    assert check in failures(check_optimizer, optimizer, formula=momentum, plain=True)


@pytest.mark.parametrize("optimizer", [NoEpsilon, FasterInFloat32])
def test_an_optimizer_that_is_right_at_first_sight(optimizer):
    assert "dtype" in failures(check_optimizer, optimizer, plain=True)


def test_a_formula_that_takes_a_rate_needs_an_optimizer_that_has_one():
    class Fixed(Plain):
        def __init__(self, parameters):
            super().__init__(parameters)
            self.rate = self.__dict__.pop("lr")

        def step(self):
            for w, g in self.parameters.values():
                w -= np.asarray(self.rate, w.dtype) * g

    def takes_rate(w, g, memory, t, lr):
        return w - lr * g

    def has_rate(w, g, memory, t, lr=0.1):
        return w - lr * g

    with pytest.raises(ArgumentError, match="the formula takes lr, but the optimizer has neither"):
        check_optimizer(Fixed, formula=takes_rate, plain=True)
    assert check_optimizer(Fixed, formula=has_rate, plain=True).passed
