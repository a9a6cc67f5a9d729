"""The logistic unit y = 1 / (1 + e^-x)."""

import numpy as np

from minidrop.backends import Array
from minidrop.layers.layer import Layer


class Sigmoid(Layer):
    """y = σ(x) = 1 / (1 + e^-x), elementwise.

        dx = dy y (1 - y)

    >>> import minidrop as md, numpy as np
    >>> layer = md.Sigmoid()
    >>> layer.forward(np.array([[0.0, 1000.0]]))
    array([[0.5, 1. ]])
    >>> layer.backward(np.ones((1, 2)))
    array([[0.25, 0.  ]])
    """

    def forward(self, x: Array) -> Array:
        """y = 1 / (1 + e^-x)."""
        self.check_input(x)
        y = self.array("y", x.shape, x.dtype)
        self.backend.xp.negative(x, out=y)
        with np.errstate(over="ignore"):  # e^-x = inf gives y = 0, which is right
            self.backend.xp.exp(y, out=y)
        y += 1
        self.backend.xp.reciprocal(y, out=y)
        self.save(y, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        """dx = dy y (1 - y)."""
        (y,) = self.saved(dy)
        dx = self.array("dx", y.shape, y.dtype)
        self.backend.xp.subtract(1, y, out=dx)
        dx *= y
        dx *= dy
        return dx
