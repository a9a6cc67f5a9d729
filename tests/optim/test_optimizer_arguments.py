"""Numbers that make no sense are refused where they are given, in a message that names them."""

import numpy as np
import pytest
from optim_helpers import NOT_A_NUMBER, make, small_model

import minidrop as md
from minidrop.errors import ArgumentError
from minidrop.optim import OPTIMIZERS, Group

every_class = pytest.mark.parametrize("cls", OPTIMIZERS.values(), ids=OPTIMIZERS)
without_sense = pytest.mark.parametrize("bad", NOT_A_NUMBER, ids=repr)


@every_class
@without_sense
def test_learning_rate(cls, bad):
    with pytest.raises(ArgumentError, match="learning rate"):
        cls(small_model().parameters(), lr=bad)
    optimizer = cls(small_model().parameters(), lr=0.25)
    with pytest.raises(ArgumentError, match="learning rate"):
        optimizer.lr = bad
    assert optimizer.lr == 0.25


@every_class
@without_sense
def test_weight_decay(cls, bad):
    with pytest.raises(ArgumentError, match="weight_decay"):
        cls(small_model().parameters(), lr=0.25, weight_decay=bad)


@pytest.mark.parametrize("cls", [md.Momentum, md.SGDHinton, md.RMSprop])
@pytest.mark.parametrize("bad", [*NOT_A_NUMBER, 1, 1.5], ids=repr)
def test_momentum(cls, bad):
    with pytest.raises(ArgumentError, match="momentum"):
        cls(small_model().parameters(), lr=0.25, momentum=bad)
    optimizer = cls(small_model().parameters(), lr=0.25, momentum=0.5)
    with pytest.raises(ArgumentError, match="momentum"):
        optimizer.momentum = bad
    assert optimizer.momentum == 0.5


#: name of the hyperparameter, who has it, what else is outside its range, and the edges that are inside
RANGES = [
    ("beta1", [md.Adam, md.AdamW, md.Adamax, md.NAdam], [1, 1.5], [0, 0.999]),
    ("beta2", [md.Adam, md.AdamW, md.Adamax, md.NAdam], [1, 1.5], [0, 0.999]),
    ("eps", [md.Adam, md.AdamW, md.Adamax, md.NAdam, md.Adagrad, md.Adadelta, md.RMSprop], [], [0, 10]),
    ("lr_decay", [md.Adagrad], [], [0, 10]),
    ("rho", [md.Adadelta], [1.5], [0, 1]),
    ("alpha", [md.RMSprop], [1.5], [0, 1]),
    ("momentum_decay", [md.NAdam], [], [0, 10]),
    ("dampening", [md.Momentum], [1.5], [0, 1]),
]


@pytest.mark.parametrize(
    ("name", "cls", "outside", "inside"),
    [(name, cls, outside, inside) for name, classes, outside, inside in RANGES for cls in classes],
)
def test_range_of(name, cls, outside, inside):
    for good in inside:
        cls(small_model().parameters(), **{name: good})
    for bad in (*NOT_A_NUMBER, *outside):
        with pytest.raises(ArgumentError, match=f"{name} must be a number in"):
            cls(small_model().parameters(), **{name: bad})


@pytest.mark.parametrize("cls", [md.SGD, md.AdamW])
@without_sense
def test_numbers_of_a_group(cls, bad):
    with pytest.raises(ArgumentError, match=r"lr_scale of '\*.bias'"):
        cls(small_model().parameters(), groups={"*.bias": Group(lr_scale=bad)})
    if bad is not None:  # None is: the optimizer's
        with pytest.raises(ArgumentError, match=r"weight_decay of '\*.bias'"):
            cls(small_model().parameters(), groups={"*.bias": Group(weight_decay=bad)})


def test_forms_of_momentum():
    with pytest.raises(ArgumentError, match="form must be one of torch, classical, ema, hinton"):
        make("torch", form="heavy-ball")
    for form in ("classical", "ema", "hinton"):
        for option in ({"dampening": 0.1}, {"nesterov": True}):
            with pytest.raises(ArgumentError, match=f"options of form torch, not of {form}"):
                make("torch", form=form, **option)
    with pytest.raises(ArgumentError, match="nesterov needs dampening 0"):
        make("nesterov", dampening=0.1)


@every_class
def test_learning_rates_may_be_any_real_number_type(cls):
    for lr in (1, np.float32(0.5), np.float64(0.5), np.int64(2)):
        optimizer = cls(small_model().parameters(), lr=lr)
        assert type(optimizer.lr) is float
        assert optimizer.lr == lr
