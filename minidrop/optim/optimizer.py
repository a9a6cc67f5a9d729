"""What every optimizer does: walk the flat parameters in pieces, update, then project."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from minidrop.backends import Array, Formula, Moving, Update
from minidrop.backends.workspace import ThreadWorkspace
from minidrop.errors import ArgumentError, check_range
from minidrop.optim.groups import Group, Piece, check_groups, group_of, pieces
from minidrop.optim.max_norm import MaxNorm
from minidrop.parameters import ParameterArena


class LinearRule(NamedTuple):
    """An update that is linear in the gradient: v ← decay v + factor g, then w ← w + step v.

    A matrix product can add itself to v, and g need never be written. v is the first slot; where there is
    none it is w, and there is no second half.
    """

    decay: float
    factor: float
    step: float


class Optimizer:
    """Base class: w changes by a formula of its gradient g and of what the optimizer remembers.

    A subclass is a formula: `update` gets a piece of the flat parameters with the same piece of the gradients
    and of each slot, and changes w and the slots in place. The piece is as large as suits the backend.

    With weight decay λ the gradient is g + λ w (L2 regularisation, as in torch.optim), or, where the class is
    `decoupled`, w is first multiplied by 1 - lr λ (Loshchilov & Hutter 2019).

    Args:
        parameters: what `model.parameters()` returns.
        lr: the learning rate, at least 0; may be set again at any time, as a schedule does.
        weight_decay: λ.
        groups: patterns of parameter names with what is different there, the first match counting:
            {"*.bias": Group(weight_decay=0)}. Set once, here.
        projections: applied to the parameters after each update, in this order.

    Raises:
        ArgumentError: if a number is outside its range, a pattern matches no parameter, or max-norm names
            what is no weight matrix.
    """

    #: the names of the slots: flat arrays that remember one number for each parameter element
    slots: tuple[str, ...] = ()
    #: how many models, whose arenas and slots lie one behind the other, a step by kernels updates
    replicas = 1
    decoupled: ClassVar[bool] = False

    def __init__(
        self,
        parameters: ParameterArena,
        lr: float,
        *,
        weight_decay: float = 0.0,
        groups: Mapping[str, Group] | None = None,
        projections: Sequence[MaxNorm] = (),
    ) -> None:
        if not isinstance(parameters, ParameterArena):
            raise ArgumentError(
                f"an optimizer takes what model.parameters() returns, got {type(parameters).__name__}"
            )
        if not all(isinstance(group, Group) for group in (groups or {}).values()):
            raise ArgumentError("groups map patterns of names to Group(lr_scale=..., weight_decay=...)")
        if not isinstance(projections, Sequence):
            raise ArgumentError(f"projections is a list of projections, got {type(projections).__name__}")
        self.parameters = parameters
        self.lr = lr
        self.weight_decay = weight_decay
        self.projections = list(projections)
        self.steps = 0
        self.state: dict[str, Array] = {name: parameters.new_slot() for name in self.slots}
        self._groups = dict(groups or {})
        self._scratch = ThreadWorkspace(parameters.backend.xp)
        self._known_pieces: dict[Any, list[Piece]] = {}
        #: where kernels find the moving numbers
        self._numbers: Any = None
        #: where the coefficients of the linear rule are by `lr_scale`, and which are those of this step
        self._coefficients: dict[float, Any] = {}
        self._known_coefficients: set[float] = set()
        check_groups(parameters, self._groups)
        for projection in self.projections:
            if isinstance(projection, MaxNorm):
                projection.lengths(parameters)  # a name of no matrix is refused here, not in the first step

    @property
    def groups(self) -> Mapping[str, Group]:
        """What is different for which parameters; a TypeError for who would change it."""
        return MappingProxyType(self._groups)

    @property
    def lr(self) -> float:
        """The learning rate."""
        return self._lr

    @lr.setter
    def lr(self, lr: float) -> None:
        self._lr = check_range("learning rate", lr, 0)

    @property
    def weight_decay(self) -> float:
        """The weight decay λ."""
        return self._weight_decay

    @weight_decay.setter
    def weight_decay(self, weight_decay: float) -> None:
        self._weight_decay = check_range("weight_decay", weight_decay, 0)

    def step(self) -> None:
        """Update all parameters from their gradients, then project."""
        self.advance()
        backend = self.parameters.backend
        shares = backend.update_shares(self.parameters.size * (1 + len(self.state)))
        backend.share_out(lambda share: self.step_share(share, shares), shares)

    def advance(self) -> None:
        """Begin a step: count it, and work out what all pieces of it share."""
        self.steps += 1
        self.begin_step()
        self._known_coefficients.clear()

    def step_share(self, share: int, shares: int, accumulated: frozenset[str] = frozenset()) -> None:
        """Update and project one share of each parameter's units; the shares may run at the same time.

        For the parameters named in `accumulated` the gradient is in v already, by their `rule`.
        """
        formula = self.formula() if self.parameters.backend.has_kernels else None
        limits = self._limits_in_kernels() if formula else None
        parts = self._pieces(share, shares, accumulated, limits or {})
        if formula:
            self._update_by_kernels(formula, parts)
        else:
            self._update_by_arrays(parts)
        if limits is None:
            self.project(share, shares)

    def _update_by_arrays(self, parts: list[Piece]) -> None:
        """By `update`: the definition, which kernels are held to, and the way without a kernel."""
        arena, xp = self.parameters, self.parameters.backend.xp
        for where, group, has_gradient, _ in parts:
            lr = self.lr * group.lr_scale
            decay = self.decay_of(group)
            for chunk in _chunks(where, arena.backend.chunk):
                w, g = arena.flat_values[chunk], arena.flat_gradients[chunk]
                slots = [slot[chunk] for slot in self.state.values()]
                if not has_gradient:
                    self.follow(xp, w, lr, *slots)
                    continue
                if decay and self.decoupled:
                    w *= 1 - lr * decay
                elif decay:
                    decayed = self.temporary("decayed", w)
                    xp.multiply(w, decay, out=decayed)
                    decayed += g
                    g = decayed
                self.update(xp, w, g, lr, *slots)

    def _update_by_kernels(self, formula: Formula, parts: list[Piece]) -> None:
        """The same in a kernel for each piece, which also projects a matrix with a limit."""
        arena, numbers = self.parameters, self.numbers()
        flat = (arena.flat_values, arena.flat_gradients, *self.state.values())
        for where, group, has_gradient, rows in parts:
            if not (has_gradient or rows or self.state):
                continue  # the gradient has been added to the weights: nothing is left
            arrays = [array[where] for array in flat]
            if not has_gradient:
                arrays[1] = None
            rule = group.lr_scale, self.decay_of(group), self.decoupled
            several = self.replicas, arena.size
            arena.backend.update(Update(formula, numbers, arrays, *rule, rows, several))

    def _limits_in_kernels(self) -> dict[str, float] | None:
        """The limits that kernels project onto with the update; None if projections come after it."""
        if len(self.projections) == 1 and type(self.projections[0]) is MaxNorm:
            return self.projections[0].lengths(self.parameters)
        return None

    def begin_step(self) -> None:
        """Work out what all pieces of this step share; `steps` already counts it."""

    def update(self, xp: Any, w: Array, g: Array, lr: float, *slots: Array) -> None:
        """Change w and the slots in place; g and the optimizer must stay as they are."""
        raise NotImplementedError

    def linear_rule(self, lr: float) -> LinearRule | None:
        """What `update` does in this step, if that is a linear rule."""
        return None

    def rule(self, name: str) -> LinearRule | None:
        """The linear rule of a parameter in this step, if it has one; with weight decay it has none."""
        group = group_of(name, self._groups)
        return None if self.decay_of(group) else self.linear_rule(self.lr * group.lr_scale)

    def coefficients(self, name: str) -> Any:
        """Where kernels find (factor, decay) of a parameter's `rule` in this step; None if there are none."""
        arena, numbers, formula = self.parameters, self.numbers(), self.formula()
        if numbers is None or formula is None:
            return None
        lr_scale = group_of(name, self._groups).lr_scale
        if lr_scale not in self._coefficients:
            self._coefficients[lr_scale] = arena.backend.xp.empty(2, arena.dtype)
        if lr_scale not in self._known_coefficients:
            arena.backend.coefficients(formula, numbers, lr_scale, self._coefficients[lr_scale])
            self._known_coefficients.add(lr_scale)
        return self._coefficients[lr_scale]

    def formula(self) -> Formula | None:
        """What `update` computes, for backends with kernels; None for what they have no kernel for."""
        return None

    def __init_subclass__(cls, **options: Any) -> None:
        """A class whose update, linear rule or projection is newer than its formula has no formula."""
        super().__init_subclass__(**options)
        for kind in cls.__mro__:
            if "formula" in vars(kind):
                return
            if {"update", "update_moments", "linear_rule", "project"} & vars(kind).keys():
                cls.formula = Optimizer.formula  # type: ignore[method-assign]
                return

    def numbers(self, *, counted: bool = False) -> Any:
        """Where kernels find what changes from step to step; None on a backend without kernels.

        With `counted` the device has counted steps by itself, and agrees with the host already.
        """
        backend = self.parameters.backend
        if not backend.has_kernels:
            return None
        moving = Moving(lr=self.lr, momentum=getattr(self, "momentum", 0.0))
        counts: dict[str, Any] = {name: n for name, n in self.scalars().items() if name in moving._fields}
        self._numbers = backend.numbers(moving._replace(**counts), self._numbers, counted=counted)
        return self._numbers

    def decay_of(self, group: Group) -> float:
        """The weight decay of the parameters of a group."""
        return self.weight_decay if group.weight_decay is None else group.weight_decay

    def follow(self, xp: Any, w: Array, lr: float, *slots: Array) -> None:
        """The second half of a linear rule, w ← w + step v."""
        rule = self.linear_rule(lr)
        assert rule is not None
        if not slots:
            return
        self.add(rule.step, slots[0], 1, w)

    def project(self, share: int = 0, shares: int = 1) -> None:
        """Apply the projections to one share of each parameter's units."""
        for projection in self.projections:
            projection.apply(self.parameters, share, shares)

    def add(self, alpha: float, x: Array, beta: float, y: Array) -> None:
        """y ← β y + α x, with x a piece of a gradient, a slot or a temporary array."""
        self.parameters.backend.axpby(alpha, x, beta, y, self.temporary("scaled", y))

    def add_square(self, xp: Any, alpha: float, x: Array, beta: float, y: Array) -> None:
        """y ← β y + α x²."""
        square = self.temporary("square", y)
        xp.multiply(x, x, out=square)
        self.add(alpha, square, beta, y)

    def temporary(self, name: str, like: Array) -> Array:
        """An array of the shape and dtype of `like` to compute in; its content is undefined."""
        return self._scratch.workspace.array(name, like.shape, like.dtype)

    def _pieces(
        self, share: int, shares: int, accumulated: frozenset[str], limits: Mapping[str, float]
    ) -> list[Piece]:
        """The pieces of the arena that a share is."""
        key = share, shares, accumulated, *limits.items()
        if key not in self._known_pieces:
            found = pieces(self.parameters, self._groups, share, shares, accumulated, limits)
            self._known_pieces[key] = list(found)
        return self._known_pieces[key]

    # -- for checkpoints ---------------------------------------------------------------------------------

    def scalars(self) -> dict[str, float]:
        """What else the optimizer remembers, as numbers by name; `restore_scalars` takes them back."""
        return {"steps": self.steps}

    def restore_scalars(self, scalars: Mapping[str, float]) -> None:
        """Continue where `scalars` were taken."""
        self.steps = int(scalars["steps"])


class MomentumMixin:
    """A checked, settable `momentum`, for optimizers that have one to schedule."""

    @property
    def momentum(self) -> float:
        """The momentum μ, in [0, 1)."""
        return self._momentum

    @momentum.setter
    def momentum(self, momentum: float) -> None:
        self._momentum = check_range("momentum", momentum, 0, 1, exclude_high=True)


def _chunks(where: slice, chunk: int | None) -> Iterable[slice]:
    """`where` in pieces of at most `chunk` elements."""
    if chunk is None:
        return [where]
    return [slice(i, min(i + chunk, where.stop)) for i in range(where.start, where.stop, chunk)]
