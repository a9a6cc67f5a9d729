"""The exceptions of minidrop: one base class, and messages that say what to do.

Every error that minidrop raises on purpose is a `MinidropError`, so that one `except` catches them all;
each also is the built-in exception that a Python reader would expect at that place.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np


class MinidropError(Exception):
    """Base class of everything that minidrop raises on purpose."""


class ArgumentError(MinidropError, ValueError):
    """A hyperparameter, an option or a configuration value that cannot be used."""


class ArrayError(MinidropError, ValueError):
    """An array of the wrong shape, dtype, backend or content."""


class UsageError(MinidropError, RuntimeError):
    """A call that comes at the wrong time, such as backward before forward."""


class BackendError(MinidropError, RuntimeError):
    """A backend that does not exist or cannot run on this machine."""


class DataError(MinidropError, ValueError):
    """A data set that is missing, damaged or does not fit the model."""


class CheckpointError(MinidropError, ValueError):
    """A checkpoint or a run folder that is damaged, foreign or of another model."""


class ExperimentError(MinidropError, RuntimeError):
    """An experiment of which no part could be run."""


class Interrupted(MinidropError):  # noqa: N818 - a request, no error
    """A training run that was asked to stop, by Ctrl-C or a termination signal, and has saved its state."""


class DivergenceError(MinidropError, ArithmeticError):
    """A training run whose loss left the range in which it means anything."""


def check_range(
    name: str, value: float, low: float, high: float = math.inf, *, exclude_high: bool = False
) -> float:
    """Return `value` as a float if it is a number in [low, high], or in [low, high) with `exclude_high`.

    Raises:
        ArgumentError: naming `name`, the value and the range, for anything else, NaN and infinity included.

    >>> check_range("momentum", 0.9, 0, 1, exclude_high=True)
    0.9
    """
    closing = ")" if exclude_high or high == math.inf else "]"
    expected = f"{name} must be a number in [{low:g}, {high:g}{closing}, got {value!r}"
    if isinstance(value, bool | np.bool_ | str | bytes):
        raise ArgumentError(expected)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ArgumentError(expected) from None
    if not (math.isfinite(number) and low <= number <= high) or (exclude_high and number == high):
        raise ArgumentError(expected)
    return number


def check_count(name: str, value: int, minimum: int = 1) -> int:
    """Return `value` if it is an integer of at least `minimum`.

    Raises:
        ArgumentError: for anything else.

    >>> check_count("batch size", 100)
    100
    """
    if isinstance(value, bool | np.bool_) or not hasattr(value, "__index__") or int(value) < minimum:
        raise ArgumentError(f"{name} must be an integer of at least {minimum}, got {value!r}")
    return int(value)


def check_path(name: str, value: str) -> None:
    r"""Refuse a path that no file can have, or that no file of ours could say.

    >>> check_path("data_dir", "/data/Ü")
    >>> check_path("data_dir", "a\0b")
    Traceback (most recent call last):
    minidrop.errors.ArgumentError: data_dir must be a path in UTF-8 without a null byte, got 'a\x00b'
    """
    try:
        writable = b"\0" not in value.encode()
    except UnicodeEncodeError:  # bytes of another encoding
        writable = False
    if not writable:
        raise ArgumentError(f"{name} must be a path in UTF-8 without a null byte, got {value!r}")


def check_type(name: str, value: object, kind: type[Any], such_as: str = "") -> None:
    """Refuse what is not of a type, with an ArgumentError that names a value that is.

    >>> check_type("the batch size", "ten", int, "100")
    Traceback (most recent call last):
    minidrop.errors.ArgumentError: the batch size must be of type int, such as 100; got str
    """
    if not isinstance(value, kind):
        example = f", such as {such_as}" if such_as else ""
        raise ArgumentError(f"{name} must be of type {kind.__name__}{example}; got {kind_of(value)}")


def kind_of(value: object) -> str:
    """The name of a value's type, or which class it is.

    >>> kind_of(3), kind_of(int)
    ('int', 'the class int')
    """
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def check_choice(name: str, value: str, choices: Iterable[str]) -> str:
    """Return `value` if it is one of `choices`.

    Raises:
        ArgumentError: listing the choices, for anything else.

    >>> check_choice("mode", "paper", ("inverted", "paper"))
    'paper'
    """
    known = list(choices)
    if value not in known:
        raise ArgumentError(f"{name} must be one of {', '.join(known)}; got {value!r}")
    return value
