"""The logistic unit y = 1 / (1 + e^-x)."""

import numpy as np

from minidrop.backends import Array
from minidrop.layers.activation import Activation


class Sigmoid(Activation):
    """y = σ(x) = 1 / (1 + e^-x), elementwise.

        dx = dy y (1 - y)

    >>> import minidrop as md, numpy as np
    >>> layer = md.Sigmoid()
    >>> layer.forward(np.array([[0.0, 1000.0]]))
    array([[0.5, 1. ]])
    >>> layer.backward(np.ones((1, 2)))
    array([[0.25, 0.  ]])
    """

    def function(self, x: Array, y: Array) -> None:
        """y = 1 / (1 + e^-x)."""
        xp = self.backend.xp
        xp.negative(x, out=y)
        with np.errstate(over="ignore"):  # e^-x = inf gives y = 0, which is right
            xp.exp(y, out=y)
        y += 1
        xp.reciprocal(y, out=y)

    def gradient(self, dy: Array, y: Array, dx: Array) -> None:
        """dx = dy y (1 - y)."""
        self.backend.xp.subtract(1, y, out=dx)
        dx *= y
        dx *= dy
