"""Adam with the infinity norm."""

from typing import Any

from minidrop.backends import Array, Formula
from minidrop.optim.adam import TwoMoments
from minidrop.parameters import ParameterArena


class Adamax(TwoMoments):
    """Kingma & Ba 2015, algorithm 2, as torch.optim.Adamax; at step t, with η the learning rate:

        m ← β₁ m + (1 - β₁) g        u ← max(β₂ u, |g| + ε)        w ← w - η / (1 - β₁ᵗ) m / u

    Args:
        parameters: what `model.parameters()` returns.
        lr: η, at least 0.
        beta1, beta2: β₁ and β₂ in [0, 1); 0.9 and 0.999 unless given.
        eps: ε, 1e-8 unless given; above 0 wherever a gradient may be exactly zero from the first step on.
        options: `Optimizer`'s.

    Raises:
        ArgumentError: if a number is outside its range.

    >>> import minidrop as md
    >>> model = md.Linear(3, 1, bias=False, init=md.Constant(1), dtype="float64")
    >>> model.weight.grad[...] = 123.0, 0.0, -0.5
    >>> md.Adamax(model.parameters(), lr=0.1).step()  # the first step is η; without a gradient there is none
    >>> model.weight.value.round(6)
    array([[0.9, 1. , 1.1]])
    """

    slots = ("first_moment", "infinity_norm")

    def __init__(self, parameters: ParameterArena, lr: float = 2e-3, **options: Any) -> None:
        super().__init__(parameters, lr, **options)

    def formula(self) -> Formula:
        """See `Optimizer.formula`."""
        return Formula("adamax", (self.beta1, self.beta2, self.eps))

    def update(self, xp: Any, w: Array, g: Array, lr: float, *slots: Array) -> None:
        """Change the moment, the norm and the weight."""
        m, u = slots
        step = self.temporary("step", w)
        self.add(1 - self.beta1, g, self.beta1, m)
        xp.absolute(g, out=step)
        step += self.eps
        u *= self.beta2
        xp.maximum(u, step, out=u)
        xp.divide(m, u, out=step)
        self.add(-lr / (1 - self.beta1**self.steps), step, 1, w)
