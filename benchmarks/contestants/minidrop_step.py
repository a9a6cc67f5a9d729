"""minidrop's own step."""

from typing import Any

import minidrop as md
from benchmarks.workload import Workload
from minidrop.optim import Optimizer


class MinidropStep:
    """`TrainStep` with Hinton's update and max-norm, or with plain SGD where the workload has neither.

    Args:
        workload: the step to do.
        fused: whether the step may join what layers and optimizer do one after another.
    """

    def __init__(self, workload: Workload, *, fused: bool) -> None:
        model = workload.model()
        optimizer: Optimizer
        if workload.momentum or workload.limit:
            # v ← μ v - (1 - μ) η' g with η' = η / (1 - μ) is the workload's update at constant η and μ
            lr = workload.lr / (1 - workload.momentum)
            optimizer = md.SGDHinton(model.parameters(), lr, workload.momentum, limit=workload.limit)
        else:
            optimizer = md.SGD(model.parameters(), workload.lr)
        self.step = md.TrainStep(model, md.SoftmaxCrossEntropy(), optimizer, fused=fused)
        assert self.step.fused == fused  # what cannot be fused is done layer by layer without a word
        self.inputs, self.labels = workload.inputs, workload.labels

    def __call__(self) -> float:
        """One step; the loss before its update."""
        return float(self.step(self.inputs, self.labels))

    def values(self, n: int) -> list[float]:
        """The losses of the first n steps, whose masks are the workload's anyway."""
        return [self() for _ in range(n)]


def step(*, fused: bool = True, **fields: Any) -> MinidropStep:
    """minidrop's step on a workload."""
    return MinidropStep(Workload(**fields), fused=fused)
