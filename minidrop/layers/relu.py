"""The rectifier y = max(x, 0)."""

from minidrop.backends import Array
from minidrop.layers.layer import Layer


class ReLU(Layer):
    """y = max(x, 0), elementwise (Nair & Hinton 2010).

        dx = dy [x > 0]        so the gradient at the kink, x = 0, is 0

    >>> import minidrop as md, numpy as np
    >>> layer = md.ReLU()
    >>> layer.forward(np.array([[-1.0, 0.0, 2.0]]))
    array([[0., 0., 2.]])
    >>> layer.backward(np.ones((1, 3)))
    array([[0., 0., 1.]])
    """

    def forward(self, x: Array) -> Array:
        """y = max(x, 0)."""
        self.check_input(x)
        y = self.array("y", x.shape, x.dtype)
        self.backend.xp.maximum(x, 0, out=y)
        self.save(y, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        """dx = dy [y > 0], since y > 0 exactly where x > 0."""
        (y,) = self.saved(dy)
        active = self.array("active", y.shape, bool)
        self.backend.xp.greater(y, 0, out=active)
        dx = self.array("dx", y.shape, y.dtype)
        return self.backend.xp.multiply(dy, active, out=dx)
