"""RMSprop."""

from typing import Any

from minidrop.backends import Array, Formula
from minidrop.errors import check_range
from minidrop.optim.optimizer import MomentumMixin, Optimizer
from minidrop.parameters import ParameterArena


class RMSprop(MomentumMixin, Optimizer):
    """Tieleman & Hinton 2012 (lecture 6.5), as torch.optim.RMSprop, with η the learning rate:

        s ← α s + (1 - α) g²        v ← μ v + g / (√s + ε)        w ← w - η v

    With centered=True the root is √(s - a²), with a ← α a + (1 - α) g (Graves 2013).

    Args:
        parameters: what `model.parameters()` returns.
        lr: η, at least 0.
        alpha: α in [0, 1].
        eps: ε, 1e-8 unless given; above 0 wherever a gradient's square may be exactly zero from the first
            step on, and with centered=True also wherever a gradient may stay the same.
        momentum: μ in [0, 1); 0 makes v the present step alone.
        centered: whether the mean is taken out of the second moment.
        options: `Optimizer`'s.

    Raises:
        ArgumentError: if a number is outside its range.

    >>> import minidrop as md
    >>> model = md.Linear(1, 1, bias=False, init=md.Constant(1), dtype="float64")
    >>> model.weight.grad[...] = 123.0
    >>> md.RMSprop(model.parameters(), lr=0.01).step()  # the first step is η / √(1 - α), here 10 η
    >>> model.weight.value.round(6)
    array([[0.9]])
    """

    slots: tuple[str, ...] = ("squares", "velocity")

    def __init__(
        self,
        parameters: ParameterArena,
        lr: float = 1e-2,
        *,
        alpha: float = 0.99,
        eps: float = 1e-8,
        momentum: float = 0.0,
        centered: bool = False,
        **options: Any,
    ) -> None:
        if centered:
            self.slots = (*self.slots, "mean")
        super().__init__(parameters, lr, **options)
        self.alpha = check_range("alpha", alpha, 0, 1)
        self.eps = check_range("eps", eps, 0)
        self.momentum = momentum
        self.centered = centered

    def formula(self) -> Formula:
        """See `Optimizer.formula`."""
        return Formula("rmsprop", (self.alpha, self.eps, float(self.centered)))

    def update(self, xp: Any, w: Array, g: Array, lr: float, *slots: Array) -> None:
        """Change the averages, the velocity and the weight."""
        s, v, *mean = slots
        root = self.temporary("root", w)
        self.add_square(xp, 1 - self.alpha, g, self.alpha, s)
        if self.centered:
            (a,) = mean
            self.add(1 - self.alpha, g, self.alpha, a)
            xp.multiply(a, a, out=root)
            xp.subtract(s, root, out=root)
            xp.maximum(root, 0, out=root)  # rounding can leave a variance just below zero
        else:
            root[...] = s
        xp.sqrt(root, out=root)
        root += self.eps
        xp.divide(g, root, out=root)
        self.add(1, root, self.momentum, v)
        self.add(-lr, v, 1, w)
