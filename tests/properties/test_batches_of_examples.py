"""What a loss over a batch is: a sum or a mean over examples that do not know of each other.

The masks of elements belong to their example: they are drawn once and then given, so that an example keeps
its own wherever it stands.
"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from strategies import batch_for, freeze, gradients, nets, seeds
from tolerances import REORDERED

BATCH_SIZES = st.integers(2, 7)


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=REORDERED, atol=REORDERED)


@given(net=nets(), size=BATCH_SIZES, data=st.data(), seed=seeds)
def test_a_loss_is_additive_over_batches(net, size, data, seed):
    """L_sum(A ∪ B) = L_sum(A) + L_sum(B) and n L_mean(A ∪ B) = n_A L_mean(A) + n_B L_mean(B)."""
    cut = data.draw(st.integers(1, size - 1), label="cut")
    model, (x, labels) = net.build(), batch_for(net, size, seed)
    give = freeze(model, x)
    for reduction in ("sum", "mean"):
        parts = []
        for rows in (np.arange(size), np.arange(cut), np.arange(cut, size)):
            give(rows)
            loss, found = gradients(model, x[rows], labels[rows], reduction=reduction)
            weight = len(rows) if reduction == "mean" else 1
            dx = found.pop("input")
            parts.append((weight * loss, weight * dx, {name: weight * g for name, g in found.items()}))
        (loss, dx, whole), (loss_a, dx_a, a), (loss_b, dx_b, b) = parts
        assert_close(loss, loss_a + loss_b)
        assert_close(dx, np.concatenate([dx_a, dx_b]))
        for name, gradient in whole.items():
            assert_close(gradient, a[name] + b[name])


@given(net=nets(), size=st.integers(1, 5), copies=st.integers(2, 3), seed=seeds)
def test_a_duplicated_batch_changes_nothing(net, size, copies, seed):
    """For the mean; the sum and its gradients are multiplied, and each copy's input gradient is divided."""
    model, (x, labels) = net.build(), batch_for(net, size, seed)
    give, rows = freeze(model, x), np.tile(np.arange(size), copies)
    for reduction, times, times_dx in (("mean", 1, 1 / copies), ("sum", copies, 1)):
        give(np.arange(size))
        loss, once = gradients(model, x, labels, reduction=reduction)
        give(rows)
        loss_of_copies, found = gradients(model, x[rows], labels[rows], reduction=reduction)
        assert_close(loss_of_copies, times * loss)
        assert_close(found.pop("input"), times_dx * once["input"][rows])
        for name, gradient in found.items():
            assert_close(gradient, times * once[name])


@given(net=nets(), size=BATCH_SIZES, data=st.data(), seed=seeds)
def test_the_order_of_the_examples_changes_nothing(net, size, data, seed):
    order = np.array(data.draw(st.permutations(range(size)), label="order"))
    model, (x, labels) = net.build(), batch_for(net, size, seed)
    give = freeze(model, x)
    give(np.arange(size))
    loss, before = gradients(model, x, labels)
    give(order)
    permuted_loss, after = gradients(model, x[order], labels[order])
    assert_close(permuted_loss, loss)
    assert_close(after.pop("input"), before["input"][order])
    for name, gradient in after.items():
        assert_close(gradient, before[name])
