"""The identity, for networks without a nonlinearity (document 004)."""

from minidrop.backends import Array
from minidrop.layers.layer import Layer


class Identity(Layer):
    """y = x, and dx = dy; both are copies, so that no two arrays share memory.

    >>> import minidrop as md, numpy as np
    >>> md.Identity().forward(np.array([[1.0, 2.0]]))
    array([[1., 2.]])
    """

    def forward(self, x: Array) -> Array:
        """y = x."""
        self.check_input(x)
        y = self.array("y", x.shape, x.dtype)
        y[...] = x
        self.save(output=y)
        return y

    def backward(self, dy: Array) -> Array:
        """dx = dy."""
        self.saved(dy)
        dx = self.array("dx", dy.shape, dy.dtype)
        dx[...] = dy
        return dx
