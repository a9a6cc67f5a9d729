"""A strict stand-in for CuPy, so that the project's real code for GPUs trains networks where there is none.

    with standin.installed() as cupy:
        with minidrop.using_backend("cupy"):
            ...
        assert cupy.standin.host_reads == 0

It computes with NumPy, and runs CUDA kernels on the CPU (see shim.py). Where CuPy refuses something it does
too; where CuPy does something slowly or wrongly without a word, it refuses as well, or counts:

- Arrays of the host and of the device do not mix; no NumPy function takes an array of the device.
- Looking at values from the host, taking memory and copying from the host are counted (`cupy.standin`), and
  can be forbidden: `with cupy.standin.no_host_reads():`, `with cupy.standin.no_allocations():`.
- In a capture all three are errors; kernels, ufuncs with `out=`, `take` with `out=` and assignments are
  recorded, and all else is refused. A graph does not keep memory alive, and says so when launched too late.
- New memory holds NaNs; who writes outside of an array is found out after each launch of a kernel.
- A kernel gets exactly the types of its parameters, and arrays that are contiguous.
"""

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import numpy as np
import pytest
import standin_creation
from fake_cublas import FakeCublas
from standin_array import ndarray
from standin_cuda import RawKernel, RawModule, make_cuda
from standin_device import new_device
from standin_functions import functions, reductions, ufunc, ufuncs

import minidrop.backends
import minidrop.backends.cublas
from minidrop.errors import BackendError

#: what CuPy has of NumPy as it is
FROM_NUMPY = """
    bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 intp float32 float64 complex64 complex128 dtype
    generic newaxis pi e inf nan finfo iinfo isscalar result_type can_cast promote_types broadcast_shapes
"""


def make_cupy(devices: int | str = 1) -> ModuleType:
    """A module to be imported as cupy, with a device whose counts are at 0.

    With `devices` = 0 it finds no device; with a text, the driver fails and says that.
    """
    cupy = ModuleType("cupy")
    cupy.__version__ = "14.0.0"
    cupy.ndarray, cupy.ufunc = ndarray, ufunc
    cupy.RawModule, cupy.RawKernel = RawModule, RawKernel
    cupy.cuda = make_cuda(devices)
    cupy.standin = new_device()
    for name in FROM_NUMPY.split():
        setattr(cupy, name, getattr(np, name))
    for name, function in (ufuncs | reductions | functions).items():
        setattr(cupy, name, function)
    for name, function in vars(standin_creation).items():
        if getattr(function, "__module__", "") == standin_creation.__name__:
            setattr(cupy, name, function)
    return cupy


@contextmanager
def installed(devices: int | str = 1, cublas: bool = True) -> Iterator[ModuleType]:
    """Let `import cupy` find a new stand-in, and minidrop's "cupy" backend be made of it.

    Without `cublas` there is no such library.
    What minidrop remembered of backends before is back afterwards.
    """
    cupy = make_cupy(devices)
    remembered = minidrop.backends._make
    cupy.cublas = FakeCublas(cupy)

    def load(cupy: ModuleType) -> FakeCublas:
        if not cublas:
            raise BackendError("there is no libcublas for CUDA 12")
        return cupy.cublas

    @functools.cache
    def make(name: str) -> minidrop.backends.Backend:
        return remembered.__wrapped__(name) if name == "cupy" else remembered(name)

    with pytest.MonkeyPatch.context() as patch:
        for module in (cupy, cupy.cuda, cupy.cuda.runtime):
            patch.setitem(sys.modules, module.__name__, module)
        patch.setattr(minidrop.backends, "_make", make)
        patch.setattr(minidrop.backends.cublas, "load", load)
        patch.setattr(minidrop.backends, "_current", minidrop.backends._current)
        yield cupy
