"""Small layers with every mask there is: expectations are sums over 2^n masks, exact but for rounding.

With k the keep probability, a mask that keeps j of n elements has the probability kʲ (1 - k)^(n - j).
"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from strategies import seeds, share
from tolerances import REORDERED

import minidrop as md

widths = st.integers(1, 10)
rates = st.sampled_from([2**-16, 0.1, 0.3, 0.5, 0.8, 0.9])
modes = st.sampled_from(["inverted", "paper"])


def all_masks(n: int, keep: float) -> tuple[np.ndarray, np.ndarray]:
    """Every keep mask of n elements, (2^n, n), and its probability, (2^n,)."""
    masks = (np.arange(2**n)[:, None] >> np.arange(n)) % 2 == 1
    return masks, np.where(masks, keep, 1 - keep).prod(axis=1)


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=REORDERED, atol=REORDERED)


def variance_law(mode: str, keep: float, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """The variance of an activation behind dropout, from its mean and variance before, q = keep:

    paper, m a:       q Var + q (1 - q) E²
    inverted, m a/q:  Var / q + (1 - q) / q E²
    """
    if mode == "paper":
        return keep * variance + keep * (1 - keep) * mean**2
    return variance / keep + (1 - keep) / keep * mean**2


@given(n=widths, p=rates, mode=modes, seed=seeds)
def test_the_mean_over_all_masks_is_the_evaluation(n, p, mode, seed):
    """Of dropout with the matrix behind it: both ways, and so that the next matrix gets the mean input."""
    rng = np.random.default_rng(seed)
    model = md.Sequential(md.Dropout(p, mode=mode), md.Linear(n, 3, dtype="float64"), seed=seed)
    masks, probability = all_masks(n, model[0].rate.keep)
    x, dy = rng.standard_normal((1, n)), rng.standard_normal((1, 3))
    model[0].use_mask(masks)
    y = model.forward(np.repeat(x, len(masks), axis=0))
    dx = model.backward(np.repeat(dy, len(masks), axis=0))
    model.eval()
    assert_close(probability @ y, model.forward(x)[0])
    assert_close(probability @ dx, model.backward(dy)[0])


@given(n=widths, p=rates, examples=st.integers(1, 3), mode=modes, seed=seeds)
def test_the_variance_behind_dropout_follows_the_law(n, p, examples, mode, seed):
    """Over examples and masks; the activations are positive, as behind ReLU, so that E[a] counts."""
    layer = md.Dropout(p, mode=mode)
    masks, probability = all_masks(n, layer.rate.keep)
    a = abs(np.random.default_rng(seed).standard_normal((examples, n)))
    layer.use_mask(np.tile(masks, (examples, 1)))
    y = layer.forward(np.repeat(a, len(masks), axis=0))
    weights = np.tile(probability, examples) / examples
    variance = weights @ (y - weights @ y) ** 2
    assert_close(variance, variance_law(mode, layer.rate.keep, a.mean(axis=0), a.var(axis=0)))


@given(n=widths, p=rates, seed=seeds)
def test_stochastic_relu_needs_its_scale(n, p, seed):
    """Scaled, the mean of training is relu(x), what evaluation computes; published, it is k relu(x)."""
    x = np.random.default_rng(seed).standard_normal((1, n))
    default = md.StochasticReLU(p)
    masks, probability = all_masks(n, default.rate.keep)
    for layer, factor in ((default, 1), (md.StochasticReLU(p, scaled=False), default.rate.keep)):
        layer.use_mask(masks)
        mean = probability @ layer.forward(np.repeat(x, len(masks), axis=0))
        layer.eval()
        assert_close(mean, factor * layer.forward(x)[0])
        assert_close(mean, factor * np.where(x > 0, x, 0)[0])


small_matrices = st.sampled_from([(1, 1), (1, 4), (2, 2), (2, 3), (5, 2), (3, 3), (9, 1), (1, 10)])


@share(0.3)
@given(shape=small_matrices, p=rates, seed=seeds)
def test_dropconnect_with_one_mask_a_batch_evaluates_to_the_mean(shape, p, seed):
    rng = np.random.default_rng(seed)
    layer = md.DropConnect(shape[1], shape[0], drop_prob=p, dtype="float64", seed=seed)
    masks, probability = all_masks(shape[0] * shape[1], layer.rate.keep)
    x, dy = rng.standard_normal((2, shape[1])), rng.standard_normal((2, shape[0]))
    mean, mean_dx, mean_dw = 0.0, 0.0, 0.0
    for mask, chance in zip(masks, probability, strict=True):
        layer.use_mask(mask.reshape(shape))
        mean = mean + chance * layer.forward(x)
        mean_dx = mean_dx + chance * layer.backward(dy)
        mean_dw = mean_dw + chance * layer.linear.weight.grad
    layer.eval()
    assert_close(mean, layer.forward(x))
    assert_close(mean_dx, layer.backward(dy))
    assert_close(mean_dw, layer.linear.weight.grad)


@given(shape=small_matrices, p=rates, seed=seeds)
def test_dropconnect_with_a_mask_an_example_has_the_moments_of_wan(shape, p, seed):
    """μ = k x Wᵀ + b, which is what evaluation puts out, and v = k (1 - k) x² (W²)ᵀ."""
    x = np.random.default_rng(seed).standard_normal((1, shape[1]))
    layer = md.DropConnect(shape[1], shape[0], drop_prob=p, per="example", dtype="float64", seed=seed)
    k, weight = layer.rate.keep, layer.linear.weight.value
    masks, probability = all_masks(weight.size, k)
    layer.use_mask(masks.reshape(-1, *shape))
    z = layer.forward(np.repeat(x, len(masks), axis=0))
    layer.eval()
    assert_close(probability @ z, layer.forward(x)[0])
    assert_close(probability @ (z - probability @ z) ** 2, (k * (1 - k) * x**2 @ (weight**2).T)[0])


def log_softmax(z: np.ndarray) -> np.ndarray:
    z = z - z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


@given(
    n=widths,
    classes=st.integers(2, 4),
    unit=st.sampled_from([md.Sigmoid, md.Identity]),
    p=rates,
    mode=modes,
    seed=seeds,
)
def test_the_mean_net_is_the_normalised_geometric_mean_of_all_nets(n, classes, unit, p, mode, seed):
    """One hidden layer, softmax: p ∝ ∏ over masks of p_m^probability (Hinton et al. 2012, with k = ½)."""
    hidden, out = md.Linear(3, n, dtype="float64"), md.Linear(n, classes, dtype="float64")
    model = md.Sequential(hidden, unit(), md.Dropout(p, mode=mode), out, seed=seed)
    masks, probability = all_masks(n, model[2].rate.keep)
    x = np.random.default_rng(seed).standard_normal((1, 3))
    model[2].use_mask(masks)
    of_each = log_softmax(model.forward(np.repeat(x, len(masks), axis=0)))
    geometric_mean = log_softmax((probability @ of_each)[None])
    model.eval()
    assert_close(geometric_mean, log_softmax(model.forward(x)))
