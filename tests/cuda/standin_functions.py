"""The functions of the stand-in for CuPy: NumPy's, on elements of arrays of the device alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
from standin_array import array_of, ndarray
from standin_device import device
from standin_streams import StandInError, current_stream, run, submit

UFUNCS = """
    add subtract multiply divide true_divide floor_divide remainder power negative positive reciprocal abs
    absolute sign sqrt square exp exp2 expm1 log log2 log10 log1p sin cos tan sinh cosh tanh arctan maximum
    minimum fmax fmin floor ceil rint trunc less less_equal equal not_equal greater greater_equal isfinite
    isinf isnan logical_and logical_or logical_not logical_xor bitwise_and bitwise_or bitwise_xor invert
    left_shift right_shift conjugate copysign hypot
"""
REDUCTIONS = "sum prod mean var std max min any all argmax argmin"
#: further functions, which take memory for their result
PLAIN = """
    arange eye linspace where concatenate stack clip outer einsum cumsum sort argsort diag trace tril triu
    flip repeat tile array_equal allclose isclose count_nonzero
"""
OPERATORS = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "power",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "left_shift",
    "rshift": "right_shift",
}
COMPARISONS = {
    "lt": "less",
    "le": "less_equal",
    "eq": "equal",
    "ne": "not_equal",
    "gt": "greater",
    "ge": "greater_equal",
}
UNARY = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}


def on_host(value: Any) -> Any:
    """What NumPy computes with in place of an argument; TypeError for an array of the host."""
    if isinstance(value, ndarray):
        return value.host
    if isinstance(value, list | tuple):
        return type(value)(on_host(one) for one in value)
    if isinstance(value, np.ndarray) or not (value is None or np.isscalar(value) or isinstance(value, type)):
        raise TypeError(f"Unsupported type {type(value)}")
    return value


def compute(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What `function` gives."""
    result = []
    run(lambda: result.append(function(*args, **kwargs)))
    return result[0]


def check_out(out: Any) -> None:
    """TypeError if `out` is not an array of the device."""
    if not isinstance(out, ndarray):
        raise TypeError("Output arguments type must be cupy.ndarray")


class ufunc:  # noqa: N801, as CuPy calls it
    """An elementwise function; unlike NumPy's it has no `where=`."""

    def __init__(self, name: str) -> None:
        self.name, self.numpy = name, getattr(np, name)

    def __call__(
        self, *args: Any, out: ndarray | None = None, dtype: Any = None, casting: str = "same_kind"
    ) -> ndarray:
        if out is None and len(args) == self.numpy.nargs:
            *args, out = args
        if len(args) != self.numpy.nin:
            raise TypeError(f"Wrong number of arguments for {self.name!r}: {len(args)}")
        inputs = [on_host(arg) for arg in args]
        options = {"casting": casting} | ({} if dtype is None else {"dtype": dtype})
        if out is None:
            return array_of(compute(self.numpy, *inputs, **options))
        check_out(out)
        if np.broadcast_shapes(*(np.shape(value) for value in inputs)) != out.shape:
            raise ValueError("Out shape is mismatched")
        self._check_types(inputs, out.dtype, **options)
        arrays = [arg for arg in args if isinstance(arg, ndarray)]
        target = out.host
        if any(arg is not out and np.may_share_memory(arg.host, target) for arg in arrays):
            device().note("allocations", f"a copy of an argument of {self.name} that overlaps with `out`")
        memories = [array.memory for array in (*arrays, out)]
        submit(lambda: self.numpy(*inputs, out=target, **options), memories)
        return out

    def _check_types(self, inputs: list[Any], out: np.dtype, casting: str, dtype: Any = None) -> None:
        """Refuse before a capture what would fail only when its graph is launched."""
        weak = (int, float, complex)
        types = [type(value) if type(value) in weak else np.result_type(value) for value in inputs]
        options = {} if dtype is None else {"signature": (*[None] * len(inputs), np.dtype(dtype))}
        self.numpy.resolve_dtypes((*types, out), casting=casting, **options)


