"""Two sums that NumPy does not offer in one pass, from the BLAS that NumPy itself runs on.

    gemm     C ← β C + α Aᵀ B      a weight gradient is added to a velocity
    axpby    y ← β y + α x         a velocity is added to the weights

NumPy calls `cblas_sgemm` with α = 1 and β = 0 for every product, and y *= β; y += α * x takes three passes.
The functions are found by the names that NumPy's build gives them. They compute what NumPy would, but may
round a product and a sum together, as a fused multiply-add does.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from minidrop.threads import libraries

_ROW_MAJOR, _PLAIN, _TRANSPOSED = 101, 111, 112
#: by dtype.char, since dtype.name takes 5 µs, as long as some thousand elements
_LETTERS = {"f": ("s", ctypes.c_float), "d": ("d", ctypes.c_double)}
#: how builds decorate the names; with a 64 the sizes have 64 bits
_NAMES = ("scipy_cblas_{}64_", "cblas_{}64_", "scipy_cblas_{}", "cblas_{}")
_Function = Callable[..., None]


def _find(name: str) -> tuple[_Function, type] | None:
    """The BLAS function of that name, such as "sgemm", and the type of its sizes; None if there is none."""
    for library in libraries():
        try:
            loaded = ctypes.CDLL(library["filepath"])
        except OSError:
            continue
        for decorated in _NAMES:
            function = getattr(loaded, decorated.format(name), None)
            if function is not None:
                function.restype = None
                return function, ctypes.c_int64 if "64" in decorated else ctypes.c_int
    return None


@cache
def _gemm(char: str) -> _Function | None:
    """C ← β C + α Aᵀ B for float32 or float64, once it has been seen to work."""
    letter, real = _LETTERS[char]
    found = _find(f"{letter}gemm")
    if found is None:
        return None
    function, size = found
    flag, array = ctypes.c_int, ctypes.c_void_p
    function.argtypes = [flag] * 3 + [size] * 3 + [real, array, size, array, size, real, array, size]  # type: ignore[attr-defined]
    a, b = np.arange(6, dtype=char).reshape(2, 3), np.arange(8, dtype=char).reshape(2, 4)
    c = np.ones((3, 4), char)
    expected = 2 * c + 3 * (a.T @ b)  # small integers, so exact
    _call_gemm(function, 3.0, a, b, 2.0, c)
    return function if (c == expected).all() else None


@cache
def _axpby(char: str) -> _Function | None:
    """y ← β y + α x for float32 or float64, once it has been seen to work."""
    letter, real = _LETTERS[char]
    found = _find(f"{letter}axpby")
    if found is None:
        return None
    function, size = found
    array = ctypes.c_void_p
    function.argtypes = [size, real, array, size, real, array, size]  # type: ignore[attr-defined]
    x, y = np.arange(5, dtype=char), np.ones(5, char)
    function(5, 3.0, x.ctypes.data, 1, 2.0, y.ctypes.data, 1)
    return function if (y == 2 + 3 * x).all() else None


def _call_gemm(function: _Function, alpha: float, a: Any, b: Any, beta: float, c: Any) -> None:
    rows, columns = c.shape
    leading = [array.strides[0] // array.itemsize for array in (a, b, c)]
    function(
        *(_ROW_MAJOR, _TRANSPOSED, _PLAIN, rows, columns, len(a)),
        *(alpha, a.ctypes.data, leading[0], b.ctypes.data, leading[1], beta, c.ctypes.data, leading[2]),
    )


def add_product(alpha: float, a: Any, b: Any, beta: float, c: Any) -> bool:
    """C ← β C + α Aᵀ B, for real matrices of one dtype with rows in one piece; False if there is no way.

    >>> c = np.ones((2, 1), np.float32)
    >>> if add_product(2.0, np.ones((3, 2), np.float32), np.ones((3, 1), np.float32), 0.5, c):
    ...     assert c.tolist() == [[6.5], [6.5]]
    """
    function = _gemm(c.dtype.char) if c.dtype.char in _LETTERS else None
    if function is None:
        return False
    for array in (a, b, c):
        row = array.shape[1] * array.itemsize
        if array.dtype != c.dtype or array.strides[1] != array.itemsize or array.strides[0] < row:
            return False
    _call_gemm(function, alpha, a, b, beta, c)
    return True


def axpby(alpha: float, x: Any, beta: float, y: Any) -> bool:
    """y ← β y + α x, for flat real arrays of one dtype in one piece; False if there is no way.

    >>> y = np.ones(2, np.float32)
    >>> if axpby(2.0, np.full(2, 3, np.float32), 0.5, y):
    ...     assert y.tolist() == [6.5, 6.5]
    """
    function = _axpby(y.dtype.char) if y.dtype.char in _LETTERS else None
    if function is None or x.dtype != y.dtype or x.strides != y.strides or y.strides != (y.itemsize,):
        return False
    function(y.size, alpha, x.ctypes.data, 1, beta, y.ctypes.data, 1)
    return True
