"""cupy.cuda and cupy.RawModule of the stand-in: devices that are counted, kernels that the CPU runs."""

import weakref
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import shim
from standin_array import ndarray
from standin_device import device
from standin_streams import CUDARuntimeError, Graph, StandInError, Stream, current_stream, submit


class RawModule:
    """cupy.RawModule: a file of kernels, compiled by the shim.

    Of the options those that define macros count; the others are for a compiler that is not here.
    """

    def __init__(
        self,
        *,
        code: str | None = None,
        path: str | None = None,
        options: tuple[str, ...] = (),
        backend: str = "nvrtc",
        translate_cucomplex: bool = False,
        enable_cooperative_groups: bool = False,
        name_expressions: Sequence[str] | None = None,
        jitify: bool = False,
    ) -> None:
        if not isinstance(code, str) or path is not None:
            raise StandInError("RawModule takes the text of the kernels, as `code=`")
        if not isinstance(options, tuple):
            raise TypeError(f"options must be a tuple, got {type(options)}")
        if name_expressions or enable_cooperative_groups or jitify or translate_cucomplex:
            raise StandInError("RawModule: code, options and backend are all that the stand-in knows")
        self.code, self.options, self.backend = code, options, backend

    def compile(self, log_stream: Any = None) -> None:
        """Compile the kernels, which `get_function` would do."""
        self._kernels()

    def get_function(self, name: str) -> "RawKernel":
        """The kernel of that name."""
        if name not in self._kernels().names:
            raise CUDARuntimeError(f"CUDA_ERROR_NOT_FOUND: named symbol not found: {name}")
        return RawKernel(self.code, name, self.options, self.backend)

    def _kernels(self) -> shim.Kernels:
        return _compiled(self.code, self.options)


class RawKernel:
    """cupy.RawKernel: checks what CuPy does not, has the CPU run the kernel and looks at what it left."""

    def __init__(self, code: str, name: str, options: tuple[str, ...] = (), backend: str = "nvrtc") -> None:
        self.code, self.name, self.options, self.backend = code, name, options, backend

    def __call__(
        self,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        args: Sequence[Any],
        *,
        shared_mem: int = 0,
        stream: Stream | None = None,
    ) -> None:
        if shared_mem:
            raise StandInError(f"{self.name}: the shim has no dynamic shared memory")
        kernels = _compiled(self.code, self.options)
        values, owners = self._on_host(kernels, args)
        state, launch = device(), kernels.prepare(self.name, grid, block, values)
        watched = {position: weakref.ref(memory) for position, memory in owners.items()}  # as a graph does

        def work() -> None:
            launch(state.order)
            for position, memory in watched.items():
                if damage := memory().damage():
                    raise StandInError(f"{self.name}, argument {position}: the kernel wrote {damage}")

        submit(work, list(owners.values()), stream)

    def _on_host(self, kernels: shim.Kernels, args: Sequence[Any]) -> tuple[list[Any], dict[int, Any]]:
        """The arguments as the shim takes them, and the memory behind each pointer among them."""
        values, owners = [], {}
        signature = kernels.signatures[self.name]
        for position, value in enumerate(args):
            is_pointer = position < len(signature) and signature[position][0] == "*"
            if isinstance(value, ndarray):
                owners[position], value = value.memory, value.host
            elif isinstance(value, np.ndarray):
                raise TypeError(f"{self.name}, argument {position}: a numpy.ndarray is on the host")
            elif is_pointer and isinstance(value, int | np.integer) and value != 0:
                owners[position] = device().memory_at(int(value))
            values.append(value)
        return values, owners


def _compiled(code: str, options: tuple[str, ...]) -> shim.Kernels:
    macros = [option[2:] for option in options if option.startswith("-D")]
    reals = [macro[5:] for macro in macros if macro.startswith("REAL=")] or ["float"]
    return shim.compile(code, reals[-1], [macro for macro in macros if not macro.startswith("REAL=")])


class Device:
    """cupy.cuda.Device."""

    def __init__(self, device: int | None = None) -> None:
        self.id = 0

    def synchronize(self) -> None:
        """Wait for nothing, as all is done; refused in a capture."""
        current_stream().synchronize()


class Event:
    """cupy.cuda.Event, at which nothing ever waits."""

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        self.done = True

    def record(self, stream: Stream | None = None) -> None:
        """Note a moment, which the stand-in has no use for."""

    def synchronize(self) -> None:
        """Wait for nothing, as all is done; refused in a capture."""
        current_stream().synchronize()


def _runtime(devices: int | str) -> ModuleType:
    def count() -> int:
        if isinstance(devices, str):
            raise CUDARuntimeError(devices)
        return devices

    runtime = ModuleType("cupy.cuda.runtime")
    runtime.CUDARuntimeError = CUDARuntimeError
    runtime.getDeviceCount = count
    runtime.getDevice = lambda: 0
    runtime.getDeviceProperties = lambda device: {"name": b"stand-in", "multiProcessorCount": 1}
    runtime.deviceSynchronize = lambda: current_stream().synchronize()
    runtime.runtimeGetVersion = runtime.driverGetVersion = lambda: 12080
    return runtime


def make_cuda(devices: int | str) -> ModuleType:
    """The module cupy.cuda, with that many devices, or with a driver that says `devices`."""
    cuda = ModuleType("cupy.cuda")
    cuda.runtime = _runtime(devices)
    cuda.Device, cuda.Stream, cuda.Event, cuda.Graph = Device, Stream, Event, Graph
    cuda.get_current_stream = current_stream
    return cuda