class reduction:  # noqa: N801, beside ufunc
    """A sum over axes, or the like; its result is an array also where it is one number."""

    def __init__(self, name: str) -> None:
        self.name, self.numpy = name, getattr(np, name)

    def __call__(
        self, a: ndarray, axis: Any = None, *, out: ndarray | None = None, **options: Any
    ) -> ndarray:
        current_stream().refuse_capturing(f"{self.name}(), which may take memory,", StandInError)
        if not isinstance(a, ndarray):
            raise TypeError(f"Unsupported type {type(a)}")
        if out is None:
            return array_of(compute(self.numpy, a.host, axis=axis, **options))
        check_out(out)
        compute(self.numpy, a.host, axis=axis, out=out.host, **options)
        return out


def plain(name: str) -> Callable[..., ndarray]:
    """NumPy's function of that name, with arrays of the device for arguments and result."""

    def function(*args: Any, **kwargs: Any) -> ndarray:
        kwargs = {key: on_host(value) if key != "dtype" else value for key, value in kwargs.items()}
        return array_of(compute(getattr(np, name), *map(on_host, args), **kwargs))

    return function


def matmul(a: ndarray, b: ndarray, out: ndarray | None = None) -> ndarray:
    """The matrix product, by cuBLAS, which CuPy does not let into a capture."""
    if current_stream().graph is not None:
        raise NotImplementedError("calling cuBLAS API during stream capture is currently unsupported")
    for array in (a, b):
        if not isinstance(array, ndarray):
            raise TypeError(f"Unsupported type {type(array)}")
        if not (array.flags.c_contiguous or array.flags.f_contiguous):
            device().note("allocations", "a copy of a matrix that is not contiguous")
    product = compute(np.matmul, a.host, b.host)
    if out is None:
        return array_of(product)
    check_out(out)
    if product.shape != out.shape:
        raise ValueError("Output array has an invalid size")
    overlaps = any(np.may_share_memory(out.host, array.host) for array in (a, b))
    if overlaps or not out.flags.c_contiguous or product.dtype != out.dtype:
        device().note("allocations", "a product that cannot be written to `out` directly")
    out.host[...] = product
    return out


def take(a: ndarray, indices: Any, axis: int | None = None, out: ndarray | None = None) -> ndarray:
    """The elements, or rows, at `indices`; CuPy's has no `mode=`, and wraps an index that is too large."""
    if not isinstance(indices, ndarray):
        raise TypeError(f"indices are a {type(indices)}, which is copied to the device each time")
    if out is None:
        return array_of(np.take(a.host, indices.host, axis))
    check_out(out)
    if out.dtype != a.dtype:
        raise TypeError("Output dtype mismatch")
    source, where, target = a.host, indices.host, out.host
    if np.take(source, where, axis).shape != target.shape:
        raise ValueError("Output shape mismatch")
    memories = [a.memory, indices.memory, out.memory]
    submit(lambda: target.__setitem__(..., np.take(source, where, axis)), memories)
    return out


ufuncs = {name: ufunc(name) for name in UFUNCS.split()}
reductions = {name: reduction(name) for name in REDUCTIONS.split()}
functions = {name: plain(name) for name in PLAIN.split()} | {"matmul": matmul, "dot": matmul, "take": take}


def _binary(function: ufunc, swap: bool = False, in_place: bool = False) -> Callable[..., ndarray]:
    def operator(self: ndarray, other: Any) -> ndarray:
        if in_place:
            return function(self, other, out=self)
        return function(other, self) if swap else function(self, other)

    return operator


def _method(function: Callable[..., ndarray]) -> Callable[..., ndarray]:
    return lambda self, *args, **kwargs: function(self, *args, **kwargs)


def _add_methods() -> None:
    for name, function in OPERATORS.items():
        setattr(ndarray, f"__{name}__", _binary(ufuncs[function]))
        setattr(ndarray, f"__r{name}__", _binary(ufuncs[function], swap=True))
        setattr(ndarray, f"__i{name}__", _binary(ufuncs[function], in_place=True))
    for name, function in COMPARISONS.items():
        setattr(ndarray, f"__{name}__", _binary(ufuncs[function]))
    for name, function in UNARY.items():
        setattr(ndarray, f"__{name}__", _method(ufuncs[function]))
    for name in reductions:
        setattr(ndarray, name, _method(reductions[name]))
    for name in ("take", "dot", "clip", "trace", "cumsum", "repeat"):
        setattr(ndarray, name, _method(functions[name]))
    ndarray.conj = _method(ufuncs["conjugate"])
    ndarray.__matmul__ = _method(matmul)


_add_methods()
