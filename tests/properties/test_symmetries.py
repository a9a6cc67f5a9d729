"""What leaves the loss alone, and what therefore the gradients obey.

A ReLU unit may have its incoming weights and bias multiplied by a > 0 and its outgoing weights divided by it.
Where a loss does not change along a direction, its gradient is orthogonal to that direction (Noether); for
the rescaling of one unit that reads, with W_in its row, b its bias and W_out its column,

    <W_in, dW_in> + b db = <W_out, dW_out>

so that under gradient flow |W_in|² + b² - |W_out|² stays what it is. In the same way a softmax does not see
what is added to all logits of a row, so each row of its gradient sums to 0.
"""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from strategies import gradients, seeds
from tolerances import REORDERED

import minidrop as md

layer_sizes = st.lists(st.integers(1, 6), min_size=3, max_size=5)
rates = st.sampled_from([0.0, 0.2, 0.5])
modes = st.sampled_from(["inverted", "paper"])


def relu_net(sizes, p, mode, seed):
    """Linear, (ReLU, Dropout, Linear), ...: matrices at 0, 3, 6, ..."""
    layers: list[md.Layer] = [md.Linear(sizes[0], sizes[1], dtype="float64")]
    for n, m in pairwise(sizes[1:]):
        layers += [md.ReLU(), md.Dropout(p, mode=mode), md.Linear(n, m, dtype="float64")]
    return md.Sequential(*layers, seed=seed)


def batch(sizes, seed):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((4, sizes[0])), rng.integers(0, sizes[-1], 4)


@given(sizes=layer_sizes, p=rates, mode=modes, seed=seeds, data=st.data())
def test_a_relu_unit_can_be_rescaled(sizes, p, mode, seed, data):
    """By a power of two every operation scales exactly, so not one bit of the loss may change."""
    layer = data.draw(st.integers(0, len(sizes) - 3), label="hidden layer")
    exponents = st.lists(st.integers(-8, 8), min_size=sizes[layer + 1], max_size=sizes[layer + 1])
    a = 2.0 ** np.array(data.draw(exponents, label="exponents"))
    model, other = (relu_net(sizes, p, mode, seed) for _ in range(2))
    into, out_of = other[3 * layer], other[3 * layer + 3]
    into.weight.value[...] *= a[:, None]
    into.bias.value[...] *= a
    out_of.weight.value[...] /= a
    x, labels = batch(sizes, seed)
    loss, expected = gradients(model, x, labels)
    rescaled_loss, found = gradients(other, x, labels)
    assert rescaled_loss == loss
    expected[f"{3 * layer}.weight"] /= a[:, None]
    expected[f"{3 * layer}.bias"] /= a
    expected[f"{3 * layer + 3}.weight"] *= a
    for name, gradient in expected.items():
        np.testing.assert_array_equal(found[name], gradient, err_msg=name)


@given(sizes=layer_sizes, p=rates, mode=modes, seed=seeds)
def test_the_conserved_quantity_of_a_relu_unit(sizes, p, mode, seed):
    model = relu_net(sizes, p, mode, seed)
    x, labels = batch(sizes, seed)
    gradients(model, x, labels)
    for layer in range(0, 3 * (len(sizes) - 2), 3):
        into, out_of = model[layer], model[layer + 3]
        incoming = (into.weight.value * into.weight.grad).sum(axis=1) + into.bias.value * into.bias.grad
        outgoing = (out_of.weight.value * out_of.weight.grad).sum(axis=0)
        np.testing.assert_allclose(incoming, outgoing, rtol=REORDERED, atol=REORDERED)


logits = st.tuples(st.integers(1, 6), st.integers(1, 7), seeds)


def random_logits(shape_and_seed, size):
    """Multiples of 1/1024 up to `size`, so that moderate integers can be added to them exactly."""
    rows, classes, seed = shape_and_seed
    rng = np.random.default_rng(seed)
    return np.round(rng.uniform(-size, size, (rows, classes)) * 1024) / 1024, rng.integers(0, classes, rows)


@given(drawn=logits, reduction=st.sampled_from(["mean", "sum"]))
def test_softmax_does_not_see_what_is_added_to_a_row(drawn, reduction):
    z, labels = random_logits(drawn, 10)
    shifts = np.random.default_rng(drawn[2]).integers(-10_000, 10_001, (len(z), 1))
    plain, shifted = md.SoftmaxCrossEntropy(reduction), md.SoftmaxCrossEntropy(reduction)
    assert shifted.forward(z + shifts, labels) == plain.forward(z, labels)
    np.testing.assert_array_equal(shifted.backward(), plain.backward())


@given(drawn=logits, size=st.sampled_from([1.0, 100.0, 1e4]), dtype=st.sampled_from(["float32", "float64"]))
def test_softmax_is_finite_and_its_gradients_rows_sum_to_0(drawn, size, dtype):
    z, labels = random_logits(drawn, size)
    rows, classes = z.shape
    loss = md.SoftmaxCrossEntropy("sum")
    value = loss.forward(z.astype(dtype), labels)
    dz, rounding = loss.backward(), classes * np.finfo(dtype).eps
    assert 0 <= value <= rows * (2 * size + np.log(classes)) * (1 + rounding)
    assert (abs(dz) <= 1 + rounding).all()
    assert (dz[np.arange(rows), labels] <= rounding).all()
    np.testing.assert_allclose(dz.sum(axis=1), 0, atol=4 * rounding)
