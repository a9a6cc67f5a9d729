"""NumPy, with the operations that gain from writing into buffers that exist already."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from minidrop.backends.base import Backend
from minidrop.backends.blas import add_product, axpby
from minidrop.backends.values import Array, Draw, Scaling
from minidrop.backends.workspace import Workspace
from minidrop.streams import next_lanes
from minidrop.threads import available, share_out, side_by_side

#: 64 K lanes are 128 KiB of words; a multiple of 4, so that pieces begin with a word
_LANES_AT_ONCE = 64 * 1024
#: what a thread must have to do so that sharing out a step pays: each packs all weights for its products
_ROWS_A_SHARE = 32


@lru_cache(maxsize=8)
def _row_starts(rows: int, classes: int) -> Array:
    """Where each row begins in the flat logits: 0, classes, 2 classes, ..."""
    return np.arange(rows) * classes


class NumpyBackend(Backend):
    """Arrays on the host; every override writes in place and leaves no temporary behind."""

    name = "numpy"
    xp = np
    #: small enough for weights, gradient and slots to stay in cache between the passes of an update, large
    #: enough for threads not to wait for the interpreter's lock between them
    chunk = 256 * 1024
    #: 128 K float32 elements are 512 KiB, a part of a core's L2 cache
    block = 128 * 1024
    values_are_cheap = True
    #: and waking one takes as long as a million products of weight and example or so (measured on two cores)
    products_a_share = 100_000_000
    #: the same for an update alone, in weights and slots that it changes
    numbers_a_share = 2_000_000

    def to_host(self, array: Array) -> np.ndarray[Any, Any]:
        """`array` itself."""
        return np.asarray(array)

    def shares(self, rows: int, weights: int) -> int:
        """See `Backend.shares`: all threads that NumPy's matrix products use, if there is work for each."""
        most = min(rows // _ROWS_A_SHARE, rows * weights // self.products_a_share)
        threads = available() if most > 1 else 1
        return threads if threads <= most else 1

    def update_shares(self, numbers: int) -> int:
        """See `Backend.update_shares`: all threads, if there are numbers enough for each."""
        most = numbers // self.numbers_a_share
        threads = available() if most > 1 else 1
        return threads if threads <= most else 1

    def share_out(self, job: Callable[[int], object], shares: int) -> None:
        """See `Backend.share_out`."""
        share_out(job, shares)

    def side_by_side(self, job: Callable[[int], object], most: int) -> None:
        """See `Backend.side_by_side`; products are on one thread each, also where there is only one job."""
        side_by_side(job, most)

    def add_product(self, alpha: float, a: Array, b: Array, beta: float, c: Array) -> bool:
        """See `Backend.add_product`; by the BLAS behind NumPy."""
        return add_product(alpha, a, b, beta, c)

    def axpby(self, alpha: float, x: Array, beta: float, y: Array, scratch: Array) -> None:
        """See `Backend.axpby`; in one pass by the BLAS behind NumPy, where it has that."""
        if not axpby(alpha, x, beta, y):
            super().axpby(alpha, x, beta, y, scratch)

    def keep_mask(self, draw: Draw) -> Array:
        """See `Backend.keep_mask`; here in pieces, so that memory does not grow with the mask.

        NumPy's generator has no `out=`: the words of a piece are the only array that a step allocates. That
        takes a few per cent more time than drawing all words at once, two bytes an element.
        """
        stream, step, threshold, keep, start, *_ = draw
        if start % 16:
            return super().keep_mask(draw)
        bits, flat = stream.own_bits(step, start // 16), keep.reshape(-1)
        for first in range(0, flat.size, _LANES_AT_ONCE):
            part = flat[first : first + _LANES_AT_ONCE]
            np.greater_equal(next_lanes(bits, part.size), threshold, out=part)  # no name, so freed at once
        return keep

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

    def bias_relu_dropout(
        self, z: Array, bias: Array | None, keep: Array | Draw | None, scale: float, workspace: Workspace
    ) -> None:
        """See `Backend.bias_relu_dropout`; here a block of rows at a time, which stays in cache."""
        keep = None if keep is None else self.drawn(keep)
        block = self._rows_in_cache(z)
        for start in range(0, len(z), block):
            part = z[start : start + block]
            if bias is not None:
                part += bias
            np.clip(part, 0, np.inf, out=part)  # a quarter of the time of np.maximum with a number
            if keep is not None:
                part *= keep[start : start + block] if keep.ndim == z.ndim else keep
                if scale != 1:
                    part *= scale

    def relu_dropout_backward(self, dy: Array, y: Array, scale: float, workspace: Workspace) -> None:
        """See `Backend.relu_dropout_backward`; here a block of rows at a time, which stays in cache."""
        block = self._rows_in_cache(dy)
        for start in range(0, len(dy), block):
            part = dy[start : start + block]
            active = workspace.array("active", part.shape, bool)
            np.greater(y[start : start + block], 0, out=active)
            part *= active
            if scale != 1:
                part *= scale

    def _rows_in_cache(self, matrix: Array) -> int:
        """How many rows of `matrix` one pass takes."""
        columns: int = matrix.shape[1]
        return max(1, self.block // columns)

    def limit_row_norms(self, matrix: Array, limit: float, workspace: Workspace) -> None:
        """See `Backend.limit_row_norms`; here a block of rows at a time, which is rescaled while in cache."""
        block = max(1, (self.chunk or matrix.size) // matrix.shape[1])
        for start in range(0, len(matrix), block):
            part = matrix[start : start + block]
            lengths = workspace.array("lengths", (len(part),), matrix.dtype)
            np.vecdot(part, part, out=lengths)
            if not lengths.max() <= limit * limit:
                np.sqrt(lengths, out=lengths)
                np.maximum(lengths, limit, out=lengths)
                np.divide(limit, lengths, out=lengths)
                part *= lengths[:, None]

    def take(self, array: Array, indices: Array, out: Array) -> Array:
        """See `Backend.take`; mode="clip" is what lets NumPy write into `out` directly."""
        return np.take(array, indices, axis=0, out=out, mode="clip")

    def gather(
        self, inputs: Array, indices: Array, scaling: Scaling, out: Array, workspace: Workspace
    ) -> Array:
        """See `Backend.gather`; here without a copy."""
        raw = out
        if inputs.dtype != out.dtype:
            raw = workspace.array("raw", out.shape, inputs.dtype)
        return self.scale(self.take(inputs, indices, raw), scaling, out)

    def scale(self, inputs: Array, scaling: Scaling, out: Array) -> Array:
        """See `Backend.scale`; here without the steps that change nothing."""
        if scaling.divisor != 1 or inputs is not out:
            np.divide(inputs, scaling.divisor, out=out, dtype=out.dtype)
        if scaling.mean != 0:
            out -= scaling.mean
        if scaling.std != 1:
            out /= scaling.std
        return out
