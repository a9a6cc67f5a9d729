"""How far an epoch is: its losses are added up where they are, and looked at where that costs nothing."""

from typing import Any

from minidrop.backends.values import Array


class Tally:
    """Batches that are done, and the sum of their losses, each as often as its batch has examples.

        batches ← batches + 1        loss_sum ← loss_sum + loss * examples

    >>> tally = Tally()
    >>> tally.begin(batches=2, loss_sum=10.0)
    >>> tally.add(0.5, examples=4), tally.batches, tally.loss_sum
    (0.5, 3, 12.0)
    """

    batches = 0

    def __init__(self) -> None:
        self._loss_sum = 0.0

    def begin(self, batches: int = 0, loss_sum: float = 0.0) -> None:
        """Go on from here: from an epoch's beginning, or from where a run was interrupted."""
        self.batches, self._loss_sum = batches, loss_sum

    def add(self, loss: Array, examples: int) -> float | None:
        """Count a batch; its loss as a number, or None where the host would have to wait for it."""
        self.batches += 1
        number = float(loss)
        self._loss_sum += number * examples
        return number

    @property
    def loss_sum(self) -> float:
        """The sum so far; on a device the host waits for all batches to be done."""
        return self._loss_sum


class DeviceTally(Tally):
    """A tally in device memory, as float64: batches, loss_sum.

    Args:
        backend: a backend with kernels.
    """

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.array: Array = backend.xp.zeros(2, "float64")

    def begin(self, batches: int = 0, loss_sum: float = 0.0) -> None:
        """See `Tally.begin`; in the same memory."""
        self.batches = batches
        self.array[0], self.array[1] = batches, loss_sum

    def add(self, loss: Array, examples: int) -> None:
        """See `Tally.add`; nothing waits."""
        self.batches += 1
        self._backend.count_batch(self.array, self._backend.xp.asarray(loss), examples)

    @property
    def loss_sum(self) -> float:
        """See `Tally.loss_sum`."""
        return float(self.array[1])
