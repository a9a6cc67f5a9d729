"""minidrop's training steps on a GPU, and what they cannot be faster than; nobody reads a loss."""

from collections.abc import Callable
from ctypes import CDLL, byref, c_size_t, c_void_p
from dataclasses import replace
from typing import Any

import numpy as np

import minidrop as md
from benchmarks.contestants.minidrop_epoch import MinidropEpoch
from benchmarks.contestants.minidrop_step import MinidropStep
from benchmarks.contestants.parts import Parts
from benchmarks.workload import Workload
from minidrop.captured import STEPS as RECORDED  # of a graph
from minidrop.captured_replicas import together
from minidrop.data.batches import ReplicaBatches


def nodes(graph: Any) -> int:
    """How many nodes a CUDA graph has: kernels, copies and memory sets.

    Raises:
        RuntimeError: if the driver does not say.
    """
    count = c_size_t()
    status = CDLL("libcuda.so.1").cuGraphGetNodes(c_void_p(graph.graph), None, byref(count))
    if status:
        raise RuntimeError(f"cuGraphGetNodes fails with error {status}")
    return count.value


class OnGpu:
    """What uses CuPy's arrays."""

    def __init__(self) -> None:
        self.backend = md.set_backend("cupy")

    def synchronise(self) -> None:
        """Wait for the device."""
        self.backend.xp.cuda.Device().synchronize()


def repeated(workload: Workload, steps: int) -> md.data.Batches:
    """So many batches, each of which is the workload's."""
    inputs, labels = np.tile(workload.inputs, (steps, 1)), np.tile(workload.labels, steps)
    examples = md.data.Examples(inputs, labels)
    return md.data.Batches(examples, workload.batch, shuffle=False, dtype=workload.dtype)


class Steps(OnGpu):
    """An epoch of steps in CUDA graphs, or launched one by one.

    Args:
        workload: the step to do.
        steps: how many a call does.
        captured: whether in graphs.
        gradients: whether weight gradients are written.
    """

    def __init__(self, workload: Workload, steps: int, *, captured: bool, gradients: bool) -> None:
        super().__init__()
        own = MinidropStep(workload, fused=True).step
        self.step = md.TrainStep(own.model, own.loss, own.optimizer, gradients=gradients)
        self.in_graphs, self.batches = captured, repeated(workload, steps)

    def __call__(self) -> None:
        """The steps."""
        if self.in_graphs:
            for _ in self.step.epoch(self.batches, 0):
                pass
            assert self.step.launches.startswith("in CUDA graphs"), self.step.launches
        else:
            for x, labels in self.batches.epoch(0):
                self.step(x, labels)

    def values(self, n: int) -> list[float]:
        """The losses of the first n steps."""
        return [float(self.step(*next(self.batches.epoch(0)))) for _ in range(n)]

    def facts(self) -> dict[str, float]:
        """How many nodes of the graph a step has."""
        found = self.step.captured.graphs if self.step.captured else {}
        return {"nodes": nodes(found[RECORDED]) / RECORDED} if RECORDED in found else {}


def minidrop(*, steps: int, captured: bool = True, gradients: bool = False, **fields: Any) -> Steps:
    """minidrop's steps on a workload."""
    return Steps(Workload(**fields), steps, captured=captured, gradients=gradients)


class Replicas(OnGpu):
    """An epoch of steps of several replicas at once.

    Args:
        workload: the step of the first; the others have the next seeds.
        steps: how many a call does.
        several: how many replicas.
    """

    def __init__(self, workload: Workload, steps: int, several: int) -> None:
        super().__init__()
        works = [replace(workload, seed=workload.seed + k) for k in range(several)]
        self.batches = ReplicaBatches([repeated(workload, steps)] * several)
        self.step = together([MinidropStep(work, fused=True).step for work in works], self.batches)
        self.several = several

    def __call__(self) -> None:
        """The steps."""
        for _ in self.step.epoch(0, 0, [0.0] * self.several):
            pass

    def values(self, n: int) -> list[float]:
        """The losses of the first replica's first n steps."""
        return [float(self.step(*next(self.batches.epoch(0)))[0]) for _ in range(n)]


def replicas(*, steps: int, several: int, **fields: Any) -> Steps | Replicas:
    """The steps of so many replicas; those of one are a single run's."""
    if several == 1:
        return minidrop(steps=steps, **fields)
    return Replicas(Workload(**fields), steps, several)


class Recorded(OnGpu):
    """Work that is as much as that of a step, recorded `RECORDED` times in a graph: a floor of the step.

    Args:
        work: what queues the work, given the backend; what it returns is kept alive.
        steps: how many a call does.
    """

    def __init__(self, work: Callable[[Any], Callable[[], object]], steps: int) -> None:
        super().__init__()
        self.work, self.launches = work(self.backend), steps // RECORDED
        self.work()
        self.graph = self.backend.record(lambda: [self.work() for _ in range(RECORDED)])

    def __call__(self) -> None:
        """The work of all steps."""
        for _ in range(self.launches):
            self.graph.launch()

    def facts(self) -> dict[str, float]:
        """How many nodes of the graph a step has."""
        return {"nodes": nodes(self.graph) / RECORDED}


def products(*, steps: int, **fields: Any) -> Recorded:
    """The matrix products of a workload's steps, by minidrop's handle of cuBLAS."""
    workload = Workload(**fields)

    def work(backend: Any) -> Callable[[], object]:
        xp = backend.xp
        weights = [backend.asarray(W) for W, _ in workload.weights()]
        dw = [xp.empty_like(W) for W in weights]
        x = [xp.full((workload.batch, n), 1e-3, workload.dtype) for n in workload.sizes]
        dx = [xp.full_like(array, 1e-3) for array in x]

        def step() -> None:
            for i, W in enumerate(weights):
                backend.matmul(x[i], W.T, x[i + 1])
            for i in reversed(range(len(weights))):
                backend.matmul(dx[i + 1].T, x[i], dw[i])
                if i:
                    backend.matmul(dx[i + 1], weights[i], dx[i])

        return step

    return Recorded(work, steps)


def copies(*, steps: int, moved: int, **fields: Any) -> Recorded:
    """Copies that read and write `moved` bytes a step, between arrays as large as weights and velocity."""
    workload = Workload(**fields)
    n, dtype = sum(W.size + b.size for W, b in workload.weights()), workload.dtype

    def work(backend: Any) -> Callable[[], object]:
        source, target = backend.xp.zeros(n, dtype), backend.xp.zeros(n, dtype)
        whole, rest = divmod(moved // (2 * source.itemsize), n)

        def step() -> None:
            for _ in range(whole):
                backend.xp.copyto(target, source)
            backend.xp.copyto(target[:rest], source[:rest])

        return step

    return Recorded(work, steps)


class Epoch(MinidropEpoch):
    """An epoch with its test on a GPU, where the host does not see what a part of it takes."""

    def __init__(self, workload: Workload, train: int, test: int) -> None:
        self.synchronise = OnGpu().synchronise
        super().__init__(workload, train, test)

    def parts(self) -> Parts:
        """None."""
        return Parts()


def epoch(*, train: int, test: int, **fields: Any) -> Epoch:
    """minidrop's epoch on so many images."""
    return Epoch(Workload(**fields), train, test)
