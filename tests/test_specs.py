"""Short texts that name a thing and its arguments."""

import pytest

import minidrop as md
from minidrop.building import build_model, build_optimizer
from minidrop.config import TrainConfig, from_dict
from minidrop.errors import ArgumentError
from minidrop.initializers import INITIALIZERS
from minidrop.optim import OPTIMIZERS
from minidrop.optim.schedules import SCHEDULES
from minidrop.specs import build, options, parse, usage


def test_a_spec_is_a_name_with_arguments():
    assert parse("relu") == ("relu", [], {})
    assert parse("linear:0.99,500") == ("linear", [0.99, 500], {})
    assert parse("adam: beta2=0.5, corrected=false") == ("adam", [], {"beta2": 0.5, "corrected": False})


@pytest.mark.parametrize("name", INITIALIZERS)
def test_every_initializer_can_be_named(name):
    assert isinstance(build("init", name, INITIALIZERS), INITIALIZERS[name])


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ArgumentError, match=r"init must be one of constant, normal.*got 'normall'"):
        build("init", "normall", INITIALIZERS)


@pytest.mark.parametrize("spec", ["normal:1,2,3", "normal:sigma=1"])
def test_an_argument_that_does_not_fit_shows_the_usage(spec):
    with pytest.raises(ArgumentError, match=r"it is used as normal:std=0.01,mean=0.0"):
        build("init", spec, INITIALIZERS)


def test_an_option_that_no_optimizer_takes_is_refused():
    parameters = md.Linear(2, 2).parameters()
    with pytest.raises(ArgumentError, match=r"'adam:beta3=1' does not fit; it is used as adam:.*beta1=0.9"):
        build("optimizer", "adam:beta3=1", OPTIMIZERS, parameters)


def test_usage_names_what_has_no_default():
    assert usage("linear", options(SCHEDULES["linear"], 1)) == "linear:final,epochs"


def test_an_option_that_a_base_class_takes_can_be_said():
    assert build("optimizer", "nadam:beta1=0.5", OPTIMIZERS, md.Linear(2, 2).parameters()).beta1 == 0.5


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("normal:abc", "std must be a number, got abc"),
        ("normal:std=true", "std must be a number, got true"),
        ("kaiming-normal:fan=1", "fan must be a text, got 1"),
        ("normal:1,std=2", "does not fit; it is used as normal:std=0.01,mean=0.0"),
    ],
)
def test_a_value_of_another_kind_is_refused(spec, match):
    with pytest.raises(ArgumentError, match=match):
        build("init", spec, INITIALIZERS)


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("adam:corrected=no", "corrected must be true or false, got no"),
        ("adam:groups=x", "does not fit"),
        ("adam:lr=1", "lr has a key of its own"),
        ("hinton:limit=3", "limit has a key of its own"),
    ],
)
def test_optimizer_options_that_are_refused(spec, match):
    config = from_dict({**TrainConfig().to_dict(), "optimizer": spec, "momentum": None})
    with pytest.raises(ArgumentError, match=match):
        build_optimizer(config, build_model(config))
