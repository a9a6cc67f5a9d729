"""Weight gradients that their product adds to the velocity: the plain path, to rounding, and no gradient."""

import numpy as np
import pytest
from optim_helpers import EVERY
from test_cupy_runs import build
from test_updates import count_launches
from tolerances import TRAINING_PATH

import minidrop as md
from minidrop.errors import UsageError
from minidrop.optim import Group

#: whose updates are linear in the gradient
LINEAR = ("sgd", "torch", "dampened", "classical", "ema", "hinton", "sgd-hinton")


def train(device, name, gradients, options, steps=7, dtype="float64"):
    """Losses, weights and slots, with a schedule whose momentum is 0 at first."""
    step, batches = build(device, dtype, name, **options)
    step = md.TrainStep(step.model, step.loss, step.optimizer, gradients=gradients)
    losses = []
    for t, (x, labels) in enumerate(batches.epoch(0)):
        if t == steps:
            break
        step.optimizer.lr *= 0.7
        if hasattr(step.optimizer, "momentum"):
            step.optimizer.momentum = (0.0, 0.0, 0.5, 0.5, 0.9, 0.0, 0.9)[t]
        losses.append(step(x, labels))
    arrays = [step.optimizer.parameters.flat_values, *step.optimizer.state.values()]
    return [device.to_host(array) for array in (*losses, *arrays)], step


@pytest.mark.parametrize("limited", [True, False])
@pytest.mark.parametrize("name", LINEAR)
def test_the_plain_path_to_rounding(device, monkeypatch, name, limited):
    options = {"groups": {"1.weight": Group(lr_scale=0.5), "*.bias": Group(weight_decay=0.1)}}
    if issubclass(EVERY[name][0], md.SGDHinton):
        options["limit"] = 0.5 if limited else 0
    elif limited:
        options["projections"] = [md.MaxNorm(0.7)]
    plain, _ = train(device, name, True, options)
    names = count_launches(device, monkeypatch)
    added, step = train(device, name, False, options)
    for mine, expected in zip(added, plain, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=TRAINING_PATH, atol=TRAINING_PATH)
    if device.records:
        assert [launched for launched in names if launched.startswith("coefficients_")]
        with pytest.raises(UsageError, match="wrote none"):
            step.model[1].weight.grad  # noqa: B018


@pytest.mark.parametrize("name", ["nesterov", "adam", "published"])
def test_other_updates_have_their_gradients(device, monkeypatch, name):
    names = count_launches(device, monkeypatch)
    _, step = train(device, name, False, {}, steps=3)
    assert not [launched for launched in names if launched.startswith("coefficients_")]
    assert device.to_host(step.model[1].weight.grad).any()


def test_coefficients_are_computed_once_a_step_for_each_learning_rate(device, monkeypatch):
    names = count_launches(device, monkeypatch)
    train(device, "classical", False, {"groups": {"1.weight": Group(lr_scale=0.5)}}, steps=3)
    if device.records:
        assert names.count("coefficients_momentum") == 2 * 3
