"""JAX's training steps on a GPU; nobody reads a loss."""

from typing import Any

from benchmarks.contestants.jax_step import JaxStep
from benchmarks.workload import Workload


class Steps(JaxStep):
    """Several steps a call, or one with given factors.

    Args:
        workload: the step to do.
        steps: how many a call does.
    """

    def __init__(self, workload: Workload, steps: int) -> None:
        super().__init__(workload)
        self.calls = steps

    def __call__(self, factors: Any = None) -> Any:
        """The steps."""
        loss = None
        for _ in range(self.calls if factors is None else 1):
            arguments = self.weights, self.velocities, self.batch, self.key, self.steps, factors
            self.weights, self.velocities, loss = self.step(*arguments)
            self.steps += 1
        return loss

    def synchronise(self) -> None:
        """Wait for the device."""
        self.weights[0][0].block_until_ready()

    def values(self, n: int) -> list[float]:
        """See `JaxStep.values`."""
        return [float(loss) for loss in super().values(n)]


def steps(*, steps: int, **fields: Any) -> Steps:
    """JAX's steps on a workload."""
    return Steps(Workload(**fields), steps)
