"""What the property tests draw: random nets as recipes, batches for them, and how many examples to try.

A recipe can be built twice, and in another dtype, with the same weights and masks: both are functions of the
seed. Arrays are drawn by NumPy from a seed that hypothesis draws: a number that shrinks to a simple one would
only make simple arrays, and it is the structure of the net that should shrink.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

import minidrop as md
from minidrop.layers import StochasticLayer

seeds = st.integers(0, 2**32 - 1)
widths = st.integers(1, 6)
#: also the smallest and the largest rate that is not all or nothing; a net is finite with all of them
drop_probs = st.sampled_from([0.0, 2**-16, 0.1, 0.3, 0.5, 0.8, 0.9])

#: what may stand before a matrix, from its rate
NOISES: dict[str, Callable[[float], md.Layer]] = {
    "none": lambda p: md.Identity(),
    "inverted": lambda p: md.Dropout(p),
    "paper": lambda p: md.Dropout(p, mode="paper"),
    "inverted, per feature": lambda p: md.Dropout(p, per="feature"),
    "paper, per feature": lambda p: md.Dropout(p, mode="paper", per="feature"),
    "gaussian": lambda p: md.GaussianNoise(p),
}

#: the matrices, from fan in, fan out, rate and dtype
MATRICES: dict[str, Callable[[int, int, float, str], md.Layer]] = {
    "linear": lambda n, m, p, dtype: md.Linear(n, m, dtype=dtype),
    "linear without bias": lambda n, m, p, dtype: md.Linear(n, m, bias=False, dtype=dtype),
    "dropconnect": lambda n, m, p, dtype: md.DropConnect(n, m, drop_prob=p, dtype=dtype),
    "dropconnect, per example": lambda n, m, p, dtype: md.DropConnect(
        n, m, drop_prob=p, per="example", dtype=dtype
    ),
    "dropconnect with tanh": lambda n, m, p, dtype: md.DropConnect(
        n, m, drop_prob=p, per="example", activation=md.Tanh(), dtype=dtype
    ),
}

#: the units, from their rate
UNITS: dict[str, Callable[[float], md.Layer]] = {
    "relu": lambda p: md.ReLU(),
    "sigmoid": lambda p: md.Sigmoid(),
    "tanh": lambda p: md.Tanh(),
    "identity": lambda p: md.Identity(),
    "stochastic relu": lambda p: md.StochasticReLU(p),
    "stochastic relu, published": lambda p: md.StochasticReLU(p, scaled=False),
}


@dataclass(frozen=True)
class Net:
    """A recipe: noise, matrix and unit by name and one rate for each block, after the last one no unit."""

    sizes: tuple[int, ...]
    blocks: tuple[tuple[str, str, str, float], ...]
    seed: int

    def build(self, dtype: str = "float64") -> md.Sequential:
        """The net; twice the same one."""
        layers: list[md.Layer] = []
        for (noise, matrix, unit, p), n, m in zip(self.blocks, self.sizes, self.sizes[1:], strict=False):
            layers += [NOISES[noise](p), MATRICES[matrix](n, m, p, dtype), UNITS[unit](p)]
        return md.Sequential(*layers[:-1], seed=self.seed)

    @property
    def has_evaluation_gradients(self) -> bool:
        """Whether evaluation has a backward pass: moment matching has none."""
        return not any(
            isinstance(leaf, md.DropConnect) and leaf.per == "example" for _, leaf in self.build().leaves()
        )


@st.composite
def nets(draw, noises=tuple(NOISES), matrices=tuple(MATRICES), units=tuple(UNITS), depth=(1, 4)):
    """Random nets of some blocks."""
    n_blocks = draw(st.integers(*depth))
    sizes = draw(st.lists(widths, min_size=n_blocks + 1, max_size=n_blocks + 1))
    block = st.tuples(st.sampled_from(noises), st.sampled_from(matrices), st.sampled_from(units), drop_probs)
    blocks = draw(st.lists(block, min_size=n_blocks, max_size=n_blocks))
    return Net(tuple(sizes), tuple(blocks), draw(seeds))


def batch_for(net: Net, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """N(0, 1) inputs and random labels."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((size, net.sizes[0])), rng.integers(0, net.sizes[-1], size)


def gradients(model, x, labels, *, reduction="mean", step=0) -> tuple[float, dict[str, np.ndarray]]:
    """The loss with the masks of `step`, and the gradients of all parameters and of the input by name."""
    loss = md.SoftmaxCrossEntropy(reduction)
    model.set_step(step)
    value = float(loss.forward(model.forward(x), labels))
    dx = model.backward(loss.backward())
    return value, {"input": dx} | {name: p.grad.copy() for name, p in model.parameters().items()}


def freeze(model: md.Sequential, x: np.ndarray) -> Callable[[np.ndarray], None]:
    """Draw the masks for x; the function that is returned gives the model those of some rows of x."""
    model.forward(x)
    drawn = [(leaf, leaf.mask.copy()) for _, leaf in model.leaves() if isinstance(leaf, StochasticLayer)]

    def give(rows: np.ndarray) -> None:
        for leaf, mask in drawn:
            shared = getattr(leaf, "per", "element") in ("feature", "batch")
            leaf.use_mask(mask if shared else mask[rows])

    return give


def share(fraction: float) -> settings:
    """A part of the examples that the profile asks for, for properties that take longer than others."""
    return settings(max_examples=max(1, round(fraction * settings().max_examples)))
