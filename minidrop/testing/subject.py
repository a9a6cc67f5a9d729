"""One way to hold any layer: run it with its randomness frozen, copy it, cast it, see its parameters."""

import copy
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from minidrop.backends import Array
from minidrop.errors import ArgumentError
from minidrop.layers import Layer
from minidrop.parameters import Parameter
from minidrop.testing.report import raised

Freeze = Callable[..., object]


def module_of(array: object) -> ModuleType:
    """The array module of `array`: CuPy for its arrays, NumPy for all else."""
    return sys.modules["cupy"] if type(array).__module__.partition(".")[0] == "cupy" else np


def host(array: Array) -> np.ndarray[Any, Any]:
    """`array` on the host; NumPy's own arrays as they are."""
    return np.asarray(array.get() if module_of(array) is not np else array)


def duplicate(thing: Any) -> Any:
    """A deep copy in which modules and minidrop's backends are shared.

    Raises:
        ArgumentError: if it cannot be copied.
    """
    try:
        return copy.deepcopy(thing, {id(module): module for module in sys.modules.values()})
    except Exception as error:
        raise ArgumentError(
            f"the checks run on copies, but copy.deepcopy of {type(thing).__name__} failed: {raised(error)}; "
            "give the class a __deepcopy__"
        ) from None


def check_instance(thing: Any) -> None:
    """Refuse a class, with an ArgumentError."""
    if isinstance(thing, type):
        raise ArgumentError(f"an instance is checked, as {thing.__name__}(...) makes one, not the class")


@dataclass
class Pass:
    """The results of a forward and a backward pass: y, and gradients by name, "input" among them."""

    y: Array
    gradients: dict[str, Array]


class Subject:
    """A layer with the names of its parameters and what freezes its randomness.

    Args:
        layer: any object with forward(x) and backward(dy).
        parameters: path of the value to path of the gradient, dotted through attributes, mappings and lists,
            or to None for a constant; a minidrop layer's own are found besides.
        freeze: called before each forward pass, with the layer if it takes an argument.

    Raises:
        ArgumentError: if a path leads nowhere.
    """

    def __init__(self, layer: Any, parameters: Mapping[str, str | None], freeze: Freeze | None) -> None:
        check_instance(layer)
        for method in ("forward", "backward"):
            if not callable(getattr(layer, method, None)):
                raise ArgumentError(f"a layer has forward(x) and backward(dy); {layer!r} has no {method}")
        self.layer, self.paths, self.freeze = layer, dict(parameters), freeze
        for path in self.paths:
            _resolve(layer, path)

    @property
    def ours(self) -> bool:
        """Whether it is a minidrop layer."""
        return isinstance(self.layer, Layer)

    def own(self) -> dict[str, Parameter]:
        """The parameters of a minidrop layer by name."""
        if not isinstance(self.layer, Layer):
            return {}
        return self.layer.named_parameters()

    def values(self) -> dict[str, Array]:
        """The parameters' arrays by name."""
        values = {name: parameter.value for name, parameter in self.own().items()}
        return values | {path: _resolve(self.layer, path) for path, where in self.paths.items() if where}

    def constants(self) -> dict[str, Array]:
        """The arrays that were said to be no parameters, by name."""
        return {path: _resolve(self.layer, path) for path, where in self.paths.items() if not where}

    def gradients(self) -> dict[str, Array]:
        """The parameters' gradients by name; None where there is none."""
        gradients = {name: parameter.grad for name, parameter in self.own().items()}
        return gradients | {path: _find(self.layer, where) for path, where in self.paths.items() if where}

    def copy(self) -> "Subject":
        """A deep copy, in which nothing of the original is shared."""
        return Subject(duplicate(self.layer), self.paths, self.freeze)

    def cast(self, dtype: str) -> "Subject":
        """A copy whose parameters, and the gradients that exist already, have another dtype."""
        layer = self.layer.astype(dtype) if isinstance(self.layer, Layer) else duplicate(self.layer)
        if isinstance(layer, Layer):
            layer.reuse_buffers(False)
        for path, where in self.paths.items():
            value = _resolve(layer, path)
            if where is not None or _is_float(value):
                _assign(layer, path, module_of(value).asarray(value).astype(dtype))
            if where is not None and _is_float(gradient := _find(layer, where)):
                _assign(layer, where, module_of(gradient).asarray(gradient).astype(dtype))
        return Subject(layer, self.paths, self.freeze)

    def forward(self, x: Array) -> Array:
        """Y, with the randomness frozen."""
        if isinstance(self.layer, Layer):
            self.layer.set_step(0)
        if self.freeze is not None:
            self.freeze(*([self.layer] if _wants_layer(self.freeze) else []))
        return self.layer.forward(x)

    def run(self, x: Array, dy: Array) -> Pass:
        """Both passes."""
        y = self.forward(x)
        dx = self.layer.backward(dy)
        return Pass(y, {"input": dx} | self.gradients())


def held(thing: Any, path: str = "", seen: dict[int, Any] | None = None) -> Iterator[tuple[str, Any]]:
    """The arrays of floats, and the `Parameter`s, in a layer's attributes, mappings, lists and own objects.

    Each is named by its dotted path.
    """
    seen = {} if seen is None else seen
    if id(thing) in seen:
        return
    seen[id(thing)] = thing  # kept, so that no other object gets its id
    if isinstance(thing, Parameter):
        yield path, thing
        return
    if isinstance(thing, module_of(thing).ndarray):
        if thing.dtype.kind == "f":
            yield path, thing
        return
    inside: Iterable[tuple[Any, Any]] = ()
    if isinstance(thing, Mapping):
        inside = thing.items()
    elif isinstance(thing, list | tuple):
        inside = enumerate(thing)
    elif isinstance(thing, Layer) or type(thing).__module__.partition(".")[0] not in _NO_LAYERS:
        slots = {name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())}
        inside = getattr(thing, "__dict__", {}) | {n: getattr(thing, n) for n in slots if hasattr(thing, n)}
        inside = inside.items()
    for name, value in inside:
        yield from held(value, f"{path}.{name}".lstrip("."), seen)


#: whose objects hold arrays that are not a layer's
_NO_LAYERS = {"builtins", "minidrop", "numpy", "cupy"}


def _is_float(array: Any) -> bool:
    return getattr(array, "dtype", np.dtype(object)).kind in "fc"


def _wants_layer(freeze: Freeze) -> bool:
    try:
        parameters = inspect.signature(freeze).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(
        p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters
    )


def _step_into(thing: Any, part: str) -> Any:
    if isinstance(thing, Mapping):
        return thing[part] if part in thing else thing[int(part)]
    return thing[int(part)] if isinstance(thing, list | tuple) else getattr(thing, part)


def _resolve(layer: Any, path: str) -> Any:
    thing = layer
    for part in path.split("."):
        try:
            thing = _step_into(thing, part)
        except (AttributeError, KeyError, IndexError, ValueError):
            raise ArgumentError(f"parameters: {type(layer).__name__} has no {path!r}") from None
    return thing


def _find(layer: Any, path: str) -> Any:
    try:
        return _resolve(layer, path)
    except ArgumentError:
        return None


def _assign(layer: Any, path: str, value: Array) -> None:
    parents, _, last = path.rpartition(".")
    owner = _resolve(layer, parents) if parents else layer
    if isinstance(owner, tuple):
        raise ArgumentError(f"parameters: {path!r} is in a tuple, where no other dtype fits: use a list")
    if isinstance(owner, Mapping | list):
        owner[last if isinstance(owner, Mapping) and last in owner else int(last)] = value  # type: ignore[index]
    else:
        setattr(owner, last, value)
