"""Softmax cross-entropy against its formula, its derivative, and what must not break it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import FLOAT32_ROUNDING, FLOAT64_ROUNDING

import minidrop as md
from minidrop.errors import ArgumentError, ArrayError, UsageError

H = 1e-30  # the complex step: an imaginary part so small that its square is 0, so nothing cancels
ROUNDING = {"float32": FLOAT32_ROUNDING, "float64": FLOAT64_ROUNDING}


def formula(z, labels):
    """-log p[label] of each row, in Python's floats; the logits must be moderate."""
    return [
        math.log(sum(math.exp(value) for value in row)) - row[label]
        for row, label in zip(z.tolist(), labels, strict=True)
    ]


@st.composite
def batches(draw):
    rows, classes = draw(st.integers(1, 6)), draw(st.integers(1, 7))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.normal(0, 3, (rows, classes)), rng.integers(0, classes, rows)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@settings(deadline=None)
@given(batch=batches())
def test_the_loss_is_its_formula_and_the_gradient_its_derivative(reduction, batch):
    z, labels = batch
    loss = md.SoftmaxCrossEntropy(reduction)
    losses = formula(z, labels)
    expected = sum(losses) if reduction == "sum" else sum(losses) / len(losses)
    value = loss.forward(z, labels)
    np.testing.assert_allclose(value, expected, rtol=FLOAT64_ROUNDING, atol=FLOAT64_ROUNDING)

    gradient, derivative = loss.backward(), np.empty_like(z)
    for where in np.ndindex(*z.shape):
        stepped = z.astype(complex)
        stepped[where] += 1j * H
        derivative[where] = md.SoftmaxCrossEntropy(reduction).forward(stepped, labels).imag / H
    np.testing.assert_allclose(gradient, derivative, rtol=FLOAT64_ROUNDING, atol=FLOAT64_ROUNDING)
    # moving all logits of a row changes nothing, so the derivative in that direction is 0
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=FLOAT64_ROUNDING)


def test_the_gradient_is_p_minus_onehot():
    z, labels = np.log([[1.0, 2.0, 5.0], [3.0, 3.0, 2.0]]), np.array([2, 0])
    loss = md.SoftmaxCrossEntropy("sum")
    value = loss.forward(z, labels)
    np.testing.assert_allclose(value, math.log(8 / 5) + math.log(8 / 3), rtol=FLOAT64_ROUNDING)
    np.testing.assert_allclose(
        loss.backward(), [[1 / 8, 2 / 8, -3 / 8], [-5 / 8, 3 / 8, 2 / 8]], rtol=FLOAT64_ROUNDING
    )


