"""Multiplicative Gaussian noise, dropout's continuous relative."""

from minidrop.backends import Array, Backend
from minidrop.errors import check_range
from minidrop.layers.stochastic import StochasticLayer
from minidrop.streams import Purpose


class GaussianNoise(StochasticLayer):
    """y = x r with r ~ N(1, std²) in training, y = x in evaluation (Srivastava et al. 2014, section 10).

        dx = dy r in training        dx = dy in evaluation

    E[r] = 1, so nothing needs scaling. Inverted dropout with drop probability p multiplies by noise of mean 1
    and variance p / (1 - p); std = √(p / (1 - p)) gives Gaussian noise of the same moments.

    Args:
        std: the standard deviation of r, at least 0.
        seed: of the noise of a layer that stands alone; a `Sequential` brings its own.
        backend: "numpy", "numba", "cupy" or the current one.

    Raises:
        ArgumentError: if std is negative or not finite.

    >>> import minidrop as md, numpy as np
    >>> layer = md.GaussianNoise(0.5)
    >>> y = layer.forward(np.ones((100, 100)))
    >>> bool(abs(y.mean() - 1) < 0.02), bool(abs(y.std() - 0.5) < 0.02)
    (True, True)
    """

    purpose = Purpose.NOISE
    mask_kind = "f"

    def __init__(self, std: float = 1.0, *, seed: int = 0, backend: str | Backend | None = None) -> None:
        super().__init__(seed, backend)
        self.std = check_range("std", std, 0)

    def forward(self, x: Array) -> Array:
        """y = x r."""
        self.check_input(x)
        noise = self._draw(x) if self.training else 1.0
        y = self.array("y", x.shape, x.dtype)
        self.backend.xp.multiply(x, noise, out=y)
        self.save(noise, output=y)
        return y

    def backward(self, dy: Array) -> Array:
        """dx = dy r."""
        (noise,) = self.saved(dy)
        dx = self.array("dx", dy.shape, dy.dtype)
        return self.backend.xp.multiply(dy, noise, out=dx)

    def _draw(self, x: Array) -> Array:
        if self._given is not None:
            self._mask = self.given(x.shape)
        else:
            noise = self.array("noise", x.shape, x.real.dtype)
            self.backend.standard_normal(self.stream, self.step, noise)
            noise *= self.std
            noise += 1
            self._mask = noise
        self.step += 1
        return self._mask

    def __repr__(self) -> str:
        return f"GaussianNoise({self.std:g})"
