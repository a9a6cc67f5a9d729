"""NumPy's arrays and matrix products, and loops that Numba compiles for all the rest."""

from typing import Any, cast

import numpy as np

from minidrop.backends.arguments import kernels_take
from minidrop.backends.numpy_backend import NumpyBackend
from minidrop.backends.values import Array, Draw, Moving, Update
from minidrop.backends.workspace import ThreadWorkspace, Workspace
from minidrop.errors import BackendError

#: 16 KiB of random words, with the lanes made of them a small part of a core's cache
_WORDS = 2048


class NumbaBackend(NumpyBackend):
    """Arrays on the host, as with NumPy; what a step does to them beside products is compiled.

    The first step of a kind compiles its loops, some seconds, and later processes find them on the disk.

    Raises:
        BackendError: if Numba is not installed, or does not work here.
    """

    name = "numba"
    has_kernels = True
    #: compiled loops do not hold the lock that NumPy's passes wait for, so less work pays already
    products_a_share = 50_000_000
    numbers_a_share = 1_000_000

    def __init__(self) -> None:
        try:
            from minidrop.backends import loops, update_loops
        except ImportError as error:
            raise BackendError(
                f"backend numba: Numba is not installed ({error}); "
                "pip install -c constraints.txt -e '.[numba]'"
            ) from None
        except RuntimeError as error:  # no folder to keep what is compiled in
            raise BackendError(f"backend numba: {error}; NUMBA_CACHE_DIR can name a folder") from None
        self._loops, self._updates = loops, update_loops
        self._scratch = ThreadWorkspace(np)

    def keep_mask(self, draw: Draw) -> Array:
        """See `Backend.keep_mask`; a few blocks of random words at a time."""
        stream, step, threshold, keep, start, *_ = draw
        if threshold > np.iinfo(np.uint16).max:
            keep[...] = False
        else:
            words = self._scratch.workspace.array("words", (_WORDS,), np.uint64)
            least, (seed, index) = np.uint16(threshold), stream.key
            self._loops.draw(keep.reshape(-1), least, start, step, np.uint64(seed), np.uint64(index), words)
        return keep

    def bias_relu_dropout(
        self, z: Array, bias: Array | None, keep: Array | Draw | None, scale: float, workspace: Workspace
    ) -> None:
        """See `Backend.bias_relu_dropout`."""
        keep = None if keep is None else self.drawn(keep)
        if not kernels_take(z, bias, keep):
            super().bias_relu_dropout(z, bias, keep, scale, workspace)
            return
        if bias is None:
            bias = self._scratch.workspace.array("no bias", z.shape[1:], z.dtype)
            bias.fill(0)
        if keep is not None and keep.ndim == z.ndim:
            self._loops.bias_relu_dropout(z, bias, keep, z.dtype.type(scale))
            return
        self._loops.bias_relu(z, bias)
        if keep is not None:
            z *= keep
            z *= scale

    def relu_dropout_backward(self, dy: Array, y: Array, scale: float, workspace: Workspace) -> None:
        """See `Backend.relu_dropout_backward`."""
        if kernels_take(dy, y):
            self._loops.relu_dropout_backward(dy.reshape(-1), y.reshape(-1), dy.dtype.type(scale))
        else:
            super().relu_dropout_backward(dy, y, scale, workspace)

    def softmax_cross_entropy(
        self, logits: Array, labels: Array, scale: float, gradient: Array, workspace: Workspace
    ) -> Array:
        """See `Backend.softmax_cross_entropy`."""
        if not kernels_take(logits, gradient):
            return super().softmax_cross_entropy(logits, labels, scale, gradient, workspace)
        loss = self._loops.softmax_cross_entropy(logits, labels, logits.dtype.type(scale), gradient)
        return logits.dtype.type(loss)

    def column_sums(self, matrix: Array, out: Array) -> Array:
        """See `Backend.column_sums`."""
        if matrix.dtype.char not in "fd" or matrix.strides[1] != matrix.itemsize:
            return super().column_sums(matrix, out)
        self._loops.column_sums(matrix, out)
        return out

    def limit_row_norms(self, matrix: Array, limit: float, workspace: Workspace) -> None:
        """See `Backend.limit_row_norms`."""
        if kernels_take(matrix):
            self._updates.limit_row_norms(matrix, matrix.dtype.type(limit))
        else:
            super().limit_row_norms(matrix, limit, workspace)

    def numbers(self, moving: Moving, held: Any = None, *, counted: bool = False) -> Moving:
        """See `Backend.numbers`: the numbers themselves."""
        return moving

    def update(self, update: Update) -> None:
        """See `Backend.update`."""
        formula, numbers, arrays, lr_scale, weight_decay, decoupled, rows, _ = update
        w, g, *slots = cast(Any, arrays)
        lr, real = numbers.lr * lr_scale, w.dtype.type
        loop, constants = self._updates.prepared(formula, numbers, lr)
        if g is not None:
            decay, shrink = (0.0, 1 - lr * weight_decay) if decoupled else (weight_decay, 1.0)
            loop(*arrays, *map(real, (decay, shrink, *constants)))
        elif slots and rows is not None:  # of a linear rule the last number is the step along the velocity
            count, limit = rows
            matrices = w.reshape(count, -1), slots[0].reshape(count, -1)
            self._updates.follow_rows(*matrices, real(constants[-1]), real(limit))
            return
        elif slots:
            self._updates.follow(w, slots[0], real(constants[-1]))
        self._project(w, rows)

    def _project(self, w: Array, rows: tuple[int, float] | None) -> None:
        if rows is not None:
            count, limit = rows
            self._updates.limit_row_norms(w.reshape(count, -1), w.dtype.type(limit))
