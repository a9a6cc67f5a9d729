"""What the elementwise units share: a function of the input whose derivative is a function of the output."""

from minidrop.backends import Array
from minidrop.layers.layer import Layer


class Activation(Layer):
    """y = f(x), elementwise, with dx = dy f'(x) written through y.

    A unit is two functions of arrays, `function` and `gradient`; the layer around them remembers y.
    """

    def function(self, x: Array, y: Array) -> None:
        """Write f(x) into y, which may be x itself."""
        raise NotImplementedError

    def gradient(self, dy: Array, y: Array, dx: Array) -> None:
        """Write dy f' into dx, which is neither dy nor y."""
        raise NotImplementedError

    def forward(self, x: Array) -> Array:
        """y = f(x)."""
        self.check_input(x)
        y = self.array("y", x.shape, x.dtype)
        self.function(x, y)
        self.save(y, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        """dx = dy f'(x)."""
        (y,) = self.saved(dy)
        dx = self.array("dx", y.shape, y.dtype)
        self.gradient(dy, y, dx)
        return dx
