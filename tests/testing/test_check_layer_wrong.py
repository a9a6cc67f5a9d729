"""check_layer fails every layer that is subtly wrong, and says what is wrong where."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import stranger_layers as strangers
from wrong_layers import LINEAR, WRONG

import minidrop as md
from minidrop.errors import ArgumentError
from minidrop.testing import CheckError, check_layer


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", WRONG)
def test_a_bug_is_found_and_named(name, seed):
    case = WRONG[name]
    with pytest.raises(CheckError) as caught:
        check_layer(case.make(), seed=seed, **case.options)
    failed = [outcome for outcome in caught.value.report.outcomes if outcome.status == "failed"]
    assert failed[0].check == case.check
    assert re.search(case.says, "\n".join(failed[0].problems)), failed[0].problems
    if case.only:
        assert {outcome.check for outcome in failed} <= {*case.only, "elsewhere"}
    message = str(caught.value)
    assert all(outcome.check in message for outcome in failed)
    assert f"seed={seed})" in message


def test_there_are_enough_of_them():
    assert len(WRONG) >= 25


def test_the_message_reads_as_a_person_would_write_it():
    with pytest.raises(CheckError) as caught:
        check_layer(WRONG["WeightTwice"].make(), parameters=LINEAR)
    message = str(caught.value).splitlines()
    assert message[0] == "WeightTwice failed 5 of 16 checks"
    assert message[2] == "1. finite differences"
    assert re.fullmatch(
        r"   gradient of W at \(\d, \d\): expected [-\d.]+ \(central differences of <dy, y>\), got [-\d.]+",
        message[3],
    )
    assert message[4] == "     got is 2 times expected"
    assert re.fullmatch(
        r"     wrong at 15 of 15 elements, by up to 1 of the largest \(tolerance 3\.8e-08\)", message[5]
    )
    assert (
        "repeat with check_layer(layer, input_shape=(4, 5), parameters={'W': 'dW', 'b': 'db'}, seed=0)"
        in message
    )


def test_a_wrong_element_of_a_large_gradient_is_found_by_a_direction():
    class Layer(strangers.Linear):
        def backward(self, dy):
            dx = super().backward(dy)
            self.dW[7, 9] += 1
            return dx

    with pytest.raises(CheckError, match="gradient of W along random direction"):
        check_layer(Layer(30, 20), input_shape=(4, 30), parameters=LINEAR)


def test_a_net_says_which_parameter():
    class Wrong(md.Linear):
        def backward_parameters(self, dy):
            super().backward_parameters(dy)
            self.bias.grad[...] *= -1

    net = md.Sequential(md.Linear(4, 3), md.Tanh(), Wrong(3, 2))
    with pytest.raises(CheckError, match=r"gradient of 2\.bias (.|\n)*sign turned"):
        check_layer(net)


def test_analytic_true_insists():
    with pytest.raises(CheckError, match="analytic=True, but not analytic in input"):
        check_layer(strangers.SignedSquare(), analytic=True)


def test_what_means_nothing_is_not_run():
    with pytest.raises(CheckError) as caught:
        check_layer(WRONG["NotFrozen"].make())
    assert caught.value.report["finite differences"].note == "means nothing while frozen randomness fails"


def test_a_forward_that_is_not_finite_fails():
    class Log:
        def forward(self, x):
            self.x = x
            with np.errstate(all="ignore"):
                return np.log(x)

        def backward(self, dy):
            return dy / self.x

    with pytest.raises(CheckError, match="forward is not finite when input is moved"):
        check_layer(Log())
    assert check_layer(Log(), np.array([[1.0, 2.0]])).passed


def test_the_error_is_minidrops_and_an_assertion():
    assert issubclass(CheckError, md.MinidropError)
    assert issubclass(CheckError, AssertionError)


class Nested(strangers.Linear):
    """Its weights are in a mapping and a list of another object, and what is cached is no parameter."""

    def __init__(self):
        super().__init__()
        self.inside = SimpleNamespace(kept={7: [self.W]}, back=self)
        del self.W

    def forward(self, x):
        self.x = x
        return x @ self.inside.kept[7][0] + self.b

    def backward(self, dy):
        self.dW, self.db = self.x.T @ dy, dy.sum(axis=0)
        return dy @ self.inside.kept[7][0].T


class Slotted:
    __slots__ = ("w", "x")

    def __init__(self):
        self.w = np.linspace(1, 2, 5)

    def forward(self, x):
        self.x = x
        return x * self.w

    def backward(self, dy):
        return dy * self.w


class Flat(strangers.Linear):
    """W and b are views of one array."""

    def __init__(self):
        self.flat = np.random.default_rng(0).normal(size=18)

    W = property(lambda self: self.flat[:15].reshape(5, 3), lambda self, new: self._set(slice(15), new))
    b = property(lambda self: self.flat[15:], lambda self, new: self._set(slice(15, 18), new))

    def _set(self, where, new):
        self.flat = self.flat.astype(new.dtype)
        self.flat[where] = new.ravel()


class Gate:
    """y = x softmax(a), in which a shift of all a changes nothing."""

    def __init__(self):
        self.a = np.zeros(5)

    def forward(self, x):
        self.p = np.exp(self.a) / np.exp(self.a).sum()
        return x * self.p.astype(x.dtype)

    def backward(self, dy):
        return dy * self.p.astype(dy.dtype)


class Unowned(md.Linear):
    def __init__(self, gain):
        super().__init__(5, 3)
        self.gain = gain

    def scale(self, like):
        return np.asarray(getattr(self.gain, "value", self.gain)).astype(like.dtype)

    def forward(self, x):
        return super().forward(x) * self.scale(x)

    def backward(self, dy):
        return super().backward(dy * self.scale(dy))


@pytest.mark.parametrize(
    ("layer", "parameters", "says"),
    [
        (strangers.Linear(), None, r'y depends on W, (.|\n)*parameters={"W": the at(.|\n)*y depends on b, '),
        (
            strangers.Linear(),
            {"W": "dW"},
            r'y depends on b, (.|\n)*, or parameters={"b": None} for a constant',
        ),
        (Nested(), {"b": "db"}, r"y depends on inside\.kept\.7\.0, "),
        (Slotted(), None, "y depends on w, "),
        (Flat(), {"W": "dW"}, "y depends on flat, "),
        (Gate(), None, "y depends on a, "),
        (
            Unowned(np.ones(3)),
            None,
            r"y depends on gain, (.|\n)*make it a Parameter that own_parameters\(\) ret",
        ),
        (
            Unowned(md.Parameter((3,), md.Constant(1))),
            None,
            r"depends on gain, (.|\n)*let own_parameters\(\) ret",
        ),
    ],
)
def test_parameters_that_are_not_named_are_found(layer, parameters, says):
    with pytest.raises(CheckError, match=says) as caught:
        check_layer(layer, parameters=parameters)
    assert caught.value.report["parameters"].status == "failed"
    assert check_layer(layer, parameters=parameters, skip=["parameters", "dtype"]).passed


@pytest.mark.parametrize(
    ("layer", "parameters", "note"),
    [
        (Nested(), {"inside.kept.7.0": "dW", "b": "db"}, "2 of them"),
        (Flat(), {"W": "dW", "b": "db"}, "2 of them"),
        (Slotted(), {"w": None}, "none"),
        (Unowned(np.ones(3)), {"gain": None}, "2 of them"),
        (strangers.Softplus(), None, "none"),
    ],
)
def test_what_is_named_is_a_parameter_or_a_constant_and_a_cache_is_neither(layer, parameters, note):
    assert check_layer(layer, parameters=parameters)["parameters"].note == note
    layer.forward(np.ones((4, 5), np.float32))
    report = check_layer(layer, parameters=parameters, skip=["backward before forward"])
    assert report["parameters"].note == note


def test_a_constant_that_forward_cannot_do_without_is_found():
    class Noise:
        keep = None

        def __init__(self):
            self.keep, self.seed = np.full(5, 0.5), 0

        def forward(self, x):
            self.mask = np.random.default_rng(self.seed).binomial(1, self.keep, x.shape).astype(x.dtype)
            return x * self.mask

        def backward(self, dy):
            return dy * self.mask

    with pytest.raises(CheckError, match=r"y depends on keep, "):
        check_layer(Noise())
    assert check_layer(Noise(), parameters={"keep": None}).passed


def test_an_array_in_a_tuple_cannot_be_named():
    layer = Nested()
    layer.inside.kept = {7: tuple(layer.inside.kept[7])}
    with pytest.raises(ArgumentError, match=r"'inside\.kept\.7\.0' is in a tuple, .*: use a list"):
        check_layer(layer, parameters={"inside.kept.7.0": "dW", "b": "db"})
