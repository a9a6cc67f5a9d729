"""A few weights to try an optimizer on: minidrop's arena, or plain pairs of arrays."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minidrop.backends import get_backend
from minidrop.errors import ArgumentError
from minidrop.initializers import Constant, Fans
from minidrop.parameters import Parameter, ParameterArena
from minidrop.testing.subject import duplicate, host

Host = np.ndarray[Any, Any]
Make = Callable[[Any], Any]

#: two small layers by name, so that groups and projections find what they look for
SHAPES: dict[str, tuple[int, ...]] = {"0.weight": (4, 3), "0.bias": (4,), "2.weight": (2, 4), "2.bias": (2,)}


class Bench:
    """Parameters of given values with an optimizer over them.

    Args:
        make: builds the optimizer of what `plain` says.
        values: the weights to begin with, by name.
        plain: whether `make` gets {name: (value, grad)} instead of a `ParameterArena`.
        dtype: of values and gradients.

    Raises:
        ArgumentError: if what `make` returns has no step().
    """

    def __init__(self, make: Make, values: Mapping[str, Host], plain: bool, dtype: str = "float64") -> None:
        self.plain = plain
        self.arena: ParameterArena | None = None
        if plain:
            self.pairs = {name: (v.astype(dtype), np.zeros(v.shape, dtype)) for name, v in values.items()}
            self.optimizer = make(dict(self.pairs))
        else:
            backend = get_backend()
            parameters = {}
            for name, value in values.items():
                matrix = value.ndim == 2
                parameter = Parameter(
                    value.shape, Constant(0), Fans(1, 1), backend=backend, dtype=dtype, rows_are_units=matrix
                )
                parameter.value = backend.asarray(value, dtype)
                parameters[name] = parameter
            self.arena = ParameterArena(parameters)
            self.pairs = {name: (p.value, p.grad) for name, p in self.arena.items()}
            self.optimizer = make(self.arena)
        if not callable(getattr(self.optimizer, "step", None)):
            raise ArgumentError(
                f"make must return an object with step(), got {type(self.optimizer).__name__}"
            )

    def step(self, gradients: Mapping[str, Host]) -> None:
        """Write the gradients in place, and step."""
        for name, (_, grad) in self.pairs.items():
            grad[...] = _as(grad, gradients[name])
        self.optimizer.step()

    def values(self) -> dict[str, Host]:
        """Host copies of the weights."""
        return {name: np.array(host(value)) for name, (value, _) in self.pairs.items()}

    def gradients(self) -> dict[str, Host]:
        """Host copies of the gradients."""
        return {name: np.array(host(grad)) for name, (_, grad) in self.pairs.items()}

    def set_lr(self, lr: float) -> bool:
        """Set the learning rate; False if there is none."""
        for name in ("lr", "learning_rate"):
            if hasattr(self.optimizer, name):
                setattr(self.optimizer, name, lr)
                return True
        return False

    @property
    def lr(self) -> float | None:
        """The learning rate, if there is one."""
        for name in ("lr", "learning_rate"):
            if hasattr(self.optimizer, name):
                return float(getattr(self.optimizer, name))
        return None

    def without_projections(self) -> "Bench":
        """Itself, without what acts on whole rows."""
        if isinstance(getattr(self.optimizer, "projections", None), list):
            self.optimizer.projections.clear()
        return self

    def moved(self, make: Make) -> "Bench":
        """The same state elsewhere: minidrop's as a checkpoint holds it, a stranger's by deepcopy."""
        if self.arena is None:
            twin = Bench.__new__(Bench)
            twin.plain, twin.arena = True, None
            twin.pairs, twin.optimizer = duplicate((self.pairs, self.optimizer))
            return twin
        twin = Bench(make, self.values(), False, str(self.arena.dtype))
        for name, slot in self.optimizer.state.items():
            twin.optimizer.state[name][...] = slot
        twin.optimizer.restore_scalars(self.optimizer.scalars())
        return twin


def _as(like: Any, values: Host) -> Any:
    """`values` where and as `like` is."""
    return get_backend().asarray(values, like.dtype) if not isinstance(like, np.ndarray) else values


def run(bench: Bench, path: list[dict[str, Host]]) -> list[dict[str, Host]]:
    """All weights after each step along the gradients of `path`."""
    trace = []
    for gradients in path:
        bench.step(gradients)
        trace.append(bench.values())
    return trace
