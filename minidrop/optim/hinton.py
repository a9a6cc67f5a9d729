"""The update of Hinton et al. 2012, and the slips with which document 000 published it."""

from collections.abc import Iterable, Mapping
from typing import Any

from minidrop.backends import Array, Formula
from minidrop.errors import ArgumentError, check_choice, check_range
from minidrop.optim.max_norm import MaxNorm
from minidrop.optim.momentum import Momentum
from minidrop.optim.optimizer import LinearRule
from minidrop.parameters import ParameterArena
from minidrop.threads import span


class SGDHinton(Momentum):
    """Momentum in Hinton's form, then max-norm on the hidden units (Hinton et al. 2012, appendix A):

        v ← μ v - (1 - μ) η g        w ← w + v        W_i ← W_i c / max(c, |W_i|),  c² = limit

    Document 000 publishes a PyTorch class of this name. What its code does differently can be switched on,
    one slip at a time or all with slips="published":

        ascend-first     the first step with momentum sets v = g and adds it: uphill, whatever η
        ascend-plain     with momentum 0 every step is w ← w + g, without learning rate, and without limit
        stale-norm       the factor is that of the weights before the update; none at that first step
        limit-norm       `limit` bounds the length, not its square
        limit-output     the output layer is limited too

    Args:
        parameters: what `model.parameters()` returns.
        lr: η; the paper's is 10, for logistic units (ReLU wants about 1).
        momentum: μ in [0, 1); the paper's goes from 0.5 to 0.99 over 500 epochs.
        limit: the largest squared length of a hidden unit's incoming weights; 0 for none. Or see `MaxNorm`.
        squared: see `MaxNorm`.
        layers: see `MaxNorm`.
        slips: names from the table, or "published" for all of them.
        options: `Optimizer`'s.

    Raises:
        ArgumentError: if a number is outside its range, for an unknown slip, or if `limit` names what is no
            weight matrix.

    >>> import minidrop as md
    >>> model = md.Linear(1, 1, bias=False, init=md.Constant(1))
    >>> published = md.SGDHinton(model.parameters(), lr=0.1, momentum=0.5, slips="published")
    >>> model.weight.grad[...] = 1
    >>> published.step()
    >>> model.weight.value  # uphill
    array([[2.]], dtype=float32)
    """

    SLIPS = ("ascend-first", "ascend-plain", "stale-norm", "limit-norm", "limit-output")

    def __init__(
        self,
        parameters: ParameterArena,
        lr: float = 10.0,
        momentum: float = 0.5,
        *,
        limit: float | Mapping[str, float] = 15.0,
        squared: bool = True,
        layers: str = "hidden",
        slips: str | Iterable[str] = (),
        **options: Any,
    ) -> None:
        super().__init__(parameters, lr, momentum, form="hinton", **options)
        if not isinstance(slips, Iterable):
            raise ArgumentError(f"slips is a list of {', '.join(self.SLIPS)}, or published; got {slips!r}")
        chosen = (slips,) if isinstance(slips, str) else tuple(slips)
        for slip in chosen:
            check_choice("slip", slip, (*self.SLIPS, "published"))
        self.slips = frozenset(self.SLIPS if "published" in chosen else chosen)
        if isinstance(limit, Mapping) or check_range("limit", limit, 0):
            squared = squared and "limit-norm" not in self.slips
            layers = "all" if "limit-output" in self.slips else layers
            norm = MaxNorm(limit, squared=squared, layers=layers)
            norm.lengths(parameters)  # a name of no matrix is refused here, not in the first step
            self.projections.append(norm)

    def begin_step(self) -> None:
        """Keep the factors of the weights before the update, for the slip that uses them after it."""
        super().begin_step()
        self._stale = self._row_factors() if "stale-norm" in self.slips else None

    def linear_rule(self, lr: float) -> LinearRule | None:
        """Hinton's rule, or None for a step that the published code takes in another way."""
        return None if self._ascends() else super().linear_rule(lr)

    def formula(self) -> Formula | None:
        """See `Optimizer.formula`; the slips have no kernel."""
        return None if self.slips else super().formula()

    def update(self, xp: Any, w: Array, g: Array, lr: float, *slots: Array) -> None:
        """Hinton's update, or the published one."""
        (v,) = slots
        if not self._ascends():
            super().update(xp, w, g, lr, v)
        elif self.momentum == 0:
            w += g
        else:
            v[...] = g
            w += v

    def project(self, share: int = 0, shares: int = 1) -> None:
        """Apply max-norm, or the factors of the weights before the update."""
        if self.momentum == 0 and "ascend-plain" in self.slips:
            return
        if self._stale is None:
            super().project(share, shares)
        elif not self._makes_velocity():
            for name, factor in self._stale.items():
                rows = span(len(factor), share, shares)
                self.parameters[name].value[rows] *= factor[rows, None]

    def _ascends(self) -> bool:
        """Whether this step is one of those in which document 000 adds the gradient."""
        first = self._makes_velocity() and "ascend-first" in self.slips
        return first or (self.momentum == 0 and "ascend-plain" in self.slips)

    def _makes_velocity(self) -> bool:
        """Whether this is the first step with momentum, at which document 000 makes its buffer."""
        return self.momentum != 0 and self.velocity_steps == 1

    def _row_factors(self) -> dict[str, Array]:
        """The factors c / max(c, |W_i|) of every limited matrix, as it is now."""
        backend, factors = self.parameters.backend, {}
        for projection in self.projections:
            for name, length in projection.lengths(self.parameters).items():
                norms = backend.xp.sqrt(backend.squared_row_norms(self.parameters[name].value))
                factors[name] = length / backend.xp.maximum(norms, length)
        return factors
