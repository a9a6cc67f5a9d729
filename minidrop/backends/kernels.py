"""The CUDA kernels of kernels.cu: compiled when first needed, and launched with arguments that fit.

CuPy passes on whatever it is given: a Python float as a double, an int as a long long, the memory of an array
with any dtype and strides, and any number of them. A kernel that is called with something else reads or
writes what is not its own. So the parameters are declared here, and `launch` holds the arguments to them.
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from minidrop.errors import ArrayError

#: what a parameter is: REAL is the dtype that the file is compiled for, other names are dtypes of arrays
REAL, BOOL, BYTE, INTEGER, NUMBERS, TALLY = "real", "bool", "uint8", "int64", "numbers", "tally"
#: and these are scalars
INT, WORD, DOUBLE = "int", "word", "double"

_MASK = (INT, INT, WORD, WORD, INT, NUMBERS)  # draws or start, threshold, seed, stream, step, numbers
_ROWS = (INTEGER, INTEGER, INT, INT, INT, TALLY)  # labels, order, rows, columns, batch size, tally
_GATHER = (*_ROWS, DOUBLE, DOUBLE, DOUBLE, REAL, INTEGER, DOUBLE, BOOL, *_MASK)
_UPDATE = (REAL, REAL, REAL, REAL, REAL, INT, INT)
_RULE = (NUMBERS, DOUBLE, DOUBLE, INT, DOUBLE, DOUBLE, DOUBLE, DOUBLE)
RULES = ("sgd", "momentum", "adam", "nadam", "adamax", "rmsprop", "adagrad", "adadelta")

PARAMETERS: dict[str, tuple[str, ...]] = {
    "set_numbers": (NUMBERS, DOUBLE, DOUBLE, INT, INT, DOUBLE),
    "advance_numbers": (NUMBERS,),
    "keep_mask": (BOOL, INT, *_MASK),
    "bias_relu_dropout": (REAL, INT, INT, REAL, INT, DOUBLE, BOOL, INT, INT, *_MASK),
    "relu_dropout_backward": (REAL, REAL, INT, DOUBLE),
    "gather_bytes": (BYTE, *_GATHER),
    "gather_reals": (REAL, *_GATHER),
    "column_sums": (REAL, INT, INT, REAL, INT),
    "scaled_sum": (REAL, INT, DOUBLE, REAL),
    "count_batch": (TALLY, REAL, INT),
    "softmax_cross_entropy": (REAL, INTEGER, INT, INT, DOUBLE, REAL, REAL),
    "limit_row_norms": (REAL, INT, DOUBLE),
    "squared_row_norms": (REAL, INT, REAL),
    **{f"coefficients_{rule}": (NUMBERS, *[DOUBLE] * 5, REAL) for rule in ("sgd", "momentum")},
    **{f"update_{rule}": (*_UPDATE, *_RULE) for rule in RULES},
    **{f"update_{rule}_rows": (*_UPDATE, DOUBLE, *_RULE) for rule in RULES},
}

#: how many threads a block has: whole warps, as the sums over a block need
BLOCK = 256
#: as many blocks as keep every multiprocessor busy; a thread takes further elements when it is done with one
_MOST_BLOCKS = 4096
#: what `Numbers` is: five numbers of eight bytes
NUMBERS_SIZE = 5

_SCALARS: dict[str, Any] = {INT: np.int64, WORD: np.uint64, DOUBLE: np.float64}
_NULL = np.uint64(0)
#: of what arrays are, but for REAL
_DTYPES = {kind: np.dtype(kind) for kind in (BOOL, BYTE, INTEGER)} | dict.fromkeys(
    (NUMBERS, TALLY), np.dtype("float64")
)


def source() -> str:
    """The text of kernels.cu."""
    return files("minidrop.backends").joinpath("kernels.cu").read_text("utf-8")


def grid(threads: int) -> int:
    """How many blocks to launch for so many threads, at least one.

    >>> grid(1), grid(257), grid(10**9)
    (1, 2, 4096)
    """
    return min(max(1, -(-threads // BLOCK)), _MOST_BLOCKS)


class Kernels:
    """The kernels for float32 and float64, by CuPy's `module`."""

    def __init__(self, cupy: Any) -> None:
        self._cupy = cupy
        self._function = cache(self._load)

    def _load(self, name: str, char: str) -> Any:
        return _compiled(self._cupy, {"f": "float", "d": "double"}[char]).get_function(name)

    def launch(
        self,
        name: str,
        dtype: Any,
        blocks: int,
        *arguments: Any,
        sizes: Sequence[tuple[Any, int]] = (),
        replicas: int = 1,
    ) -> None:
        """Queue a kernel on the current stream, in blocks of `BLOCK` threads; None stands for no array.

        Args:
            name: the kernel's.
            dtype: of its reals.
            blocks: how many.
            arguments: as `PARAMETERS` says.
            sizes: arrays with how many elements they must at least have.
            replicas: how many times so many blocks; for the kernels that look at `replica()`.

        Raises:
            ArrayError: if an argument is not what the kernel takes.
        """
        dtype = np.dtype(dtype)
        expected = PARAMETERS[name]
        if len(arguments) != len(expected):
            raise ArrayError(f"kernel {name} takes {len(expected)} arguments, got {len(arguments)}")
        for array, size in sizes:
            if array is not None and array.size < size:
                raise ArrayError(f"kernel {name} needs an array of {size} elements, got {array.size}")
        passed = tuple(
            self._argument((i, name), argument, kind, dtype)
            for i, (argument, kind) in enumerate(zip(arguments, expected, strict=True))
        )
        self._function(name, dtype.char)((blocks, replicas), (BLOCK,), passed)

    def _argument(self, what: tuple[int, str], argument: Any, kind: str, dtype: np.dtype[Any]) -> Any:
        if kind in _SCALARS:
            return _SCALARS[kind](argument)
        if argument is None:
            return _NULL
        wanted, problem = _DTYPES.get(kind, dtype), ""
        if not isinstance(argument, self._cupy.ndarray) or argument.dtype != wanted:
            found = getattr(argument, "dtype", type(argument).__name__)
            problem = f"must be a cupy.ndarray of {wanted}, got {found}"
        elif not argument.flags.c_contiguous:
            problem = f"must lie in one piece, row by row, got strides {argument.strides}"
        elif argument.device.id != self._cupy.cuda.Device().id:
            problem = f"is on device {argument.device.id}, which is not the current one"
        if problem:
            raise ArrayError("argument {} of kernel {} {}".format(*what, problem))
        return argument


@cache
def _compiled(cupy: Any, real: str) -> Any:
    return cupy.RawModule(code=source(), options=("--std=c++17", f"-DREAL={real}"))
