"""Layers one after another."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from minidrop.backends import Array
from minidrop.errors import ArrayError, UsageError
from minidrop.layers.dropconnect import DropConnect
from minidrop.layers.dropout import Dropout
from minidrop.layers.layer import Layer, write_gradients
from minidrop.layers.linear import Linear


class Sequential(Layer):
    """y = f_n(... f_2(f_1(x))): forward in order, backward in reverse.

        dx = J_1ᵀ J_2ᵀ ... J_nᵀ dy,    J_i the Jacobian of layer i

    Its layers are named by their position, "0", "1", ..., as in `torch.nn.Sequential`, and the same position
    selects their random streams: initial weights and masks are functions of (seed, position, step).

    Args:
        layers: at least one; none may appear twice, since a layer remembers one forward pass.
        seed: of all initial weights and masks. Weights that have been looked at or set stay as they are.

    Raises:
        UsageError: if there is no layer, or one appears twice.
        ArrayError: if the layers' backends differ.

    >>> import minidrop as md, numpy as np
    >>> model = md.Sequential(md.Linear(4, 3), md.ReLU(), md.Dropout(0.5), md.Linear(3, 2), seed=0)
    >>> y = model.forward(np.ones((5, 4), np.float32))
    >>> y.shape, model.backward(np.ones_like(y)).shape
    ((5, 2), (5, 4))
    """

    #: whether another Sequential has it inside
    is_inner = False

    def __init__(self, *layers: Layer, seed: int = 0) -> None:
        if not layers:
            raise UsageError("Sequential needs at least one layer")
        for position, layer in enumerate(layers):
            if not isinstance(layer, Layer):
                raise UsageError(
                    f"Sequential takes layers, but at {position} there is a {type(layer).__name__}"
                )
        super().__init__(layers[0].backend)
        self.layers = layers
        leaves = [leaf for _, leaf in self.leaves()]
        if len({id(leaf) for leaf in leaves}) < len(leaves):
            raise UsageError("a layer appears twice in Sequential; make one for each place")
        for name, leaf in self.leaves():
            if leaf.backend is not self.backend:
                raise ArrayError(
                    f"layer {name}, {leaf}, is on {leaf.backend.name}, but layer 0 is on "
                    f"{self.backend.name}: build all layers on one backend"
                )
        for layer in layers:
            if isinstance(layer, Sequential):
                layer.is_inner = True
        self.seed(seed)

    def forward(self, x: Array) -> Array:
        """The last layer's output."""
        self.check_input(x)
        if not self.is_inner:  # what reaches an inner one is no input: it is a divergence, which fit tells of
            self.backend.check_finite(x, "the model's input")
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy: Array) -> Array:
        """The first layer's input gradient."""
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy

    def backward_parameters(self, dy: Array) -> None:
        """Write all parameter gradients, and stop at the first layer that has some."""
        first = next((i for i, layer in enumerate(self.layers) if self._trainable(layer)), None)
        if first is None:
            return
        for layer in reversed(self.layers[first + 1 :]):
            dy = layer.backward(dy)
        write_gradients(self.layers[first], dy)

    @staticmethod
    def _trainable(layer: Layer) -> bool:
        return any(leaf.own_parameters() for _, leaf in layer.leaves())

    def modules(self) -> Iterator[Layer]:
        """The layer itself, and every one inside, containers too."""
        yield self
        for layer in self.layers:
            yield from layer.modules()

    def leaves(self) -> Iterator[tuple[str, Layer]]:
        """Every layer inside, with its dotted name."""
        for position, layer in enumerate(self.layers):
            for name, leaf in layer.leaves():
                yield f"{position}.{name}".rstrip("."), leaf

    def seed(self, seed: int, index: int = 0) -> int:
        """Give the layers the streams (seed, index), (seed, index + 1), ...; return the next free index."""
        for layer in self.layers:
            index = layer.seed(seed, index)
        return index

    def train(self, training: bool = True) -> None:
        """Let every layer behave as in training."""
        super().train(training)
        for layer in self.layers:
            layer.train(training)

    def mean_network(self) -> dict[str, np.ndarray[Any, Any]]:
        """The weights of the network that evaluation computes, by name, when nothing scales activations.

        Paper dropout multiplies by its keep probability k in evaluation; here the matrix behind it does, as
        Hinton et al. 2012 describe it: W k. PyTorch's layers of the same names, whose dropout does nothing in
        evaluation, give this model's outputs with these weights.

        Raises:
            UsageError: if a paper dropout is not followed by a Linear, or a container of one's own, which
                may do more than its layers one after another, is in the model.
        """
        weights = self.state_dict()
        leaves = list(self.leaves())
        for (_, layer), (name, following) in zip(leaves, [*leaves[1:], ("", self)], strict=True):
            if isinstance(layer, Dropout) and layer.mode == "paper" and layer.rate.threshold:
                if not is_chain(self):
                    raise UsageError(
                        f"{self} has a container of your own: what takes the place of {layer} in it, only "
                        "you know"
                    )
                if not isinstance(following, Linear):
                    raise UsageError(f"{layer} is not followed by a Linear that could scale in its place")
                weights[f"{name}.weight"] *= layer.rate.keep
        return weights

    def set_step(self, step: int) -> None:
        """Let every layer draw the randomness of training step `step` next."""
        for layer in self.layers:
            layer.set_step(step)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, position: int) -> Layer:
        return self.layers[position]

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self.layers))})"


def is_chain(layer: Layer) -> bool:
    """Whether a layer is one alone, or is what its `leaves` are one after another.

    A container of one's own, a class derived from Sequential too, may do more with the layers inside.

    >>> from minidrop.layers import Linear
    >>> class Residual(Sequential):
    ...     def forward(self, x):
    ...         return x + super().forward(x)
    >>> is_chain(Sequential(Sequential(Linear(2, 2)))), is_chain(Sequential(Residual(Linear(2, 2))))
    (True, False)
    """
    if type(layer) is Sequential:
        return all(map(is_chain, layer.layers))
    return type(layer) is DropConnect or [leaf for _, leaf in layer.leaves()] == [layer]
