"""The identity, for networks without a nonlinearity (document 004)."""

from minidrop.backends import Array
from minidrop.layers.activation import Activation


class Identity(Activation):
    """y = x, and dx = dy; both are copies, so that no two arrays share memory.

    >>> import minidrop as md, numpy as np
    >>> md.Identity().forward(np.array([[1.0, 2.0]]))
    array([[1., 2.]])
    """

    def function(self, x: Array, y: Array) -> None:
        """y = x."""
        y[...] = x

    def gradient(self, dy: Array, y: Array, dx: Array) -> None:
        """dx = dy."""
        dx[...] = dy
