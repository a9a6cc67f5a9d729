"""How many elements are dropped is binomial: of all, of each unit over the batch, of each example.

The bounds are exact tails of the binomial distribution, not a normal approximation of them.
"""

from math import exp, fsum, lgamma, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import seeds, share
from tolerances import CHANCE

import minidrop as md

EXAMPLES, FEATURES, UNITS = 64, 12, 5
LAYERS = {
    "dropout": lambda p: md.Dropout(p),
    "dropout, paper": lambda p: md.Dropout(p, mode="paper"),
    "stochastic relu": lambda p: md.StochasticReLU(p),
    "dropconnect": lambda p: md.DropConnect(FEATURES, UNITS, drop_prob=p, per="example", dtype="float64"),
}


def chance(count: int, n: int, p: float) -> float:
    """How probable it is that a binomial number is `count` or further out: min(P(X <= c), P(X >= c))."""

    def probability(j: int) -> float:
        ways = lgamma(n + 1) - lgamma(j + 1) - lgamma(n - j + 1)
        return exp(ways + j * log(p) + (n - j) * log(1 - p))

    return min(
        fsum(probability(j) for j in range(count + 1)), fsum(probability(j) for j in range(count, n + 1))
    )


def test_the_tails_are_those_of_a_coin():
    assert [chance(c, 4, 0.5) * 16 for c in range(5)] == pytest.approx([1, 5, 11, 5, 1])
    assert chance(0, 2, 0.25) == pytest.approx(0.75**2)


@pytest.mark.parametrize("name", LAYERS)
@share(0.3)
@given(p=st.floats(0.05, 0.95), seed=seeds, step=st.integers(0, 2**40))
def test_what_is_dropped_is_binomial(name, p, seed, step):
    layer = LAYERS[name](p)
    layer.seed(seed)
    layer.set_step(step)
    layer.forward(np.ones((EXAMPLES, FEATURES)))
    dropped = ~layer.mask.reshape(EXAMPLES, -1)
    realised = round(p * 65536) / 65536
    assert dropped.shape[1] == (FEATURES * UNITS if name == "dropconnect" else FEATURES)
    assert chance(int(dropped.sum()), dropped.size, realised) > CHANCE
    for counts, n in ((dropped.sum(axis=0), EXAMPLES), (dropped.sum(axis=1), dropped.shape[1])):
        assert min(chance(int(count), n, realised) for count in set(counts.tolist())) > CHANCE


@share(0.3)
@given(p=st.floats(0.05, 0.95), seed=seeds)
def test_neighbours_steps_and_layers_agree_as_often_as_independent_ones_do(p, seed):
    """Two independent masks agree in an element with probability k² + (1 - k)²."""
    first, second = (md.Dropout(p) for _ in range(2))
    md.Sequential(first, second, seed=seed)
    x = np.ones((EXAMPLES, FEATURES))
    first.forward(x), second.forward(x)
    here, next_layer = first.mask.copy(), second.mask
    first.forward(x)
    k = first.rate.keep
    for one, other in (
        (here, next_layer),
        (here, first.mask),
        (here[0::2], here[1::2]),
        (here[:, 0::2], here[:, 1::2]),
    ):
        assert chance(int((one == other).sum()), one.size, k * k + (1 - k) ** 2) > CHANCE
