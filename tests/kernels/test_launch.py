"""Launches are refused before a kernel sees what is not for it."""

import re

import numpy as np
import pytest
import shim

from minidrop.backends import kernels
from minidrop.errors import ArrayError

#: what the shim calls a parameter of each kind; a pointer is named by the size and kind of what it points to
CODES = {kernels.INT: "i8", kernels.WORD: "u8", kernels.DOUBLE: "f8"}


def test_the_declared_parameters_are_those_of_the_kernels(compiler):
    """In number and kind, for both dtypes, and no kernel is missing."""
    for real in ("float", "double"):
        signatures = shim.compile(kernels.source(), real).signatures
        assert set(signatures) == set(kernels.PARAMETERS)
        for name, signature in signatures.items():
            declared = kernels.PARAMETERS[name]
            assert len(signature) == len(declared), name
            for code, kind in zip(signature, declared, strict=True):
                assert code == CODES[kind] if kind in CODES else code.startswith("*"), (name, code, kind)


def test_pointers_are_declared_as_what_they_point_to():
    """By the text of kernels.cu, since a compiled kernel no longer says what a pointer points to."""
    pointed = {"REAL": kernels.REAL, "bool": kernels.BOOL, "integer": kernels.INTEGER, "PIXEL": None}
    pointed |= {"Numbers": kernels.NUMBERS, "Tally": kernels.TALLY}
    text = kernels.source().replace("\\\n", "\n")
    found = 0
    for name, parameters in re.findall(r"__global__ void (\w+)\(([^)]*)\)", text):
        if name in kernels.PARAMETERS:
            declared = kernels.PARAMETERS[name]
            for parameter, kind in zip(parameters.split(","), declared, strict=True):
                if "*" in parameter:
                    (base,) = re.findall(r"(?:const )?(\w+) \*", parameter)
                    assert pointed[base] == kind, (name, parameter)
                    found += 1
    assert found > 20


def good(device):
    """A launch that fits, to be spoiled."""
    xp = device.xp
    return ["column_sums", "float32", 1, xp.ones((4, 8), "float32"), 4, 8, xp.empty(8, "float32"), 0]


def test_a_launch_that_fits(device, launch):
    arguments = good(device)
    launch(*arguments)
    np.testing.assert_array_equal(device.to_host(arguments[-2]), np.full(8, 4))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda xp, a: a[:-1], "kernel column_sums takes 5 arguments, got 4"),
        (lambda xp, a: [*a, 1], "kernel column_sums takes 5 arguments, got 6"),
        (lambda xp, a: [*a[:3], a[3].astype("float64"), *a[4:]], "0 .* of float32, got float64"),
        (lambda xp, a: [*a[:3], np.ones((4, 8), "float32"), *a[4:]], "0 .* be a cupy.ndarray of float32"),
        (lambda xp, a: [*a[:3], 7, *a[4:]], "0 .* must be a cupy.ndarray of float32, got int"),
        (lambda xp, a: [*a[:3], xp.ones((8, 4), "float32").T, *a[4:]], "0 .* must lie in one piece"),
        (lambda xp, a: [*a[:6], xp.empty(16, "float32")[::2], 0], "argument 3 .* must lie in one piece"),
    ],
)  # fmt: skip
def test_a_launch_that_does_not_fit_is_refused(device, launch, change, message):
    arguments = good(device)
    with pytest.raises(ArrayError, match=message):
        launch(*change(device.xp, arguments))


def test_an_array_that_is_too_small_is_refused(device, launch):
    arguments = good(device)
    with pytest.raises(ArrayError, match="kernel column_sums needs an array of 9 elements, got 8"):
        launch(*arguments, sizes=[(arguments[-2], 9)])


def test_every_operation_says_how_large_its_arrays_must_be(device):
    """A bias, a mask, labels or sums that are too short are refused, and nothing is read beyond them."""
    from minidrop.backends import Workspace

    xp, workspace = device.xp, Workspace(device.xp)
    z = xp.ones((4, 8), "float32")
    short, labels = xp.ones(7, "float32"), xp.zeros(3, "int64")
    calls = [
        lambda: device.bias_relu_dropout(z, short, None, 1.0, workspace),
        lambda: device.bias_relu_dropout(z, None, xp.ones(7, bool), 1.0, workspace),
        lambda: device.bias_relu_dropout(z, None, xp.ones((3, 8), bool), 1.0, workspace),
        lambda: device.relu_dropout_backward(z, short, 1.0, workspace),
        lambda: device.softmax_cross_entropy(z, labels, 1.0, xp.empty_like(z), workspace),
        lambda: device.column_sums(z, short),
    ]
    for call in calls:
        with pytest.raises(ArrayError, match="needs an array of"):
            call()
