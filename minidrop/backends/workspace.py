"""Where a layer's arrays come from: fresh ones by default, the same ones again inside a training step."""

import threading
from math import prod
from types import ModuleType
from typing import Any


class Workspace:
    """A source of arrays, asked for by name.

    With `reuse` off each call makes a new array, so that two outputs of one layer never share memory. With
    `reuse` on each name has one buffer, which grows to the largest size asked for and of which every call
    returns a view: a training step then allocates nothing.

    >>> import numpy as np
    >>> workspace = Workspace(np)
    >>> workspace.array("y", (2, 3), "float32") is workspace.array("y", (2, 3), "float32")
    False
    >>> workspace.reuse = True
    >>> workspace.array("y", (2, 3), "float32") is workspace.array("y", (2, 3), "float32")
    True
    """

    def __init__(self, xp: ModuleType, *, reuse: bool = False) -> None:
        self.xp = xp
        self.reuse = reuse
        self._buffers: dict[tuple[str, Any], Any] = {}
        self._views: dict[tuple[str, tuple[int, ...], Any], Any] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> "Workspace":
        """A copied layer gets an empty workspace: what a buffer holds means nothing between two passes."""
        return Workspace(self.xp, reuse=self.reuse)

    def array(self, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        """An array of `shape` and `dtype` whose content is undefined."""
        if not self.reuse:
            return self.xp.empty(shape, dtype)
        view = self._views.get((name, shape, dtype))
        if view is None:
            size = prod(shape)
            buffer = self._buffers.get((name, dtype))
            if buffer is None or buffer.size < size:
                buffer = self._buffers[name, dtype] = self.xp.empty(size, dtype)
                self._views = {key: old for key, old in self._views.items() if key[::2] != (name, dtype)}
            view = self._views[name, shape, dtype] = buffer[:size].reshape(shape)
        return view


class ThreadWorkspace(threading.local):
    """A reused `workspace` for each thread that asks, for what several of them compute at the same time."""

    def __init__(self, xp: ModuleType) -> None:
        self.xp = xp
        self.workspace = Workspace(xp, reuse=True)

    def __deepcopy__(self, memo: dict[int, Any]) -> "ThreadWorkspace":
        """See `Workspace.__deepcopy__`."""
        return ThreadWorkspace(self.xp)
