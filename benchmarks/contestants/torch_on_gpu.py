"""PyTorch's training steps on a GPU; nobody reads a loss."""

from typing import Any

import torch
from torch import Tensor

from benchmarks.contestants.torch_epoch import TorchEpoch
from benchmarks.contestants.torch_step import TorchStep
from benchmarks.workload import Workload


class Step(TorchStep):
    """A step with fused SGD and max-norm, whose loss stays on the device."""

    def __init__(self, workload: Workload, device: str) -> None:
        super().__init__(workload, optimizer="fused", max_norm=True, compiled=False, device=device)

    def __call__(self, factors: list[Tensor] | None = None) -> Any:
        """One step; see `TorchStep`."""
        return self.losses(factors)

    def synchronise(self) -> None:
        """Wait for the device."""
        if self.device == "cuda":
            torch.cuda.synchronize()


class Steps(Step):
    """Several steps a call.

    Args:
        workload: the step to do.
        steps: how many a call does.
        way: "eager"; in a CUDA "graph"; or "compiled", which reduces overhead by graphs of its own.
        device: of all tensors.
    """

    def __init__(self, workload: Workload, steps: int, way: str, device: str) -> None:
        super().__init__(workload, device)
        self.steps, self.way = steps, way
        self.one: Any = self.losses
        if way == "compiled":
            self.loss = torch.compile(self._loss, mode="reduce-overhead")
            self.update = torch.compile(self._update, mode="reduce-overhead")
            self.one = self.marked
        if way == "graph":
            self.one = self.recorded()

    def __call__(self, factors: list[Tensor] | None = None) -> Any:
        """The steps."""
        for _ in range(self.steps):
            self.one()

    def marked(self) -> None:
        """A step after which what its graphs returned may be written again."""
        torch.compiler.cudagraph_mark_step_begin()
        self.losses()

    def recorded(self) -> Any:
        """A step as a CUDA graph, as PyTorch's notes on them do it."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.losses()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.losses()
        return graph.replay

    def values(self, n: int) -> list[float] | None:
        """The losses with the workload's masks; a graph draws its own."""
        if self.way != "eager":
            return None
        masks = ([torch.from_numpy(f).to(self.device) for f in self.workload.factors(t)] for t in range(n))
        return [float(self.losses(factors)) for factors in masks]


def steps(*, steps: int, way: str, device: str = "cuda", **fields: Any) -> Steps:
    """PyTorch's steps on a workload."""
    return Steps(Workload(**fields), steps, way, device)


class Epoch(TorchEpoch):
    """An epoch on tensors of the device, with eager steps."""

    def __init__(self, step: Step, train: int, test: int) -> None:
        super().__init__(step, train, test, loader=False)
        self.synchronise = step.synchronise


def epoch(*, train: int, test: int, device: str = "cuda", **fields: Any) -> Epoch:
    """PyTorch's epoch on so many images."""
    return Epoch(Step(Workload(**fields), device), train, test)
