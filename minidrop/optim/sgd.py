"""Stochastic gradient descent."""

from typing import Any

from minidrop.backends import Array, Formula
from minidrop.optim.optimizer import LinearRule, Optimizer
from minidrop.parameters import ParameterArena


class SGD(Optimizer):
    """w ← w - η g, with η the learning rate (`lr`); torch.optim.SGD without momentum.

    Args:
        parameters: what `model.parameters()` returns.
        lr: η, at least 0.
        options: `Optimizer`'s.

    Raises:
        ArgumentError: if a number is outside its range.

    >>> import minidrop as md, numpy as np
    >>> model = md.Linear(1, 1, bias=False, init=md.Constant(1))
    >>> optimizer = md.SGD(model.parameters(), lr=0.5)
    >>> model.weight.grad[...] = 1
    >>> optimizer.step()
    >>> model.weight.value
    array([[0.5]], dtype=float32)
    """

    def __init__(self, parameters: ParameterArena, lr: float = 0.1, **options: Any) -> None:
        super().__init__(parameters, lr, **options)

    def linear_rule(self, lr: float) -> LinearRule | None:
        """The same, added to the weights themselves."""
        return LinearRule(decay=1, factor=-lr, step=0)

    def formula(self) -> Formula:
        """See `Optimizer.formula`."""
        return Formula("sgd")

    def update(self, xp: Any, w: Array, g: Array, lr: float, *slots: Array) -> None:
        """w ← w - η g."""
        self.add(-lr, g, 1, w)
