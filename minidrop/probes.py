"""Probes: what a model's layers put out for a batch, and which gradients its parameters get.

>>> import minidrop as md, numpy as np
>>> model = md.Sequential(md.Linear(2, 3, init=md.Constant(1)), md.ReLU(), md.Linear(3, 2), seed=0)
>>> x = np.array([[0, 1], [2, 3]], np.float32)
>>> md.probes.variances(md.probes.activations(model, x))["0"]  # of 2, 2, 2 and 6, 6, 6
4.0
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from minidrop.backends import Array
from minidrop.errors import ArrayError
from minidrop.layers import Layer, Sequential
from minidrop.layers.layer import write_gradients
from minidrop.layers.stochastic import behaving
from minidrop.losses import SoftmaxCrossEntropy

HostArray = np.ndarray[Any, Any]


def activations(model: Layer, x: Array, *, training: bool = False) -> dict[str, HostArray]:
    """The output of every layer for the batch x, by the layer's name, in order, as host copies.

        a_0 = f_0(x)        a_i = f_i(a_(i-1))        of shape (B, features)

    A `Sequential` inside another one is taken apart too, "2.0", "2.1", ...; a layer alone is named "".

    Args:
        model: the layers; parameters and random state stay as they are.
        x: the batch (B, features).
        training: whether layers behave as in training, and drop; by default as in evaluation.

    >>> import minidrop as md, numpy as np
    >>> model = md.Sequential(md.Linear(4, 3), md.Tanh(), md.Linear(3, 2))
    >>> {name: a.shape for name, a in md.probes.activations(model, np.ones((5, 4), np.float32)).items()}
    {'0': (5, 3), '1': (5, 3), '2': (5, 2)}
    """
    model.check_input(x)
    with behaving(model, training):
        return {name: np.array(model.backend.to_host(y)) for name, y in _outputs(model, "", x)}


def gradients(
    model: Layer,
    x: Array,
    labels: Array,
    *,
    names: str = "*",
    loss: SoftmaxCrossEntropy | None = None,
    training: bool = False,
) -> dict[str, HostArray]:
    """The gradient of the loss on a batch by each parameter, by name: host copies in the parameters' shapes.

        g_name = dL(model(x), labels) / d name

    It is what a training step would use; nothing is updated. `parameter.grad` holds it afterwards, too.

    Args:
        model: the layers.
        x: the batch (B, features).
        labels: its labels (B,).
        names: a pattern of the names to return; "*.weight" leaves out the biases.
        loss: the loss; the mean cross-entropy unless given.
        training: whether layers behave as in training, and drop; by default as in evaluation.

    >>> import minidrop as md, numpy as np
    >>> model = md.Sequential(md.Linear(2, 2, init=md.Constant(0)))
    >>> md.probes.gradients(model, np.array([[1.0, 2.0]], np.float32), np.array([0]))["0.bias"]
    array([-0.5,  0.5], dtype=float32)
    """
    loss = loss or SoftmaxCrossEntropy(backend=model.backend)
    with behaving(model, training):
        loss.forward(model.forward(x), labels)
        write_gradients(model, loss.backward())
    return {
        name: np.array(model.backend.to_host(parameter.grad))
        for name, parameter in model.named_parameters().items()
        if fnmatchcase(name, names)
    }


def variances(arrays: Mapping[str, HostArray], *, per_unit: bool = False) -> dict[str, float]:
    """The variance of each array, summed in float64.

        over all elements (document 004):    mean_bi (a_bi - mean a)²
        per unit (document 003):             mean_i mean_b (a_bi - mean_b a_bi)²

    Args:
        arrays: what `activations` or `gradients` returned.
        per_unit: take the variance over the batch, the first axis, for each unit, and average it over the
            units: differences between units do not count.

    Raises:
        ArrayError: naming an array that is empty.

    >>> a = {"0": np.array([[0.0, 10.0], [2.0, 12.0]])}
    >>> variances(a), variances(a, per_unit=True)
    ({'0': 26.0}, {'0': 1.0})
    """
    for name, array in arrays.items():
        if not array.size:
            raise ArrayError(f"{name!r} is empty and has no variance")
    axis = 0 if per_unit else None
    return {name: float(np.var(a, axis=axis, dtype=np.float64).mean()) for name, a in arrays.items()}


def _outputs(layer: Layer, name: str, x: Array) -> list[tuple[str, Array]]:
    """Every layer's name and output; a layer that is no plain chain of others is one layer."""
    if not isinstance(layer, Sequential) or type(layer).forward is not Sequential.forward:
        return [(name, layer.forward(x))]
    found: list[tuple[str, Array]] = []
    for position, inner in enumerate(layer.layers):
        x = found[-1][1] if found else x
        found += _outputs(inner, f"{name}.{position}".lstrip("."), x)
    return found
