"""A rectifier that is switched off at random (document 003, question 7)."""

from minidrop.backends import Array, Backend
from minidrop.layers.stochastic import DropProb, StochasticLayer


class StochasticReLU(DropProb, StochasticLayer):
    """y = c max(x, 0) m in training with a keep mask m, y = max(x, 0) in evaluation.

        dx = c dy m [x > 0] in training        dx = dy [x > 0] in evaluation

    Document 003 publishes it with c = 1 in training and claims that it needs no scaling. It does: with keep
    probability k the mean of the training output is k max(x, 0), so evaluation is 1/k times too large for
    the next layer. Corrected, c = 1/k, it is ReLU followed by inverted dropout.

    Args:
        drop_prob: the probability of switching off, in [0, 1]; the document's p is 1 - drop_prob.
        scaled: True for the corrected layer, False for the published one.
        seed: of the masks of a layer that stands alone; a `Sequential` brings its own.
        backend: "numpy", "numba", "cupy" or the current one.

    Raises:
        ArgumentError: if drop_prob is not a number in [0, 1].

    >>> import minidrop as md, numpy as np
    >>> md.StochasticReLU(0.5).forward(np.array([[1.0, 1.0, -1.0, 1.0]]))
    array([[2., 0., 0., 0.]])
    """

    def __init__(
        self,
        drop_prob: float = 0.5,
        *,
        scaled: bool = True,
        seed: int = 0,
        backend: str | Backend | None = None,
    ) -> None:
        super().__init__(seed, backend)
        self.drop_prob = drop_prob
        self.scaled = scaled

    def forward(self, x: Array) -> Array:
        """y = c max(x, 0) m."""
        self.check_input(x)
        y = self.array("y", x.shape, x.dtype)
        self.backend.xp.maximum(x, 0, out=y)
        factor = 1.0
        if self.training:
            y *= self.draw_keep(x.shape, self.rate)
            factor = self.rate.scale if self.scaled else 1.0
            y *= factor
        self.save(y, factor, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        """dx = c dy [y > 0], since y > 0 exactly where m = 1 and x > 0."""
        y, factor = self.saved(dy)
        active = self.array("active", y.shape, bool)
        self.backend.xp.greater(y, 0, out=active)
        dx = self.array("dx", y.shape, y.dtype)
        self.backend.xp.multiply(dy, active, out=dx)
        dx *= factor
        return dx

    def __repr__(self) -> str:
        return f"StochasticReLU({self.drop_prob:g}, scaled={self.scaled})"
