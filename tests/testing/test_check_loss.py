"""check_loss passes right losses, minidrop's and a stranger's, and fails wrong ones with the right words."""

import re

import numpy as np
import pytest
import stranger_layers as strangers

import minidrop as md
from minidrop.testing import CheckError, check_loss

TARGETS = np.random.default_rng(1).normal(size=(5, 4))


@pytest.mark.parametrize("shape", [(5, 4), (1, 4), (5, 1), (1, 1), (30, 20)], ids=str)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_minidrops_loss_passes_every_check(reduction, shape):
    report = check_loss(md.SoftmaxCrossEntropy(reduction), shape=shape, reduction=reduction)
    assert [outcome.status for outcome in report.outcomes] == ["passed"] * 12
    assert report["batch behaviour"].note == reduction


@pytest.mark.parametrize("seed", range(3))
def test_a_strangers_right_loss_passes(seed):
    squared = check_loss(strangers.SquaredError(), TARGETS + 1, TARGETS, seed=seed)
    assert squared["batch behaviour"].note == "mean"
    assert squared["rows sum to zero"].note == "the loss changes when a row is shifted"
    assert squared["complex step"].status == "passed"
    hinge = check_loss(strangers.Hinge(), seed=seed)
    assert hinge["batch behaviour"].note == "sum"
    assert hinge["rows sum to zero"].status == "passed"
    assert hinge["complex step"].status == "skipped"


class CrossEntropy:
    """The textbook's, in which each of the classes below breaks one thing."""

    factor = 1.0

    def forward(self, z, t):
        self.t, self.rows = t, np.arange(len(z))
        self.p = self.softmax(z)
        return -np.log(self.p[self.rows, t]).mean()

    def softmax(self, z):
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def backward(self):
        dz = self.p.copy()
        dz[self.rows, self.t] -= 1
        return dz * (self.factor / len(dz))


class Forgotten(CrossEntropy):
    """1/B is missing."""

    def backward(self):
        return super().backward() * len(self.t)


class Doubled(CrossEntropy):
    def backward(self):
        return super().backward() / len(self.t)


class Sign(CrossEntropy):
    factor = -1.0


class NoOneHot(CrossEntropy):
    def backward(self):
        return self.p / len(self.p)


class Epsilon(CrossEntropy):
    """An epsilon inside the logarithm that the gradient does not know."""

    def forward(self, z, t):
        super().forward(z, t)
        return -np.log(self.p[self.rows, t] + z.real.dtype.type(1e-9)).mean()


class Overflows(CrossEntropy):
    def softmax(self, z):
        e = np.exp(z)
        return e / e.sum(axis=1, keepdims=True)


class Mutates(CrossEntropy):
    def forward(self, z, t):
        z -= z.max(axis=1, keepdims=True)
        return super().forward(z, t)


class Upcasts(CrossEntropy):
    def backward(self):
        return super().backward() * np.float64(1)


class MeanOverAll(CrossEntropy):
    """Divides by the number of logits in both passes: right, but no mean over the batch when it doubles."""

    def forward(self, z, t):
        return super().forward(z, t) * len(z) ** 0.5

    def backward(self):
        return super().backward() * len(self.t) ** 0.5


class TooEarly(CrossEntropy):
    def backward(self):
        return super().backward() if hasattr(self, "p") else 0.0


class Adds(CrossEntropy):
    total = 0.0

    def backward(self):
        self.total = self.total + super().backward()
        return self.total


WRONG = {
    Forgotten: ("finite differences", r"got is 5 times expected \(the batch has 5 examples\)"),
    Doubled: ("finite differences", r"got is 1/5 times expected \(the batch has 5 examples\)"),
    Sign: ("finite differences", r"input gradient at \(\d, \d\)(.|\n)*sign turned"),
    NoOneHot: ("finite differences", r"input gradient at \(\d, \d\)(.|\n)*wrong at 5 of 20 elements"),
    Epsilon: ("complex step", r"input gradient at"),
    Overflows: ("stability", r"the loss is nan for float32 logits of ±1e4"),
    Mutates: ("no mutation", r"the passes changed logits at \(0, 0\) from"),
    Upcasts: ("dtype", r"the gradient is float64 for float32 logits"),
    MeanOverAll: ("batch behaviour", r"the mean loss of a batch given twice .*1 times that of the batch"),
    TooEarly: ("backward before forward", r"backward returned a result although forward had not run"),
    Adds: ("repeatable", r"gradients add up"),
}


def test_the_textbooks_loss_passes_but_for_stability():
    with np.errstate(divide="ignore"):
        check_loss(CrossEntropy(), skip=("stability",))
    with pytest.raises(CheckError, match="the loss is inf for float32 logits of ±1e4"):
        check_loss(CrossEntropy())


@pytest.mark.parametrize("loss", WRONG)
def test_a_bug_is_found_and_named(loss):
    check, says = WRONG[loss]
    with pytest.raises(CheckError) as caught, np.errstate(all="ignore"):
        check_loss(loss(), skip=() if check == "stability" else ("stability",))
    failed = [outcome for outcome in caught.value.report.outcomes if outcome.status == "failed"]
    assert failed[0].check == check, str(caught.value)
    assert re.search(says, "\n".join(failed[0].problems)), failed[0].problems


def test_what_cannot_be_used_is_refused():
    with pytest.raises(md.errors.ArgumentError, match="reduction must be one of mean, sum"):
        check_loss(md.SoftmaxCrossEntropy(), reduction="max")
    with pytest.raises(md.errors.ArgumentError, match="give labels too"):
        check_loss(md.SoftmaxCrossEntropy(), np.zeros(3))


def test_a_loss_that_takes_something_else_is_told():
    class MeanSquare:
        def forward(self, y, targets):
            self.gradient = 2 * (y - targets) / y.size
            return ((y - targets) ** 2).mean()

        def backward(self):
            return self.gradient

    with pytest.raises(
        md.errors.ArgumentError,
        match=r"^MeanSquare of float64 logits of shape \(5, 4\) and labels of shape \(5,\)",
    ):
        check_loss(MeanSquare())
    assert check_loss(MeanSquare(), labels=np.linspace(-1, 1, 20).reshape(5, 4)).passed
    with pytest.raises(
        md.errors.ArgumentError, match=r"an instance is checked, as MeanSquare\(\.\.\.\) makes"
    ):
        check_loss(MeanSquare)
    MeanSquare.backward = lambda self: self.gradeint
    with pytest.raises(CheckError, match="has no attribute 'gradeint'"):
        check_loss(MeanSquare(), labels=np.linspace(-1, 1, 20).reshape(5, 4))
