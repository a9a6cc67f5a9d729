"""How arrays of the stand-in for CuPy are made, and brought to the host and back."""

from typing import Any

import numpy as np
from standin_array import array_of, checked_dtype, ndarray, view_of
from standin_device import device


def array(
    obj: Any, dtype: Any = None, copy: bool | None = True, order: str | None = None, **_: Any
) -> ndarray:
    """`obj` as a new array; one of the host is copied to the device, which is counted."""
    if isinstance(obj, ndarray):
        return obj.astype(dtype or obj.dtype, "C" if order in (None, "K") else order, copy=bool(copy))
    values = np.asarray(obj, dtype)
    checked_dtype(values.dtype)
    device().note("uploads", f"a copy from the host to a new array of shape {values.shape}")
    return array_of(values, "F" if order == "F" else "C")


def asarray(a: Any, dtype: Any = None, order: str | None = None, **_: Any) -> ndarray:
    """`a` itself if it is an array of the device and of that type; a new one otherwise."""
    return array(a, dtype, copy=False, order=order)


def asnumpy(
    a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True
) -> np.ndarray:
    """A copy of `a` on the host."""
    return a.get(stream, order, out) if isinstance(a, ndarray) else np.asarray(a, order=order)


def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """An array full of NaNs, or of what they mean as integers."""
    return ndarray(shape, dtype, order)


def full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C") -> ndarray:
    """An array full of one value."""
    if dtype is None:
        dtype = fill_value.dtype if isinstance(fill_value, ndarray) else np.array(fill_value).dtype
    made = ndarray(shape, dtype, order)
    made.fill(fill_value)
    return made


def zeros(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """An array full of 0."""
    return full(shape, 0, dtype, order)


def ones(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """An array full of 1."""
    return full(shape, 1, dtype, order)


def empty_like(a: ndarray, dtype: Any = None, shape: Any = None) -> ndarray:
    """An array like `a`, full of NaNs."""
    return ndarray(a.shape if shape is None else shape, dtype or a.dtype)


def full_like(a: ndarray, fill_value: Any, dtype: Any = None, shape: Any = None) -> ndarray:
    """An array like `a`, full of one value."""
    made = empty_like(a, dtype, shape)
    made.fill(fill_value)
    return made


def zeros_like(a: ndarray, dtype: Any = None, shape: Any = None) -> ndarray:
    """An array like `a`, full of 0."""
    return full_like(a, 0, dtype, shape)


def ones_like(a: ndarray, dtype: Any = None, shape: Any = None) -> ndarray:
    """An array like `a`, full of 1."""
    return full_like(a, 1, dtype, shape)


def ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    """`a` itself if its elements lie row after row; a copy otherwise."""
    made = asarray(a, dtype)
    return made if made.flags.c_contiguous else made.copy()


def asfortranarray(a: Any, dtype: Any = None) -> ndarray:
    """`a` itself if its elements lie column after column; a copy otherwise."""
    made = asarray(a, dtype)
    return made if made.flags.f_contiguous else made.copy("F")


def broadcast_to(array: ndarray, shape: Any) -> ndarray:
    """A view in a larger shape."""
    return view_of(array, np.broadcast_to(array.host, shape))


def expand_dims(a: ndarray, axis: Any) -> ndarray:
    """A view with further axes of size 1."""
    return view_of(a, np.expand_dims(a.host, axis))


def reshape(a: ndarray, shape: Any, order: str = "C") -> ndarray:
    """The elements in another shape."""
    return a.reshape(shape, order=order)


def ravel(a: ndarray) -> ndarray:
    """The elements in a row."""
    return a.ravel()


def transpose(a: ndarray, axes: Any = None) -> ndarray:
    """A view with its axes permuted."""
    return a.transpose(axes)


def copyto(dst: ndarray, src: Any) -> None:
    """Copy `src` into `dst`."""
    dst[...] = src


def may_share_memory(a: ndarray, b: ndarray) -> bool:
    """Whether two arrays may overlap."""
    return np.may_share_memory(a.host, b.host)


def shares_memory(a: ndarray, b: ndarray) -> bool:
    """Whether two arrays overlap."""
    return np.shares_memory(a.host, b.host)
