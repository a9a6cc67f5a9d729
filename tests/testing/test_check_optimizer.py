"""check_optimizer passes right optimizers, minidrop's and a stranger's, and fails wrong ones."""

import re

import numpy as np
import pytest
from optim.optim_helpers import EVERY
from stranger_layers import Momentum, momentum_formula

import minidrop as md
from minidrop.testing import CheckError, check_optimizer


def sgd(w, g, memory, t):
    return w - 0.1 * g


def hinton(w, g, memory, t):
    memory["v"] = 0.9 * memory.get("v", 0) - 0.1 * 0.1 * g
    return w + memory["v"]


def adam(w, g, memory, t, corrected=True):
    memory["m"] = 0.9 * memory.get("m", 0) + 0.1 * g
    memory["v"] = 0.999 * memory.get("v", 0) + 0.001 * g * g
    root = np.sqrt(memory["v"] / (1 - 0.999**t))
    return w - 0.1 * memory["m"] / (1 - 0.9**t) / (root + 1e-8)


def adamw(w, g, memory, t):
    return adam(w * (1 - 0.1 * 0.01), g, memory, t)


def adagrad(w, g, memory, t):
    memory["s"] = memory.get("s", 0) + g * g
    return w - 0.1 / (1 + (t - 1) * 0.1) * g / (np.sqrt(memory["s"]) + 1e-10)


FORMULAS = {
    "sgd": sgd,
    "torch": momentum_formula,
    "classical": momentum_formula,
    "hinton": hinton,
    "adam": adam,
    "adamw": adamw,
    "adagrad": adagrad,
}
RIGHT = [name for name in EVERY if name != "published"]


@pytest.mark.parametrize("name", RIGHT)
def test_every_optimizer_of_minidrop_passes(name):
    cls, options = EVERY[name]
    report = check_optimizer(lambda parameters: cls(parameters, **options), formula=FORMULAS.get(name))
    passed = [outcome.check for outcome in report.outcomes if outcome.status == "passed"]
    assert len(passed) == 8 - (name not in FORMULAS)


def test_groups_and_projections_pass():
    groups = {"*.bias": md.Group(lr_scale=2.0, weight_decay=0.1)}
    check_optimizer(lambda p: md.SGD(p, groups=groups, projections=[md.MaxNorm(1.0)]))
    exact = {"0.weight": md.Group(lr_scale=2.0)}
    report = check_optimizer(lambda p: md.SGD(p, groups=exact))
    assert report["elementwise"].note.startswith("not split: group '0.weight' matches no parameter")


def test_the_published_slips_fail():
    cls, options = EVERY["published"]
    with pytest.raises(CheckError, match=r"1\. learning rate 0(.|\n)*2\. descent\n   L = ½ Σ c w² rose"):
        check_optimizer(lambda parameters: cls(parameters, **options))


def test_a_strangers_right_optimizer_passes():
    report = check_optimizer(Momentum, formula=momentum_formula, plain=True)
    assert [outcome.status for outcome in report.outcomes] == ["passed"] * 8


class Sign(Momentum):
    def step(self):
        for name, (w, g) in self.parameters.items():
            self.v[name] = self.mu * self.v[name] + g
            w += self.lr * self.v[name]


class Twice(Momentum):
    def step(self):
        super().step()
        super().step()


class Nesterov(Momentum):
    def step(self):
        super().step()
        for w, g in self.parameters.values():
            w -= 1e-7 * self.lr * g


class ChangesGradient(Momentum):
    def step(self):
        for w, g in self.parameters.values():
            g *= self.lr
            w -= g


class Shared(Momentum):
    """A class attribute for a state."""

    v = {}  # noqa: RUF012

    def __init__(self, parameters):
        self.parameters, self.lr, self.mu = parameters, 0.1, 0.9

    def step(self):
        for name in self.parameters:
            self.v.setdefault(name, 0)
        super().step()


class ById(Momentum):
    """A state by the address of an array, as no copy has it."""

    def step(self):
        for w, g in self.parameters.values():
            self.v[id(w)] = self.mu * self.v.get(id(w), 0) + g
            w -= self.lr * self.v[id(w)]


class MixesElements(Momentum):
    def step(self):
        for w, g in self.parameters.values():
            w -= self.lr * g / np.abs(g).max()


