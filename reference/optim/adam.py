"""PyTorch's own: `torch.optim.Adam` and `AdamW`; and Adam as document 004 prints it, through PyTorch's."""

from collections.abc import Callable
from typing import Any

from torch.optim import Adam, AdamW

from reference.optim.repriced import repriced

__all__ = ["Adam", "AdamPrinted", "AdamW"]


class AdamPrinted(Adam):
    """Adam with √v instead of √v̂ in the denominator.

    With c = √(1 - β₂ᵗ), √v + ε is c (√v̂ + ε / c): it is PyTorch's Adam with lr / c and ε / c.
    """

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """One step of PyTorch's Adam at its re-priced learning rate."""
        t = 1 + max((int(state["step"]) for state in self.state.values()), default=0)
        changes = []
        for group in self.param_groups:
            c = (1 - group["betas"][1] ** t) ** 0.5
            changes.append({"lr": group["lr"] / c, "eps": group["eps"] / c})
        with repriced(self, changes):
            return super().step(closure)
