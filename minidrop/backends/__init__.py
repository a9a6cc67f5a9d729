"""The backend switch: NumPy on the host, the same with compiled loops, or CuPy on a GPU.

    >>> import minidrop as md
    >>> md.get_backend().name
    'numpy'
    >>> with md.using_backend("numpy") as backend:
    ...     layer = md.Linear(2, 3)  # made on that backend
    >>> layer.backend is backend
    True

A layer takes the backend that is current when it is made and keeps it; a model's layers must agree. The first
backend is what the environment variable MINIDROP_BACKEND says, or numpy.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from minidrop.backends.base import Backend
from minidrop.backends.values import Array, Draw, Formula, Moving, Scaling, Source, Update
from minidrop.backends.workspace import Workspace
from minidrop.errors import BackendError

__all__ = [
    "BACKENDS",
    "Array",
    "Backend",
    "Draw",
    "Formula",
    "Moving",
    "Scaling",
    "Source",
    "Update",
    "Workspace",
    "get_backend",
    "set_backend",
    "using_backend",
]

#: the names that `set_backend` takes
BACKENDS = ("numpy", "numba", "cupy")
_current: Backend | None = None


@cache
def _make(name: str) -> Backend:
    """The one backend object of that name."""
    if name == "numpy":
        from minidrop.backends.numpy_backend import NumpyBackend

        return NumpyBackend()
    if name == "numba":
        from minidrop.backends.numba_backend import NumbaBackend

        return NumbaBackend()
    if name == "cupy":
        from minidrop.backends.cupy_backend import CupyBackend

        return CupyBackend()
    raise BackendError(f"unknown backend {name!r}: choose one of {', '.join(BACKENDS)}")


def get_backend(backend: str | Backend | None = None) -> Backend:
    """The backend of that name, `backend` itself if it is one, or the current one for None.

    Raises:
        BackendError: for an unknown name, and for one whose library or device is missing.
    """
    global _current
    if isinstance(backend, Backend):
        return backend
    if backend is not None:
        return _make(backend)
    if _current is None:
        _current = _make(os.environ.get("MINIDROP_BACKEND") or "numpy")
    return _current


def set_backend(backend: str | Backend) -> Backend:
    """Make `backend` the current one, for every layer made from now on, and return it."""
    global _current
    _current = get_backend(backend)
    return _current


@contextmanager
def using_backend(backend: str | Backend) -> Iterator[Backend]:
    """Make `backend` the current one inside a `with` block."""
    global _current
    before = _current
    try:
        yield set_backend(backend)
    finally:
        _current = before
