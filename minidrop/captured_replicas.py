"""The steps of several replicas as CUDA graphs: see `minidrop.captured` and `minidrop.replica_step`."""

from collections.abc import Iterator, Sequence

from minidrop.backends import Source
from minidrop.captured import Recorder, unrecordable
from minidrop.data.batches import ReplicaBatches
from minidrop.replica_step import ReplicaStep
from minidrop.training import TrainStep


class CapturedReplicas(Recorder, ReplicaStep):
    """A step of several models that finds its batches on the device, and the graphs of some of them in a row.

    Args:
        steps: see `ReplicaStep`.
        batches: see `ReplicaStep`.
    """

    def __init__(self, steps: Sequence[TrainStep], batches: ReplicaBatches) -> None:
        ReplicaStep.__init__(self, steps, batches)
        xp, several, rows = self.backend.xp, len(steps), batches.batch_size
        order = xp.empty(several * batches.size, "int64")
        Recorder.__init__(self, batches, [step.tally for step in steps], self.optimizers, order)
        self.x = xp.empty(several * rows * batches.inputs.shape[1], batches.dtype)
        self.batch_labels = xp.empty(several * rows, "int64")
        # a batch of all replicas is several * rows examples in a row
        scaling = batches.first.scaling
        self.source = Source(batches.inputs, batches.labels, order, several * rows, scaling)

    def epoch(self, epoch: int, start: int, loss_sums: Sequence[float]) -> Iterator[None]:
        """See `ReplicaStep.epoch`."""
        for step, loss_sum in zip(self.steps, loss_sums, strict=True):
            step.tally.begin(start, loss_sum)
        yield from self._launched(epoch)

    def _steps(self, rows: int, steps: int = 1) -> None:
        """See `Recorder._steps`."""
        examples, features = len(self.steps) * rows, self.batches.inputs.shape[1]
        x, labels = self.x[: examples * features].reshape(examples, features), self.batch_labels[:examples]
        for _ in range(steps):
            self.backend.next_batch(self.source, self.all_tallies[0], None, 1.0, x, labels)
            losses = self(x.reshape(-1, rows, features), labels.reshape(-1, rows))
            self.count(losses, rows)


def together(steps: Sequence[TrainStep], batches: ReplicaBatches) -> ReplicaStep:
    """The step of all of these models, in graphs if it can be recorded."""
    why = unrecordable(batches.backend, batches)
    captured = None if why else CapturedReplicas(steps, batches)
    for step in steps:
        step.launched_by(captured, why)
    return captured or ReplicaStep(steps, batches)
