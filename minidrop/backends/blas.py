"""The one matrix product that NumPy does not offer, C ← β C + α A B, from the BLAS that NumPy itself runs on.

NumPy calls `cblas_sgemm` with α = 1 and β = 0 for every product. The same function, found by the name that
NumPy's build gives it, adds a product to what is there: a weight gradient to a velocity, for example.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from minidrop.threads import libraries

_ROW_MAJOR, _PLAIN, _TRANSPOSED = 101, 111, 112
_LETTERS = {"float32": ("s", ctypes.c_float), "float64": ("d", ctypes.c_double)}
#: how builds decorate the name; with a 64 the sizes have 64 bits
_NAMES = ("scipy_cblas_{}gemm64_", "cblas_{}gemm64_", "scipy_cblas_{}gemm", "cblas_{}gemm")


@cache
def _gemm(dtype: str) -> Callable[..., None] | None:
    """The function for float32 or float64, once it has been seen to work; None if there is none."""
    letter, real = _LETTERS[dtype]
    for library in libraries():
        try:
            loaded = ctypes.CDLL(library["filepath"])
        except OSError:
            continue
        for name in _NAMES:
            function = getattr(loaded, name.format(letter), None)
            if function is not None:
                size = ctypes.c_int64 if "64" in name else ctypes.c_int
                flag, array = ctypes.c_int, ctypes.c_void_p
                function.argtypes = [flag] * 3 + [size] * 3
                function.argtypes += [real, array, size, array, size, real, array, size]
                function.restype = None
                return function if _works(function, dtype) else None
    return None


def _works(function: Callable[..., None], dtype: str) -> bool:
    a, b = np.arange(6, dtype=dtype).reshape(2, 3), np.arange(8, dtype=dtype).reshape(2, 4)
    c = np.ones((3, 4), dtype)
    expected = 2 * c + 3 * (a.T @ b)  # small integers, so exact
    _call(function, 3.0, a, b, 2.0, c)
    return bool((c == expected).all())


def _call(function: Callable[..., None], alpha: float, a: Any, b: Any, beta: float, c: Any) -> None:
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
    function = _gemm(c.dtype.name) if c.dtype.name in _LETTERS else None
    if function is None:
        return False
    for array in (a, b, c):
        row = array.shape[1] * array.itemsize
        if array.dtype != c.dtype or array.strides[1] != array.itemsize or array.strides[0] < row:
            return False
    _call(function, alpha, a, b, beta, c)
    return True
