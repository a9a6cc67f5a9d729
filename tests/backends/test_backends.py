"""The backend switch, what a missing GPU says, and what is said of arrays that do not fit."""

import functools
import os
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import minidrop as md
import minidrop.backends
from minidrop.backends.numpy_backend import NumpyBackend
from minidrop.errors import ArrayError, BackendError

# -- the switch --------------------------------------------------------------------------------------------


def test_numpy_is_one_object():
    assert md.get_backend("numpy") is md.get_backend("numpy")
    assert md.get_backend("numpy").name == "numpy"
    assert md.get_backend(md.get_backend("numpy")) is md.get_backend("numpy")


def test_a_layer_takes_the_backend_that_is_current_when_it_is_made_and_keeps_it():
    before, other = md.get_backend(), NumpyBackend()
    with md.using_backend(other) as current:
        assert current is md.get_backend() is other
        inside = md.ReLU()
    assert md.get_backend() is before
    assert inside.backend is other
    assert md.ReLU().backend is before
    assert md.ReLU(backend=other).backend is other


def test_the_context_manager_restores_after_an_exception():
    before = md.get_backend()
    with pytest.raises(KeyError), md.using_backend(NumpyBackend()):
        raise KeyError
    assert md.get_backend() is before


def test_set_backend_lasts_until_the_next_one():
    before, other = md.get_backend(), NumpyBackend()
    try:
        assert md.set_backend(other) is other
        assert md.get_backend() is other
    finally:
        md.set_backend(before)
    assert md.get_backend() is before


