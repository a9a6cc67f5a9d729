"""CuPy: the plain definitions on a GPU. This is the only file of minidrop that imports cupy."""

from typing import Any

import numpy as np

from minidrop.backends.base import Array, Backend
from minidrop.errors import BackendError

INSTALL = "pip install 'minidrop[cuda12]' for CUDA 12, 'minidrop[cuda13]' for CUDA 13"


class CupyBackend(Backend):
    """Arrays on the current CUDA device.

    Raises:
        BackendError: if CuPy is not installed, or if it is and finds no device.
    """

    name = "cupy"

    def __init__(self) -> None:
        try:
            import cupy
        except ImportError as error:
            raise BackendError(f"backend cupy: CuPy is not installed ({error}); {INSTALL}") from None
        try:
            devices = cupy.cuda.runtime.getDeviceCount()
        except cupy.cuda.runtime.CUDARuntimeError as error:
            raise BackendError(
                f"backend cupy: CuPy {cupy.__version__} is installed but finds no CUDA device ({error}); "
                f"check nvidia-smi, and that the extra fits the driver: {INSTALL}"
            ) from None
        if devices == 0:
            raise BackendError(
                f"backend cupy: CuPy {cupy.__version__} is installed but this machine has no CUDA device; "
                "use --backend numpy here"
            )
        self.xp = cupy

    def to_host(self, array: Array) -> np.ndarray[Any, Any]:
        """A copy of `array` on the host."""
        host: np.ndarray[Any, Any] = self.xp.asnumpy(array)
        return host

    def device(self) -> str:
        """The name of the current device."""
        runtime = self.xp.cuda.runtime
        properties = runtime.getDeviceProperties(self.xp.cuda.Device().id)
        return str(properties["name"].decode())
