"""The update of Hinton et al. 2012 as a PyTorch optimizer: as the paper has it, and as document 000 has."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import Optimizer

from reference.optim.max_norm import max_norm_


class SGDHinton(Optimizer):
    """Hinton et al. 2012, appendix A: d ← μ d - (1 - μ) η g, w ← w + d, then the limit on |W_i|².

    The limit is for hidden units: put the output layer into a parameter group with limit 0.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 10.0,
        momentum: float = 0.5,
        limit: float = 15.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "momentum": momentum, "limit": limit, "weight_decay": weight_decay}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Update, then project; the velocity does not see the projection."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            lr, momentum = group["lr"], group["momentum"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                grad = p.grad.add(p, alpha=group["weight_decay"]) if group["weight_decay"] else p.grad
                velocity = self.state[p].setdefault("velocity", torch.zeros_like(p))
                velocity.mul_(momentum).add_(grad, alpha=-(1 - momentum) * lr)
                p.add_(velocity)
                if group["limit"] > 0 and p.ndim > 1:
                    max_norm_(p, group["limit"] ** 0.5)
        return loss


class SGDHintonPublished(Optimizer):
    """Document 000's `SGDHinton`, slips and all: its `step` is the published text, formatted.

    Two things had to change. `lr` has no `required` sentinel, which PyTorch no longer has; and `renorm` is
    made by `ones_like`, since `torch.ones(p.size())` is float32 on the CPU whatever p is, which spoils a
    float64 run and fails on a GPU.
    """

    def __init__(
        self, params: Iterable[Any], lr: float, momentum: float = 0.0, l2_limit: float = 15.0
    ) -> None:
        if lr < 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if momentum < 0.0:
            raise ValueError(f"Invalid momentum value: {momentum}")
        if l2_limit < 0.0:
            raise ValueError(f"Invalid L2 threshold value: {l2_limit}")
        super().__init__(params, {"lr": lr, "momentum": momentum, "l2_limit": l2_limit})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Perform a single optimization step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()

        for group in self.param_groups:
            momentum = group["momentum"]
            learning_rate = group["lr"]
            l2_limit = group["l2_limit"]

            for p in group["params"]:
                if p.grad is None:
                    continue
                d_p = p.grad
                renorm = torch.ones_like(p)
                if momentum != 0:
                    param_state = self.state[p]
                    if "momentum_buffer" not in param_state:
                        buf = param_state["momentum_buffer"] = torch.clone(d_p).detach()
                    else:
                        buf = param_state["momentum_buffer"]

                        alpha = learning_rate * (1 - momentum)
                        buf.mul_(momentum).add_(d_p, alpha=-1.0 * alpha)

                        p_tmp = torch.clone(p).detach()

                        if l2_limit > 0 and len(p_tmp.size()) > 1:
                            l2_norm = [torch.sqrt(torch.sum(p_tmp[i, :] ** 2)) for i in range(p_tmp.size(0))]

                            for i in range(p_tmp.size(0)):
                                if l2_norm[i].item() > l2_limit:
                                    renorm[i, :] = l2_limit / l2_norm[i].item()

                        d_p = buf

                p.add_(d_p, alpha=1.0).mul_(renorm)

        return loss
