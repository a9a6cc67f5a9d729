"""The masks of document 003, slip and all: [z > d] with z ~ N(0, 1), which drop Φ(d) and not d.

    d                                 0      0.1    0.5    0.9
    drop rate Φ(d)                    .500   .540   .691   .816
    scale (1 - Φ(d)) / (1 - d)        .50    .51    .617   1.84

What is kept is divided by 1 - d all the same, so that activations in training are, on average, off by a
factor, the scale, and d = 0 drops half.
"""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from minidrop.backends import Array, Backend
from minidrop.errors import check_range
from minidrop.layers import DropConnect, Dropout, StochasticLayer
from minidrop.layers.stochastic import DropRate
from minidrop.streams import Purpose, Stream

#: by how many standard errors a count may be off
SIGMAS = 5.0


@dataclass(frozen=True)
class NormalRate(DropRate):
    """What a mask [z > d] really drops, Φ(d), and what the document divides by, 1 - d.

    >>> rate = NormalRate.of(0.5)
    >>> round(1 - rate.keep, 3), rate.scale
    (0.691, 2.0)
    """

    d: float = 0.0

    @classmethod
    def of(cls, drop_prob: float, name: str = "drop_prob") -> "NormalRate":
        """The rate of d = drop_prob; ArgumentError unless it is in [0, 1]."""
        d = check_range(name, drop_prob, 0, 1)
        return cls(DropRate.of(NormalDist().cdf(d)).threshold, d)

    @property
    def scale(self) -> float:
        """1 / (1 - d), or 0 for d = 1, where the document returns zeros."""
        return 1 / (1 - self.d) if self.d < 1 else 0.0


class NormalMasks(StochasticLayer):
    """A layer whose keep masks are [z > d], z ~ N(0, 1), as document 003 draws them."""

    def draw_keep(self, shape: tuple[int, ...], rate: DropRate) -> Array:
        """The mask of this pass, drawn or given; the next pass draws the next step's."""
        if self._given is not None or not isinstance(rate, NormalRate):
            return super().draw_keep(shape, rate)
        step, self.step = self.step, self.step + 1
        normals, keep = self.array("normals", shape, "float32"), self.array("keep", shape, bool)
        noise = Stream(self.stream.seed, Purpose.NOISE, self.stream.index)
        self.backend.standard_normal(noise, step, normals)
        self._mask = self.backend.xp.greater(normals, rate.d, out=keep)
        return self._mask


class NormalDropout(NormalMasks, Dropout):
    """The `dropout_layer` of document 003, slip and all: with m = [z > d], z ~ N(0, 1),

        training    y = x m / (1 - d)    dx = dy m / (1 - d)
        evaluation  y = x                dx = dy

    The passes are those of `Dropout`; the mask and what is divided by are the document's.

    >>> import numpy as np
    >>> layer = NormalDropout(0.5)
    >>> y = layer.forward(np.ones((1000, 100)))
    >>> round(float(layer.mask.mean()), 1), float(y.max())
    (0.3, 2.0)
    """

    def __init__(
        self, drop_prob: float = 0.5, *, seed: int = 0, backend: str | Backend | None = None
    ) -> None:
        super().__init__(drop_prob, seed=seed, backend=backend)
        self.rate = NormalRate.of(drop_prob)

    def __repr__(self) -> str:
        return f"NormalDropout({self.drop_prob:g})"


class NormalDropConnect(NormalMasks, DropConnect):
    """The DropConnect of document 003, slip and all: one mask m = [z > d], z ~ N(0, 1), for the batch.

        training    z = x (m ∘ W)ᵀ / (1 - d) + b        evaluation    z = x Wᵀ + b

    Both passes are those of `DropConnect` with per="batch".

    >>> import numpy as np
    >>> layer = NormalDropConnect(100, 100, drop_prob=0.5)
    >>> y = layer.forward(np.ones((2, 100), np.float32))
    >>> round(1 - float(layer.mask.mean()), 1)
    0.7
    """

    def __init__(self, in_features: int, out_features: int, **options: Any) -> None:
        super().__init__(in_features, out_features, **options)
        self.rate = NormalRate.of(self.drop_prob)
