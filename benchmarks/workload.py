"""What every contestant of a training step is given: the same net, batch, masks and numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import Any

import numpy as np

import minidrop as md
from minidrop.backends import Draw, get_backend
from minidrop.layers.stochastic import DropRate
from minidrop.streams import Stream

Array = np.ndarray[Any, Any]
#: minidrop's layers for one matrix: Dropout, Linear, ReLU
_PLACE = 3


@dataclass(frozen=True)
class Workload:
    """A step of SGD with momentum on one batch: v ← μ v + g, w ← w - η v, then max-norm on hidden rows.

    The net is a ReLU net with one inverted dropout before each matrix, the loss the mean cross-entropy. All
    fields are what JSON can hold, so that `Workload(**fields)` is the same in another process.

    Args:
        sizes: units by layer, inputs first.
        batch: how many examples.
        drops: the drop probability in front of each matrix.
        lr: η.
        momentum: μ.
        limit: the largest squared length of a hidden unit's incoming weights; 0 for none.
        dtype: of weights and inputs.
        seed: of weights, batch and masks.

    >>> work = Workload()
    >>> [W.shape for W, b in work.weights()], work.inputs.shape, work.masks(step=0)[1].shape
    ([(800, 784), (800, 800), (10, 800)], (100, 784), (100, 800))
    """

    sizes: Sequence[int] = (784, 800, 800, 10)
    batch: int = 100
    drops: Sequence[float] = (0.2, 0.5, 0.5)
    lr: float = 1e-3
    momentum: float = 0.5
    limit: float = 15.0
    dtype: str = "float32"
    seed: int = 0

    @property
    def length(self) -> float:
        """The largest length of a hidden unit's incoming weights."""
        return sqrt(self.limit)

    def model(self) -> md.Sequential:
        """minidrop's net: Dropout, Linear, ReLU, ..., Dropout, Linear.

        The squared length of a hidden row is `limit` on average: half of the rows begin beyond it, and later
        ones stay at it, so that max-norm has work to do in every step, as it has in the paper's training.
        Without a limit it is 2, as He et al. 2015 begin.
        """
        layers: list[md.Layer] = []
        for i, drop in enumerate(self.drops):
            hidden = i < len(self.drops) - 1
            init = md.FanIn(sqrt(self.limit or 2.0)) if hidden else md.Normal(0.01)
            matrix = md.Linear(
                self.sizes[i], self.sizes[i + 1], init=init, bias_init=md.Constant(), dtype=self.dtype
            )
            layers += [md.Dropout(drop), matrix, *([md.ReLU()] if hidden else [])]
        return md.Sequential(*layers, seed=self.seed)

    def weights(self) -> list[tuple[Array, Array]]:
        """The initial W (out, in) and b (out,) of each matrix, copies."""
        values = list(self.model().state_dict().values())
        return list(zip(values[::2], values[1::2], strict=True))

    @cached_property
    def inputs(self) -> Array:
        """The batch x (B, inputs), uniform on [-1/2, 1/2): units that are active for half of it."""
        x: Array = np.random.default_rng(self.seed).random((self.batch, self.sizes[0])) - 0.5
        return x.astype(self.dtype)

    @cached_property
    def labels(self) -> Array:
        """The labels (B,), all classes equally often."""
        return np.arange(self.batch) % self.sizes[-1]

    def masks(self, step: int) -> list[Array]:
        """The keep masks (B, units) of a step, one for each dropout: minidrop's own."""
        found = []
        for i, drop in enumerate(self.drops):
            keep = np.empty((self.batch, self.sizes[i]), bool)
            stream, threshold = Stream(self.seed, index=_PLACE * i), DropRate.of(drop).threshold
            found.append(get_backend("numpy").keep_mask(Draw(stream, step, threshold, keep)))
        return found

    def factors(self, step: int) -> list[Array]:
        """What each dropout multiplies by in a step: 1 / k where its mask keeps, 0 elsewhere."""
        scales = [DropRate.of(drop).scale for drop in self.drops]
        return [
            np.multiply(mask, scale, dtype=self.dtype)
            for mask, scale in zip(self.masks(step), scales, strict=True)
        ]
