"""minidrop's epoch: `fit` on bytes that become numbers batch by batch, then `evaluate`."""

from collections.abc import Iterator
from typing import Any

import minidrop as md
from benchmarks.contestants.minidrop_step import MinidropStep
from benchmarks.contestants.parts import Parts
from benchmarks.images import DIVISOR, TEST_BATCH, images
from benchmarks.workload import Workload
from minidrop.backends import Array


class TimedStep(md.TrainStep):
    """A step that says how long it takes."""

    parts: Parts

    def __call__(self, x: Array, labels: Array) -> Array:
        """The step."""
        with self.parts.takes("steps"):
            return super().__call__(x, labels)


class TimedBatches(md.data.Batches):
    """Batches that say how long they take."""

    parts: Parts

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Array, Array]]:
        """The batches."""
        return self.parts.waits("batches", super().epoch(epoch, start))


class MinidropEpoch:
    """One epoch of `fit`, then the test images."""

    def __init__(self, workload: Workload, train: int, test: int) -> None:
        step, scaling = MinidropStep(workload, fused=True).step, md.Scaling(DIVISOR)
        self.step = TimedStep(step.model, step.loss, step.optimizer)
        self.train = TimedBatches(images(workload, train), workload.batch, scaling=scaling)
        testing = images(workload, test, test=True)
        self.test = md.data.Batches(testing, TEST_BATCH, shuffle=False, scaling=scaling)
        self._parts = self.step.parts = self.train.parts = Parts()

    def __call__(self) -> None:
        """One epoch."""
        self._parts.clear()
        md.fit(self.step, self.train, epochs=1)
        with self._parts.takes("test"):
            md.evaluate(self.step.model, self.test)

    def parts(self) -> Parts:
        """Where the time of the last epoch went."""
        return self._parts

    def values(self, n: int) -> list[float]:
        """The test loss of the initial weights, and how many steps an epoch has."""
        return [md.evaluate(self.step.model, self.test).loss, len(self.train)]


def epoch(*, train: int, test: int, **fields: Any) -> MinidropEpoch:
    """minidrop's epoch on so many images."""
    return MinidropEpoch(Workload(**fields), train, test)
