"""The hyperbolic tangent."""

from minidrop.backends import Array
from minidrop.layers.layer import Layer


class Tanh(Layer):
    """y = tanh(x), elementwise.

        dx = dy (1 - y²)

    >>> import minidrop as md, numpy as np
    >>> layer = md.Tanh()
    >>> layer.forward(np.array([[0.0, 1000.0]]))
    array([[0., 1.]])
    >>> layer.backward(np.ones((1, 2)))
    array([[1., 0.]])
    """

    def forward(self, x: Array) -> Array:
        """y = tanh(x)."""
        self.check_input(x)
        y = self.array("y", x.shape, x.dtype)
        self.backend.xp.tanh(x, out=y)
        self.save(y, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        """dx = dy (1 - y²)."""
        (y,) = self.saved(dy)
        dx = self.array("dx", y.shape, y.dtype)
        self.backend.xp.multiply(y, y, out=dx)
        self.backend.xp.subtract(1, dx, out=dx)
        dx *= dy
        return dx