def test_an_unknown_name_is_refused_and_changes_nothing():
    before = md.get_backend()
    with pytest.raises(BackendError, match=r"^unknown backend 'jax': choose one of numpy, numba, cupy$"):
        md.set_backend("jax")
    assert md.get_backend() is before


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("numpy", "numpy"),
        ("", "numpy"),
        ("numba", "numba"),
        ("nunpy", "unknown backend 'nunpy': choose one of numpy, numba, cupy"),
    ],
)
def test_the_environment_names_the_first_backend(variable, said):
    program = """
import minidrop as md
try:
    print(md.get_backend().name)
except md.MinidropError as error:
    print(error)
"""
    path = os.pathsep.join(sys.path)
    environment = os.environ | {"MINIDROP_BACKEND": variable, "PYTHONPATH": path}
    run = [sys.executable, "-c", program]
    result = subprocess.run(run, env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == said


# -- CuPy without what it needs, and arrays of the wrong backend -------------------------------------------


def forget_backends(monkeypatch):
    """Give the test a memory of backends of its own, so that none that it makes outlives it."""
    make = minidrop.backends._make.__wrapped__
    monkeypatch.setattr(minidrop.backends, "_make", functools.cache(make))


@pytest.fixture
def fake_cupy(monkeypatch):
    """A module named cupy that counts one device, with an array type that is not NumPy's."""
    cupy = ModuleType("cupy")
    cupy.__version__ = "14.0"
    error = type("CUDARuntimeError", (RuntimeError,), {})
    runtime = SimpleNamespace(
        CUDARuntimeError=error, getDeviceCount=lambda: 1, runtimeGetVersion=lambda: 12080
    )
    cupy.cuda = SimpleNamespace(runtime=runtime)
    cupy.ndarray = type("ndarray", (), {"__module__": "cupy", "shape": (2, 2), "dtype": np.dtype("float32")})
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    forget_backends(monkeypatch)
    return cupy


def message_of(error):
    message = str(error.value)
    assert "\n" not in message
    return message


def test_cupy_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # so that importing it fails, also where it exists
    forget_backends(monkeypatch)
    with pytest.raises(BackendError) as error:
        md.get_backend("cupy")
    message = message_of(error)
    assert message.startswith("backend cupy: CuPy is not installed")
    assert "pip install -c constraints.txt -e '.[cuda12]' for CUDA 12, '.[cuda13]' for CUDA 13" in message


def test_cupy_whose_driver_fails(fake_cupy):
    def fail():
        raise fake_cupy.cuda.runtime.CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device")

    fake_cupy.cuda.runtime.getDeviceCount = fail
    with pytest.raises(BackendError) as error:
        md.get_backend("cupy")
    message = message_of(error)
    assert message.startswith("backend cupy: CuPy 14.0 is installed but finds no CUDA device")
    assert "cudaErrorNoDevice" in message
    assert "'.[cuda12]'" in message
    assert "'.[cuda13]'" in message


def test_cupy_on_a_machine_without_a_device(fake_cupy):
    fake_cupy.cuda.runtime.getDeviceCount = lambda: 0
    with pytest.raises(BackendError) as error:
        md.get_backend("cupy")
    message = message_of(error)
    assert message.startswith("backend cupy: CuPy 14.0 is installed but this machine has no CUDA device")
    assert "--backend numpy" in message


def test_an_array_of_the_wrong_backend_is_refused_by_name(fake_cupy):
    here, there = np.ones((2, 2), np.float32), fake_cupy.ndarray()
    on_numpy = r"must be a numpy\.ndarray, as the model's backend is numpy .*; got cupy\.ndarray"
    on_cupy = r"must be a cupy\.ndarray, as the model's backend is cupy .*; got numpy\.ndarray"
    for layer in (md.ReLU(), md.Linear(2, 2), md.Dropout(), md.Sequential(md.ReLU())):
        with pytest.raises(ArrayError, match=on_numpy):
            layer.forward(there)
    with pytest.raises(ArrayError, match=on_numpy):
        md.SoftmaxCrossEntropy().forward(there, np.array([0, 1]))
    with md.using_backend("cupy"):
        layers = md.ReLU(), md.Linear(2, 2), md.Dropout(), md.Sequential(md.ReLU())
    for layer in layers:
        with pytest.raises(ArrayError, match=on_cupy):
            layer.forward(here)
    with pytest.raises(
        ArrayError, match=r"must be a numpy\.ndarray, as the model's backend is numpy .*; got list"
    ):
        md.ReLU().forward([[1.0]])


@pytest.mark.usefixtures("fake_cupy")
def test_a_model_has_one_backend():
    with pytest.raises(ArrayError, match=r"layer 1, ReLU\(\), is on cupy, but layer 0 is on numpy"):
        md.Sequential(md.Linear(2, 2), md.ReLU(backend="cupy"))
    with pytest.raises(ArrayError, match=r"ReLU\(\) is on cupy, not numpy"):
        md.DropConnect(2, 2, activation=md.ReLU(backend="cupy"))


# -- bad arrays --------------------------------------------------------------------------------------------


def test_check_says_what_an_array_should_have_been():
    check = md.get_backend("numpy").check
    x = np.ones((2, 3), np.float32)
    assert check(x, "x", (None, 3), "float32") is x
    assert check(x, "x") is x
    with pytest.raises(ArrayError, match=r"^x must have shape \(any, 4\), got \(2, 3\)$"):
        check(x, "x", (None, 4))
    with pytest.raises(ArrayError, match=r"^x must have shape \(any,\), got \(2, 3\)$"):
        check(x, "x", (None,))
    with pytest.raises(ArrayError, match=r"got \(0, 3\); an empty array cannot be used$"):
        check(x[:0], "x", (None, 3))
    with pytest.raises(
        ArrayError, match=r"^x must be float64, got float32: convert it with .astype.*, or build the model"
    ):
        check(x, "x", (2, 3), "float64")
    with pytest.raises(
        ArrayError, match=r"^x must be float64, got int64: convert it with .astype\('float64'\)$"
    ):
        check(x.astype(int), "x", (2, 3), "float64")


def test_check_finite_names_the_first_bad_element():
    backend = md.get_backend("numpy")
    huge = np.full((2, 2), 1e308)
    with np.errstate(over="ignore"):
        backend.check_finite(huge, "x")  # its sum overflows, but every element is finite
    huge[1, 0] = np.nan
    huge[1, 1] = np.inf
    with (
        np.errstate(over="ignore"),
        pytest.raises(ArrayError, match=r"^x holds 2 values that are not finite, the first at \(1, 0\)$"),
    ):
        backend.check_finite(huge, "x")
