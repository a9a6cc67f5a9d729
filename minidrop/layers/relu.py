"""The rectifier y = max(x, 0)."""

from minidrop.backends import Array
from minidrop.layers.activation import Activation


class ReLU(Activation):
    """y = max(x, 0), elementwise (Nair & Hinton 2010).

        dx = dy [x > 0]        so the gradient at the kink, x = 0, is 0

    >>> import minidrop as md, numpy as np
    >>> layer = md.ReLU()
    >>> layer.forward(np.array([[-1.0, 0.0, 2.0]]))
    array([[0., 0., 2.]])
    >>> layer.backward(np.ones((1, 3)))
    array([[0., 0., 1.]])
    """

    def function(self, x: Array, y: Array) -> None:
        """y = max(x, 0)."""
        self.backend.xp.maximum(x, 0, out=y)

    def gradient(self, dy: Array, y: Array, dx: Array) -> None:
        """dx = dy [y > 0], since y > 0 exactly where x > 0."""
        self.backend.xp.greater(y, 0, out=dx)
        dx *= dy
