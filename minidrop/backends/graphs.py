"""CUDA graphs: work that is recorded once, and done again by one launch.

A launch of a kernel takes the host some microseconds, as long as many kernels take the device; a graph of a
hundred kernels is launched in the time of one. What is recorded is frozen: each number that was passed by
value, and the addresses of arrays, which have to stay alive.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from minidrop.backends.cublas import Cublas
from minidrop.errors import BackendError


def record(cublas: Cublas, work: Callable[[], object]) -> Any:
    """The graph of what `work` queues, which is not done until `graph.launch()`.

    Raises:
        BackendError: if something in it cannot be recorded.
    """
    stream = cublas.recording
    try:
        with stream:
            cublas.follow()
            stream.begin_capture()
            try:
                work()
            except BaseException:
                with suppress(Exception):  # it may say no more than that the capture has failed
                    stream.end_capture()
                raise
            return stream.end_capture()
    except BackendError:
        raise
    except RuntimeError as error:  # as CUDA's and CuPy's errors are
        raise BackendError(f"CUDA cannot record it: {' '.join(str(error).split())}") from None


def check(cupy: Any, cublas: Cublas) -> None:
    """BackendError unless a small product is right, at once as well as recorded."""
    a, b = np.arange(6, dtype="float32").reshape(2, 3), np.arange(12, dtype="float32").reshape(4, 3)
    first, second, out = cupy.asarray(a), cupy.asarray(b), cupy.zeros((2, 4), "float32")

    def work() -> None:
        cublas.product(first, second.T, out)

    for how in ("", "recorded "):
        out[...] = 0
        if how:
            record(cublas, work).launch()
        else:
            work()
        if not (cupy.asnumpy(out) == a @ b.T).all():  # small integers, so exact
            raise BackendError(f"a {how}product of cuBLAS {cublas.version} is wrong")
