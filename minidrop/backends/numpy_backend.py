"""NumPy, with the operations that gain from writing into buffers that exist already."""

from functools import lru_cache
from typing import Any

import numpy as np

from minidrop.backends.base import Array, Backend, Scaling
from minidrop.backends.workspace import Workspace
from minidrop.streams import Stream, next_lanes

#: 32 K lanes are 64 KiB of words; a multiple of 4, so that pieces begin with a word
_LANES_AT_ONCE = 32 * 1024


@lru_cache(maxsize=8)
def _row_starts(rows: int, classes: int) -> Array:
    """Where each row begins in the flat logits: 0, classes, 2 classes, ..."""
    return np.arange(rows) * classes


class NumpyBackend(Backend):
    """Arrays on the host; every override writes in place and leaves no temporary behind."""

    name = "numpy"
    xp = np
    #: 32 K float32 elements are 128 KiB: weights, gradient and slots of one pass stay in the L2 cache
    chunk = 32 * 1024
    values_are_cheap = True

    def to_host(self, array: Array) -> np.ndarray[Any, Any]:
        """`array` itself."""
        return np.asarray(array)

    def keep_mask(self, stream: Stream, step: int, threshold: int, out: Array, start: int = 0) -> Array:
        """See `Backend.keep_mask`; here in pieces, so that memory does not grow with the mask.

        NumPy's generator has no `out=`: the words of a piece are the only array that a step allocates. That
        takes a few per cent more time than drawing all words at once, two bytes an element.
        """
        if start % 16:
            return super().keep_mask(stream, step, threshold, out, start)
        bits, flat = stream.bits(step, start // 16), out.reshape(-1)
        for first in range(0, flat.size, _LANES_AT_ONCE):
            part = flat[first : first + _LANES_AT_ONCE]
            np.greater_equal(next_lanes(bits, part.size), threshold, out=part)  # no name, so freed at once
        return out

    def softmax_cross_entropy(
        self, logits: Array, labels: Array, scale: float, gradient: Array, workspace: Workspace
    ) -> Array:
        """See `Backend.softmax_cross_entropy`; here through flat positions row * classes + label."""
        rows, classes = logits.shape
        column = workspace.array("column", (rows, 1), logits.dtype)
        picked = workspace.array("picked", (rows,), logits.dtype)
        position = workspace.array("position", (rows,), np.intp)
        position[...] = labels
        position += _row_starts(rows, classes)
        flat = gradient.reshape(-1)

        # methods of ufuncs and arrays, since the functions of these names cost as much as the work itself
        np.maximum.reduce(logits, axis=1, keepdims=True, out=column)
        np.subtract(logits, column, out=gradient)
        flat.take(position, out=picked, mode="clip")
        np.exp(gradient, out=gradient)
        np.add.reduce(gradient, axis=1, keepdims=True, out=column)
        gradient /= column
        np.log(column, out=column)
        np.subtract(column[:, 0], picked, out=picked)
        loss = scale * np.add.reduce(picked)
        flat.take(position, out=picked, mode="clip")
        picked -= 1
        flat.put(position, picked, mode="clip")
        gradient *= scale
        return loss

    def limit_row_norms(self, matrix: Array, limit: float, workspace: Workspace) -> None:
        """See `Backend.limit_row_norms`; here a block of rows at a time, which is rescaled while in cache."""
        rows, columns = matrix.shape
        block = max(1, (self.chunk or matrix.size) // columns)
        for start in range(0, rows, block):
            part = matrix[start : start + block]
            lengths = workspace.array("lengths", (len(part),), matrix.dtype)
            np.einsum("ij,ij->i", part, part, out=lengths)
            np.sqrt(lengths, out=lengths)
            if not lengths.max() <= limit:
                np.maximum(lengths, limit, out=lengths)
                np.divide(limit, lengths, out=lengths)
                part *= lengths[:, None]

    def take(self, array: Array, indices: Array, out: Array) -> Array:
        """See `Backend.take`; mode="clip" is what lets NumPy write into `out` directly."""
        return np.take(array, indices, axis=0, out=out, mode="clip")

    def gather(
        self, inputs: Array, indices: Array, scaling: Scaling, out: Array, workspace: Workspace
    ) -> Array:
        """See `Backend.gather`; here without the steps that change nothing."""
        raw = out
        if inputs.dtype != out.dtype:
            raw = workspace.array("raw", out.shape, inputs.dtype)
        self.take(inputs, indices, raw)
        if scaling.divisor != 1 or raw is not out:
            np.divide(raw, scaling.divisor, out=out, dtype=out.dtype)
        if scaling.mean != 0:
            out -= scaling.mean
        if scaling.std != 1:
            out /= scaling.std
        return out
