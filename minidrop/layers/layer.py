"""What every layer is: a forward pass, the backward pass beside it, and the memory between the two."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import numpy as np

from minidrop.backends import Array, Backend, Workspace, get_backend
from minidrop.errors import ArrayError, UsageError, check_type
from minidrop.parameters import DTYPES, Parameter, ParameterArena, load_state_dict, state_dict
from minidrop.streams import Purpose, Stream, check_seed


class Layer:
    """Base class of all layers.

    A layer of your own needs `forward(x) -> y`, which remembers with `save` what the backward pass needs,
    and `backward(dy) -> dx`, which gets it back from `saved`. With L the loss, dy is dL/dy and dx is dL/dx,
    in the shapes of y and x. Neither pass changes its argument. What is to be trained is a `Parameter` that
    `own_parameters` names, and its gradient is *written* into `parameter.grad`, not added to it. A container
    of your own names the layers inside by `leaves`, and itself as "" if it has parameters too.

    >>> import minidrop as md
    >>> from minidrop.testing import check_layer
    >>> class Gain(md.Layer):  # y = g x with a g for each feature: dx = g dy, dg = Σ_batch x dy
    ...     def __init__(self, features):
    ...         super().__init__()
    ...         self.gain = md.Parameter((features,), md.Constant(1), backend=self.backend)
    ...     def own_parameters(self):
    ...         return {"gain": self.gain}
    ...     def forward(self, x):
    ...         y = self.gain.value * x
    ...         self.save(x, output=y)  # dy must look like y
    ...         return y
    ...     def backward(self, dy):
    ...         (x,) = self.saved(dy)
    ...         self.gain.grad[...] = (x * dy).sum(axis=0)
    ...         return self.gain.value * dy
    >>> model = md.Sequential(md.Linear(5, 3), Gain(3))
    >>> list(model.parameters()), check_layer(model).passed
    (['0.weight', '0.bias', '1.gain'], True)
    """

    def __init__(self, backend: str | Backend | None = None) -> None:
        self.backend = get_backend(backend)
        self.workspace = Workspace(self.backend.xp)
        self.training = True
        self._saved: tuple[Any, ...] | None = None
        self._output_like: tuple[tuple[int, ...], Any] | None = None

    def forward(self, x: Array) -> Array:
        """The layer's output y for the input x, batch first."""
        raise NotImplementedError

    def backward(self, dy: Array) -> Array:
        """The input gradient dx for the output gradient dy; writes the parameters' gradients."""
        raise NotImplementedError

    def backward_parameters(self, dy: Array) -> None:
        """Write the parameters' gradients only, for a first layer, whose dx nobody asks for."""
        self.backward(dy)

    def __getattr__(self, name: str) -> Any:
        if name in ("backend", "workspace", "training", "_saved", "_output_like"):
            raise UsageError(f"{type(self).__name__}.__init__ must call super().__init__() before all else")
        return object.__getattribute__(self, name)  # which says what is missing, inside a property too

    # -- between the passes ------------------------------------------------------------------------------

    def save(self, *values: Any, output: Array | None = None) -> None:
        """Remember `values` for the backward pass, and that dy must look like `output`."""
        self._saved = values
        self._output_like = None if output is None else (output.shape, output.dtype)

    def saved(self, dy: Array) -> tuple[Any, ...]:
        """What the last forward pass saved, after a check that `dy` fits its output.

        Raises:
            UsageError: if there was no forward pass.
            ArrayError: if dy has another shape, dtype or backend than the output had.
        """
        if self._saved is None:
            raise UsageError(f"{self}.backward needs a forward pass first")
        if self._output_like is not None:
            self.backend.check(dy, f"the output gradient of {self}", *self._output_like)
        return self._saved

    def array(self, name: str, shape: tuple[int, ...], dtype: Any) -> Array:
        """An uninitialised array from the layer's workspace."""
        return self.workspace.array(name, shape, dtype)

    def check_input(self, x: Array) -> Array:
        """Return x if it is a floating-point array of this backend, not empty; ArrayError otherwise."""
        self.backend.check(x, f"the input of {self}")
        if x.dtype not in DTYPES:
            raise ArrayError(
                f"the input of {self} must be float32 or float64, got {x.dtype}: convert it with .astype"
            )
        if 0 in x.shape or x.ndim == 0:
            raise ArrayError(f"the input of {self} is empty or no batch: it has shape {x.shape}")
        return x

    # -- the whole model ---------------------------------------------------------------------------------

    def own_parameters(self) -> dict[str, Parameter]:
        """The layer's own parameters by name."""
        return {}

    def modules(self) -> Iterator["Layer"]:
        """The layer itself, and its `leaves`; a container with containers inside adds these."""
        yield self
        for _, leaf in self.leaves():
            if leaf is not self:
                yield leaf

    def leaves(self) -> Iterator[tuple[str, "Layer"]]:
        """Every layer that is not a container, with its name in the model: "" for a layer alone."""
        yield "", self

    def named_parameters(self) -> dict[str, Parameter]:
        """All parameters by their dotted names."""
        return {
            f"{prefix}.{name}".lstrip("."): parameter
            for prefix, layer in self.leaves()
            for name, parameter in layer._own().items()
        }

    def _own(self) -> dict[str, Parameter]:
        own, who = self.own_parameters(), type(self).__name__  # its repr may need what is still to be set
        check_type(f"what {who}.own_parameters() returns", own, Mapping, '{"gain": self.gain}')
        for slot, (name, parameter) in enumerate(own.items()):
            check_type(
                f"{who}'s parameter {name}", parameter, Parameter, "md.Parameter((3,), md.Constant(1))"
            )
            if parameter.slot is None:
                parameter.slot = slot
        return own

    def parameters(self) -> ParameterArena:
        """All parameters in one arena, which is made at the first call: what an optimizer takes.

        Raises:
            UsageError: if there are none, or one already belongs to another model.
        """
        named = self.named_parameters()
        arena = next((parameter.arena for parameter in named.values()), None)
        if arena is not None and dict(arena) == named:
            return arena
        return ParameterArena(named)

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """Host copies of all parameters by name; see `minidrop.parameters.state_dict`."""
        return state_dict(self.named_parameters())

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy all parameters from arrays by name; see `minidrop.parameters.load_state_dict`."""
        load_state_dict(self.named_parameters(), state)

    def astype(self, dtype: Any) -> "Layer":
        """A copy of the layer, forward state left out, whose parameters have another dtype.

        Values that have been looked at are converted; others will be drawn in float64 and rounded to `dtype`.

        >>> import minidrop as md
        >>> md.Linear(2, 3).astype("float64").weight.dtype
        dtype('float64')
        """
        twin = deepcopy(self)
        for _, leaf in twin.leaves():
            leaf._saved = None
            for parameter in leaf._own().values():
                parameter.convert(dtype)
        return twin

    def seed(self, seed: int, index: int = 0) -> int:
        """Draw from the streams (seed, index), and return the next free index; layers inside from those on.

        Weights that have been looked at or set stay as they are; masks change with the next forward pass.
        """
        check_seed(seed)
        for slot, parameter in enumerate(self._own().values()):
            parameter.stream, parameter.slot = Stream(seed, Purpose.WEIGHTS, index), slot
        index += 1
        for _, leaf in self.leaves():
            if leaf is not self:
                index = leaf.seed(seed, index)
        return index

    def train(self, training: bool = True) -> None:
        """Behave as in training: drop, add noise."""
        for layer in self.modules():
            layer.training = training

    def eval(self) -> None:
        """Behave as in evaluation: no randomness."""
        self.train(False)

    def reuse_buffers(self, reuse: bool) -> None:
        """Write every pass into the same arrays again, as a training step does, or into fresh ones."""
        for _, layer in self.leaves():
            layer.workspace.reuse = reuse

    def set_step(self, step: int) -> None:
        """Let the next forward pass draw the randomness of training step `step`."""
        for _, leaf in self.leaves():
            if leaf is not self:
                leaf.set_step(step)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def write_gradients(layer: Layer, dy: Array) -> None:
    """Have a first layer write its parameters' gradients, by the pass that its class defined last.

    A class that defines `backward` alone, where its base class has a `backward_parameters` too, has its
    gradients from there.
    """
    for kind in type(layer).__mro__:
        if "backward_parameters" in vars(kind):
            layer.backward_parameters(dy)
            return
        if "backward" in vars(kind):
            layer.backward(dy)
            return
