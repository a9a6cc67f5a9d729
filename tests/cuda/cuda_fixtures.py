"""What tests of CUDA share: a compiler, the stand-in, and the device that kernels run on.

That device is the stand-in on every machine, and a real one under -m gpu.
"""

import pytest
import shim
import standin

import minidrop as md
from minidrop.backends import kernels
from minidrop.errors import BackendError

GPU = pytest.param("gpu", marks=pytest.mark.gpu)


@pytest.fixture(scope="session")
def compiler():
    """Skips a test where CUDA kernels cannot be compiled for the CPU."""
    try:
        return shim.compiler()
    except shim.NoCompiler as error:
        pytest.skip(str(error))


@pytest.fixture
def cupy():
    """A fresh stand-in for CuPy, which `import cupy` finds."""
    with standin.installed() as cupy:
        yield cupy


@pytest.fixture(scope="module", params=["stand-in", GPU])
def device(request):
    """The CuPy backend, the current one; on the stand-in its kernels run on the CPU."""
    if request.param == "gpu":
        try:
            backend = md.get_backend("cupy")
        except BackendError as error:
            pytest.skip(str(error))
        with md.using_backend(backend):
            yield backend
        return
    request.getfixturevalue("compiler")
    with standin.installed(), md.using_backend("cupy") as backend:
        yield backend


@pytest.fixture
def stand_in(device):
    """What the stand-in counts and forbids; a test that needs it has nothing to say about a real device."""
    if not hasattr(device.xp, "standin"):
        pytest.skip("the stand-in alone can forbid this; a device does it without a word")
    return device.xp.standin


@pytest.fixture(scope="module")
def launch(device):
    """Launch a kernel by its name, as the backend does."""
    return kernels.Kernels(device.xp).launch
