"""The loops of the numba backend: what NumPy does in several passes over an array, in one.

Numba compiles each function for the dtypes that it is called with, when it is first called, and keeps the
result for the next process. Nothing here holds the interpreter's lock, so threads never wait for one another.
Numbers come in the arrays' dtype: with a Python float a float32 would become a float64.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

Array = np.ndarray[Any, Any]
#: a division by zero is infinite, as NumPy has it: a check for one would keep loops from being vectorised
compiled = njit(nogil=True, cache=True, error_model="numpy")

LANES = 16  #: 16-bit lanes of a Philox block of four words
_MULTIPLIERS = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_WEYL = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
_ROUNDS = 10


def _high(context: Any, a: Any, b: Any) -> Any:
    """The high 64 bits of the 128-bit product of two 64-bit words."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(word, wide) for word in arguments))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


high: Any = intrinsic(_high)


@compiled
def philox(words: Array, block: int, step: int, seed: Any, stream: Any) -> None:
    """Fill `words` with whole blocks of Philox4x64-10; see `minidrop.streams`. The key is of uint64."""
    for i in range(len(words) // 4):
        key0, key1 = seed, stream
        c0, c1, c2, c3 = np.uint64(block + i + 1), np.uint64(step), np.uint64(0), np.uint64(0)
        for _ in range(_ROUNDS):
            high0, low0 = high(_MULTIPLIERS[0], c0), _MULTIPLIERS[0] * c0
            high1, low1 = high(_MULTIPLIERS[1], c2), _MULTIPLIERS[1] * c2
            c0, c1, c2, c3 = high1 ^ c1 ^ key0, low1, high0 ^ c3 ^ key1, low0
            key0, key1 = key0 + _WEYL[0], key1 + _WEYL[1]
        words[4 * i], words[4 * i + 1], words[4 * i + 2], words[4 * i + 3] = c0, c1, c2, c3


@compiled
def draw(keep: Array, threshold: Any, start: int, step: int, seed: Any, stream: Any, words: Array) -> None:
    """keep = (lane >= threshold), flat, from lane `start` on; `words` is room for two blocks or more."""
    room, done = 4 * len(words) - LANES, 0
    while done < len(keep):
        part = keep[done : done + room]
        block, skip = divmod(start + done, LANES)
        blocks = (skip + len(part) + LANES - 1) // LANES
        philox(words[: 4 * blocks], block, step, seed, stream)
        lanes = words[: 4 * blocks].view(np.uint16)[skip:]
        for i in range(len(part)):
            part[i] = lanes[i] >= threshold
        done += len(part)


@compiled
def bias_relu(z: Array, bias: Array) -> None:
    """z ← max(z + b, 0), row by row; a NaN stays one."""
    zero = z.dtype.type(0)
    for i in range(len(z)):
        row = z[i]
        for j in range(len(row)):
            value = row[j] + bias[j]
            row[j] = zero if value < zero else value


@compiled
def bias_relu_dropout(z: Array, bias: Array, keep: Array, scale: Any) -> None:
    """z ← scale keep max(z + b, 0), row by row; a NaN stays one."""
    zero = z.dtype.type(0)
    for i in range(len(z)):
        row, kept = z[i], keep[i]
        for j in range(len(row)):
            value = row[j] + bias[j]
            row[j] = (zero if value < zero else value) * kept[j] * scale


@compiled
def relu_dropout_backward(dy: Array, y: Array, scale: Any) -> None:
    """dy ← scale dy [y > 0], flat."""
    zero = y.dtype.type(0)
    for i in range(len(dy)):
        dy[i] = dy[i] * (y[i] > zero) * scale


@compiled
def softmax_cross_entropy(logits: Array, labels: Array, scale: Any, gradient: Array) -> Any:
    """The loss scale Σ -log softmax(z)[label], and its gradient scale (softmax(z) - onehot(label))."""
    loss = logits.dtype.type(0)
    for i in range(len(logits)):
        z, dz, label = logits[i], gradient[i], labels[i]
        largest = z.max()
        for j in range(len(z)):
            dz[j] = np.exp(z[j] - largest)
        s = dz.sum()
        loss += np.log(s) - (z[label] - largest)
        for j in range(len(z)):
            dz[j] = dz[j] / s * scale
        dz[label] -= scale
    return loss * scale


@compiled
def column_sums(matrix: Array, out: Array) -> None:
    """The sum of each column, its rows added in order."""
    out[:] = 0
    for i in range(len(matrix)):
        row = matrix[i]
        for j in range(len(row)):
            out[j] += row[j]