class DependsOnOrder(Momentum):
    def step(self):
        for w, g in self.parameters.values():
            w -= self.lr * np.cumsum(g).reshape(g.shape)


class Replaces(Momentum):
    """Makes a new array that nobody sees."""

    def step(self):
        for w, g in self.parameters.values():
            w = w - self.lr * g


class DecayWithoutRate(Momentum):
    def step(self):
        super().step()
        for w, _ in self.parameters.values():
            w *= 0.999


class OffByOne(Momentum):
    """Adam's first bias correction with t - 1 for t."""

    def __init__(self, parameters):
        super().__init__(parameters)
        self.memory, self.t = {name: {} for name in parameters}, 1

    def step(self):
        self.t += 1
        for name, (w, g) in self.parameters.items():
            w[...] = adam(w, g, self.memory[name], self.t)


WRONG = {
    Sign: (momentum_formula, "formula", r"the change of 0\.weight in step 1 at .*\n.*sign turned"),
    Twice: (momentum_formula, "formula", r"in step 1 at"),
    Nesterov: (momentum_formula, "formula", r"in step 1 at .*\n(.|\n)*11 of 12 elements"),
    OffByOne: (adam, "formula", r"the change of 0\.weight in step 1 at"),
    ChangesGradient: (None, "gradients unchanged", r"step 1 changed the gradient of 0\.weight at \(0, 0\)"),
    Shared: (None, "independent", r"0\.weight of one of two optimizers at"),
    ById: (None, "resume", r"0\.weight, resumed after 10 steps, at"),
    MixesElements: (None, "elementwise", r"0\.a\.weight, a part of a parameter at"),
    DependsOnOrder: (None, "elementwise", r"0\.weight with its elements permuted at"),
    Replaces: (None, "dtype", r"0\.weight did not move in 20 steps; step\(\) must change it in place"),
    DecayWithoutRate: (None, "learning rate 0", r"0\.weight with learning rate 0 at"),
}


@pytest.mark.parametrize("optimizer", WRONG)
def test_a_bug_is_found_and_named(optimizer):
    formula, check, says = WRONG[optimizer]
    with pytest.raises(CheckError) as caught:
        check_optimizer(optimizer, formula=formula, plain=True)
    failed = [outcome for outcome in caught.value.report.outcomes if outcome.status == "failed"]
    assert failed[0].check == check, str(caught.value)
    assert re.search(says, "\n".join(failed[0].problems)), failed[0].problems


def test_a_slot_of_another_dtype_is_found():
    class Wide(md.Momentum):
        def __init__(self, parameters):
            super().__init__(parameters)
            self.state = {name: slot.astype("float64") for name, slot in self.state.items()}

    with pytest.raises(CheckError, match="slot velocity is float64 for float32 weights"):
        check_optimizer(Wide)


def test_state_that_no_checkpoint_holds_is_found():
    class Counts(md.SGD):
        calls = 0

        def begin_step(self):
            self.calls += 1
            self.lr = 0.1 / self.calls

    with pytest.raises(CheckError, match=r"0\.weight, resumed after 5 steps"):
        check_optimizer(Counts, steps=10, skip=("learning rate 0",))


def test_what_cannot_be_used_is_refused():
    with pytest.raises(md.errors.ArgumentError, match=r"make must return an object with step\(\), got int"):
        check_optimizer(lambda parameters: 3)
    with pytest.raises(md.errors.ArgumentError, match="steps must be an integer of at least 2"):
        check_optimizer(md.SGD, steps=1)


def test_what_builds_no_optimizer_is_told_how():
    class Plain:
        def __init__(self, parameters):
            self.pairs = [(value, grad) for value, grad in parameters.values()]

        def step(self):
            for value, grad in self.pairs:
                value -= 0.1 * grad

    assert check_optimizer(Plain, plain=True).passed
    with pytest.raises(
        md.errors.ArgumentError, match=r"make did not .*raised TypeError.*\? Then say plain=True"
    ):
        check_optimizer(Plain)
    with pytest.raises(
        md.errors.ArgumentError, match=r"lambda parameters: Plain\(parameters\), not Plain\(\.\.\.\)"
    ):
        check_optimizer(Plain({}), plain=True)
