"""The forms of momentum, all of them through `torch.optim.SGD`."""

from collections.abc import Callable, Iterable
from typing import Any

from torch.optim import SGD

from reference.optim.repriced import repriced


class Momentum(SGD):
    """The forms that PyTorch lacks, by exact emulation.

    PyTorch's v ← μ v + g, w ← w - η v is scheduled so that its velocity is, at every step, the other form's
    divided by the price p_t at which that form takes in a gradient:

        form       p_t           PyTorch's η       PyTorch's μ
        classical  η_t           p_t               μ_t p_(t-1) / p_t
        hinton     (1 - μ_t) η_t p_t               μ_t p_(t-1) / p_t
        ema        1 - μ_t       η_t p_t           μ_t p_(t-1) / p_t

    No momentum and no learning rate may be 0: PyTorch would leave the velocity out, or the price divide by 0.
    """

    def __init__(
        self, params: Iterable[Any], lr: float, momentum: float, form: str, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay)
        self.form = form

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """One step of PyTorch's SGD at the re-priced learning rate and momentum."""
        changes = []
        for group in self.param_groups:
            lr, mu = group["lr"], group["momentum"]
            price = {"classical": lr, "hinton": (1 - mu) * lr, "ema": 1 - mu}[self.form]
            rate = lr * price if self.form == "ema" else price
            changes.append({"lr": rate, "momentum": mu * group.get("price", price) / price})
            group["price"] = price
        with repriced(self, changes):
            return super().step(closure)
