"""Parameters, and the flat memory that the parameters of a model share."""

from collections.abc import Iterator, Mapping
from copy import copy, deepcopy
from math import prod
from typing import Any

import numpy as np

from minidrop.backends import Array, Backend, get_backend
from minidrop.errors import ArgumentError, ArrayError, UsageError, check_count, kind_of
from minidrop.initializers import Fans, Initializer
from minidrop.streams import Purpose, Stream

#: how many elements of an initial value are drawn at a time, so that a large one needs no second copy
_DRAW = 1 << 20

#: what arrays may hold; complex128 is for proofs by complex step
DTYPES = (np.dtype("float32"), np.dtype("float64"), np.dtype("complex128"))


def check_dtype(dtype: Any) -> np.dtype[Any]:
    """float32, float64, or complex128 for a proof by complex step, as a NumPy dtype; ArgumentError otherwise.

    >>> check_dtype("float64")
    dtype('float64')
    """
    try:
        return DTYPES[DTYPES.index(np.dtype(dtype if dtype is not None else "void"))]
    except (TypeError, ValueError):
        names = ", ".join(map(str, DTYPES))
        raise ArgumentError(f"dtype must be one of {names}; got {dtype!r}") from None


class Parameter:
    """An array that training changes, with its gradient.

    The value is drawn the first time that somebody looks at it. Until then the model that takes the layer in
    can still say from which stream: a layer draws by its place in the model, not by the order of calls.

    Args:
        shape: of value and gradient; (out, in) for a weight, so that a unit's incoming weights are a row.
        initializer: how the value begins.
        fans: what the initializer may scale by; those of a weight of this shape unless given.
        backend: where the arrays live: the layer's.
        dtype: of both, float32 or float64.
        rows_are_units: whether each row holds the incoming weights of one unit, as max-norm needs to know.

    Raises:
        ArgumentError: if the shape, the dtype or the initializer is none.

    >>> import minidrop as md
    >>> gain = md.Parameter((3,), md.Constant(1))
    >>> gain.value, gain.grad
    (array([1., 1., 1.], dtype=float32), array([0., 0., 0.], dtype=float32))
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        initializer: Initializer,
        fans: Fans | None = None,
        *,
        backend: str | Backend | None = None,
        dtype: Any = "float32",
        rows_are_units: bool = False,
    ) -> None:
        if isinstance(initializer, type) or not callable(initializer):
            raise ArgumentError(
                f"an initializer is an object such as Normal(0.01), got {kind_of(initializer)}"
            )
        if not isinstance(shape, tuple):
            raise ArgumentError(f"a parameter's shape must be a tuple, such as (3,); got {shape!r}")
        for size in shape:
            check_count(f"a size in the shape {shape}", size)
        self.shape = shape
        self.size = prod(shape)
        self.initializer = initializer
        self.fans = fans or (Fans(fan_in=shape[-1], fan_out=shape[0]) if shape else Fans(1, 1))
        self.backend = get_backend(backend)
        self.dtype = check_dtype(dtype)
        self.rows_are_units = rows_are_units
        self.stream = Stream(0, Purpose.WEIGHTS)
        #: which parameter of its layer this is, once that says so; it selects the draws
        self.slot: int | None = None
        self.arena: ParameterArena | None = None
        #: whether the last training step wrote no gradient
        self.without_gradient = False
        self._value: Array | None = None
        self._grad: Array | None = None

    def __repr__(self) -> str:
        return f"Parameter(shape={self.shape}, dtype={self.dtype})"

    @property
    def value(self) -> Array:
        """The value: an array of `shape`, changed in place by whoever trains it; assigning copies into it."""
        if self._value is None:
            self._value = self.backend.xp.empty(self.shape, self.dtype)
            self._draw(self._value.reshape(-1))
        return self._value

    @value.setter
    def value(self, array: Array) -> None:
        self.backend.check(array, "a parameter's new value", self.shape, self.dtype)
        if self._value is None:
            self._value = self.backend.xp.empty(self.shape, self.dtype)
        self._value[...] = array

    @property
    def grad(self) -> Array:
        """The gradient that the last backward pass wrote, of `shape`; zeros before the first.

        Raises:
            UsageError: after a training step that needed none.
        """
        if self.without_gradient:
            raise UsageError(
                "the fused training step added the gradient to the velocity and wrote none; "
                "TrainStep(..., gradients=True) writes it"
            )
        return self.new_grad()

    def new_grad(self) -> Array:
        """Where a backward pass writes the gradient."""
        self.without_gradient = False
        if self._grad is None:
            self._grad = self.backend.xp.zeros(self.shape, self.dtype)
        return self._grad

    def __deepcopy__(self, memo: dict[int, Any]) -> "Parameter":
        """A parameter of no arena with copies of value and gradient, if they are there already."""
        twin = copy(self)
        twin.arena = None
        twin._value = None if self._value is None else self._value.copy()
        twin._grad = None if self._grad is None else self._grad.copy()
        return twin

    def convert(self, dtype: Any) -> None:
        """Have value and gradient in `dtype` from now on; UsageError if they lie in an arena already."""
        if self.arena is not None:
            raise UsageError("a parameter keeps its dtype once it is part of a model; convert a copy")
        self.dtype = check_dtype(dtype)
        self._value = None if self._value is None else self._value.astype(self.dtype)
        self._grad = None if self._grad is None else self._grad.astype(self.dtype)

    def move_into(self, arena: "ParameterArena", value: Array, grad: Array) -> None:
        """Let `value` and `grad`, views of the arena, be this parameter's memory from now on."""
        if self._value is None:
            self._draw(value.reshape(-1))
        else:
            value[...] = self._value
        if self._grad is not None:
            grad[...] = self._grad
        self.arena, self._value, self._grad = arena, value, grad

    def _draw(self, flat: Array) -> None:
        rng = self.stream.generator(self.slot or 0)
        buffer = np.empty(min(self.size, _DRAW))
        for start in range(0, self.size, _DRAW):
            piece = buffer[: min(_DRAW, self.size - start)]
            self.initializer(rng, self.fans, piece)
            flat[start : start + piece.size] = self.backend.asarray(piece, self.dtype)


