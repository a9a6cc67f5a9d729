"""Matrix products by a cuBLAS handle of our own, which a CUDA graph can record.

CuPy's own products cannot be recorded: CuPy sets the stream before each of them and refuses that in a
capture. A handle whose stream and workspace are set before has nothing left to do in it but the product.

cuBLAS takes a matrix column by column. Where a matrix lies row by row, what it sees is the transpose, and

    C = A B        is asked for as        Cᵀ = Bᵀ Aᵀ

with the operands in that order. A transposed view, such as W.T, is asked for with a flag. Source: NVIDIA,
cuBLAS library: data layout, cublasSetStream, cublasSetWorkspace, cublasGemmEx.
"""

import ctypes
from typing import Any, NamedTuple

from minidrop.backends.values import Array
from minidrop.errors import ArrayError, BackendError

_PLAIN, _TRANSPOSED = 0, 1  # CUBLAS_OP_N, CUBLAS_OP_T
_ON_HOST, _ON_DEVICE = 0, 1  # where α and β are: CUBLAS_POINTER_MODE_HOST, CUBLAS_POINTER_MODE_DEVICE
_DEFAULT = -1  # CUBLAS_GEMM_DEFAULT: cuBLAS chooses the algorithm, by the sizes
#: by dtype.char: what a matrix holds, what is computed in, and α or β on the host
_TYPES = {"f": (0, 68, ctypes.c_float), "d": (1, 70, ctypes.c_double)}  # CUDA_R_32F, CUBLAS_COMPUTE_32F; 64F
_TF32 = 77  # CUBLAS_COMPUTE_32F_FAST_TF32
#: what NVIDIA recommends for the newest devices; without one of its own a captured product would allocate
WORKSPACE_BYTES = 32 * 1024 * 1024

_int, _long, _pointer = ctypes.c_int, ctypes.c_longlong, ctypes.c_void_p
_SIZES = (_pointer, *[_int] * 5, _pointer)  # handle, two operations, m, n, k, α
_MATRIX = (_pointer, _int, _int)  # address, type, leading dimension
_STRIDED = (*_MATRIX, _long)  # and how far apart the matrices of a batch are
PROTOTYPES: dict[str, tuple[Any, ...]] = {
    "cublasCreate_v2": (ctypes.POINTER(_pointer),),
    "cublasSetStream_v2": (_pointer, _pointer),
    "cublasSetWorkspace_v2": (_pointer, _pointer, ctypes.c_size_t),
    "cublasSetPointerMode_v2": (_pointer, _int),
    "cublasGetProperty": (_int, ctypes.POINTER(_int)),
    "cublasGemmEx": (*_SIZES, *_MATRIX, *_MATRIX, _pointer, *_MATRIX, _int, _int),
    "cublasGemmStridedBatchedEx": (*_SIZES, *_STRIDED, *_STRIDED, _pointer, *_STRIDED, _int, _int, _int),
}


def load(cupy: Any) -> Any:
    """The cuBLAS library of the CUDA that CuPy uses; BackendError if there is none."""
    major, names = cupy.cuda.runtime.runtimeGetVersion() // 1000, []
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib

        names.append(load_nvidia_dynamic_lib("cublas").abs_path)
    except (ImportError, RuntimeError):
        pass  # not installed, or it found none
    for name in (*names, f"libcublas.so.{major}", f"cublas64_{major}.dll"):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise BackendError(f"there is no libcublas for CUDA {major}")


class _Layout(NamedTuple):
    """How cuBLAS is told of a matrix: with which operation, its leading dimension, and that of a batch."""

    operation: int
    leading: int
    stride: int


