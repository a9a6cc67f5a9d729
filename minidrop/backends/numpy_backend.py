"""NumPy, with the operations that gain from writing into buffers that exist already."""

from functools import lru_cache
from typing import Any

import numpy as np

from minidrop.backends.base import Array, Backend
from minidrop.backends.workspace import Workspace


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

    def softmax_cross_entropy(
        self, logits: Array, labels: Array, scale: float, gradient: Array, workspace: Workspace
    ) -> Array:
        """See `Backend.softmax_cross_entropy`; here through flat positions row * classes + label."""
        rows, classes = logits.shape
        column = workspace.array("column", (rows, 1), logits.dtype)
        picked = workspace.array("picked", (rows,), logits.dtype)
        position = workspace.array("position", (rows,), np.intp)
        np.add(_row_starts(rows, classes), labels, out=position)
        flat = gradient.reshape(-1)

        np.max(logits, axis=1, keepdims=True, out=column)
        np.subtract(logits, column, out=gradient)
        np.take(flat, position, out=picked, mode="clip")
        np.exp(gradient, out=gradient)
        np.sum(gradient, axis=1, keepdims=True, out=column)
        gradient /= column
        log_s = np.log(column, out=column)[:, 0]
        np.subtract(log_s, picked, out=picked)
        loss = scale * picked.sum()
        np.take(flat, position, out=picked, mode="clip")
        picked -= 1
        np.put(flat, position, picked, mode="clip")
        gradient *= scale
        return loss

    def limit_row_norms(self, matrix: Array, limit: float, workspace: Workspace) -> None:
        """See `Backend.limit_row_norms`; here a block of rows at a time, which is rescaled while in cache."""
        rows, columns = matrix.shape
        block = max(1, self.chunk // columns)
        for start in range(0, rows, block):
            part = matrix[start : start + block]
            lengths = workspace.array("lengths", (len(part),), matrix.dtype)
            np.einsum("ij,ij->i", part, part, out=lengths)
            np.sqrt(lengths, out=lengths)
            if not lengths.max() <= limit:
                np.maximum(lengths, limit, out=lengths)
                np.divide(limit, lengths, out=lengths)
                part *= lengths[:, None]

    def gather(
        self,
        examples: Array,
        indices: Array,
        divisor: float,
        mean: float,
        std: float,
        out: Array,
        workspace: Workspace,
    ) -> Array:
        """See `Backend.gather`; here without the steps that change nothing."""
        raw = out
        if examples.dtype != out.dtype:
            raw = workspace.array("raw", out.shape, examples.dtype)
        np.take(examples, indices, axis=0, out=raw, mode="clip")
        if divisor != 1 or raw is not out:
            np.divide(raw, divisor, out=out, dtype=out.dtype)
        if mean != 0:
            out -= mean
        if std != 1:
            out /= std
        return out