class ParameterArena(Mapping[str, Parameter]):
    """The parameters of a model by name, in one flat array of values and one of gradients.

    An update is one pass over flat memory, whatever the number of layers; so is a checkpoint or a copy to a
    device. The parameters keep their shapes: they are views of the arena.

        values     [ 0.weight ............ | 0.bias | 2.weight ............ | 2.bias ]
        gradients  [ 0.weight ............ | 0.bias | 2.weight ............ | 2.bias ]

    >>> import minidrop as md
    >>> model = md.Sequential(md.Linear(3, 2), md.ReLU(), md.Linear(2, 1))
    >>> list(model.parameters()), model.parameters().flat_values.shape
    (['0.weight', '0.bias', '2.weight', '2.bias'], (11,))

    Raises:
        UsageError: if there is no parameter, one has two names, or one already belongs to another model.
        ArrayError: if the parameters have different dtypes or backends.
    """

    def __init__(self, parameters: Mapping[str, Parameter]) -> None:
        if not parameters:
            raise UsageError("there are no parameters to train: no layer of the model has any")
        first_name, first = next(iter(parameters.items()))
        names: dict[int, str] = {}
        for name, parameter in parameters.items():
            if (other := names.setdefault(id(parameter), name)) != name:
                raise UsageError(
                    f"{other} and {name} are one parameter: a backward pass writes a gradient, so that the "
                    "second would replace the first; let one layer own it and add its gradients up"
                )
            if parameter.arena is not None:
                raise UsageError(
                    f"parameter {name} already belongs to another model: build the whole model before its "
                    "optimizer, and give each model layers of its own"
                )
            if parameter.backend is not first.backend or parameter.dtype != first.dtype:
                raise ArrayError(
                    f"parameter {name} is {parameter.dtype} on {parameter.backend.name}, but {first_name} is "
                    f"{first.dtype} on {first.backend.name}: build all layers alike"
                )
        self.backend = first.backend
        self.dtype = first.dtype
        self._parameters = dict(parameters)
        self.size = sum(parameter.size for parameter in parameters.values())
        xp = self.backend.xp
        self.move(xp.empty(self.size, self.dtype), xp.zeros(self.size, self.dtype))

    def __deepcopy__(self, memo: dict[int, Any]) -> "ParameterArena":
        """An arena over copies of the parameters: those of the model that is copied along, if it is."""
        return ParameterArena({name: deepcopy(parameter, memo) for name, parameter in self.items()})

    def __getitem__(self, name: str) -> Parameter:
        return self._parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def move(self, flat_values: Array, flat_gradients: Array) -> None:
        """Let these arrays of the arena's size, which get what is in the present ones, be its memory."""
        self.flat_values, self.flat_gradients = flat_values, flat_gradients
        values, gradients = self.views(flat_values), self.views(flat_gradients)
        for name, parameter in self.items():
            parameter.move_into(self, values[name], gradients[name])

    def slices(self) -> dict[str, slice]:
        """Where in the flat arrays each parameter lies."""
        where, start = {}, 0
        for name, parameter in self.items():
            where[name] = slice(start, start + parameter.size)
            start += parameter.size
        return where

    def views(self, flat: Array) -> dict[str, Array]:
        """The pieces of any array of the arena's size, by name and in the parameters' shapes."""
        return {name: flat[where].reshape(self[name].shape) for name, where in self.slices().items()}

    def new_slot(self) -> Array:
        """A flat array of zeros, for an optimizer to remember one number a parameter element in."""
        return self.backend.xp.zeros(self.size, self.dtype)

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """Host copies of all values by name; see `minidrop.parameters.state_dict`."""
        return state_dict(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy all values from arrays by name; see `minidrop.parameters.load_state_dict`."""
        load_state_dict(self, state)


def state_dict(parameters: Mapping[str, Parameter]) -> dict[str, np.ndarray[Any, Any]]:
    """Host copies of all values by name.

    The names are those of `torch.nn.Sequential`: {name: torch.from_numpy(value), ...} is what its
    `load_state_dict` takes.
    """
    return {name: np.array(p.backend.to_host(p.value)) for name, p in parameters.items()}


def load_state_dict(parameters: Mapping[str, Parameter], state: Mapping[str, Any]) -> None:
    """Copy values from `state`, whose names, shapes and dtypes must be exactly those of `parameters`.

    Nothing is changed unless everything fits. The values are arrays of the host; PyTorch tensors on the CPU
    are taken too, those of `state_dict()` and, without their gradients, those of `named_parameters()`.

    Raises:
        ArrayError: naming the first difference, or a value that is no array of the host.
    """
    missing, foreign = [n for n in parameters if n not in state], [n for n in state if n not in parameters]
    if missing or foreign:
        differences = (("missing", missing), ("unexpected", foreign))
        what = "; ".join(f"{word} {', '.join(names)}" for word, names in differences if names)
        raise ArrayError(f"the weights are of another architecture: {what}")
    arrays = {name: _host_array(name, state[name]) for name in parameters}
    for name, parameter in parameters.items():
        array = arrays[name]
        if array.shape != parameter.shape or array.dtype != parameter.dtype:
            raise ArrayError(
                f"{name} must be {parameter.dtype} of shape {parameter.shape}, got {array.dtype} of shape "
                f"{array.shape}"
            )
    for name, parameter in parameters.items():
        parameter.value = parameter.backend.asarray(arrays[name])


def _host_array(name: str, value: Any) -> np.ndarray[Any, Any]:
    """The value of that name as a NumPy array, which PyTorch refuses to make of what it differentiates."""
    try:
        return np.asarray(value.detach() if hasattr(value, "detach") else value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ArrayError(f"{name} is no array of the host: {error}") from None
