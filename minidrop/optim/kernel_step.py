"""An optimizer's step by the kernels of its backend: update and projection of a matrix in one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidrop.backends import Moving
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
        self._known: dict[Any, list[Piece]] = {}

    def numbers(self) -> Any:
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
        self._numbers = backend.numbers(moving, self._numbers)
        return self._numbers

    def step(self, share: int, shares: int, accumulated: frozenset[str]) -> bool:
        """Update and project a share of all parameters; False, with nothing done, if there is no kernel."""
        optimizer = self.optimizer
        arena, backend = optimizer.parameters, optimizer.parameters.backend
        formula = optimizer.formula() if backend.has_kernels else None
        if formula is None:
            return False
        numbers, projections = self.numbers(), optimizer.projections
        in_kernels = len(projections) == 1 and type(projections[0]) is MaxNorm
        limits = projections[0].lengths(arena) if in_kernels else {}
        w, g, slots = arena.flat_values, arena.flat_gradients, list(optimizer.state.values())
        for where, group, has_gradient, rows in self._pieces(share, shares, accumulated, limits):
            lr_scale, decay = group.lr_scale, optimizer.decay_of(group)
            remembered = [slot[where] for slot in slots]
            if has_gradient:
                arrays = [w[where], g[where], *remembered]
                backend.update(formula, numbers, arrays, lr_scale, decay, optimizer.decoupled, rows)
            else:
                rule = optimizer.linear_rule(optimizer.lr * lr_scale)
                assert rule is not None
                backend.follow(rule.step, [w[where], *remembered], rows)
        if not in_kernels:
            optimizer.project(share, shares)
        return True

    def _pieces(
        self, share: int, shares: int, accumulated: frozenset[str], limits: dict[str, float]
    ) -> list[Piece]:
        key = share, shares, accumulated, *limits.items()
        if key not in self._known:
            optimizer = self.optimizer
            self._known[key] = list(
                pieces(optimizer.parameters, optimizer.groups, share, shares, accumulated, limits)
            )
        return self._known[key]
