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


@dataclass
class Pass:
    """The results of a forward and a backward pass: y, and gradients by name, "input" among them."""

    y: Array
    gradients: dict[str, Array]


class Subject:
    """A layer with the names of its parameters and what freezes its randomness.

    Args:
        layer: any object with forward(x) and backward(dy).
        parameters: path of the value to path of the gradient, dotted through attributes, mappings and lists;
            a minidrop layer's own are found besides.
        freeze: called before each forward pass, with the layer if it takes an argument.

    Raises:
        ArgumentError: if a path leads nowhere.
    """

    def __init__(self, layer: Any, parameters: Mapping[str, str], freeze: Freeze | None) -> None:
        if isinstance(layer, type):
            raise ArgumentError(f"an instance is checked, as {layer.__name__}(...) makes one, not the class")
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
        return {
            f"{prefix}.{name}".lstrip("."): parameter
            for prefix, leaf in self.layer.leaves()
            for name, parameter in leaf.own_parameters().items()
        }

    def values(self) -> dict[str, Array]:
        """The parameters' arrays by name."""
        values = {name: parameter.value for name, parameter in self.own().items()}
        return values | {path: _resolve(self.layer, path) for path in self.paths}

    def gradients(self) -> dict[str, Array]:
        """The parameters' gradients by name; None where there is none."""
        gradients = {name: parameter.grad for name, parameter in self.own().items()}
        return gradients | {path: _find(self.layer, where) for path, where in self.paths.items()}

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
            _assign(layer, path, module_of(value).asarray(value).astype(dtype))
            gradient = _find(layer, where)
            if getattr(gradient, "dtype", np.dtype(object)).kind in "fc":
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


def held(thing: Any, path: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, Array]]:
    """The arrays of floats in a layer's attributes, mappings, lists and layers of its own, by dotted path."""
    seen = set() if seen is None else seen
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, Parameter):
        thing = thing.value
    if isinstance(getattr(thing, "dtype", None), np.dtype) and hasattr(thing, "shape"):
        if thing.dtype.kind == "f" and isinstance(thing, module_of(thing).ndarray):
            yield path, thing
        return
    inside: Iterable[tuple[Any, Any]] = ()
    if isinstance(thing, Mapping):
        inside = thing.items()
    elif isinstance(thing, list | tuple):
        inside = enumerate(thing)
    elif isinstance(thing, Layer) or type(thing).__module__.partition(".")[0] not in _NO_LAYERS:
        inside = getattr(thing, "__dict__", {}).items()
    for name, value in inside:
        yield from held(value, f"{path}.{name}".lstrip("."), seen)


#: whose objects hold arrays that are not a layer's
_NO_LAYERS = {"builtins", "minidrop", "numpy", "cupy", *sys.stdlib_module_names}


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
        return thing[part]
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
    if isinstance(owner, Mapping | list):
        owner[int(last) if isinstance(owner, list) else last] = value  # type: ignore[index]
    else:
        setattr(owner, last, value)
