"""What kernels take, made of what a backend is given: masks to draw, constants, replicas, moving numbers."""

from typing import Any

from minidrop.backends.values import Array, Draw, Formula, Moving

NOT_DRAWN = (0, 0, 0, 0, 0, None)  # start, threshold, seed, stream, step, numbers


class Numbers:
    """What changes from step to step, in device memory, and what is known on the host to be there."""

    def __init__(self, array: Array) -> None:
        self.array = array
        self.moving: Moving | None = None


def after_a_step(known: Moving) -> Moving:
    """What the kernel advance_numbers makes of it."""
    velocity_steps = known.velocity_steps
    if velocity_steps is not None:
        velocity_steps += known.momentum != 0
    return known._replace(steps=known.steps + 1, velocity_steps=velocity_steps)


def constants(formula: Formula) -> tuple[float, ...]:
    """The four constants that a kernel takes."""
    return (*formula.constants, 0.0, 0.0, 0.0, 0.0)[:4]


def drawing(keep: Array | Draw | None) -> tuple[Any, ...]:
    """What kernels are told of a mask that is to be drawn; see `NOT_DRAWN`."""
    if not isinstance(keep, Draw):
        return NOT_DRAWN
    numbers: Numbers | None = keep.numbers
    return (keep.start, keep.threshold, *keep.stream.key, keep.step, numbers and numbers.array)


def of_first_replica(array: Array | None, replicas: int) -> tuple[Array | None, int]:
    """The row of the first of several replicas, and how many elements behind it the next one's begins."""
    if array is None or replicas == 1:
        return array, 0
    return array[0], array.strides[0] // array.itemsize


def kernels_take(*arrays: Array | None) -> bool:
    """Whether kernels, and loops of Numba, can take these: real numbers in one piece."""
    first = arrays[0]
    assert first is not None
    return first.dtype.char in "fd" and all(array is None or array.flags.c_contiguous for array in arrays)
