"""The stand-in for CuPy as a whole: minidrop's code for GPUs trains on it."""

import sys

import numpy as np
import pytest
import standin
from tolerances import TRAINING_PATH

import minidrop as md
import minidrop.backends
from minidrop.errors import ArrayError, BackendError


def train(steps=3):
    """The losses and the weights of a small network, trained on the current backend."""
    backend, rng = md.get_backend(), np.random.default_rng(0)
    layers = md.Linear(6, 5, dtype="float64"), md.ReLU(), md.Dropout(0.5), md.Linear(5, 3, dtype="float64")
    model = md.Sequential(*layers, seed=0)
    optimizer = md.Momentum(model.parameters(), lr=0.5, momentum=0.9)
    step = md.TrainStep(model, md.SoftmaxCrossEntropy(), optimizer)
    x, labels = backend.asarray(rng.standard_normal((8, 6))), backend.asarray(np.arange(8) % 3)
    losses = [step(x, labels) for _ in range(steps)]
    return [float(loss) for loss in losses], model.state_dict()


def test_a_network_trains_as_on_numpy(cupy):
    with md.using_backend("numpy"):
        expected_losses, expected_weights = train()
    with md.using_backend("cupy") as backend:
        assert backend.xp is cupy
        losses, weights = train()
    tolerance = {"rtol": TRAINING_PATH, "atol": TRAINING_PATH}
    np.testing.assert_allclose(losses, expected_losses, **tolerance)
    assert cupy.standin.host_reads >= len(losses)
    for name, weight in weights.items():
        np.testing.assert_allclose(weight, expected_weights[name], **tolerance)


@pytest.mark.usefixtures("cupy")
def test_minidrop_refuses_what_is_on_the_host():
    with md.using_backend("cupy"), pytest.raises(ArrayError, match="the model's backend is cupy"):
        md.ReLU().forward(np.ones((2, 2), np.float32))


def test_the_device_has_a_name(cupy):
    assert md.get_backend("cupy").device() == "stand-in"
    assert cupy.cuda.Device().id == cupy.cuda.runtime.getDevice() == 0
    assert cupy.cuda.runtime.getDeviceCount() == 1


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        (0, r"CuPy 14\.\S+ is installed but this machine has no CUDA device"),
        ("cudaErrorInsufficientDriver", r"finds no CUDA device \(cudaErrorInsufficientDriver\)"),
    ],
)
def test_machines_without_a_device(devices, message):
    with standin.installed(devices), pytest.raises(BackendError, match=message):
        md.get_backend("cupy")


def test_nothing_is_left_behind():
    numpy, make, found = md.get_backend("numpy"), minidrop.backends._make, sys.modules.get("cupy")
    backends = []
    for _ in range(2):
        with standin.installed() as cupy:
            assert sys.modules["cupy"] is cupy
            assert md.get_backend("numpy") is numpy
            backends.append(md.set_backend("cupy"))
            assert md.get_backend("cupy") is md.get_backend() is backends[-1]
            before = cupy.standin.allocations
            cupy.zeros(10)
            assert cupy.standin.allocations == before + 1
    assert backends[0] is not backends[1]
    assert sys.modules.get("cupy") is found
    assert minidrop.backends._make is make
    assert md.get_backend().name == "numpy"
