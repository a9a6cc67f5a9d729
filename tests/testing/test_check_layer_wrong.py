"""check_layer fails every layer that is subtly wrong, and says what is wrong where."""

import re

import numpy as np
import pytest
import stranger_layers as strangers
from wrong_layers import LINEAR, WRONG

import minidrop as md
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
        assert {outcome.check for outcome in failed} <= set(case.only)
    message = str(caught.value)
    assert all(outcome.check in message for outcome in failed)
    assert f"seed={seed})" in message


def test_there_are_enough_of_them():
    assert len(WRONG) >= 25


def test_the_message_reads_as_a_person_would_write_it():
    with pytest.raises(CheckError) as caught:
        check_layer(WRONG["WeightTwice"].make(), parameters=LINEAR)
    message = str(caught.value).splitlines()
    assert message[0] == "WeightTwice failed 4 of 15 checks"
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
        self.inside = strangers.Linear()
        self.inside.kept = {"w": [self.W]}
        del self.W

    def forward(self, x):
        self.x = x
        return x @ self.inside.kept["w"][0] + self.b

    def backward(self, dy):
        self.dW, self.db = self.x.T @ dy, dy.sum(axis=0)
        return dy @ self.inside.kept["w"][0].T


class Unowned(md.Linear):
    def __init__(self):
        super().__init__(5, 3)
        self.gain = np.ones(3)

    def forward(self, x):
        return super().forward(x) * self.gain.astype(x.dtype)

    def backward(self, dy):
        return super().backward(dy * self.gain.astype(dy.dtype))


@pytest.mark.parametrize(
    ("layer", "parameters", "says"),
    [
        (strangers.Linear(), None, r'y depends on W, (.|\n)*parameters={"W": its(.|\n)*y depends on b, '),
        (strangers.Linear(), {"W": "dW"}, "y depends on b, of which no gradient is checked"),
        (Nested(), {"b": "db"}, r"y depends on inside\.kept\.w\.0, "),
        (Unowned(), None, r"y depends on gain, .*a Parameter, and in own_parameters\(\)"),
    ],
)
def test_parameters_that_are_not_named_are_found(layer, parameters, says):
    with pytest.raises(CheckError, match=says) as caught:
        check_layer(layer, parameters=parameters)
    assert caught.value.report["parameters"].status == "failed"
    assert check_layer(layer, parameters=parameters, skip=["parameters", "dtype"]).passed


def test_every_parameter_is_named_and_a_cache_is_none():
    assert check_layer(Nested(), parameters={"inside.kept.w.0": "dW", "b": "db"})["parameters"].note == (
        "2 of them"
    )
    used = strangers.Softplus()
    used.forward(np.ones((4, 5)))
    assert check_layer(used, skip=["backward before forward"])["parameters"].note == "none"
