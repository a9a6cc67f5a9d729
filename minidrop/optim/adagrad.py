"""Adagrad."""

from typing import Any

from minidrop.backends import Array, Formula
from minidrop.errors import check_range
from minidrop.optim.optimizer import Optimizer
from minidrop.parameters import ParameterArena


class Adagrad(Optimizer):
    """Duchi et al. 2011, as torch.optim.Adagrad; at step t, with η the learning rate:

        s ← s + g²        w ← w - η / (1 + (t - 1) d) g / (√s + ε)

    Args:
        parameters: what `model.parameters()` returns.
        lr: η, at least 0.
        lr_decay: d, at least 0.
        eps: ε, 1e-10 unless given; above 0 wherever a gradient's square may be exactly zero from the first
            step on.
        options: `Optimizer`'s.

    Raises:
        ArgumentError: if a number is outside its range.

    >>> import minidrop as md
    >>> model = md.Linear(3, 1, bias=False, init=md.Constant(1), dtype="float64")
    >>> model.weight.grad[...] = 0.01, 1.0, -100.0
    >>> md.Adagrad(model.parameters(), lr=0.1).step()  # the first step is η, whatever the gradient's size
    >>> model.weight.value.round(6)
    array([[0.9, 0.9, 1.1]])
    """

    slots = ("squares",)

    def __init__(
        self,
        parameters: ParameterArena,
        lr: float = 1e-2,
        *,
        lr_decay: float = 0.0,
        eps: float = 1e-10,
        **options: Any,
    ) -> None:
        super().__init__(parameters, lr, **options)
        self.lr_decay = check_range("lr_decay", lr_decay, 0)
        self.eps = check_range("eps", eps, 0)

    def formula(self) -> Formula:
        """See `Optimizer.formula`."""
        return Formula("adagrad", (self.eps, self.lr_decay))

    def update(self, xp: Any, w: Array, g: Array, lr: float, *slots: Array) -> None:
        """Change the sum of squares and the weight."""
        (s,) = slots
        step = self.temporary("step", w)
        self.add_square(xp, 1, g, 1, s)
        xp.sqrt(s, out=step)
        step += self.eps
        xp.divide(g, step, out=step)
        self.add(-lr / (1 + (self.steps - 1) * self.lr_decay), step, 1, w)