@settings(deadline=None)
@given(batch=batches(), shift=st.integers(-1000, 1000))
def test_sum_is_the_batch_size_times_mean_and_a_shift_changes_nothing(batch, shift):
    z, labels = batch
    z = np.round(z * 1024) / 1024  # so that z + shift is exact
    mean, total = md.SoftmaxCrossEntropy("mean"), md.SoftmaxCrossEntropy("sum")
    value, size = mean.forward(z, labels), len(z)
    np.testing.assert_allclose(total.forward(z + shift, labels), size * value, rtol=FLOAT64_ROUNDING)
    np.testing.assert_allclose(total.backward(), size * mean.backward(), rtol=FLOAT64_ROUNDING)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_huge_logits_stay_finite_and_right(dtype):
    z = np.array([[1e4, 0, -1e4], [-1e4, 0, 1e4], [1e4, 1e4, -1e4], [-1e4, -1e4, -1e4]], dtype)
    loss = md.SoftmaxCrossEntropy("sum")
    value = loss.forward(z, np.array([0, 0, 1, 2]))
    assert value.dtype == loss.backward().dtype == dtype
    expected = 0 + 2e4 + math.log(2) + math.log(3)
    np.testing.assert_allclose(value, expected, rtol=ROUNDING[dtype])
    third = 1 / 3
    np.testing.assert_allclose(
        loss.backward(),
        [[0, 0, 0], [-1, 0, 1], [0.5, -0.5, 0], [third, third, third - 1]],
        rtol=ROUNDING[dtype],
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("label_dtype", ["int64", "int32", "uint8", "int8", "uint16"])
def test_labels_of_any_integer_dtype_and_more_rows_than_they_can_count(dtype, label_dtype):
    rng = np.random.default_rng(0)
    z, labels = rng.normal(size=(300, 10)), rng.integers(0, 10, 300)
    loss = md.SoftmaxCrossEntropy()
    value = loss.forward(z.astype(dtype), labels.astype(label_dtype))
    assert value.dtype == loss.backward().dtype == dtype
    np.testing.assert_allclose(value, np.mean(formula(z, labels)), rtol=ROUNDING[dtype])


def test_labels_may_be_uint64():
    labels = np.array([0, 1], np.uint64)
    assert md.SoftmaxCrossEntropy().forward(np.zeros((2, 4)), labels) == math.log(4)


def test_neither_argument_is_changed_and_strides_do_not_matter():
    wide = np.random.default_rng(0).normal(size=(8, 6))
    every_second_label = np.array([0, 9, 2, 9, 1, 9, 2, 9])
    z, labels = wide[::2, ::2], every_second_label[::2]
    before = wide.copy(), every_second_label.copy()
    loss, reference = md.SoftmaxCrossEntropy(), md.SoftmaxCrossEntropy()
    assert loss.forward(z, labels) == reference.forward(z.copy(), labels.copy())
    np.testing.assert_array_equal(loss.backward(), reference.backward())
    np.testing.assert_array_equal(wide, before[0])
    np.testing.assert_array_equal(every_second_label, before[1])


def test_two_gradients_never_share_memory():
    loss, labels = md.SoftmaxCrossEntropy(), np.array([0, 1])
    z = np.zeros((2, 3))
    loss.forward(z, labels)
    first = loss.backward()
    kept = first.copy()
    loss.forward(np.ones((2, 3)) * [1, 2, 3], labels)
    assert not np.shares_memory(loss.backward(), first)
    assert not np.shares_memory(loss.backward(), z)
    np.testing.assert_array_equal(first, kept)


# -- bad input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        (np.array([0, 1, 2]), r"the labels must have shape \(2,\), got \(3,\)"),
        (np.array([[0], [1]]), r"the labels must have shape \(2,\), got \(2, 1\)"),
        (np.array([0.0, 1.0]), "the labels must be integers, got float64"),
        (np.array([True, False]), "the labels must be integers, got bool"),
        (np.array([0, 4]), r"the labels must be in 0 \.\.\. 3, found 4"),
        (np.array([-1, 0]), r"the labels must be in 0 \.\.\. 3, found -1"),
        ([0, 1], r"the labels must be a numpy\.ndarray, as .*; got list"),
        (np.eye(4)[:2], r"must be classes, one integer each, not one-hot: \.argmax\(axis=1\)"),
    ],
)
def test_bad_labels_are_refused(labels, complaint):
    with pytest.raises(ArrayError, match=complaint):
        md.SoftmaxCrossEntropy().forward(np.zeros((2, 4)), labels)


@pytest.mark.parametrize(
    ("logits", "complaint"),
    [
        (np.zeros(4), r"the logits must have shape \(any, any\), got \(4,\)"),
        (np.zeros((2, 4, 1)), r"the logits must have shape \(any, any\), got \(2, 4, 1\)"),
        (np.zeros((0, 4)), "an empty array cannot be used"),
        (np.zeros((2, 0)), "an empty array cannot be used"),
        (np.zeros((3, 4)), r"the labels must have shape \(3,\), got \(2,\)"),
    ],
)
def test_bad_logits_are_refused(logits, complaint):
    with pytest.raises(ArrayError, match=complaint):
        md.SoftmaxCrossEntropy().forward(logits, np.array([0, 1]))


def test_backward_needs_a_forward_pass():
    with pytest.raises(UsageError, match=r"SoftmaxCrossEntropy\.backward needs a forward pass first"):
        md.SoftmaxCrossEntropy().backward()


def test_an_unknown_reduction_is_refused():
    with pytest.raises(ArgumentError, match="reduction must be one of mean, sum; got 'none'"):
        md.SoftmaxCrossEntropy("none")


# -- PyTorch -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pytorch_agrees(reduction, dtype):
    torch = pytest.importorskip("torch", reason="PyTorch is the reference: pip install -e '.[reference]'")
    rng = np.random.default_rng(1)
    z, labels = rng.normal(0, 5, (20, 10)).astype(dtype), rng.integers(0, 10, 20)
    theirs = torch.tensor(z, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(theirs, torch.from_numpy(labels), reduction=reduction)
    expected.backward()
    loss = md.SoftmaxCrossEntropy(reduction)
    np.testing.assert_allclose(loss.forward(z, labels), expected.detach().numpy(), rtol=ROUNDING[dtype])
    np.testing.assert_allclose(
        loss.backward(), theirs.grad.numpy(), rtol=ROUNDING[dtype], atol=ROUNDING[dtype]
    )
