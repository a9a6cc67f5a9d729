"""Hypothesis strategies for what layers, losses and optimizers are tried with.

>>> from hypothesis import given
>>> from minidrop.testing import check_layer, strategies
>>> @given(strategies.layers(), strategies.shapes(dims=1))
... def every_layer_is_right(layer, rest):
...     check_layer(layer)

Each is a function that returns a strategy; all arrays are NumPy's, and finite.
"""

from itertools import pairwise
from typing import Any

import numpy as np

import minidrop as md
from minidrop.errors import MinidropError

try:
    from hypothesis import strategies as st
except ImportError as error:
    raise MinidropError("minidrop.testing.strategies needs hypothesis: pip install hypothesis") from error

Host = np.ndarray[Any, Any]

LAYOUTS = ("contiguous", "fortran", "strided", "backwards")


def shapes(dims: int = 2, max_side: int = 6) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes of `dims` axes of 1 ... max_side, with size 1 more often than by chance.

    >>> from hypothesis import find
    >>> find(shapes(), lambda shape: shape[0] > 1)
    (2, 1)
    """
    side = st.one_of(st.just(1), st.integers(1, max_side))
    return st.tuples(*[side] * dims)


def dtypes() -> st.SearchStrategy[str]:
    """The dtypes that minidrop computes in.

    >>> from hypothesis import find
    >>> find(dtypes(), lambda dtype: True)
    'float64'
    """
    return st.sampled_from(["float64", "float32"])


def seeds() -> st.SearchStrategy[int]:
    """Seeds of 32 bits.

    >>> from hypothesis import find
    >>> find(seeds(), lambda seed: seed > 3)
    4
    """
    return st.integers(0, 2**32 - 1)


def lay_out(array: Host, layout: str) -> Host:
    """An array of the same elements that lies in memory as `layout`, one of `LAYOUTS`, says.

    >>> lay_out(np.arange(4.0), "strided").strides
    (16,)
    """
    if layout == "fortran":
        return np.asfortranarray(array)
    if layout == "strided":
        wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), 7, array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    return np.ascontiguousarray(array[::-1])[::-1] if layout == "backwards" else np.ascontiguousarray(array)


@st.composite
def arrays(
    draw: st.DrawFn,
    shape: tuple[int, ...] | st.SearchStrategy[tuple[int, ...]] | None = None,
    *,
    dtype: str | st.SearchStrategy[str] = "float64",
    margin: float = 0.0,
    layout: str | None = "contiguous",
) -> Host:
    """Arrays of N(0, 1) draws, no element within `margin` of 0, where rectifiers have their kink.

    Args:
        draw: hypothesis's.
        shape: a shape or a strategy of shapes; `shapes()` unless given.
        dtype: a dtype or a strategy of dtypes.
        margin: the smallest absolute value; elements are moved away from 0 by as much.
        layout: one of `LAYOUTS`, or None for any of them.

    >>> from hypothesis import find
    >>> x = find(arrays((2, 3), margin=0.1, layout=None), lambda x: True)
    >>> x.shape, bool((abs(x) >= 0.1).all())
    ((2, 3), True)
    """
    size = draw(
        shapes() if shape is None else shape if isinstance(shape, st.SearchStrategy) else st.just(shape)
    )
    kind = draw(dtype) if isinstance(dtype, st.SearchStrategy) else dtype
    x = np.random.default_rng(draw(seeds())).standard_normal(size)
    x += np.copysign(margin * (1 + 1e-6), x)  # the millionth outlasts the rounding to float32
    chosen = draw(st.sampled_from(LAYOUTS)) if layout is None else layout
    return lay_out(x.astype(kind), chosen)


@st.composite
def logits_and_labels(
    draw: st.DrawFn, *, dtype: str | st.SearchStrategy[str] = "float64", scale: float = 3.0, max_side: int = 6
) -> tuple[Host, Host]:
    """Logits (B, classes) with integer labels (B,) of one of the integer dtypes.

    >>> from hypothesis import find
    >>> z, labels = find(logits_and_labels(), lambda pair: True)
    >>> z.shape, labels
    ((1, 1), array([0]))
    """
    z = draw(arrays(shapes(2, max_side), dtype=dtype))
    integers = st.integers(0, z.shape[1] - 1)
    labels = draw(st.lists(integers, min_size=len(z), max_size=len(z)))
    kind = draw(st.sampled_from(["int64", "int32", "uint8"]))
    return z * z.dtype.type(scale), np.array(labels, kind)


def probabilities() -> st.SearchStrategy[float]:
    """Drop probabilities, 0 and 1 among them.

    >>> from hypothesis import find
    >>> 0.5 < find(probabilities(), lambda p: p > 0.5) <= 1
    True
    """
    return st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0.05, 0.95))


@st.composite
def layers(
    draw: st.DrawFn, features: int | None = None, *, dtype: str = "float64", nets: bool = True
) -> md.Layer:
    """Every minidrop layer with random options, in training or evaluation, and small nets of them.

    Args:
        draw: hypothesis's.
        features: how many the input has; 1 ... 5 unless given.
        dtype: of the parameters.
        nets: whether to make nets too.

    >>> from hypothesis import find
    >>> find(layers(), lambda layer: isinstance(layer, md.Dropout))
    Dropout(0, mode='inverted', per='element')
    """
    n = draw(st.integers(1, 5)) if features is None else features
    if nets and draw(st.integers(0, 3)) == 3:
        layer: md.Layer = draw(networks(n, dtype=dtype))
    else:
        layer = draw(st.sampled_from([*_PLAIN, *_WIDE]).flatmap(lambda make: make(n, dtype)))
    layer.seed(draw(seeds()))
    has_mean = getattr(layer, "per", "") == "example"  # its evaluation has no backward pass
    layer.train(has_mean or draw(st.booleans()))
    return layer


@st.composite
def networks(
    draw: st.DrawFn, features: int = 3, *, dtype: str = "float64", max_hidden: int = 2
) -> md.Sequential:
    """Linear layers or DropConnect with units and dropout between them.

    >>> from hypothesis import find
    >>> find(networks(2), lambda net: len(net) == 1)
    Sequential(Linear(2, 1))
    """
    parts: list[md.Layer] = []
    sizes = [features, *draw(st.lists(st.integers(1, 4), min_size=1, max_size=max_hidden + 1))]
    for i, (n, m) in enumerate(pairwise(sizes)):
        if i:
            parts.append(draw(draw(st.sampled_from(_PLAIN))(n, dtype)))
            if draw(st.booleans()):
                parts.append(draw(_dropout(n, dtype)))
        parts.append(md.Linear(n, m, bias=draw(st.booleans()), dtype=dtype))
    return md.Sequential(*parts, seed=draw(seeds()))


def _dropout(n: int, dtype: str) -> st.SearchStrategy[md.Layer]:
    modes, pers = st.sampled_from(["inverted", "paper"]), st.sampled_from(["element", "feature"])
    return st.builds(lambda p, mode, per: md.Dropout(p, mode=mode, per=per), probabilities(), modes, pers)


def _units(n: int, dtype: str) -> st.SearchStrategy[md.Layer]:
    return st.sampled_from([md.Identity, md.ReLU, md.Sigmoid, md.Tanh]).map(lambda unit: unit())


def _stochastic_relu(n: int, dtype: str) -> st.SearchStrategy[md.Layer]:
    return st.builds(lambda p, scaled: md.StochasticReLU(p, scaled=scaled), probabilities(), st.booleans())


def _noise(n: int, dtype: str) -> st.SearchStrategy[md.Layer]:
    return st.floats(0, 2, allow_subnormal=False).map(md.GaussianNoise)


def _linear(n: int, dtype: str) -> st.SearchStrategy[md.Layer]:
    return st.builds(
        lambda m, bias: md.Linear(n, m, bias=bias, dtype=dtype), st.integers(1, 4), st.booleans()
    )


def _dropconnect(n: int, dtype: str) -> st.SearchStrategy[md.Layer]:
    def make(m: int, p: float, per: str, bias: bool, unit: type[md.Layer] | None) -> md.Layer:
        activation = None if unit is None else unit()
        return md.DropConnect(n, m, drop_prob=p, per=per, bias=bias, activation=activation, dtype=dtype)

    pers, units = st.sampled_from(["batch", "example"]), st.sampled_from([None, md.ReLU, md.Sigmoid, md.Tanh])
    return st.builds(make, st.integers(1, 4), probabilities(), pers, st.booleans(), units)


_PLAIN = (_units, _dropout, _stochastic_relu, _noise)
_WIDE = (_linear, _dropconnect)
