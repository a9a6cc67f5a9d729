"""The stand-in for cupy.ndarray: a NumPy array in private memory, where the host cannot look by mistake."""

from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np
from standin_device import Memory, device
from standin_streams import StandInError, current_stream, run, submit

NO_CONVERSION = (
    "Implicit conversion to a NumPy array is not allowed. "
    "Please use `.get()` to construct a NumPy array explicitly."
)


class ndarray:  # noqa: N801, as CuPy calls it
    """cupy.ndarray; operators and reductions are added in standin_functions."""

    __module__ = "cupy"
    __array_ufunc__ = None  # so numpy.add(host, array) is a TypeError, and host + array asks the array
    __hash__ = None

    def __init__(self, shape: Any, dtype: Any = float, order: str = "C") -> None:
        dtype = checked_dtype(dtype)
        shape = (shape,) if np.isscalar(shape) else tuple(shape)
        self.memory: Memory = device().allocate(int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
        #: the elements, for the stand-in alone to look at
        self.host: np.ndarray = self.memory.bytes.view(dtype).reshape(shape, order=order)
        if (
            dtype.kind == "b"
        ):  # 0 and 1 in turn, as no other byte is a boolean; 0 at the end, as masks keep most
            self.memory.bytes[::-1] = np.arange(self.memory.bytes.size) % 2

    # -- what it is --------------------------------------------------------------------------------------

    shape = property(lambda self: self.host.shape)
    dtype = property(lambda self: self.host.dtype)
    ndim = property(lambda self: self.host.ndim)
    size = property(lambda self: self.host.size)
    nbytes = property(lambda self: self.host.nbytes)
    itemsize = property(lambda self: self.host.itemsize)
    strides = property(lambda self: self.host.strides)
    device = property(lambda self: SimpleNamespace(id=0))
    data = property(lambda self: SimpleNamespace(ptr=self.host.ctypes.data))

    @property
    def flags(self) -> SimpleNamespace:
        """Contiguity: `.c_contiguous` and `.f_contiguous`."""
        flags = self.host.flags
        return SimpleNamespace(c_contiguous=flags.c_contiguous, f_contiguous=flags.f_contiguous)

    def __len__(self) -> int:
        return len(self.host)

    # -- how the host would look at it without saying so -------------------------------------------------

    def __array__(self, *_: object, **__: object) -> NoReturn:
        raise TypeError(NO_CONVERSION)

    def __array_function__(self, function: Any, *_: object) -> NoReturn:
        raise TypeError(f"numpy.{function.__name__} got a cupy.ndarray. {NO_CONVERSION}")

    def __iter__(self) -> NoReturn:
        raise TypeError("iteration over a cupy.ndarray is slow: each element is an array of its own")

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(f"a cupy.ndarray is pickled by way of the host. {NO_CONVERSION}")

    # -- how the host looks at it ------------------------------------------------------------------------

    def get(
        self, stream: Any = None, order: str = "C", out: np.ndarray | None = None, blocking: bool = True
    ) -> np.ndarray:
        """A copy on the host."""
        device().note("host_reads", f"a host read of an array of shape {self.shape}")
        if out is None:
            return self.host.copy(order)
        if not isinstance(out, np.ndarray) or out.dtype != self.dtype:
            raise TypeError(f"{self.dtype} array cannot be obtained into {type(out)} of other elements")
        if out.shape != self.shape:
            raise ValueError(f"Shape mismatch. Expected shape: {self.shape}, actual shape: {out.shape}")
        out[...] = self.host
        return out

    def item(self) -> Any:
        """The only element, as a Python number."""
        return self.get().item()

    def tolist(self) -> Any:
        """The elements in nested lists."""
        return self.get().tolist()

    def __bool__(self) -> bool:
        return bool(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __index__(self) -> int:
        return self.get().__index__()

    def __float__(self) -> float:
        return float(self.get())

    def __complex__(self) -> complex:
        return complex(self.get())

    def __format__(self, specification: str) -> str:
        return format(self.get(), specification)

    def __repr__(self) -> str:
        return f"cupy.{self.host!r}"  # in pytest's messages, so it is not counted

    # -- changing it -------------------------------------------------------------------------------------

    def set(self, arr: np.ndarray, stream: Any = None) -> None:
        """Copy an array of the host into this one."""
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if self.dtype != arr.dtype:
            raise TypeError(f"{arr.dtype} array cannot be set to {self.dtype} array")
        if self.shape != arr.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {arr.shape}")
        if not (self.host.flags.c_contiguous or self.host.flags.f_contiguous):
            raise RuntimeError("Cannot set to non-contiguous array")
        device().note("uploads", f"a copy from the host into an array of shape {self.shape}")
        self.host[...] = arr

    def fill(self, value: Any) -> None:
        """Set all elements to a number."""
        self[...] = value

    def __setitem__(self, index: Any, value: Any) -> None:
        where, is_view = host_index(index)
        if not is_view:
            current_stream().refuse_capturing("an assignment through an array of indices", StandInError)
        target, memories = self.host, [self.memory]
        shape = target[where].shape
        if isinstance(value, ndarray):
            source = value.host
            memories.append(value.memory)
            if is_view and _same_elements(target[where], source):
                return  # a[...] *= b ends with this
            if np.may_share_memory(target, source):
                device().note("allocations", "a copy of what is assigned to an array that it is a part of")
        else:
            source = np.asarray(value, self.dtype)
            if source.shape != ():
                raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        while source.ndim > len(shape) and source.shape[0] == 1:
            source = source[0]
        source = np.broadcast_to(source, shape)  # ValueError, also in a capture
        submit(lambda: target.__setitem__(where, source), memories)

    # -- its elements elsewhere, or under another name ---------------------------------------------------

    def __getitem__(self, index: Any) -> "ndarray":
        where, is_view = host_index(index)
        return view_of(self, self.host[where]) if is_view else array_of(self.host[where])

    @property
    def T(self) -> "ndarray":  # noqa: N802, as NumPy calls it
        """A view with its axes reversed."""
        return view_of(self, self.host.T)

    @property
    def real(self) -> "ndarray":
        """The real part: a view, or the array itself where it is real."""
        return view_of(self, self.host.real) if self.dtype.kind == "c" else self

    @property
    def imag(self) -> "ndarray":
        """The imaginary part: a view, or zeros where the array is real."""
        return view_of(self, self.host.imag) if self.dtype.kind == "c" else array_of(self.host.imag)

    def transpose(self, *axes: Any) -> "ndarray":
        """A view with its axes permuted."""
        return view_of(self, self.host.transpose(*axes))

    def squeeze(self, axis: Any = None) -> "ndarray":
        """A view without axes of size 1."""
        return view_of(self, self.host.squeeze(axis))

    def reshape(self, *shape: Any, order: str = "C") -> "ndarray":
        """The elements in another shape: a view where that is possible."""
        shaped = self.host.reshape(*shape, order=order)
        return view_of(self, shaped) if np.may_share_memory(shaped, self.host) else array_of(shaped)

    def ravel(self) -> "ndarray":
        """The elements in a row: a view where that is possible."""
        return self.reshape(-1)

    def view(self, dtype: Any = None) -> "ndarray":
        """The same memory, read as another type."""
        return view_of(self, self.host.view(self.dtype if dtype is None else checked_dtype(dtype)))

    def copy(self, order: str = "C") -> "ndarray":
        """The elements in memory of their own."""
        return array_of(self.host, order)

    def astype(self, dtype: Any, order: str = "C", copy: bool = True) -> "ndarray":
        """The elements as another type."""
        dtype = checked_dtype(dtype)
        if dtype == self.dtype and not copy:
            return self
        made = ndarray(self.shape, dtype, order)
        run(lambda: made.host.__setitem__(..., self.host))
        return made

    def __copy__(self) -> "ndarray":
        return self.copy()

    def __deepcopy__(self, memo: Any) -> "ndarray":
        return self.copy()


def view_of(array: ndarray, host: np.ndarray) -> ndarray:
    """`host`, a view into the memory of `array`, as an array."""
    view = object.__new__(ndarray)
    view.memory, view.host = array.memory, host
    return view


def array_of(values: Any, order: str = "C") -> ndarray:
    """A new array with `values`, which the device has computed."""
    values = np.asarray(values)
    made = ndarray(values.shape, values.dtype, order)
    made.host[...] = values
    return made


def checked_dtype(dtype: Any) -> np.dtype:
    """`dtype`, if CuPy has it; ValueError otherwise."""
    found = np.dtype(dtype)
    if found.kind not in "biufc" or found.itemsize > 16 or found.char in "gG":
        raise ValueError(f"Unsupported dtype {found}")
    return found


def host_index(index: Any) -> tuple[tuple[Any, ...], bool]:
    """An index for the array's elements on the host, and whether what it selects is a view."""
    parts, is_view = [], True
    for part in index if isinstance(index, tuple) else (index,):
        if isinstance(part, ndarray):
            if part.dtype == bool:
                device().note("host_reads", "a selection by a mask, whose size the host must know,")
            parts.append(part.host)
            is_view = False
        elif isinstance(part, np.ndarray):
            raise TypeError("an index is a numpy.ndarray, which is copied to the device each time")
        elif isinstance(part, list | tuple | bool | np.bool_):
            device().note("uploads", "a copy of indices from the host")
            parts.append(np.asarray(part))
            is_view = False
        else:
            parts.append(part)
    if is_view and all(part is not Ellipsis for part in parts):
        parts.append(Ellipsis)  # an element is then an array without dimensions instead of a number
    return tuple(parts), is_view


def _same_elements(a: np.ndarray, b: np.ndarray) -> bool:
    return a.ctypes.data == b.ctypes.data and a.shape == b.shape and a.strides == b.strides
