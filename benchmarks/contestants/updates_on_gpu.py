"""Updates of one large matrix on a GPU, and a copy: what its memory can do."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

import minidrop as md
from benchmarks.contestants.on_gpu import OnGpu
from benchmarks.optimizers import FORMULAS, gradients

#: of a row
COLUMNS = 10_000


class Update:
    """One call is one update of a matrix (n / COLUMNS, COLUMNS) whose rows all have the same gradient.

    Args:
        step: the update.
        weight: the matrix.
        gradient: the matrix of its gradient.
        to_device: a row of NumPy's as one of the library's.
        to_host: the reverse.
        synchronise: waits for the device.
    """

    def __init__(
        self,
        step: Callable[[], object],
        weight: Any,
        gradient: Any,
        to_device: Callable[[Any], Any],
        to_host: Callable[[Any], Any],
        synchronise: Callable[[], object],
    ) -> None:
        self.step, self.weight, self.gradient = step, weight, gradient
        self.to_device, self.to_host, self.synchronise = to_device, to_host, synchronise
        self.set_gradient(0)

    def __call__(self) -> None:
        """Update."""
        self.step()

    def set_gradient(self, step: int) -> None:
        """Let each row's gradient be that of `step`."""
        self.gradient[...] = self.to_device(gradients(COLUMNS, step))

    def values(self, n: int) -> list[float]:
        """The lengths of the first and the last row after each of n updates."""
        found = []
        for step in range(n):
            self.set_gradient(step)
            self()
            rows = (self.to_host(self.weight[i]).astype(float) for i in (0, -1))
            found += [float(np.linalg.norm(row)) for row in rows]
        return found


def by_minidrop(*, name: str, n: int) -> Update:
    """minidrop's update of n weights."""
    gpu = OnGpu()
    units = [COLUMNS, n // COLUMNS, 1]  # max-norm is for hidden units, so something is behind them
    large, last = (md.Linear(i, o, bias=False, init=md.Constant()) for i, o in pairwise(units))
    parameters = md.Sequential(large, last).parameters()
    step = md.optim.OPTIMIZERS[name](parameters, **FORMULAS[name].options).step
    parameter, _ = parameters.values()
    ways = gpu.backend.asarray, gpu.backend.to_host, gpu.synchronise
    return Update(step, parameter.value, parameter.grad, *ways)


def by_torch(*, name: str, n: int, device: str = "cuda") -> Update:
    """PyTorch's fused update of n weights, with max-norm by `renorm_` where minidrop's has it."""
    import torch

    formula = FORMULAS[name]
    p = torch.nn.Parameter(torch.zeros(n // COLUMNS, COLUMNS, device=device))
    p.grad = torch.zeros_like(p)
    optimizer: Any = getattr(torch.optim, formula.torch)([p], **formula.torch_options, fused=True)
    weight, step = p.detach(), optimizer.step
    if "limit" in formula.options:
        length = formula.options["limit"] ** 0.5

        def step() -> None:
            optimizer.step()
            weight.renorm_(2, 0, length)

    def synchronise() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    return Update(
        step,
        weight,
        p.grad,
        lambda row: torch.from_numpy(row).to(device),
        lambda row: row.cpu().numpy(),
        synchronise,
    )


class Copy(OnGpu):
    """A copy of n numbers."""

    def __init__(self, n: int) -> None:
        super().__init__()
        xp = self.backend.xp
        self.source, self.target = xp.zeros(n, "float32"), xp.empty(n, "float32")

    def __call__(self) -> None:
        """Copy."""
        self.backend.xp.copyto(self.target, self.source)


def copy(*, n: int) -> Copy:
    """A copy of n numbers."""
    return Copy(n)
