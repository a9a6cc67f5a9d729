"""The arrays of a backend: their module, the way between host and device, and what is refused."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from minidrop.backends.values import Array
from minidrop.errors import ArrayError


class Arrays:
    """An array module, and what NumPy and CuPy do not call alike."""

    name: str
    xp: ModuleType
    #: whether looking at a value costs nothing (on a device it waits for all work before it)
    values_are_cheap: bool = False

    def device(self) -> str:
        """Where the arrays live."""
        return "host"

    def owns(self, array: object) -> bool:
        """Whether `array` is an array of this backend."""
        return isinstance(array, self.xp.ndarray)

    def asarray(self, values: Any, dtype: Any = None) -> Array:
        """`values` as an array of this backend, copied only if it must be."""
        return self.xp.asarray(values, dtype=dtype)

    def to_host(self, array: Array) -> np.ndarray[Any, Any]:
        """`array` as a NumPy array on the host; on NumPy it is the array itself."""
        raise NotImplementedError

    def check(
        self, array: object, what: str, shape: Sequence[int | None] | None = None, dtype: Any = None
    ) -> Array:
        """Return `array` if it is this backend's, of `shape` (None: any size of at least 1) and of `dtype`.

        Raises:
            ArrayError: naming `what`, what it should have been and what it is.
        """
        if not self.owns(array):
            module = type(array).__module__.partition(".")[0]
            kind = (
                type(array).__qualname__ if module == "builtins" else f"{module}.{type(array).__qualname__}"
            )
            raise ArrayError(
                f"{what} must be a {self.xp.__name__}.ndarray, as the model's backend is {self.name} "
                f"(backend.asarray(...) makes one); got {kind}"
            )
        found: Array = array
        if shape is not None and (
            len(found.shape) != len(shape)
            or any(
                n == 0 or (want is not None and n != want) for n, want in zip(found.shape, shape, strict=True)
            )
        ):
            wanted = ", ".join("any" if n is None else str(n) for n in shape) + (
                "," if len(shape) == 1 else ""
            )
            empty = "; an empty array cannot be used" if 0 in found.shape else ""
            raise ArrayError(f"{what} must have shape ({wanted}), got {tuple(found.shape)}{empty}")
        if dtype is not None and found.dtype != dtype:
            model = (
                f", or build the model with dtype={found.dtype.name!r}" if found.dtype.char in "fd" else ""
            )
            raise ArrayError(
                f"{what} must be {np.dtype(dtype).name}, got {found.dtype}: convert it with "
                f".astype({np.dtype(dtype).name!r}){model}"
            )
        return found

    def check_finite(self, array: Array, what: str) -> None:
        """Refuse an `array` that holds NaN or infinity, where looking at it costs nothing.

        Raises:
            ArrayError: naming `what` and the first bad element.
        """
        if not self.values_are_cheap:
            return
        with np.errstate(over="ignore"):
            if np.isfinite(np.vdot(array, array)):
                return
        bad = np.argwhere(~np.isfinite(array))  # a finite array may overflow its squares, so look again
        if len(bad):
            where = tuple(int(i) for i in bad[0])
            raise ArrayError(f"{what} holds {len(bad)} values that are not finite, the first at {where}")
