"""Adam and AdamW."""

from typing import Any

from minidrop.backends import Array, Formula
from minidrop.errors import check_range
from minidrop.optim.optimizer import Optimizer
from minidrop.parameters import ParameterArena


class TwoMoments(Optimizer):
    """What Adam and its relatives have in common: the averaging rates β₁ and β₂, and ε."""

    slots = ("first_moment", "second_moment")

    def __init__(
        self,
        parameters: ParameterArena,
        lr: float = 1e-3,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        **options: Any,
    ) -> None:
        super().__init__(parameters, lr, **options)
        self.beta1 = check_range("beta1", beta1, 0, 1, exclude_high=True)
        self.beta2 = check_range("beta2", beta2, 0, 1, exclude_high=True)
        self.eps = check_range("eps", eps, 0)

    def update_moments(self, xp: Any, g: Array, m: Array, v: Array) -> None:
        """m ← β₁ m + (1 - β₁) g and v ← β₂ v + (1 - β₂) g², in place."""
        self.add(1 - self.beta1, g, self.beta1, m)
        self.add_square(xp, 1 - self.beta2, g, self.beta2, v)


class Adam(TwoMoments):
    """Kingma & Ba 2015, algorithm 1; at step t, with η the learning rate:

        m ← β₁ m + (1 - β₁) g        m̂ = m / (1 - β₁ᵗ)
        v ← β₂ v + (1 - β₂) g²       v̂ = v / (1 - β₂ᵗ)        w ← w - η m̂ / (√v̂ + ε)

    With corrected=False the denominator is √v + ε, the formula that document 004 prints; its code, like this
    class by default, divides by √v̂. The printed one takes steps larger by (1 - β₂ᵗ)^-½: 31.6 at t = 1.

    Args:
        parameters: what `model.parameters()` returns.
        lr: η, at least 0.
        beta1, beta2: β₁ and β₂ in [0, 1); 0.9 and 0.999 unless given.
        eps: ε, 1e-8 unless given; above 0 wherever a gradient's square may be exactly zero from the first
            step on.
        corrected: whether the second moment is corrected for its bias.
        options: `Optimizer`'s.

    Raises:
        ArgumentError: if a number is outside its range.

    >>> import minidrop as md
    >>> model = md.Linear(1, 1, bias=False, init=md.Constant(1), dtype="float64")
    >>> optimizer = md.Adam(model.parameters(), lr=0.1)
    >>> model.weight.grad[...] = 123.0
    >>> optimizer.step()  # the first step is η, whatever the gradient's size
    >>> model.weight.value.round(6)
    array([[0.9]])
    """

    def __init__(
        self, parameters: ParameterArena, lr: float = 1e-3, *, corrected: bool = True, **options: Any
    ) -> None:
        super().__init__(parameters, lr, **options)
        self.corrected = corrected

    def formula(self) -> Formula:
        """See `Optimizer.formula`."""
        return Formula("adam", (self.beta1, self.beta2, self.eps, float(self.corrected)))

    def update(self, xp: Any, w: Array, g: Array, lr: float, *slots: Array) -> None:
        """Change both moments and the weight."""
        m, v = slots
        self.update_moments(xp, g, m, v)
        # √v̂ + ε = (√v + ε c) / c with c² = 1 - β₂ᵗ, which is one pass less
        c = (1 - self.beta2**self.steps) ** 0.5 if self.corrected else 1.0
        step = self.temporary("step", w)
        xp.sqrt(v, out=step)
        step += self.eps * c
        xp.divide(m, step, out=step)
        self.add(-lr * c / (1 - self.beta1**self.steps), step, 1, w)


class AdamW(Adam):
    """Adam with decoupled weight decay: w ← w (1 - η λ) before Adam's step (Loshchilov & Hutter 2019).

    Args:
        parameters: what `model.parameters()` returns.
        lr: η, at least 0.
        weight_decay: λ; torch.optim.AdamW's default of 0.01.
        options: `Adam`'s.

    >>> import minidrop as md
    >>> model = md.Linear(1, 1, bias=False, init=md.Constant(1), dtype="float64")
    >>> optimizer = md.AdamW(model.parameters(), lr=0.1, weight_decay=0.5)
    >>> optimizer.step()  # no gradient: the weight only decays
    >>> model.weight.value
    array([[0.95]])
    """

    decoupled = True

    def __init__(
        self, parameters: ParameterArena, lr: float = 1e-3, *, weight_decay: float = 0.01, **options: Any
    ) -> None:
        super().__init__(parameters, lr, weight_decay=weight_decay, **options)
