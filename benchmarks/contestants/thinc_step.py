"""thinc's step: the nearest that its own layers and optimizers come to the workload."""

from typing import Any

from thinc.api import (
    SGD,
    CategoricalCrossentropy,
    Dropout,
    NumpyOps,
    Relu,
    Softmax,
    chain,
    set_current_ops,
    to_categorical,
)

from benchmarks.workload import Workload


class ThincStep:
    """Dropout, Relu and Softmax in a chain, and SGD, which has no momentum here; without max-norm.

    NumPy's matrix products are several times faster than those of blis, which use one thread.
    """

    def __init__(self, workload: Workload) -> None:
        set_current_ops(NumpyOps(use_blis=False))
        # Any: thinc has array types of its own, which NumPy's arrays are not for a type checker
        weights: Any = workload.weights()
        labels: Any = workload.labels
        layers: list[Any] = [Dropout(workload.drops[0])]
        for (W, _), drop in zip(weights[:-1], workload.drops[1:], strict=True):
            layers.append(Relu(*W.shape, dropout=drop))
        layers.append(Softmax(*weights[-1][0].shape))
        self.model: Any = chain(*layers)
        self.model.initialize()
        matrices = [layer for layer in self.model.walk(order="dfs_pre") if layer.has_param("W")]
        for layer, (W, b) in zip(matrices, weights, strict=True):
            layer.set_param("W", W)
            layer.set_param("b", b)
        self.loss: Any = CategoricalCrossentropy(normalize=True)
        self.optimizer = SGD(workload.lr, grad_clip=0, use_averages=False)
        self.inputs = workload.inputs
        self.targets = to_categorical(labels, n_classes=workload.sizes[-1])

    def __call__(self) -> float:
        """One step; what thinc calls its loss."""
        guesses, backward = self.model.begin_update(self.inputs)
        gradient, loss = self.loss(guesses, self.targets)
        backward(gradient)
        self.model.finish_update(self.optimizer)
        return float(loss)


def step(**fields: Any) -> ThincStep:
    """thinc's step on a workload."""
    return ThincStep(Workload(**fields))
