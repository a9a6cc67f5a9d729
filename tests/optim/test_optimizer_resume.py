"""A run that is cut in two, with slots and scalars carried over, is the run that was not cut, bit for bit."""

import json

import numpy as np
import pytest
from optim_helpers import EVERY, make, random_gradients, run, small_model

STEPS, CUT = 20, 7
LR = np.random.default_rng(0).uniform(0.01, 0.1, STEPS)
MOMENTUM = np.random.default_rng(1).uniform(0.1, 0.9, STEPS)
MOMENTUM[:2] = 0  # so that the velocity's first step comes after the first cuts


@pytest.mark.parametrize("cut", [0, 1, CUT])
@pytest.mark.parametrize("name", EVERY)
def test_a_second_optimizer_continues_the_first_ones_path(name, cut):
    gradients = random_gradients(0, STEPS)
    schedule = {"lr": LR} | ({"momentum": MOMENTUM} if hasattr(make(name), "momentum") else {})
    rest = {key: values[cut:] for key, values in schedule.items()}
    uncut = run(make(name, weight_decay=0.1), gradients, **schedule)

    first = make(name, weight_decay=0.1)
    run(first, gradients[:cut], **schedule)
    second = make(name, small_model(seed=1), weight_decay=0.1)
    second.parameters.load_state_dict(first.parameters.state_dict())
    assert list(second.state) == list(first.state)
    for slot, array in first.state.items():
        second.state[slot][...] = array
    second.restore_scalars(json.loads(json.dumps(first.scalars())))  # as a file would keep them

    assert second.steps == cut
    np.testing.assert_array_equal(run(second, gradients[cut:], **rest), uncut[cut:])


@pytest.mark.parametrize("name", EVERY)
def test_a_second_optimizer_goes_back_to_the_start(name):
    """Restoring also undoes: an optimizer that went too far can take up an earlier state."""
    optimizer = make(name)
    weights, scalars = optimizer.parameters.state_dict(), optimizer.scalars()
    there = run(optimizer, random_gradients(0, STEPS))
    optimizer.parameters.load_state_dict(weights)
    for slot in optimizer.state.values():
        slot[...] = 0
    optimizer.restore_scalars(scalars)
    np.testing.assert_array_equal(run(optimizer, random_gradients(0, STEPS)), there)
