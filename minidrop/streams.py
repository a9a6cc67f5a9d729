"""Random numbers as a function of (seed, stream, step): counter-based Philox streams.

A conventional generator has a state that every draw moves on, so what a layer draws depends on everything
that was drawn before. Here there is no such state. Philox4x64-10 (Salmon et al., "Parallel random numbers:
as easy as 1, 2, 3", SC 2011) scrambles a 256-bit counter under a 128-bit key, and both are spelled out:

    key = (seed, stream)        stream = purpose * 2^32 + index
    counter = (block, step, 0, 0)       four 64-bit words a block

A dropout mask is therefore a function of the seed, of the layer's place in the model and of the step: there
is nothing to save in a checkpoint, nothing to keep in order, and a GPU can compute any part of it by itself.
The bits are those of `numpy.random.Philox(key=..., counter=...)`, whose first block uses counter + 1.
"""

import threading
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypedDict

import numpy as np

from minidrop.errors import ArgumentError, check_count

#: lanes in a Philox block of four words
_BLOCK = 16

#: each thread's generator, and the words that it has left over at the beginning of a block: none
_own = threading.local()
_NO_WORDS = np.zeros(4, np.uint64)


class _Position(TypedDict):
    counter: np.ndarray[Any, np.dtype[np.uint64]]
    key: np.ndarray[Any, np.dtype[np.uint64]]


class Purpose(IntEnum):
    """What a stream is used for; streams of different purposes never share a bit."""

    WEIGHTS = 0  #: initial weights; index: the layer, step: the parameter within it
    MASK = 1  #: keep masks of dropout and its relatives; index: the layer
    NOISE = 2  #: Gaussian noise; index: the layer
    SHUFFLE = 3  #: the order of the training examples; step: the epoch
    SPLIT = 4  #: which examples are held out for validation, and which are learned from


def check_seed(seed: int) -> int:
    """Return `seed` if it fits the 64 bits that the key has for it; ArgumentError otherwise.

    >>> check_seed(0)
    0
    """
    seed = check_count("seed", seed, minimum=0)
    if seed >= 1 << 64:
        raise ArgumentError(f"seed must be below 2^64, got {seed}")
    return seed


def next_lanes(bits: np.random.Philox, n: int) -> np.ndarray[Any, np.dtype[np.uint16]]:
    """The next n lanes of `bits`: each 64-bit word gives four of 16 bits, the lowest first.

    Of the last word the lanes that are not asked for are lost, so only the last call may ask for an n that is
    no multiple of 4.
    """
    return bits.random_raw(-(-n // 4)).astype("<u8", copy=False).view("<u2")[:n]


@dataclass(frozen=True)
class Stream:
    """One random stream: `Stream(seed, purpose, index)`.

    >>> Stream(seed=0, purpose=Purpose.MASK).lanes(4, step=0)
    array([42739,  6407, 41419, 26866], dtype=uint16)
    """

    seed: int
    purpose: Purpose = Purpose.MASK
    index: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)

    @property
    def key(self) -> tuple[int, int]:
        """The Philox key: (seed, purpose * 2^32 + index).

        >>> Stream(seed=7, purpose=Purpose.SHUFFLE, index=2).key == (7, 3 * 2**32 + 2)
        True
        """
        return self.seed, (int(self.purpose) << 32) + self.index

    def bits(self, step: int, block: int = 0) -> np.random.Philox:
        """NumPy's Philox at the beginning of `step`, or `block` blocks of four words into it."""
        return np.random.Philox(**self._position(step, block))

    def own_bits(self, step: int, block: int = 0) -> np.random.Philox:
        """What `bits` returns, but in this thread's one generator, which the next call moves elsewhere.

        Making a generator takes longer than moving one, and holds the interpreter's lock.
        """
        philox: np.random.Philox | None = getattr(_own, "philox", None)
        if philox is None:
            philox = _own.philox = np.random.Philox(0)
        philox.state = {
            "bit_generator": "Philox",
            "state": self._position(step, block),
            "buffer": _NO_WORDS,
            "buffer_pos": len(_NO_WORDS),
            "has_uint32": 0,
            "uinteger": 0,
        }
        return philox

    def _position(self, step: int, block: int) -> _Position:
        counter = np.array((block, step, 0, 0), np.uint64)
        return {"counter": counter, "key": np.array(self.key, np.uint64)}

    def lanes(self, n: int, step: int, start: int = 0) -> np.ndarray[Any, np.dtype[np.uint16]]:
        """The 16-bit lanes start ... start + n - 1 of `step`, uniform on 0 ... 65535, shape (n,)."""
        block, skip = divmod(start, _BLOCK)
        return next_lanes(self.own_bits(step, block), skip + n)[skip:]

    def generator(self, step: int) -> np.random.Generator:
        """NumPy's `Generator` over the stream, for what only the host draws: normals and uniforms."""
        return np.random.Generator(self.bits(step))

    def permutation(self, n: int, step: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """A random order of 0 ... n-1, shape (n,): the ranks of n random 64-bit keys.

        Sorting raw keys needs nothing but the Philox bits, whose values NumPy guarantees for all time; the
        algorithm of `Generator.permutation` may change between releases.

        >>> sorted(Stream(seed=0, purpose=Purpose.SHUFFLE).permutation(3, step=0).tolist())
        [0, 1, 2]
        """
        return np.argsort(self.bits(step).random_raw(n), kind="stable")
