"""Updates of one large matrix on a GPU, and a copy: what its memory can do."""

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

    Subclasses have the arrays `weight` and `gradient`, and `step`.
    """

    weight: Any
    gradient: Any
    step: Any

    def __call__(self) -> None:
        """Update."""
        self.step()

    def set_gradient(self, step: int) -> None:
        """Let each row's gradient be that of `step`."""
        self.gradient[...] = self.on_device(gradients(COLUMNS, step))

    def on_device(self, row: Any) -> Any:
        """A row as an array of the library."""
        raise NotImplementedError

    def on_host(self, row: Any) -> Any:
        """A row as NumPy's array."""
        raise NotImplementedError

    def values(self, n: int) -> list[float]:
        """The lengths of the first and the last row after each of n updates."""
        found = []
        for step in range(n):
            self.set_gradient(step)
            self()
            rows = (self.on_host(self.weight[i]).astype(float) for i in (0, -1))
            found += [float(np.linalg.norm(row)) for row in rows]
        return found


class ByMinidrop(Update, OnGpu):
    """minidrop's update."""

    def __init__(self, name: str, n: int) -> None:
        OnGpu.__init__(self)
        units = [COLUMNS, n // COLUMNS, 1]  # max-norm is for hidden units, so something is behind them
        large, last = (md.Linear(i, o, bias=False, init=md.Constant()) for i, o in pairwise(units))
        parameters = md.Sequential(large, last).parameters()
        self.step = md.optim.OPTIMIZERS[name](parameters, **FORMULAS[name].options).step
        parameter, _ = parameters.values()
        self.weight, self.gradient = parameter.value, parameter.grad
        self.set_gradient(0)

    def on_device(self, row: Any) -> Any:
        """See `Update.on_device`."""
        return self.backend.asarray(row)

    def on_host(self, row: Any) -> Any:
        """See `Update.on_host`."""
        return self.backend.to_host(row)


class ByTorch(Update):
    """PyTorch's fused update, and max-norm by `renorm_`.

    Args:
        name: of minidrop's optimizer; its formula has PyTorch's name too.
        n: how many weights.
        device: where.
    """

    def __init__(self, name: str, n: int, device: str) -> None:
        import torch

        formula = FORMULAS[name]
        self.device, self.torch = device, torch
        p = torch.nn.Parameter(torch.zeros(n // COLUMNS, COLUMNS, device=device))
        p.grad = torch.zeros_like(p)
        optimizer: Any = getattr(torch.optim, formula.torch)([p], **formula.torch_options, fused=True)
        self.weight, self.gradient, self.step = p.detach(), p.grad, optimizer.step
        if "limit" in formula.options:
            length = formula.options["limit"] ** 0.5

            def step() -> None:
                optimizer.step()
                self.weight.renorm_(2, 0, length)

            self.step = step
        self.set_gradient(0)

    def on_device(self, row: Any) -> Any:
        """See `Update.on_device`."""
        return self.torch.from_numpy(row).to(self.device)

    def on_host(self, row: Any) -> Any:
        """See `Update.on_host`."""
        return row.cpu().numpy()

    def synchronise(self) -> None:
        """Wait for the device."""
        if self.device == "cuda":
            self.torch.cuda.synchronize()


class Copy(OnGpu):
    """A copy of n numbers."""

    def __init__(self, n: int) -> None:
        super().__init__()
        xp = self.backend.xp
        self.source, self.target = xp.zeros(n, "float32"), xp.empty(n, "float32")

    def __call__(self) -> None:
        """Copy."""
        self.backend.xp.copyto(self.target, self.source)


def by_minidrop(*, name: str, n: int) -> ByMinidrop:
    """minidrop's update of n weights."""
    return ByMinidrop(name, n)


def by_torch(*, name: str, n: int, device: str = "cuda") -> ByTorch:
    """PyTorch's update of n weights."""
    return ByTorch(name, n, device)


def copy(*, n: int) -> Copy:
    """A copy of n numbers."""
    return Copy(n)
