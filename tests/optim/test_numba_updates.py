"""The compiled loop of each update, and of the projection with it, against the optimizer's own formula."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optim_helpers import EVERY, assert_same_states, net, schedule, states_along
from tolerances import TRAINING_PATH

import minidrop as md
from minidrop.backends import update_loops
from minidrop.optim import Group

#: those whose published slips no loop has
WITHOUT_LOOP = ("published",)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("name", sorted(EVERY))
def test_every_update(monkeypatch, name, decoupled, dtype):
    """With schedules, weight decay of both kinds, groups and a limit."""
    monkeypatch.setattr(EVERY[name][0], "decoupled", decoupled)
    options = {"weight_decay": 0.05, "groups": {"*.bias": Group(lr_scale=0.5, weight_decay=0.0)}}
    if not issubclass(EVERY[name][0], md.SGDHinton):
        options["projections"] = [md.MaxNorm(0.9)]
    prepared, formulas = update_loops.prepared, []
    monkeypatch.setattr(
        update_loops, "prepared", lambda *given: (formulas.append(given[0]), prepared(*given))[1]
    )
    arguments = name, dtype, (33, 7, 25, 1), 6, schedule
    expected = states_along("numpy", *arguments, **options)
    assert not formulas
    assert_same_states(states_along("numba", *arguments, **options), expected, dtype)
    assert bool(formulas) == (name not in WITHOUT_LOOP)


@settings(deadline=None)
@given(
    name=st.sampled_from([name for name in sorted(EVERY) if name not in WITHOUT_LOOP]),
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=3),
    dtype=st.sampled_from(["float32", "float64"]),
    limit=st.sampled_from([0, 0.3, 15.0]),
)
def test_updates_of_all_sizes(name, sizes, dtype, limit):
    options = {"projections": [md.MaxNorm(limit, layers="all")] if limit else []}
    if issubclass(EVERY[name][0], md.SGDHinton):
        options = {"limit": limit}
    arguments = name, dtype, sizes, 2
    expected = states_along("numpy", *arguments, **options)
    assert_same_states(states_along("numba", *arguments, **options), expected, dtype)


@pytest.mark.parametrize("name", ["sgd", "adam", "sgd-hinton"])
def test_an_update_in_shares_has_the_same_bits(name):
    whole, shared = (net("numba", "float32", (9, 8, 7, 1)) for _ in range(2))
    optimizers = []
    for model, shares in ((whole, 1), (shared, 3)):
        cls, options = EVERY[name]
        optimizer = cls(model.parameters(), **options)
        optimizer.parameters.flat_gradients[...] = np.random.default_rng(0).normal(
            size=optimizer.parameters.size
        )
        optimizers.append(optimizer)
        optimizer.advance()
        for share in range(shares):
            optimizer.step_share(share, shares)
    for parameter, other in zip(whole.parameters().values(), shared.parameters().values(), strict=True):
        np.testing.assert_array_equal(parameter.value, other.value)


def training(backend, dtype, make, gradients, steps=20):
    """Losses and weights of a fused training on the digits."""
    model = md.Sequential(
        md.Dropout(0.2, mode="paper", backend=backend),
        md.Linear(64, 40, dtype=dtype, backend=backend),
        md.ReLU(backend),
        md.Dropout(0.5, backend=backend),
        md.Linear(40, 24, dtype=dtype, backend=backend),
        md.ReLU(backend),
        md.Dropout(0.5, per="feature", backend=backend),
        md.Linear(24, 10, dtype=dtype, backend=backend),
        seed=1,
    )
    optimizer = make(model.parameters())
    step = md.TrainStep(model, md.SoftmaxCrossEntropy(backend=backend), optimizer, gradients=gradients)
    assert step.fused
    digits = md.data.load("digits").train
    batches = md.data.Batches(digits, 50, scaling=md.Scaling(16), dtype=dtype, backend=backend)
    losses = [float(step(x, labels)) for _, (x, labels) in zip(range(steps), batches.epoch(0), strict=False)]
    return losses, model.state_dict()


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize(
    "make",
    [
        lambda parameters: md.SGDHinton(parameters, lr=1.0, momentum=0.9, limit=0.4),
        lambda parameters: md.SGD(parameters, lr=0.5, projections=[md.MaxNorm(0.8)]),
        lambda parameters: md.Momentum(parameters, lr=0.1),
        lambda parameters: md.Adam(parameters, lr=0.01),
    ],
)
def test_a_training_is_that_on_numpy(make, gradients):
    """Also where a product adds the gradient to the velocity, and the loop does the rest."""
    (losses, weights), (expected, theirs) = (
        training(backend, "float64", make, gradients) for backend in ("numba", "numpy")
    )
    np.testing.assert_allclose(losses, expected, rtol=TRAINING_PATH)
    for name, value in weights.items():
        np.testing.assert_allclose(value, theirs[name], atol=TRAINING_PATH)
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
