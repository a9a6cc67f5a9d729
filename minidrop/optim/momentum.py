"""Gradient descent with momentum, in the four forms in which it is written."""

from collections.abc import Mapping
from typing import Any, cast

from minidrop.backends import Array, Formula
from minidrop.errors import ArgumentError, check_choice, check_range
from minidrop.optim.optimizer import LinearRule, MomentumMixin, Optimizer
from minidrop.parameters import ParameterArena

FORMS = ("torch", "classical", "ema", "hinton")


class Momentum(MomentumMixin, Optimizer):
    """One velocity for each weight, zero at first; with η the learning rate and μ the momentum:

        form       velocity                      weight       source
        torch      v ← μ v + g                   w ← w - η v  torch.optim.SGD
        classical  v ← μ v + η g                 w ← w - v    Rumelhart et al. 1986; document 002
        ema        v ← μ v + (1 - μ) g           w ← w - η v  document 004
        hinton     v ← μ v - (1 - μ) η g         w ← w + v    Hinton et al. 2012, appendix A; document 000

    With constant η and μ, torch is classical, ema is hinton, and torch with η is hinton with η / (1 - μ).
    Under schedules they part: torch and ema price past gradients at today's learning rate, classical and
    hinton at that of their own day.

    The form torch has two options more, with the semantics of torch.optim.SGD: `dampening` d makes it
    v ← μ v + (1 - d) g, but v ← g at v's first step; `nesterov` makes the weight move by η (g + μ v). As
    there, momentum 0 leaves v alone and moves by η g. Dampening "momentum" is d = μ, whatever μ comes to be.

    Args:
        parameters: what `model.parameters()` returns.
        lr: η, at least 0.
        momentum: μ in [0, 1); like lr it may be set again at any time.
        form: "torch", "classical", "ema" or "hinton".
        dampening: d in [0, 1], or "momentum".
        nesterov: look ahead by one velocity; needs dampening 0.
        options: `Optimizer`'s.

    Raises:
        ArgumentError: if a number is outside its range, or an option does not fit the form.

    >>> import minidrop as md
    >>> model = md.Linear(1, 1, bias=False, init=md.Constant(1))
    >>> optimizer = md.Momentum(model.parameters(), lr=0.1, momentum=0.9, form="hinton")
    >>> model.weight.grad[...] = 1
    >>> optimizer.step()
    >>> model.weight.value
    array([[0.99]], dtype=float32)
    """

    slots = ("velocity",)

    def __init__(
        self,
        parameters: ParameterArena,
        lr: float = 0.1,
        momentum: float = 0.9,
        *,
        form: str = "torch",
        dampening: float | str = 0.0,
        nesterov: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(parameters, lr, **options)
        self.momentum = momentum
        self.form = check_choice("form", form, FORMS)
        self.dampening = dampening
        if dampening != "momentum":
            self.dampening = check_range("dampening", cast(float, dampening), 0, 1)
        self.nesterov = nesterov
        self.velocity_steps = 0
        if form != "torch" and (dampening or nesterov):
            raise ArgumentError(f"dampening and nesterov are options of form torch, not of {form}")
        if nesterov and dampening:
            raise ArgumentError("nesterov needs dampening 0, as in torch.optim.SGD")

    def begin_step(self) -> None:
        """Count the steps that the velocity takes part in, since its first one is special in form torch."""
        self.velocity_steps += self.momentum != 0

    def linear_rule(self, lr: float) -> LinearRule | None:
        """The form's two formulas; None for Nesterov's, and for form torch with momentum 0."""
        mu = self.momentum
        if self.form == "classical":
            return LinearRule(mu, lr, -1)
        if self.form == "ema":
            return LinearRule(mu, 1 - mu, -lr)
        if self.form == "hinton":
            return LinearRule(mu, -(1 - mu) * lr, 1)
        if self.nesterov or mu == 0:
            return None
        undamped = self.velocity_steps == 1  # v is 0 at its first step, so it becomes g
        damping = mu if self.dampening == "momentum" else cast(float, self.dampening)
        return LinearRule(mu, 1 if undamped else 1 - damping, -lr)

    def formula(self) -> Formula | None:
        """See `Optimizer.formula`; a kernel's dampening is a fixed number."""
        if isinstance(self.dampening, str):
            return None
        return Formula("momentum", (FORMS.index(self.form), self.dampening, float(self.nesterov)))

    def update(self, xp: Any, w: Array, g: Array, lr: float, *slots: Array) -> None:
        """Change velocity and weight by the form's two formulas."""
        (v,) = slots
        rule = self.linear_rule(lr)
        if rule is not None:
            self.add(rule.factor, g, rule.decay, v)
            self.follow(xp, w, lr, v)
            return
        if self.momentum != 0:
            self.add(1, g, self.momentum, v)
            self.add(-lr * self.momentum, v, 1, w)
        self.add(-lr, g, 1, w)

    def scalars(self) -> dict[str, float]:
        """The number of steps, and of those with momentum."""
        return super().scalars() | {"velocity_steps": self.velocity_steps}

    def restore_scalars(self, scalars: Mapping[str, float]) -> None:
        """Continue where `scalars` were taken."""
        super().restore_scalars(scalars)
        self.velocity_steps = int(scalars["velocity_steps"])
