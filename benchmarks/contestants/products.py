"""The floor under every step in NumPy: its matrix products, and nothing between them."""

from typing import Any

import numpy as np

from benchmarks.workload import Workload


class Products:
    """x Wᵀ of every layer forwards, dWᵀ and dx backwards, in a step's order and layouts, in buffers."""

    def __init__(self, workload: Workload) -> None:
        def new(*shape: int) -> Any:
            return np.empty(shape, workload.dtype)

        self.weights = [W for W, _ in workload.weights()]
        self.gradients = [np.empty_like(W) for W in self.weights]
        self.inputs = [workload.inputs, *(new(workload.batch, len(W)) for W in self.weights)]
        self.input_gradients = [new(*x.shape) for x in self.inputs]
        self.input_gradients[-1][...] = 1e-3  # what a loss would write

    def __call__(self) -> None:
        """The products of one step; the first layer needs no dx."""
        x, dx = self.inputs, self.input_gradients
        for i, W in enumerate(self.weights):
            np.matmul(x[i], W.T, out=x[i + 1])
        for i in reversed(range(len(self.weights))):
            np.matmul(dx[i + 1].T, x[i], out=self.gradients[i])
            if i:
                np.matmul(dx[i + 1], self.weights[i], out=dx[i])


def step(**fields: Any) -> Products:
    """The products of a workload's step."""
    return Products(Workload(**fields))