def layout(matrix: Array) -> _Layout | None:
    """How rows, or columns, of a matrix (..., rows, columns) lie in memory; None if neither is in one piece.

    >>> import numpy as np
    >>> x = np.zeros((5, 3, 8))
    >>> layout(x), layout(x[:, :, 2:6].transpose(0, 2, 1)), layout(x[0, :, ::2])
    (_Layout(operation=0, leading=8, stride=24), _Layout(operation=1, leading=8, stride=24), None)
    >>> layout(np.broadcast_to(x[0, :1, :1], (1, 8))), layout(np.broadcast_to(x[0, :1, :1], (8, 1)))
    (None, None)
    """
    (rows, columns), size = matrix.shape[-2:], matrix.itemsize
    stride, down, right = [0, *(step // size for step in matrix.strides)][-3:]
    if matrix.ndim == 3 and len(matrix) == 1:
        stride = 0
    # a step that is never taken may be any; 0 elsewhere is an element that is broadcast, and no matrix
    down, right = (1 if n == 1 else step for n, step in ((rows, down), (columns, right)))
    if right == 1 and (rows == 1 or down >= columns):
        return _Layout(_PLAIN, max(down, columns), stride)
    if down == 1 and (columns == 1 or right >= rows):
        return _Layout(_TRANSPOSED, max(right, rows), stride)
    return None


class Cublas:
    """A handle of cuBLAS on the current device.

    Args:
        cupy: the module.
        library: what `load` returned.

    Raises:
        BackendError: if the library lacks a function, or cannot be initialised.
    """

    def __init__(self, cupy: Any, library: Any) -> None:
        self._cupy, self._library = cupy, library
        try:
            for name, arguments in PROTOTYPES.items():
                getattr(library, name).argtypes = arguments
            library.cublasGetStatusString.restype = ctypes.c_char_p
        except AttributeError as error:
            raise BackendError(f"this libcublas is too old: {error}") from None
        self._handle = ctypes.c_void_p()
        self._call("cublasCreate_v2", ctypes.byref(self._handle))
        self._workspace = cupy.empty(WORKSPACE_BYTES, "uint8")
        self._stream: int | None = None
        #: to record on: others would wait for the default stream
        self.recording = cupy.cuda.Stream(non_blocking=True)
        #: whether float32 products may round their factors to TF32, with 10 bits after the point
        self.tf32 = False

    @property
    def version(self) -> str:
        """The library's version, such as 13.1."""
        number = ctypes.c_int()
        parts = []
        for part in range(2):  # MAJOR_VERSION, MINOR_VERSION
            self._call("cublasGetProperty", part, ctypes.byref(number))
            parts.append(str(number.value))
        return ".".join(parts)

    def follow(self) -> None:
        """Compute on CuPy's current stream from now on; to be called before a capture on it begins."""
        stream = self._cupy.cuda.get_current_stream().ptr
        if stream != self._stream:
            self._call("cublasSetStream_v2", self._handle, stream)
            # a new stream brings cuBLAS's own workspace back
            self._call("cublasSetWorkspace_v2", self._handle, self._workspace.data.ptr, WORKSPACE_BYTES)
            self._stream = stream

    def product(self, a: Array, b: Array, out: Array, coefficients: Array | None = None) -> bool:
        """C ← A B, or C ← β C + α A B; False, with nothing done, for what cuBLAS cannot take as it lies.

        Args:
            a: A, (m, k) or (K, m, k).
            b: B, (k, n) or (K, k, n).
            out: C, (m, n) or (K, m, n), row by row and apart from A and B.
            coefficients: (α, β) in device memory, of C's dtype; they are read when the product is computed.

        Raises:
            ArrayError: if the shapes do not fit.
            BackendError: with what cuBLAS says.
        """
        if out.dtype.char not in _TYPES or not a.dtype == b.dtype == out.dtype:
            return False
        (rows, inner), columns = a.shape[-2:], b.shape[-1]
        batches = {len(matrix) for matrix in (a, b) if matrix.ndim == 3}
        fits = batches <= {1, len(out) if out.ndim == 3 else 1}
        if b.shape[-2] != inner or out.shape[-2:] != (rows, columns) or not fits:
            raise ArrayError(f"a product of {a.shape} and {b.shape} does not fit into {out.shape}")
        layouts = [layout(matrix) for matrix in (b, a, out)]
        if None in layouts or layouts[2].operation != _PLAIN:  # type: ignore[union-attr]
            return False
        self.follow()
        kind, compute, real = _TYPES[out.dtype.char]
        compute = _TF32 if self.tf32 and compute == _TYPES["f"][1] else compute
        if coefficients is None:
            self._call("cublasSetPointerMode_v2", self._handle, _ON_HOST)
            held = real(1), real(0)
            alpha, beta = (ctypes.addressof(number) for number in held)
        else:
            self._call("cublasSetPointerMode_v2", self._handle, _ON_DEVICE)
            alpha = coefficients.data.ptr
            beta = alpha + coefficients.itemsize
        batched = out.ndim == 3
        second, first, third = (
            (matrix.data.ptr, kind, of.leading, *([of.stride] if batched else []))  # type: ignore[union-attr]
            for matrix, of in zip((b, a, out), layouts, strict=True)
        )
        self._call(
            "cublasGemmStridedBatchedEx" if batched else "cublasGemmEx",
            *(self._handle, *(of.operation for of in layouts[:2]), columns, rows, inner),  # type: ignore[union-attr]
            *(alpha, *second, *first, beta, *third, *([len(out)] if batched else []), compute, _DEFAULT),
        )
        return True

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status:
            text = self._library.cublasGetStatusString(status).decode()
            raise BackendError(f"{name.removesuffix('_v2')} failed with status {status}: {text}")
