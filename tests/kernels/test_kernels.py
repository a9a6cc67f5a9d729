"""Each kernel against the plain definition of its name, at sizes around the edges of warps and blocks."""

import kernel_checks as checks
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from minidrop.backends import Workspace
from minidrop.streams import Purpose, Stream

SHARED = {HealthCheck.function_scoped_fixture, HealthCheck.too_slow}
quick = settings(deadline=None, max_examples=25, suppress_health_check=SHARED)

edges = [1, 2, 15, 16, 17, 31, 32, 33, 63, 65, 127, 128, 129, 255, 256, 257, 511, 513]
lengths = st.sampled_from(edges) | st.integers(1, 600)
sides = st.sampled_from([1, 2, 15, 16, 17, 31, 32, 33, 65]) | st.integers(1, 70)
shapes = st.tuples(sides, sides)
dtypes = st.sampled_from(["float32", "float64"])
seeds = st.integers(0, 2**32 - 1)
scales = st.sampled_from([1.0, 2.0, 1.25, 0.0])


@quick
@given(
    n=lengths,
    start=st.sampled_from([0, 1, 15, 16, 17, 4096]) | st.integers(0, 2**20),
    threshold=st.sampled_from([0, 1, 13107, 32768, 65535, 65536]),
    seed=st.sampled_from([0, 1, 2**63, 2**64 - 1]),
    index=st.integers(0, 2**32 - 1),
    step=st.sampled_from([0, 1, 2**32, 2**62]),
    in_numbers=st.booleans(),
)
@example(n=1, start=0, threshold=32768, seed=0, index=0, step=0, in_numbers=False)
def test_masks_are_numpys_bit_for_bit(device, n, start, threshold, seed, index, step, in_numbers):
    stream = Stream(seed, Purpose.MASK, index)
    checks.check_mask(device, n, start, threshold, stream, step, in_numbers)


@quick
@given(
    shape=shapes,
    dtype=dtypes,
    keep_kind=st.sampled_from(["none", "element", "feature", "drawn", "of everything"]),
    has_bias=st.booleans(),
    scale=scales,
    seed=seeds,
    start=st.sampled_from([0, 16, 7]),
)
def test_bias_relu_dropout(device, shape, dtype, keep_kind, has_bias, scale, seed, start):
    checks.check_bias_relu_dropout(device, shape, dtype, keep_kind, has_bias, scale, seed, start)


@quick
@given(shape=shapes, dtype=dtypes, scale=scales, seed=seeds)
def test_relu_dropout_backward(device, shape, dtype, scale, seed):
    checks.check_relu_dropout_backward(device, shape, dtype, scale, seed)


@quick
@given(
    rows=sides,
    columns=sides,
    dtype=dtypes,
    pixels=st.sampled_from(["uint8", "float32", "float64", "int16"]),
    seed=seeds,
)
def test_gather(device, rows, columns, dtype, pixels, seed):
    checks.check_gather(device, rows, columns, dtype, pixels, seed)


@quick
@given(
    dtype=dtypes,
    bytes_=st.booleans(),
    rows=st.integers(1, 40),
    columns=st.sampled_from([1, 15, 16, 17, 64]),
    batches=st.integers(0, 3),
    step=st.integers(0, 9),
    seed=seeds,
    drops=st.booleans(),
)
def test_next_batch(device, dtype, bytes_, rows, columns, batches, step, seed, drops):
    pixels = "uint8" if bytes_ else dtype
    checks.check_next_batch(device, dtype, pixels, rows, columns, batches, step, seed, drops)


@quick
@given(
    rows=st.sampled_from([1, 7, 8, 9, 33]),
    classes=st.sampled_from([1, 2, 10, 31, 32, 33, 100]),
    dtype=dtypes,
    scale=st.sampled_from([1.0, 0.125]),
    spread=st.sampled_from([1.0, 100.0]),
    seed=seeds,
    labels_as=st.sampled_from(["int64", "uint8", "int32"]),
)
def test_softmax_cross_entropy(device, rows, classes, dtype, scale, spread, seed, labels_as):
    checks.check_softmax(device, rows, classes, dtype, scale, spread, seed, labels_as)


@quick
@given(rows=lengths, columns=sides, dtype=dtypes, seed=seeds)
def test_column_sums(device, rows, columns, dtype, seed):
    checks.check_column_sums(device, rows, columns, dtype, seed)


@quick
@given(
    rows=st.integers(1, 9),
    columns=lengths,
    dtype=dtypes,
    limit=st.sampled_from([0.5, 2.0, 15.0]),
    seed=seeds,
)
def test_row_norms(device, rows, columns, dtype, limit, seed):
    checks.check_row_norms(device, rows, columns, dtype, limit, seed)


def test_nan_logits_and_labels_that_are_no_class_show_in_the_loss(device):
    """A device cannot refuse them without waiting, but the run must not go on as if nothing were."""
    for bad in ("logit", "label below", "label above"):
        logits, labels = np.zeros((5, 3), "float32"), np.array([0, 1, 2, 0, 1])
        if bad == "logit":
            logits[3, 1] = np.nan
        else:
            labels[3] = {"label below": -1, "label above": 3}[bad]
        gradient = device.xp.empty((5, 3), "float32")
        arrays = device.asarray(logits), device.asarray(labels)
        loss = device.softmax_cross_entropy(*arrays, 0.2, gradient, Workspace(device.xp))
        assert np.isnan(device.to_host(loss)), bad


def test_millions_of_elements(device):
    """More than a grid has threads: each takes several."""
    n = 5_000_003
    checks.check_mask(device, n, 5, 13107, Stream(3), 9)
    checks.check_relu_dropout_backward(device, (1, n), "float32", 2.0, 0)
    checks.check_bias_relu_dropout(device, (1001, 2003), "float32", "drawn", True, 1.25, 0)
    checks.check_gather(device, 2003, 1001, "float32", "uint8", 0)


@pytest.mark.gpu
def test_masks_of_a_hundred_million_elements(device):
    if hasattr(device.xp, "standin"):
        pytest.skip("as the suite's largest array, for a GPU alone")
    checks.check_mask(device, 100_000_000, 0, 32768, Stream(1), 2)


def test_no_order_of_threads_changes_a_bit(device, stand_in):
    """A missing barrier, and a sum that depends on who comes first, show when others come first."""

    def everything():
        rng = np.random.default_rng(0)
        a, labels = rng.normal(size=(70, 300)), rng.integers(0, 300, 70)
        results = []
        for dtype in ("float32", "float64"):
            logits = device.asarray(a.astype(dtype))
            gradient, sums = device.xp.empty_like(logits), device.xp.empty(300, dtype)
            workspace = Workspace(device.xp)
            results.append(
                device.softmax_cross_entropy(logits, device.asarray(labels), 0.1, gradient, workspace)
            )
            results += [gradient, device.column_sums(logits, sums), device.squared_row_norms(logits)]
            device.limit_row_norms(logits, 15.0, workspace)
            results.append(logits)
        return [device.to_host(result).tobytes() for result in results]

    before, found = stand_in.order, []
    try:
        for order in ("forward", "reverse", 1, 2):
            stand_in.order = order
            found.append(everything())
    finally:
        stand_in.order = before
    assert found[1:] == found[:1] * 3
