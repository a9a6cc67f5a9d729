"""What the fused step takes for a chain and what not, and what it says of bad input."""

import numpy as np
import pytest
from fused_helpers import Adding, assert_same_bits, assert_same_path, numbers_of, train, trainer
from tolerances import TRAINING_PATH

import minidrop as md
from minidrop.errors import ArrayError, MinidropError
from minidrop.layers import Layer

# -- what is a chain, and what is not ----------------------------------------------------------------------


class Square(Layer):
    """A layer of a stranger."""

    def forward(self, x):
        self.save(x)
        return x * x

    def backward(self, dy):
        (x,) = self.saved(dy)
        return 2 * x * dy


def sequential(*layers):
    return lambda: md.Sequential(*(layer() for layer in layers))


def linear(n=4, m=4):
    return lambda: md.Linear(n, m, dtype="float64")


def subclass(cls, *arguments, **options):
    return lambda: type(f"My{cls.__name__}", (cls,), {})(*arguments, **options)


CHAINS = {
    "Linear": sequential(linear()),
    "Dropout, Linear": sequential(md.Dropout, linear()),
    "Linear, Linear": sequential(linear(), linear()),
    "Linear, Dropout, Linear": sequential(linear(), md.Dropout, linear()),
    "Linear, Tanh, Dropout, Linear": sequential(linear(), md.Tanh, md.Dropout, linear()),
    "nested": sequential(sequential(linear(), md.ReLU), sequential(sequential(md.Dropout), linear())),
}
NO_CHAINS = {
    "a Linear alone": linear(),
    "a layer of one's own": sequential(linear(), Square, linear()),
    "a subclass of Linear": sequential(linear(), subclass(md.Linear, 4, 4, dtype="float64")),
    "a subclass of ReLU": sequential(linear(), subclass(md.ReLU), linear()),
    "a subclass of Dropout": sequential(linear(), subclass(md.Dropout, 0.5), linear()),
    "a subclass of Sequential": lambda: type("MySequential", (md.Sequential,), {})(linear()()),
    "DropConnect": sequential(lambda: md.DropConnect(4, 4, dtype="float64"), linear()),
    "DropConnect alone": sequential(lambda: md.DropConnect(4, 4, dtype="float64")),
    "noise": sequential(linear(), lambda: md.GaussianNoise(0.1), linear()),
    "StochasticReLU": sequential(linear(), md.StochasticReLU, linear()),
    "a unit first": sequential(md.ReLU, linear()),
    "a unit behind the first dropout": sequential(md.Dropout, md.ReLU, linear()),
    "a unit last": sequential(linear(), md.ReLU),
    "dropout last": sequential(linear(), md.Dropout),
    "two units": sequential(linear(), md.ReLU, md.Tanh, linear()),
    "two dropouts": sequential(linear(), md.Dropout, md.Dropout, linear()),
    "two dropouts first": sequential(md.Dropout, md.Dropout, linear()),
    "dropout before the unit": sequential(linear(), md.Dropout, md.ReLU, linear()),
}
BATCH = np.random.default_rng(0).standard_normal((6, 4)), np.array([0, 3, 1, 1, 2, 0])


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_is_fused_unless_that_is_not_wanted(name):
    assert trainer(CHAINS[name]()).fused
    assert not trainer(CHAINS[name](), fused=False).fused
    assert_same_bits(*(trainer(CHAINS[name](), "torch", fused=fused) for fused in (True, False)), [BATCH] * 3)


@pytest.mark.parametrize("name", NO_CHAINS)
def test_what_is_no_chain_is_trained_by_its_layers(name):
    step, layers = (trainer(NO_CHAINS[name](), "torch", fused=fused) for fused in (True, False))
    assert not step.fused
    before = step.optimizer.parameters.flat_values.copy()
    for found, expected in zip(train(step, [BATCH] * 2), train(layers, [BATCH] * 2), strict=True):
        assert_same_path(found, expected)
    assert not np.array_equal(step.optimizer.parameters.flat_values, before)


