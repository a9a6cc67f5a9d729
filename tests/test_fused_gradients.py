"""Weight gradients that the fused step adds to weights or velocity, and those that it writes."""

import copy

import numpy as np
import pytest
from fused_helpers import (
    ALL,
    SIZES,
    SLIPS,
    Adding,
    Chain,
    assert_same_bits,
    assert_same_path,
    gradients_of,
    numbers_of,
    train,
    trainer,
)
from tolerances import REORDERED, TRAINING_PATH
from training_helpers import Shared

import minidrop as md
from minidrop.errors import UsageError
from minidrop.optim import Group

LINEAR = ("sgd", "torch", "dampened", "classical", "ema", "hinton", "sgd-hinton")


@pytest.mark.parametrize("shares", [1, 3])
@pytest.mark.parametrize("name", LINEAR)
def test_a_weights_gradient_is_not_there_where_none_was_written(name, shares):
    chain = Chain()
    step = trainer(chain.build(Adding(shares)), name, gradients=False)
    for x, labels in chain.batches((70, 33)):
        step(x, labels)
    for parameter_name, parameter in step.optimizer.parameters.items():
        try:
            said = "written" if parameter.grad.any() else "zeros"
        except UsageError as error:
            said = str(error).partition("; ")[2]
        is_bias = parameter_name.endswith("bias")
        assert said == ("written" if is_bias else "TrainStep(..., gradients=True) writes it")


def test_the_next_gradient_that_is_written_can_be_read():
    chain = Chain()
    step, twin = (trainer(chain.build(Adding(1)), gradients=gradients) for gradients in (False, True))
    first, second = chain.batches((20, 33))
    for trained in (step, twin):
        trained(*first)
    twin.model.load_state_dict(step.model.state_dict())
    layers = md.TrainStep(step.model, step.loss, step.optimizer, fused=False)
    layers(*second)
    twin(*second)
    for name, gradient in gradients_of(twin).items():
        np.testing.assert_array_equal(gradients_of(layers)[name], gradient, err_msg=name)


@pytest.mark.parametrize("shares", [Shared(1), Shared(3), Shared(5, order=1), Shared(5, order=-1)])
def test_a_batch_that_blas_cannot_read_has_its_gradients_written(shares):
    """Every second column of a larger array, here with more shares than units."""
    chain = Chain((7, 4, 4, 3), dropouts=(None,) * 3)
    fused, layers = trainer(chain.build(shares), gradients=False), trainer(chain.build(), fused=False)
    x, labels = chain.batches((40,))[0]
    apart = np.repeat(x, 2, axis=1)[:, ::2]
    fused(apart, labels), layers(x, labels)
    gradient = gradients_of(layers)["0.weight"]
    np.testing.assert_allclose(fused.model[0].weight.grad, gradient, rtol=REORDERED, atol=REORDERED)
    np.testing.assert_allclose(
        *(step.optimizer.parameters.flat_values for step in (fused, layers)),
        rtol=TRAINING_PATH,
        atol=TRAINING_PATH,
    )


@pytest.mark.parametrize("name", [name for name in ALL if name not in LINEAR and name not in SLIPS])
def test_an_update_that_is_not_linear_gets_its_gradients(name):
    chain = Chain()
    first = trainer(chain.build(), name, gradients=False, lr=0.1)
    second = trainer(chain.build(), name, fused=False, lr=0.1)
    for x, labels in chain.batches((20,)):
        assert first(x, labels) == second(x, labels)
    for parameter_name, gradient in gradients_of(second).items():
        np.testing.assert_array_equal(gradients_of(first)[parameter_name], gradient)


@pytest.mark.parametrize("name", LINEAR)
def test_with_weight_decay_every_gradient_is_written(name):
    chain = Chain()
    steps = [
        trainer(chain.build(Adding(1)), name, fused=fused, gradients=False, weight_decay=0.05)
        for fused in (True, False)
    ]
    assert_same_bits(*steps, chain.batches(SIZES))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_groups_that_have_weight_decay_and_groups_that_have_none(momentum):
    """Momentum that stands still, too: form torch then leaves its velocity alone."""
    chain = Chain()
    options = {"momentum": momentum, "groups": {"4.weight": Group(weight_decay=0.1, lr_scale=0.5)}}
    paths = []
    for fused in (True, False):
        step = trainer(chain.build(), "torch", fused=fused, gradients=False, **options)
        for x, labels in chain.batches(SIZES):
            step(x, labels)
        paths.append([step.optimizer.parameters.flat_values, *step.optimizer.state.values()])
    for a, b in zip(*paths, strict=True):
        np.testing.assert_allclose(a, b, rtol=TRAINING_PATH, atol=TRAINING_PATH)


def signs(base):
    """An update of its own, of a class that inherits everything else."""

    class Signs(base):
        def update(self, xp, w, g, lr, *slots):
            w -= lr * np.sign(g)

    return Signs


def clipped(base):
    """Something done to the gradients before a step."""

    class Clipped(base):
        def step(self):
            np.clip(self.parameters.flat_gradients, -1e-3, 1e-3, out=self.parameters.flat_gradients)
            super().step()

    return Clipped


def by_norm(base):
    """A step whose length is the same whatever the gradients are, as `begin_step` finds them."""

    class ByNorm(base):
        def begin_step(self):
            super().begin_step()
            self.lr = 0.1 / np.linalg.norm(self.parameters.flat_gradients)

    return ByNorm


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("base", [md.SGD, md.Momentum, md.SGDHinton, md.Adam])
@pytest.mark.parametrize("change", [signs, clipped, by_norm])
def test_a_subclass_of_an_optimizer_trains_as_it_says(change, base, gradients):
    chain, optimizer = Chain(), (change(base), {"lr": 0.1})
    paths = []
    for fused in (True, False):
        step = trainer(chain.build(Adding(1)), optimizer, fused=fused, gradients=gradients)
        for x, labels in chain.batches(SIZES):
            step(x, labels)
        paths.append(step.optimizer.parameters.flat_values)
    np.testing.assert_allclose(*paths, rtol=TRAINING_PATH, atol=TRAINING_PATH)


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("name", ["sgd", "sgd-hinton", "adam"])
def test_a_copied_step_trains_its_own_model(name, gradients):
    chain = Chain()
    step = trainer(chain.build(), name, gradients=gradients)
    expected = trainer(chain.build(), name, gradients=gradients)
    batches = chain.batches(SIZES)
    train(step, batches[:1]), train(expected, batches[:1])
    twin, before = copy.deepcopy(step), numbers_of(step)
    for found, wanted in zip(train(twin, batches[1:]), train(expected, batches[1:]), strict=True):
        assert_same_path(found, wanted)
    assert numbers_of(step) == before
