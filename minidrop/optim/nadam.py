"""Adam with Nesterov's momentum."""

from collections.abc import Mapping
from typing import Any

from minidrop.backends import Array, Formula
from minidrop.errors import check_range
from minidrop.optim.adam import TwoMoments
from minidrop.parameters import ParameterArena


class NAdam(TwoMoments):
    """Dozat 2016, as torch.optim.NAdam; at step t, with η the learning rate and ψ the momentum decay:

        μ_t = β₁ (1 - ½ 0.96^(tψ))             M_t = μ_1 ... μ_t
        m ← β₁ m + (1 - β₁) g                  v ← β₂ v + (1 - β₂) g²         v̂ = v / (1 - β₂ᵗ)
        w ← w - η ((1 - μ_t) g / (1 - M_t) + μ_(t+1) m / (1 - M_(t+1))) / (√v̂ + ε)

    Args:
        parameters: what `model.parameters()` returns.
        lr: η, at least 0.
        beta1, beta2: β₁ and β₂ in [0, 1); 0.9 and 0.999 unless given.
        eps: ε, 1e-8 unless given; above 0 wherever a gradient's square may be exactly zero from the first
            step on.
        momentum_decay: ψ, at least 0.
        options: `Optimizer`'s.

    Raises:
        ArgumentError: if a number is outside its range.

    >>> import minidrop as md
    >>> model = md.Linear(1, 1, bias=False, init=md.Constant(1), dtype="float64")
    >>> model.weight.grad[...] = 123.0  # with μ = β₁ / 2 = 1/3 the first step is η (1 + ⅓ ⅓ / (1 - ⅓ ⅓))
    >>> md.NAdam(model.parameters(), lr=0.08, beta1=2 / 3, momentum_decay=0).step()
    >>> model.weight.value.round(6)
    array([[0.91]])
    """

    def __init__(
        self, parameters: ParameterArena, lr: float = 2e-3, *, momentum_decay: float = 4e-3, **options: Any
    ) -> None:
        super().__init__(parameters, lr, **options)
        self.momentum_decay = check_range("momentum_decay", momentum_decay, 0)
        self._product = 1.0

    def begin_step(self) -> None:
        """Work out μ_t, μ_(t+1) and the product M_t."""
        self._mu, self._mu_next = (
            self.beta1 * (1 - 0.5 * 0.96 ** (t * self.momentum_decay)) for t in (self.steps, self.steps + 1)
        )
        self._product *= self._mu

    def formula(self) -> Formula:
        """See `Optimizer.formula`."""
        return Formula("nadam", (self.beta1, self.beta2, self.eps, self.momentum_decay))

    def update(self, xp: Any, w: Array, g: Array, lr: float, *slots: Array) -> None:
        """Change both moments and the weight."""
        m, v = slots
        self.update_moments(xp, g, m, v)
        step, root = self.temporary("step", w), self.temporary("root", w)
        xp.multiply(g, lr * (1 - self._mu) / (1 - self._product), out=step)
        self.add(lr * self._mu_next / (1 - self._product * self._mu_next), m, 1, step)
        xp.divide(v, 1 - self.beta2**self.steps, out=root)
        xp.sqrt(root, out=root)
        root += self.eps
        step /= root
        w -= step

    def scalars(self) -> dict[str, float]:
        """The number of steps and the product M_t."""
        return super().scalars() | {"momentum_product": self._product}

    def restore_scalars(self, scalars: Mapping[str, float]) -> None:
        """Continue where `scalars` were taken."""
        super().restore_scalars(scalars)
        self._product = scalars["momentum_product"]
