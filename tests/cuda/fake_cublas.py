"""A cuBLAS for the stand-in: C functions with NVIDIA's prototypes, computed on the host.

It is as strict as the library, which answers a bad argument with a status, and stricter where the library
would compute on the wrong stream, or allocate, without a word. What reaches beyond an array is refused too.
"""

import ctypes
import functools
from itertools import pairwise
from typing import Any

import numpy as np
from standin_streams import current_stream

i, z, L, p = ctypes.c_int, ctypes.c_size_t, ctypes.c_longlong, ctypes.c_void_p
HANDLE = 0xB1A5
INVALID_VALUE, INTERNAL_ERROR = 7, 14
#: (cudaDataType, cublasComputeType) -> dtype
TYPES = {(0, 68): "float32", (0, 77): "float32", (1, 70): "float64"}


def exported(*arguments: Any) -> Any:
    """A method as a C function of these arguments; what it raises becomes a status with that text."""

    def decorate(method: Any) -> Any:
        method.arguments = arguments
        return method

    return decorate


class Invalid(Exception):  # noqa: N818 - it becomes a status
    """An argument that cuBLAS refuses."""


class FakeCublas:
    """What ctypes.CDLL("libcublas.so") is, for one stand-in."""

    def __init__(self, cupy: Any) -> None:
        self.standin = cupy.standin
        self.said = ""
        self.stream: int | None = None
        self.workspace: int | None = None
        self.on_device = False
        self.computed_in: list[int] = []
        for name in dir(type(self)):
            method = getattr(self, name)
            if hasattr(method, "arguments"):
                setattr(self, name, ctypes.CFUNCTYPE(i, *method.arguments)(self._safely(method)))
        self.cublasGetStatusString = ctypes.CFUNCTYPE(p, i)(self._text)

    def _text(self, status: int) -> int:
        self._buffer = ctypes.create_string_buffer(self.said.encode())  # which outlives the call
        return ctypes.addressof(self._buffer)

    def _safely(self, method: Any) -> Any:
        @functools.wraps(method)
        def call(*arguments: Any) -> int:
            try:
                method(*arguments)
            except Invalid as error:
                self.said = str(error)
                return INVALID_VALUE
            except BaseException as error:  # a callback of C cannot raise
                self.said = f"{type(error).__name__}: {error}"
                return INTERNAL_ERROR
            return 0

        return call

    @exported(ctypes.POINTER(p))
    def cublasCreate_v2(self, handle: Any) -> None:
        handle[0] = HANDLE

    @exported(i, ctypes.POINTER(i))
    def cublasGetProperty(self, which: int, value: Any) -> None:
        value[0] = (13, 1, 2)[which]

    @exported(p, p)
    def cublasSetStream_v2(self, handle: int, stream: int | None) -> None:
        check(handle == HANDLE, "no handle")
        check(current_stream().graph is None, "the stream is set in a capture")
        self.stream, self.workspace = stream or 0, None  # as the library does

    @exported(p, p, z)
    def cublasSetWorkspace_v2(self, handle: int, workspace: int, size: int) -> None:
        check(handle == HANDLE, "no handle")
        check(workspace % 256 == 0, "the workspace is not aligned")
        self.standin.host_view(workspace, size, "uint8")
        self.workspace = workspace

    @exported(p, i)
    def cublasSetPointerMode_v2(self, handle: int, mode: int) -> None:
        check(handle == HANDLE and mode in (0, 1), "no such mode")
        self.on_device = mode == 1

    @exported(p, i, i, i, i, i, p, p, i, i, p, i, i, p, p, i, i, i, i)
    def cublasGemmEx(self, *arguments: Any) -> None:
        ends = (10, 13, 14, 17, 19)
        before_b, b, beta, c, rest = (arguments[i:j] for i, j in pairwise((0, *ends)))
        self._gemm(*before_b, 0, *b, 0, *beta, *c, 0, 1, *rest)  # a batch of one

    @exported(p, i, i, i, i, i, p, p, i, i, L, p, i, i, L, p, p, i, i, L, i, i, i)
    def cublasGemmStridedBatchedEx(self, *arguments: Any) -> None:
        self._gemm(*arguments)

    def _gemm(
        self, handle, ta, tb, m, n, k, alpha, a, at, lda, sa, b, bt, ldb, sb, beta, c, ct, ldc, sc, batch,
        compute, algo,
    ):  # fmt: skip
        check(handle == HANDLE, "no handle")
        check(at == bt == ct and (ct, compute) in TYPES and algo == -1, "types that do not go together")
        check(min(m, n, k, batch) > 0 and {ta, tb} <= {0, 1}, "sizes or operations that do not exist")
        check(self.stream == current_stream().ptr, "the handle is on another stream than CuPy")
        check(self.workspace is not None, "without a workspace of its own a product allocates")
        dtype = np.dtype(TYPES[ct, compute])
        self.computed_in.append(compute)

        def views(address: int, rows: int, columns: int, leading: int, stride: int) -> list[np.ndarray]:
            """The matrices of a batch as columns that are `leading` numbers apart."""
            check(leading >= rows, f"a leading dimension of {leading} for columns of {rows}")
            steps = (dtype.itemsize, leading * dtype.itemsize)
            count = leading * (columns - 1) + rows
            flat = [
                self.standin.host_view(address + one * stride * dtype.itemsize, count, dtype)
                for one in range(batch)
            ]
            return [np.lib.stride_tricks.as_strided(part, (rows, columns), steps) for part in flat]

        first = views(a, *((m, k) if ta == 0 else (k, m)), lda, sa)
        second = views(b, *((k, n) if tb == 0 else (n, k)), ldb, sb)
        target = views(c, m, n, ldc, sc)
        check(batch == 1 or sc != 0, "a batch written to one place")
        numbers = self._coefficients(alpha, beta, dtype)

        def work() -> None:
            x, y = numbers()
            for one, other, result in zip(first, second, target, strict=True):
                product = (one.T if ta else one) @ (other.T if tb else other)
                if (x, y) == (1, 0):
                    result[...] = product
                else:
                    result[...] = x * product + (y * result if y else 0)  # with β = 0 C may hold NaNs

        on_device = (alpha, beta) if self.on_device else ()
        self.standin.submit(work, a, b, c, self.workspace, *on_device)

    def _coefficients(self, alpha: int, beta: int, dtype: np.dtype) -> Any:
        """α and β: read now, if they are the host's, or when the product is computed."""
        if self.on_device:
            there = [self.standin.host_view(address, 1, dtype) for address in (alpha, beta)]
            return lambda: [number[0] for number in there]
        real = {"f": ctypes.c_float, "d": ctypes.c_double}[dtype.char]
        for address in (alpha, beta):
            check(not self._is_device(address), "a coefficient of the device for one of the host")
        held = [dtype.type(real.from_address(address).value) for address in (alpha, beta)]
        return lambda: held

    def _is_device(self, address: int) -> bool:
        try:
            self.standin.memory_at(address)
        except AssertionError:
            return False
        return True


def check(condition: bool, text: str) -> None:
    """Invalid, with a text, unless the condition holds."""
    if not condition:
        raise Invalid(text)
