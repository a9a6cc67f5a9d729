"""The plain definitions alone train a network: what a backend without overrides runs on."""

import numpy as np
from plain import PlainBackend
from tolerances import FLOAT64_ROUNDING

import minidrop as md


def train(backend):
    model = md.Sequential(
        md.Dropout(0.2, mode="paper", backend=backend),
        md.Linear(64, 32, dtype="float64", backend=backend),
        md.Sigmoid(backend),
        md.Dropout(0.5, per="feature", backend=backend),
        md.Linear(32, 16, dtype="float64", backend=backend),
        md.StochasticReLU(0.1, backend=backend),
        md.GaussianNoise(0.1, backend=backend),
        md.DropConnect(16, 10, drop_prob=0.1, dtype="float64", backend=backend),
        seed=4,
    )
    optimizer = md.SGDHinton(model.parameters(), lr=2.0, momentum=0.9, limit=0.5, weight_decay=1e-3)
    step = md.TrainStep(model, md.SoftmaxCrossEntropy(backend=backend), optimizer)
    digits = md.data.load("digits")
    scaling = md.Scaling(16, 0.3, 0.4)
    batches = md.data.Batches(digits.train, 100, scaling=scaling, dtype="float64", backend=backend)
    test = md.data.Batches(digits.test, 360, scaling=scaling, shuffle=False, dtype="float64", backend=backend)
    state = md.fit(step, batches, 4, test=test)
    return model, state


def assert_same_run(backend):
    """The masks bit for bit, the weights to rounding, and no fewer errors by chance."""
    ours, state = train(backend)
    numpy, numpy_state = train("numpy")
    for i in (0, 3, 5, 7):
        np.testing.assert_array_equal(ours.backend.to_host(ours[i].mask), numpy[i].mask)
    for name, value in ours.state_dict().items():
        np.testing.assert_allclose(value, numpy.state_dict()[name], atol=1000 * FLOAT64_ROUNDING)
    assert state.history[-1]["test_errors"] == numpy_state.history[-1]["test_errors"]
    assert numpy_state.history[-1]["train_loss"] < numpy_state.history[0]["train_loss"]


def test_a_run_on_the_plain_definitions_is_the_run_on_numpy():
    assert_same_run(PlainBackend())
