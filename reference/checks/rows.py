"""What a check is, what it says, and how far two arrays are apart."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from traceback import walk_tb
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

import minidrop as md
from minidrop.backends import Array, Backend


@dataclass(frozen=True)
class Setting:
    """What the comparison is run with."""

    backend: Backend
    dtype: str
    seed: int

    def rng(self, *place: int) -> np.random.Generator:
        """The random numbers of one place in the table."""
        return np.random.default_rng([self.seed, *place])

    def array(self, host: Any) -> Array:
        """A float array of the backend in the dtype under test."""
        return self.backend.asarray(np.asarray(host, self.dtype))

    def tensor(self, array: Array) -> Tensor:
        """A tensor with a copy of an array of the backend."""
        return torch.tensor(self.backend.to_host(array))


class Comparison(NamedTuple):
    """Two arrays that ought to be equal within a tolerance, and in words what they are."""

    what: str
    actual: Any
    expected: Any
    tolerance: float
    scale: float | None = None  #: what the error is relative to, instead of the expected values


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    op: str
    check: str
    status: str  #: pass, fail or skip
    error: float | None = None  #: the largest relative error
    tolerance: float | None = None
    message: str = ""  #: of a failure, where to look; of a skip, the reason

    def to_dict(self) -> dict[str, Any]:
        """The row for JSON, which has no number for an error that is not finite."""
        found = asdict(self)
        if self.error is not None and not np.isfinite(self.error):
            found["error"] = None
        return found


@dataclass(frozen=True)
class Check:
    """The rows of one op, not yet computed."""

    op: str
    run: Callable[[], Iterable[Row]]
    source: Any = None  #: the function, or functions, of minidrop to name if the check itself stops


def row(op: str, check: str, comparisons: Iterable[Comparison], source: Any) -> Row:
    """The row of several comparisons: the one that is worst, relative to its tolerance, speaks for all."""
    worst: tuple[float, float, float, str] | None = None
    for c in comparisons:
        error, detail = difference(c.actual, c.expected, c.scale)
        ratio = error / c.tolerance if c.tolerance else (np.inf if error else 0.0)
        if worst is None or ratio > worst[0]:
            worst = ratio, error, c.tolerance, f"{c.what}: {detail}"
    if worst is None:
        return Row(op, check, "skip", message="nothing to compare")
    ratio, error, tolerance, detail = worst
    if ratio <= 1:
        return Row(op, check, "pass", error, tolerance)
    message = f"{op}, {check}, {detail}; error {error:.1e} > {tolerance:.1e}; see {where(source)}"
    return Row(op, check, "fail", error, tolerance, message)


def difference(actual: Any, expected: Any, scale: float | None = None) -> tuple[float, str]:
    """The largest relative error, and in words where it is; infinite if the arrays cannot be compared.

    Relative to the expected value, or, where that is less, to the root mean square of all of them.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        return np.inf, (
            f"expected {expected.dtype} of shape {expected.shape}, got {actual.dtype} of shape {actual.shape}"
        )
    if np.array_equal(actual, expected):
        return 0.0, "equal"
    a, e = actual.astype(np.float64), expected.astype(np.float64)
    if scale is None:
        size = np.maximum(np.abs(e), np.sqrt(np.mean(np.square(e))))
        size = np.where(size > 0, size, 1.0)  # zeros: then the error itself counts
    else:
        size = np.full(e.shape, scale)
    errors = np.abs(a - e) / size
    errors = np.where(np.isnan(errors), np.inf, errors)
    index = np.unravel_index(int(np.argmax(errors)), errors.shape)
    place = f"[{', '.join(map(str, index))}] " if index else ""
    return float(errors[index]), f"{place}expected {e[index]:.9g}, got {a[index]:.9g}"


def where(source: Any) -> str:
    """File, line and name of a function or class of minidrop, or of each of several."""
    if isinstance(source, tuple):
        return ", ".join(map(where, source))
    root = Path(inspect.getfile(md)).parents[1]
    function = inspect.unwrap(source)
    try:
        path = Path(inspect.getsourcefile(function) or "").resolve()
        line = inspect.getsourcelines(function)[1]
    except (TypeError, OSError):
        return getattr(function, "__qualname__", repr(function))
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
    return f"{name}:{line} ({function.__qualname__})"


def where_raised(error: BaseException) -> str:
    """File, line and name of the innermost function of minidrop that an exception came through, if any."""
    root = Path(inspect.getfile(md)).parent
    found = ""
    for frame, line in walk_tb(error.__traceback__):
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(root):
            found = f"{path.relative_to(root.parent).as_posix()}:{line} ({frame.f_code.co_qualname})"
    return found
