"""Adadelta."""

from typing import Any

from minidrop.backends import Array, Formula
from minidrop.errors import check_range
from minidrop.optim.optimizer import Optimizer
from minidrop.parameters import ParameterArena


class Adadelta(Optimizer):
    """Zeiler 2012, as torch.optim.Adadelta, with η the learning rate:

        s ← ρ s + (1 - ρ) g²        δ = √(d + ε) / √(s + ε) g        d ← ρ d + (1 - ρ) δ²        w ← w - η δ

    Args:
        parameters: what `model.parameters()` returns.
        lr: η, at least 0; the paper has none, which is 1.
        rho: ρ in [0, 1].
        eps: ε, 1e-6 unless given; above 0: with 0 no weight ever moves, and one becomes NaN if its
            gradient's square is exactly zero from the first step on.
        options: `Optimizer`'s.

    Raises:
        ArgumentError: if a number is outside its range.

    >>> import minidrop as md
    >>> model = md.Linear(1, 1, bias=False, init=md.Constant(1), dtype="float64")
    >>> model.weight.grad[...] = 123.0
    >>> md.Adadelta(model.parameters(), rho=0.75, eps=0.01).step()  # begins with √(ε / (1 - ρ)) = 0.2
    >>> model.weight.value.round(6)
    array([[0.8]])
    """

    slots = ("squares", "squared_steps")

    def __init__(
        self,
        parameters: ParameterArena,
        lr: float = 1.0,
        *,
        rho: float = 0.9,
        eps: float = 1e-6,
        **options: Any,
    ) -> None:
        super().__init__(parameters, lr, **options)
        self.rho = check_range("rho", rho, 0, 1)
        self.eps = check_range("eps", eps, 0)

    def formula(self) -> Formula:
        """See `Optimizer.formula`."""
        return Formula("adadelta", (self.rho, self.eps))

    def update(self, xp: Any, w: Array, g: Array, lr: float, *slots: Array) -> None:
        """Change both averages and the weight."""
        s, d = slots
        delta, root = self.temporary("delta", w), self.temporary("root", w)
        self.add_square(xp, 1 - self.rho, g, self.rho, s)
        xp.add(s, self.eps, out=root)
        xp.sqrt(root, out=root)
        xp.add(d, self.eps, out=delta)
        xp.sqrt(delta, out=delta)
        delta /= root
        delta *= g
        self.add_square(xp, 1 - self.rho, delta, self.rho, d)
        self.add(-lr, delta, 1, w)
