"""PyTorch's step, eager or compiled."""

import os
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.workload import Workload


class TorchStep:
    """Linear layers, ReLU, dropout, cross-entropy, autograd and SGD as PyTorch has them.

    Args:
        workload: the step to do.
        optimizer: "sgd", torch.optim.SGD as it is by default; or "fused", with its one kernel a matrix.
        max_norm: whether max-norm follows, by `Tensor.renorm_`.
        compiled: whether torch.compile makes one graph of forward pass and loss with its backward pass, and
            one of optimizer and max-norm, as PyTorch's recipe for compiled optimizers does.
        device: of all tensors.
    """

    def __init__(
        self, workload: Workload, *, optimizer: str, max_norm: bool, compiled: bool, device: str = "cpu"
    ) -> None:
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        self.workload, self.max_norm, self.device = workload, max_norm, device
        self.inputs = torch.from_numpy(workload.inputs).to(device)
        self.labels = torch.from_numpy(workload.labels).to(device)
        self.layers = [linear(W, b).to(device) for W, b in workload.weights()]
        self.optimizer = torch.optim.SGD(
            nn.ModuleList(self.layers).parameters(),
            lr=workload.lr,
            momentum=workload.momentum,
            fused=True if optimizer == "fused" else None,
        )
        self.hidden = [layer.weight for layer in self.layers][:-1] if max_norm and workload.limit else []
        self.loss = torch.compile(self._loss) if compiled else self._loss
        self.update = torch.compile(self._update) if compiled else self._update

    def _loss(self, factors: list[Tensor] | None = None) -> Tensor:
        x = self.inputs
        for i, (layer, p) in enumerate(zip(self.layers, self.workload.drops, strict=True)):
            x = functional.dropout(x, p) if factors is None else x * factors[i]
            x = layer(x)
            if i < len(self.layers) - 1:
                x = functional.relu(x)
        return functional.cross_entropy(x, self.labels)

    def _update(self) -> None:
        self.optimizer.step()
        with torch.no_grad():
            for W in self.hidden:
                W.renorm_(2, 0, self.workload.length)

    def __call__(self, factors: list[Tensor] | None = None) -> float:
        """One step, its dropout PyTorch's own or by the given factors; the loss before its update."""
        loss: float = self.losses(factors).item()
        return loss

    def losses(self, factors: list[Tensor] | None = None) -> Tensor:
        """The same, with the loss as a tensor."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(factors)
        loss.backward()
        self.update()
        return loss.detach()

    def values(self, n: int) -> list[float] | None:
        """The losses of the first n steps with the workload's masks; without max-norm they are others."""
        if not self.max_norm:
            return None
        return [self([torch.from_numpy(factor) for factor in self.workload.factors(t)]) for t in range(n)]


def linear(W: Any, b: Any) -> nn.Linear:
    """A layer with these weights."""
    layer = nn.Linear(W.shape[1], W.shape[0], dtype=torch.from_numpy(W).dtype)
    layer.load_state_dict({"weight": torch.from_numpy(W), "bias": torch.from_numpy(b)})
    return layer


def step(
    *, optimizer: str = "sgd", max_norm: bool = True, compiled: bool = False, **fields: Any
) -> TorchStep:
    """PyTorch's step on a workload."""
    return TorchStep(Workload(**fields), optimizer=optimizer, max_norm=max_norm, compiled=compiled)
