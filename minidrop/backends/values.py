"""What operations are given beside arrays: a mask to be drawn, a scaling, an update's formula and numbers."""

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple, TypeAlias

from minidrop.streams import Stream

#: A numpy.ndarray or a cupy.ndarray, whichever the backend works with.
Array: TypeAlias = Any


class Scaling(NamedTuple):
    """How stored pixels become a network's inputs: x = (pixel / divisor - mean) / std.

    `Batches` refuses a divisor or std that is not above 0, and what is no number, with an ArgumentError.

    >>> import minidrop as md, numpy as np
    >>> pixels = md.data.Examples(np.array([[0, 255]], np.uint8), labels=np.array([3]))
    >>> batches = md.data.Batches(pixels, 1, scaling=md.Scaling(255, mean=0.5, std=0.25))
    >>> [x.tolist() for x, labels in batches.epoch(0)]
    [[[-2.0, 2.0]]]
    """

    divisor: float = 1.0
    mean: float = 0.0
    std: float = 1.0


class Source(NamedTuple):
    """Where an epoch's batches come from: examples, and the order in which it takes them."""

    inputs: Array
    labels: Array
    order: Array
    batch_size: int
    scaling: Scaling


class Draw(NamedTuple):
    """A keep mask that is still to be drawn into `keep`; its elements look at the lanes from `start` on."""

    stream: Stream
    step: int
    threshold: int
    keep: Array
    start: int = 0
    #: where a device finds the step, which then counts instead of `step`
    numbers: Array | None = None
    #: whether the masks of several replicas lie along the first axis, that of replica k from seed + k
    replicas: bool = False

    def rows(self, rows: slice) -> "Draw":
        """The part of it that is some rows of the mask."""
        return self._replace(keep=self.keep[rows], start=self.start + rows.start * prod(self.keep.shape[1:]))


class Formula(NamedTuple):
    """What an optimizer's `update` computes: a kernel's name, and what stays from step to step."""

    name: str
    constants: tuple[float, ...] = ()


class Moving(NamedTuple):
    """What changes from step to step: a schedule's numbers, and what an optimizer counts."""

    lr: float
    momentum: float = 0.0
    steps: int = 0
    velocity_steps: int | None = None  # for an optimizer that does not ask
    momentum_product: float = 1.0


class Update(NamedTuple):
    """An optimizer's `update` of weights that it treats alike, and their projection, for a kernel."""

    formula: Formula
    #: what `Backend.numbers` returned
    numbers: Any
    #: the weights, the gradients and each slot, flat; None for gradients that have been added to the first
    #: slot, or to the weights, by the formula's linear rule
    arrays: Sequence[Array | None]
    #: the learning rate as a multiple of that in `numbers`
    lr_scale: float
    weight_decay: float
    #: whether weight decay shrinks the weights, or is added to the gradient
    decoupled: bool
    #: of a matrix whose rows are limited: how many, and to which length
    rows: tuple[int, float] | None
    #: how many models, and how many elements behind one another their arrays begin
    replicas: tuple[int, int]
