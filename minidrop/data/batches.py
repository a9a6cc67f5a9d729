"""Minibatches: which examples a step sees is a function of (seed, epoch, batch)."""

from collections.abc import Iterator, Sequence
from math import inf
from typing import Any

import numpy as np

from minidrop.backends import Array, Backend, Scaling, Workspace, get_backend
from minidrop.data.datasets import Examples
from minidrop.errors import ArgumentError, check_count, check_range, check_type
from minidrop.parameters import check_dtype
from minidrop.streams import Purpose, Stream, check_seed


class Batches:
    """The examples in batches, in a new random order each epoch, ready for the model.

    Pixels stay bytes in memory and become numbers, x = (pixel / divisor - mean) / std, when their batch is
    made: a quarter of the memory to read, and faster than gathering floats. The arrays that are yielded are
    written again for the next batch.

    Args:
        examples: inputs (N, features) and labels (N,).
        batch_size: at most N; the last batch of an epoch may be smaller.
        seed: of the order, which is the stream (seed, SHUFFLE) at step `epoch`.
        shuffle: False keeps the examples in order, for evaluation.
        drop_last: whether to leave out a last batch that would be smaller.
        scaling: divisor, mean and std.
        dtype: of the inputs that the model gets.
        backend: "numpy", "numba", "cupy" or the current one; the examples are put there once.

    Raises:
        ArgumentError: if the batch size is below 1 or above N.

    >>> import minidrop as md, numpy as np
    >>> examples = md.data.Examples(np.arange(10, dtype=np.uint8).reshape(5, 2), np.arange(5))
    >>> batches = md.data.Batches(examples, batch_size=2, shuffle=False)
    >>> len(batches), [labels.tolist() for x, labels in batches.epoch(0)]
    (3, [[0, 1], [2, 3], [4]])
    """

    def __init__(
        self,
        examples: Examples,
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        drop_last: bool = False,
        scaling: Scaling | None = None,
        dtype: Any = "float32",
        backend: str | Backend | None = None,
    ) -> None:
        if not isinstance(examples, Examples):
            raise ArgumentError(
                f"Batches takes Examples, such as dataset.train, got {type(examples).__name__}"
            )
        self.backend = get_backend(backend)
        self.size = len(examples)
        self.batch_size = check_count("batch size", batch_size)
        if batch_size > self.size:
            raise ArgumentError(f"batch size {batch_size} is larger than the data, {self.size} examples")
        self.stream = Stream(check_seed(seed), Purpose.SHUFFLE)
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.scaling = Scaling() if scaling is None else scaling
        check_type("scaling", self.scaling, Scaling, "md.Scaling(divisor=255)")
        check_range("the scaling's mean", self.scaling.mean, -inf)
        if 0 in (check_range("divisor", self.scaling.divisor, 0), check_range("std", self.scaling.std, 0)):
            raise ArgumentError(f"divisor and std must be above 0: {self.scaling}")
        self.dtype = check_dtype(dtype)
        self.inputs, self.labels = examples.on(self.backend)
        self._workspace = Workspace(self.backend.xp, reuse=True)

    def __len__(self) -> int:
        return self.size // self.batch_size if self.drop_last else -(-self.size // self.batch_size)

    @property
    def recipe(self) -> dict[str, int | bool]:
        """What, beside the examples themselves, says which of them are in a batch of an epoch."""
        seed = {"seed of the order": self.stream.seed} if self.shuffle else {}
        sizes = {"examples": self.size, "batch size": self.batch_size, "drop_last": self.drop_last}
        return {**sizes, "shuffle": self.shuffle, **seed}

    def order(self, epoch: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """In which order `epoch` takes the examples, shape (N,)."""
        return self.stream.permutation(self.size, epoch) if self.shuffle else np.arange(self.size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Array, Array]]:
        """The batches of `epoch` as (inputs (B, features), labels (B,)), from batch `start` on."""
        check_count("epoch", epoch, 0)
        check_count("start", start, 0)
        order = self.backend.asarray(self.order(epoch)) if self.shuffle else None
        for batch in range(start, len(self)):
            first, last = batch * self.batch_size, min((batch + 1) * self.batch_size, self.size)
            x = self._workspace.array("x", (last - first, self.inputs.shape[1]), self.dtype)
            labels = self._workspace.array("labels", (last - first,), self.labels.dtype)
            if order is None:
                self.backend.scale(self.inputs[first:last], self.scaling, x)
                labels[...] = self.labels[first:last]
            else:
                indices = order[first:last]
                self.backend.gather(self.inputs, indices, self.scaling, x, self._workspace)
                self.backend.take(self.labels, indices, labels)
            yield x, labels


class ReplicaBatches:
    """The batches of K seeds side by side: inputs (K, B, features), labels (K, B).

    Args:
        each: batches that `are_alike`.
    """

    def __init__(self, each: Sequence[Batches]) -> None:
        self.each, self.first = each, each[0]
        self.backend, self.dtype = self.first.backend, self.first.dtype
        self.batch_size = self.first.batch_size
        #: how many examples each seed has
        self.size = self.first.size
        self._workspace = Workspace(self.backend.xp, reuse=True)
        self.inputs, self.labels = self.first.inputs, self.first.labels
        self._shift = 0
        if any(batches.inputs is not self.inputs for batches in each):  # their validation sets differ
            self.inputs = self.backend.xp.concatenate([batches.inputs for batches in each])
            self.labels = self.backend.xp.concatenate([batches.labels for batches in each])
            self._shift = self.size

    def __len__(self) -> int:
        return len(self.first)

    def order(self, epoch: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """In which order `epoch` takes the examples, shape (K N,): a batch of each seed, and so on."""
        orders = [batches.order(epoch) + k * self._shift for k, batches in enumerate(self.each)]
        cuts = range(self.batch_size, self.size, self.batch_size)
        return np.concatenate([part.reshape(-1) for part in np.split(np.stack(orders), cuts, axis=1)])

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Array, Array]]:
        """The batches of `epoch` from batch `start` on; see `Batches.epoch`."""
        first, backend, workspace, several = self.first, self.backend, self._workspace, len(self.each)
        order = backend.asarray(self.order(epoch))
        for batch in range(start, len(self)):
            rows = min(self.batch_size, self.size - batch * self.batch_size)
            x = workspace.array("x", (several, rows, self.inputs.shape[1]), self.dtype)
            labels = workspace.array("labels", (several, rows), self.labels.dtype)
            indices = order[several * batch * self.batch_size :][: several * rows]
            flat = x.reshape(several * rows, -1)
            backend.gather(self.inputs, indices, first.scaling, flat, workspace)
            backend.take(self.labels, indices, labels.reshape(-1))
            yield x, labels


def are_alike(each: Sequence[Batches]) -> bool:
    """Whether batches are shuffled, and differ in their seeds and in which examples they hold alone."""
    kinds = ((b.inputs.shape, b.inputs.dtype, b.batch_size, b.drop_last, b.scaling, b.dtype) for b in each)
    return all(batches.shuffle for batches in each) and len(set(kinds)) == 1
