"""Parameters that are treated differently from the others."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from minidrop.errors import ArgumentError, check_range
from minidrop.parameters import ParameterArena


@dataclass(frozen=True)
class Group:
    """What sets some parameters apart from the others.

    Args:
        lr_scale: the learning rate of these parameters as a multiple of the optimizer's.
        weight_decay: their weight decay; the optimizer's if None.
    """

    lr_scale: float = 1.0
    weight_decay: float | None = None


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
