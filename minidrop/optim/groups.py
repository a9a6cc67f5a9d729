"""Parameters that are treated differently from others, and the pieces of memory that are treated alike."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

from minidrop.errors import ArgumentError, check_range
from minidrop.parameters import ParameterArena
from minidrop.threads import span


@dataclass(frozen=True)
class Group:
    """What sets some parameters apart from the others.

    Args:
        lr_scale: the learning rate of these parameters as a multiple of the optimizer's.
        weight_decay: their weight decay; the optimizer's if None.

    The optimizer that is given it refuses numbers below 0 with an ArgumentError.

    >>> import minidrop as md
    >>> model = md.Linear(1, 1, init=md.Constant(1), bias_init=md.Constant(1), dtype="float64")
    >>> groups = {"bias": md.Group(lr_scale=0.5, weight_decay=0)}
    >>> model.parameters().flat_gradients[...] = 1
    >>> md.SGD(model.parameters(), lr=0.1, weight_decay=1, groups=groups).step()
    >>> model.parameters().flat_values  # 1 - 0.1 (1 + 1), and of the bias 1 - 0.05
    array([0.8 , 0.95])
    """

    lr_scale: float = 1.0
    weight_decay: float | None = None


class Piece(NamedTuple):
    """Neighbours in the arena that an update treats alike."""

    where: slice
    group: Group
    has_gradient: bool  #: or whether it has been added to the first slot already
    rows: tuple[int, float] | None = None  #: of a matrix with a limit: how many rows, and which length


def check_groups(parameters: ParameterArena, groups: Mapping[str, Group]) -> None:
    """Refuse a pattern that matches no parameter, and numbers out of range, with an ArgumentError."""
    for pattern, group in groups.items():
        if not any(fnmatchcase(name, pattern) for name in parameters):
            raise ArgumentError(f"group {pattern!r} matches no parameter; there are {', '.join(parameters)}")
        check_range(f"lr_scale of {pattern!r}", group.lr_scale, 0)
        if group.weight_decay is not None:
            check_range(f"weight_decay of {pattern!r}", group.weight_decay, 0)


def group_of(name: str, groups: Mapping[str, Group]) -> Group:
    """The first group whose pattern matches the name, or one in which nothing is different."""
    return next((group for pattern, group in groups.items() if fnmatchcase(name, pattern)), Group())


def pieces(
    parameters: ParameterArena,
    groups: Mapping[str, Group],
    share: int = 0,
    shares: int = 1,
    accumulated: frozenset[str] = frozenset(),
    limits: Mapping[str, float] | None = None,
) -> Iterator[Piece]:
    """One share of each parameter's units, as few pieces of the arena as possible.

    Args:
        parameters: the arena.
        groups: what is different where.
        share: which share.
        shares: of how many.
        accumulated: the parameters whose gradients are in the first slot already.
        limits: the largest length of the rows of some matrices, each of which is then a piece of its own.
    """
    pending: Piece | None = None
    for name, whole in parameters.slices().items():
        units = parameters[name].shape[0] if parameters[name].shape else 1
        size, rows = parameters[name].size // units, span(units, share, shares)
        where = slice(whole.start + size * rows.start, whole.start + size * rows.stop)
        if where.start == where.stop:
            continue
        limit = (rows.stop - rows.start, limits[name]) if limits and name in limits else None
        piece = Piece(where, group_of(name, groups), name not in accumulated, limit)
        if (
            pending is not None
            and pending[1:] == piece[1:]
            and limit is None
            and pending.where.stop == where.start
        ):
            piece = piece._replace(where=slice(pending.where.start, where.stop))
        elif pending is not None:
            yield pending
        pending = piece
    if pending is not None:
        yield pending
