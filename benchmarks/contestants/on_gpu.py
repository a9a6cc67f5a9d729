"""The training step on a GPU, by several libraries: a call is a hundred steps, and nobody reads a loss."""

from typing import Any

import numpy as np

import minidrop as md
from benchmarks.contestants.minidrop_step import MinidropStep
from benchmarks.workload import Workload

#: steps of a call: enough that what waits for the device at its ends does not count
STEPS = 100


class Minidrop:
    """minidrop on CuPy: an epoch of steps in CUDA graphs, or launched one by one.

    Args:
        workload: the step to do.
        captured: whether in graphs.
        gradients: whether weight gradients are written.
    """

    def __init__(self, workload: Workload, *, captured: bool = True, gradients: bool = False) -> None:
        self.xp = md.set_backend("cupy").xp
        own = MinidropStep(workload, fused=True).step
        self.step = md.TrainStep(own.model, own.loss, own.optimizer, gradients=gradients)
        self.captured = captured
        inputs, labels = np.tile(workload.inputs, (STEPS, 1)), np.tile(workload.labels, STEPS)
        examples = md.data.Examples(inputs, labels)  # every batch is the workload's
        self.batches = md.data.Batches(examples, workload.batch, shuffle=False, dtype=workload.dtype)

    def __call__(self) -> None:
        """A hundred steps."""
        if self.captured:
            for _ in self.step.epoch(self.batches, 0):
                pass
            assert self.step.launches.startswith("in CUDA graphs"), self.step.launches
        else:
            for x, labels in self.batches.epoch(0):
                self.step(x, labels)

    def synchronise(self) -> None:
        """Wait for the device."""
        self.xp.cuda.Device().synchronize()

    def values(self, n: int) -> list[float]:
        """The losses of the first n steps."""
        return [float(self.step(*next(self.batches.epoch(0)))) for _ in range(n)]


def minidrop(*, captured: bool = True, gradients: bool = False, **fields: Any) -> Minidrop:
    """minidrop's steps on a workload."""
    return Minidrop(Workload(**fields), captured=captured, gradients=gradients)


class Products:
    """The matrix products of a hundred steps in CUDA graphs, by minidrop's handle of cuBLAS: the floor."""

    def __init__(self, workload: Workload) -> None:
        back = md.set_backend("cupy")
        self.xp, full = back.xp, back.xp.full
        weights = [back.asarray(W) for W, _ in workload.weights()]
        dw = [back.xp.empty_like(W) for W in weights]
        x = [full((workload.batch, n), 1e-3, workload.dtype) for n in workload.sizes]
        dx = [full((workload.batch, n), 1e-3, workload.dtype) for n in workload.sizes]

        def step() -> None:
            for i, W in enumerate(weights):
                back.matmul(x[i], W.T, x[i + 1])
            for i in reversed(range(len(weights))):
                back.matmul(dx[i + 1].T, x[i], dw[i])
                if i:
                    back.matmul(dx[i + 1], weights[i], dx[i])

        step()
        self.alive = weights, dw, x, dx
        self.graph = back.record(lambda: [step() for _ in range(10)])

    def __call__(self) -> None:
        """The products of a hundred steps."""
        for _ in range(STEPS // 10):
            self.graph.launch()

    def synchronise(self) -> None:
        """Wait for the device."""
        self.xp.cuda.Device().synchronize()


def products(**fields: Any) -> Products:
    """The products of a workload's step."""
    return Products(Workload(**fields))


def torch(*, way: str, device: str = "cuda", **fields: Any) -> Any:
    """PyTorch's steps: "eager" with fused SGD, in a CUDA "graph", or "compiled" to reduce overhead."""
    import torch

    from benchmarks.contestants.torch_step import TorchStep

    class OnGpu(TorchStep):
        def __init__(self) -> None:
            super().__init__(Workload(**fields), optimizer="fused", max_norm=True, compiled=False)
            self.inputs, self.labels = self.inputs.to(device), self.labels.to(device)
            for layer in self.layers:
                layer.to(device)
            self.one: Any = self.step
            if way == "compiled":
                self.loss = torch.compile(self._loss, mode="reduce-overhead")
                self.update = torch.compile(self._update, mode="reduce-overhead")
                self.one = self.marked_step
            if way == "graph":
                side = torch.cuda.Stream()
                side.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(side):
                    for _ in range(3):
                        self.step()
                torch.cuda.current_stream().wait_stream(side)
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph):
                    self.step()
                self.one = graph.replay

        def step(self, factors: Any = None) -> Any:
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.loss(factors)
            loss.backward()  # type: ignore[no-untyped-call]
            self.update()
            return loss.detach()

        def marked_step(self) -> None:
            """A step after which what its graphs returned may be written again."""
            torch.compiler.cudagraph_mark_step_begin()
            self.step()

        def __call__(self, factors: Any = None) -> Any:
            for _ in range(STEPS):
                self.one()

        def synchronise(self) -> None:
            if device == "cuda":
                torch.cuda.synchronize()

        def values(self, n: int) -> list[float] | None:
            """The losses with the workload's masks; a graph draws its own."""
            if way != "eager":
                return None
            masks = ([torch.from_numpy(f).to(device) for f in self.workload.factors(t)] for t in range(n))
            return [float(self.step(factors)) for factors in masks]

    return OnGpu()


def jax(**fields: Any) -> Any:
    """JAX's steps."""
    from benchmarks.contestants.jax_step import JaxStep

    class OnGpu(JaxStep):
        def __call__(self, factors: Any = None) -> Any:
            loss = None
            for _ in range(STEPS if factors is None else 1):
                arguments = self.weights, self.velocities, self.batch, self.key, self.steps, factors
                self.weights, self.velocities, loss = self.step(*arguments)
                self.steps += 1
            return loss

        def synchronise(self) -> None:
            self.weights[0][0].block_until_ready()

        def values(self, n: int) -> list[float]:
            return [float(loss) for loss in super().values(n)]

    return OnGpu(Workload(**fields))


class Update:
    """minidrop's update of one large matrix, PyTorch's fused one, or a copy: what the memory can do.

    Args:
        who: "minidrop", "torch" or "copy".
        name: of minidrop's optimizer; its formula has PyTorch's name too.
        n: how many weights.
    """

    def __init__(self, who: str, name: str, n: int) -> None:
        from benchmarks.optimizers import FORMULAS

        formula = FORMULAS[name]
        if who == "torch":
            import torch

            p = torch.nn.Parameter(torch.zeros(n, device="cuda"))
            p.grad = torch.full_like(p, 1e-3)
            optimizer: Any = getattr(torch.optim, formula.torch)([p], **formula.torch_options, fused=True)
            self.run, self.synchronise = optimizer.step, torch.cuda.synchronize
            return
        xp = md.set_backend("cupy").xp
        self.synchronise = xp.cuda.Device().synchronize
        if who == "copy":
            source, target = xp.zeros(n, "float32"), xp.empty(n, "float32")
            self.run = lambda: xp.copyto(target, source)
            return
        model = md.Linear(n // 10_000, 10_000, bias=False, init=md.Constant())
        own = md.optim.OPTIMIZERS[name](model.parameters(), **formula.options)
        model.weight.grad[...] = 1e-3
        self.run = own.step

    def __call__(self) -> None:
        """One update."""
        self.run()


def update(*, who: str, name: str, n: int) -> Update:
    """An update on the GPU."""
    return Update(who, name, n)
