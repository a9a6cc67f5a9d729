"""An optimizer's step by the kernels of its backend: update and projection of a matrix in one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidrop.backends import Moving, Update
from minidrop.optim.groups import Piece, pieces
from minidrop.optim.max_norm import MaxNorm

if TYPE_CHECKING:
    from minidrop.optim.optimizer import Optimizer


class KernelStep:
    """The step of one optimizer, where its backend has kernels and one of them is its formula.

    The optimizer's `update` stays the definition: its array operations are what a kernel is held to, and what
    a formula without a kernel is computed by.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self._numbers: Any = None
        #: where the coefficients of the linear rule are by `lr_scale`, and which are those of this step
        self._coefficients: dict[float, Any] = {}
        self._known: set[float] = set()
        self._pieces: dict[Any, list[Piece]] = {}

    def numbers(self, *, counted: bool = False) -> Any:
        """Where kernels find the optimizer's moving numbers, as they are now; None without kernels."""
        optimizer = self.optimizer
        backend = optimizer.parameters.backend
        if not backend.has_kernels:
            return None
        moving = Moving(lr=optimizer.lr, momentum=getattr(optimizer, "momentum", 0.0))
        counts: dict[str, Any] = {
            name: n for name, n in optimizer.scalars().items() if name in moving._fields
        }
        moving = moving._replace(**counts)
        self._numbers = backend.numbers(moving, self._numbers, counted=counted)
        return self._numbers

    def coefficients(self, lr_scale: float) -> Any:
        """Where the (α, β) of this step's linear rule are, v ← β v + α g; None without kernels."""
        optimizer = self.optimizer
        arena, numbers, formula = optimizer.parameters, self.numbers(), optimizer.formula()
        if numbers is None or formula is None:
            return None
        if lr_scale not in self._coefficients:
            self._coefficients[lr_scale] = arena.backend.xp.empty(2, arena.dtype)
        if lr_scale not in self._known:
            arena.backend.coefficients(formula, numbers, lr_scale, self._coefficients[lr_scale])
            self._known.add(lr_scale)
        return self._coefficients[lr_scale]

    def advance(self) -> None:
        """A step begins: what was computed for the one before is no longer known."""
        self._known.clear()

    def step(self, share: int, shares: int, accumulated: frozenset[str]) -> bool:
        """Update and project a share of all parameters; False, with nothing done, if there is no kernel.

        Of those named in `accumulated` the gradient has been added by their linear rule.
        """
        optimizer = self.optimizer
        arena, backend = optimizer.parameters, optimizer.parameters.backend
        formula = optimizer.formula() if backend.has_kernels else None
        if formula is None:
            return False
        numbers, projections = self.numbers(), optimizer.projections
        in_kernels = len(projections) == 1 and type(projections[0]) is MaxNorm
        limits = projections[0].lengths(arena) if in_kernels else {}
        flat = (arena.flat_values, arena.flat_gradients, *optimizer.state.values())
        for where, group, has_gradient, rows in self._pieces_of(share, shares, accumulated, limits):
            if not (has_gradient or rows or optimizer.state):
                continue  # the gradient has been added to the weights: nothing is left
            arrays = [array[where] for array in flat]
            if not has_gradient:
                arrays[1] = None
            rule = group.lr_scale, optimizer.decay_of(group), optimizer.decoupled
            several = optimizer.replicas, arena.size
            backend.update(Update(formula, numbers, arrays, *rule, rows, several))
        if not in_kernels:
            optimizer.project(share, shares)
        return True

    def _pieces_of(
        self, share: int, shares: int, accumulated: frozenset[str], limits: dict[str, float]
    ) -> list[Piece]:
        key = share, shares, accumulated, *limits.items()
        if key not in self._pieces:
            optimizer = self.optimizer
            self._pieces[key] = list(
                pieces(optimizer.parameters, optimizer.groups, share, shares, accumulated, limits)
            )
        return self._pieces[key]
