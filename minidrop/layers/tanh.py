"""The hyperbolic tangent."""

from minidrop.backends import Array
from minidrop.layers.activation import Activation


class Tanh(Activation):
    """y = tanh(x), elementwise.

        dx = dy (1 - y²)

    >>> import minidrop as md, numpy as np
    >>> layer = md.Tanh()
    >>> layer.forward(np.array([[0.0, 1000.0]]))
    array([[0., 1.]])
    >>> layer.backward(np.ones((1, 2)))
    array([[1., 0.]])
    """

    def function(self, x: Array, y: Array) -> None:
        """y = tanh(x)."""
        self.backend.xp.tanh(x, out=y)

    def gradient(self, dy: Array, y: Array, dx: Array) -> None:
        """dx = dy (1 - y²)."""
        xp = self.backend.xp
        xp.multiply(y, y, out=dx)
        xp.subtract(1, dx, out=dx)
        dx *= dy