def test_a_loss_of_ones_own_is_not_fused():
    class Half(md.SoftmaxCrossEntropy):
        def scale(self, rows):
            return 0.5 / rows

    model = CHAINS["Linear"]()
    assert not md.TrainStep(model, Half(), md.SGD(model.parameters())).fused


@pytest.mark.parametrize("fused", [False, True])
def test_matrices_that_do_not_fit_are_the_layers_error(fused):
    step = trainer(sequential(linear(4, 3), linear(4, 4))(), fused=fused)
    assert not step.fused
    with pytest.raises(
        ArrayError, match=r"the input of Linear\(4, 4\) must have shape \(any, 4\), got \(6, 3\)"
    ):
        step(*BATCH)


# -- bad input ---------------------------------------------------------------------------------------------


def with_nan(x):
    x = x.copy()
    x[2, 1] = np.nan
    return x


BAD = {
    "too many features": lambda x, t: (np.ones((6, 5)), t),
    "one example without its batch": lambda x, t: (x[0], t[:1]),
    "three axes": lambda x, t: (x[:, :, None], t),
    "no example": lambda x, t: (x[:0], t[:0]),
    "float32": lambda x, t: (x.astype("float32"), t),
    "integers": lambda x, t: (x.astype(int), t),
    "a list": lambda x, t: (x.tolist(), t),
    "NaN": lambda x, t: (with_nan(x), t),
    "infinity": lambda x, t: (abs(x) / 0, t),
    "infinities of both signs": lambda x, t: (x / 0, t),
    "a label too large": lambda x, t: (x, t + 1),
    "a label below 0": lambda x, t: (x, t - 1),
    "too few labels": lambda x, t: (x, t[:5]),
    "labels as a column": lambda x, t: (x, t[:, None]),
    "labels as floats": lambda x, t: (x, t.astype(float)),
    "labels as a list": lambda x, t: (x, t.tolist()),
    "both": lambda x, t: (with_nan(x), t + 1),
}


def error_of(step, batch):
    """The class and the words of what a step refuses a batch with."""
    try:
        step(*batch)
    except MinidropError as error:
        return type(error), str(error)
    return None


@pytest.mark.parametrize("shares", [1, 3])
@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("dropout", [(), (md.Dropout,)], ids=["", "dropout"])
def test_bad_input_is_the_layers_error_and_changes_nothing(kind, dropout, shares):
    make = sequential(*dropout, linear(), md.ReLU, md.Dropout, linear())
    with md.using_backend(Adding(shares)):
        step = trainer(make(), "adam")
    never, layers = trainer(make(), "adam", fused=False), trainer(make(), "adam", fused=False)
    with np.errstate(all="ignore"):
        bad = BAD[kind](*BATCH)
    train(step, [BATCH]), train(never, [BATCH])
    before = numbers_of(step)
    expected = error_of(layers, bad)
    assert expected is not None
    assert error_of(step, bad) == expected
    assert numbers_of(step) == before
    for found_step, expected_step in zip(train(step, [BATCH]), train(never, [BATCH]), strict=True):
        np.testing.assert_allclose(found_step[0], expected_step[0], rtol=TRAINING_PATH)
        for a, b in zip(found_step[2], expected_step[2], strict=True):
            np.testing.assert_allclose(a, b, rtol=TRAINING_PATH, atol=TRAINING_PATH)


def test_a_mask_that_does_not_fit_is_the_layers_error():
    errors = []
    for fused in (True, False):
        step = trainer(CHAINS["Linear, Dropout, Linear"](), "adam", fused=fused)
        step.model[1].use_mask(np.ones((5, 4), bool))
        before = numbers_of(step)
        with pytest.raises(ArrayError, match="which does not fit") as error:
            step(*BATCH)
        assert numbers_of(step) == before
        errors.append(str(error.value))
        step.model[1].use_mask(None)
        step(*BATCH)
    assert errors[0] == errors[1]
