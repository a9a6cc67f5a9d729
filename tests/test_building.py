"""What a configuration builds."""

import numpy as np
import pytest

from minidrop.building import build_model, build_optimizer, build_scaling, build_schedules, check_fit
from minidrop.config import TrainConfig, resolve
from minidrop.data import load
from minidrop.errors import ArgumentError, DataError


def test_the_model_has_one_dropout_before_each_matrix():
    model = build_model(
        TrainConfig(layers="64-32-16-10", dropout="0.1,0.2,0.3", unit="tanh", mode="inverted")
    )
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["Dropout", "Linear", "Tanh", "Dropout", "Linear", "Tanh", "Dropout", "Linear"]
    assert [model[i].drop_prob for i in (0, 3, 6)] == [0.1, 0.2, 0.3]
    assert {model[i].mode for i in (0, 3, 6)} == {"inverted"}


def test_initial_weights_do_not_depend_on_dropout():
    with_dropout, without = (build_model(TrainConfig(dropout=drop)) for drop in ("0.5", "0"))
    np.testing.assert_array_equal(with_dropout.parameters().flat_values, without.parameters().flat_values)


def test_a_configuration_reaches_the_optimizer():
    config = TrainConfig(optimizer="momentum:form=ema", lr=0.3, momentum=0.7, weight_decay=0.01, limit=2.0)
    optimizer = build_optimizer(config, build_model(config))
    assert (optimizer.form, optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (
        "ema",
        0.3,
        0.7,
        0.01,
    )
    (projection,) = optimizer.projections
    assert projection.lengths(optimizer.parameters) == {"1.weight": 2.0**0.5, "4.weight": 2.0**0.5}


def test_the_hinton_optimizer_has_the_limit_itself():
    config = TrainConfig(limit=15.0)
    (projection,) = build_optimizer(config, build_model(config)).projections
    assert (projection.limit, projection.squared, projection.layers) == (15.0, True, "hidden")
    config = TrainConfig(limit=2.0, limit_kind="length", limit_layers="all")
    (projection,) = build_optimizer(config, build_model(config)).projections
    assert (projection.limit, projection.squared, projection.layers) == (2.0, False, "all")
    assert build_optimizer(TrainConfig(limit=0), build_model(config)).projections == []


def test_momentum_for_an_optimizer_without_is_refused():
    config = resolve({"optimizer": "adam", "momentum": 0.9})
    with pytest.raises(ArgumentError, match="optimizer adam has no momentum"):
        build_optimizer(config, build_model(config))
    config = resolve({"optimizer": "sgd", "momentum_schedule": "linear:0.9,5"})
    with pytest.raises(ArgumentError, match="optimizer sgd has no momentum to schedule"):
        build_schedules(config, build_optimizer(config, build_model(config)))


def test_schedules_begin_with_the_optimizers_values():
    config = resolve({"lr": 2.0, "momentum": 0.6})
    schedules = build_schedules(config, build_optimizer(config, build_model(config)))
    assert (schedules["lr"](0), schedules["momentum"](0)) == (2.0, 0.6)


def test_sizes_that_do_not_fit_the_data():
    digits = load("digits")
    for layers in ("784-10", "64-11"):
        with pytest.raises(DataError, match=f"layers {layers} do not fit digits.*use 64-...-10"):
            check_fit(TrainConfig(layers=layers, dropout="0"), digits)


def test_scalings():
    digits = load("digits")
    pixels = digits.train.inputs.astype(np.float64)
    assert build_scaling(TrainConfig(normalise="none"), digits) == (1, 0, 1)
    assert build_scaling(TrainConfig(normalise="unit"), digits) == (16, 0, 1)
    divisor, mean, std = build_scaling(TrainConfig(normalise="standard"), digits)
    x = (pixels / divisor - mean) / std
    assert abs(x.mean()) < 1e-3  # mean and std are rounded to four digits
    assert abs(x.std() - 1) < 1e-3
