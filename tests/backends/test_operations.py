"""Overrides on the host against the plain definitions in base.py, and operations that have one form only."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain import PlainBackend
from tolerances import FLOAT32_ROUNDING, FLOAT64_ROUNDING

import minidrop as md
from minidrop.backends import Backend, Draw, Scaling, Workspace
from minidrop.backends.numba_backend import NumbaBackend
from minidrop.backends.numpy_backend import NumpyBackend
from minidrop.streams import Purpose, Stream

ROUNDING = {"float32": FLOAT32_ROUNDING, "float64": FLOAT64_ROUNDING}
dtypes = st.sampled_from(sorted(ROUNDING))
sizes = st.integers(1, 12)
seeds = st.integers(0, 2**32 - 1)
#: the backends that override
hosts = st.sampled_from([NumpyBackend, NumbaBackend])
#: how many elements are taken at a time: less than a row, a few rows, all
blocks = st.sampled_from([1, 20, NumpyBackend.block])


@settings(deadline=None)
@given(rows=sizes, classes=sizes, dtype=dtypes, seed=seeds, scale=st.sampled_from([1.0, 0.125]), host=hosts)
def test_softmax_cross_entropy(rows, classes, dtype, seed, scale, host):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 10, (rows, classes)).astype(dtype)
    labels = rng.integers(0, classes, rows)
    backend, before = host(), logits.copy()
    plain, fast = np.full_like(logits, np.nan), np.full_like(logits, np.nan)

    plain_loss = Backend.softmax_cross_entropy(backend, logits, labels, scale, plain, Workspace(np))
    fast_loss = backend.softmax_cross_entropy(logits, labels, scale, fast, Workspace(np, reuse=True))

    assert fast_loss.dtype == plain_loss.dtype == dtype
    np.testing.assert_allclose(fast_loss, plain_loss, rtol=ROUNDING[dtype], atol=ROUNDING[dtype])
    np.testing.assert_allclose(fast, plain, rtol=ROUNDING[dtype], atol=ROUNDING[dtype])
    np.testing.assert_array_equal(logits, before)


def keep_of(kind, shape, rng):
    """A keep mask as a step may have one: none, an element's, a feature's, or a view of one element."""
    if kind == "of everything":
        return np.broadcast_to(rng.random() < 0.5, shape)
    return {"none": None, "element": rng.random(shape) < 0.5, "feature": rng.random(shape[1]) < 0.5}[kind]


@settings(deadline=None)
@given(
    shape=st.tuples(sizes, sizes),
    dtype=dtypes,
    seed=seeds,
    keep_kind=st.sampled_from(["none", "element", "feature", "of everything"]),
    has_bias=st.booleans(),
    scale=st.sampled_from([1.0, 2.0, 1.25, 0.0]),
    block=blocks,
    host=hosts,
)
def test_bias_relu_dropout(shape, dtype, seed, keep_kind, has_bias, scale, block, host):
    rng = np.random.default_rng(seed)
    z, bias = rng.normal(size=shape).astype(dtype), rng.normal(size=shape[1]).astype(dtype)
    keep = keep_of(keep_kind, shape, rng)
    bias = bias if has_bias else None
    backend = host()
    backend.block = block
    plain, fast = z.copy(), z.copy()

    Backend.bias_relu_dropout(backend, plain, bias, keep, scale, Workspace(np))
    backend.bias_relu_dropout(fast, bias, keep, scale, Workspace(np, reuse=True))

    factor = 1 if keep is None else keep * np.dtype(dtype).type(scale)
    formula = np.maximum(z + (0 if bias is None else bias), 0) * factor
    np.testing.assert_array_equal(plain, formula, strict=True)
    np.testing.assert_array_equal(fast, plain, strict=True)


@settings(deadline=None)
@given(
    shape=st.tuples(sizes, sizes),
    dtype=dtypes,
    seed=seeds,
    scale=st.sampled_from([1.0, 2.0, 1.25, 0.0]),
    block=blocks,
    host=hosts,
)
def test_relu_dropout_backward(shape, dtype, seed, scale, block, host):
    rng = np.random.default_rng(seed)
    dy, y = (rng.normal(size=shape).astype(dtype) for _ in range(2))
    y[rng.random(shape) < 0.3] = 0  # an output of 0 lets nothing pass
    backend, before = host(), y.copy()
    backend.block = block
    plain, fast = dy.copy(), dy.copy()

    Backend.relu_dropout_backward(backend, plain, y, scale, Workspace(np))
    backend.relu_dropout_backward(fast, y, scale, Workspace(np, reuse=True))

    np.testing.assert_array_equal(plain, np.where(y > 0, dy * np.dtype(dtype).type(scale), 0), strict=True)
    np.testing.assert_array_equal(fast, plain, strict=True)
    np.testing.assert_array_equal(y, before)


@settings(deadline=None)
@given(shape=st.tuples(sizes, sizes), dtype=dtypes, seed=seeds, margin=st.integers(0, 3), host=hosts)
def test_column_sums(shape, dtype, seed, margin, host):
    """Also of some columns of a larger matrix."""
    whole = np.random.default_rng(seed).normal(size=(shape[0], shape[1] + 2 * margin)).astype(dtype)
    matrix = whole[:, margin : whole.shape[1] - margin]
    sums = np.full(shape[1], np.nan, dtype)
    assert host().column_sums(matrix, sums) is sums
    exact = matrix.astype("float64").sum(axis=0)
    np.testing.assert_allclose(sums, exact, rtol=0, atol=ROUNDING[dtype] * (1 + abs(matrix).sum()))


@settings(deadline=None)
@given(
    rows=sizes,
    columns=sizes,
    dtype=dtypes,
    seed=seeds,
    limit=st.sampled_from([0.5, 2.0, 15.0, 15**0.5]),
    block=blocks,
    host=hosts,
)
def test_limit_row_norms(rows, columns, dtype, seed, limit, block, host):
    rng = np.random.default_rng(seed)
    matrix = (rng.normal(size=(rows, columns)) * rng.choice([0.1, 1, 10], (rows, 1))).astype(dtype)
    matrix[rng.integers(rows)] = 0
    within = np.linalg.norm(matrix.astype("float64"), axis=1) < limit * (1 - ROUNDING[dtype])
    backend = host()
    backend.chunk = block
    plain, fast = matrix.copy(), matrix.copy()

    Backend.limit_row_norms(backend, plain, limit, Workspace(np))
    backend.limit_row_norms(fast, limit, Workspace(np, reuse=True))

    np.testing.assert_allclose(fast, plain, rtol=ROUNDING[dtype])
    for limited in (plain, fast):
        np.testing.assert_array_equal(limited[within], matrix[within])
        norms = np.linalg.norm(limited.astype("float64"), axis=1)
        np.testing.assert_allclose(norms[~within], limit, rtol=ROUNDING[dtype])
        cosine = (limited * matrix).sum(axis=1)[~within] / (norms * np.linalg.norm(matrix, axis=1))[~within]
        np.testing.assert_allclose(cosine, 1, rtol=ROUNDING[dtype])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_row_exactly_at_the_limit_keeps_its_bits(dtype):
    matrix = np.array([[3, 4], [0, 5], [6, 8], [1, 0]], dtype)
    for host in (PlainBackend, NumpyBackend, NumbaBackend):
        limited = matrix.copy()
        host().limit_row_norms(limited, 5.0, Workspace(np))
        np.testing.assert_array_equal(limited, np.array([[3, 4], [0, 5], [3, 4], [1, 0]], dtype))


@settings(deadline=None)
@given(
    examples=sizes,
    features=sizes,
    batch=sizes,
    stored=st.sampled_from(["uint8", "float32", "float64"]),
    dtype=dtypes,
    scaling=st.sampled_from([Scaling(), Scaling(255.0), Scaling(255.0, 0.1307, 0.3081), Scaling(1, 0, 2)]),
    seed=seeds,
)
def test_gather(examples, features, batch, stored, dtype, scaling, seed):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (examples, features)).astype(stored)
    indices = rng.integers(0, examples, batch)
    backend, before = NumpyBackend(), pixels.copy()
    plain, fast = np.full((batch, features), np.nan, dtype), np.full((batch, features), np.nan, dtype)

    PlainBackend().gather(pixels, indices, scaling, plain, Workspace(np))
    returned = backend.gather(pixels, indices, scaling, fast, Workspace(np, reuse=True))

    formula = (pixels[indices].astype("float64") / scaling.divisor - scaling.mean) / scaling.std
    assert returned is fast
    np.testing.assert_allclose(plain, formula, rtol=ROUNDING[dtype], atol=ROUNDING[dtype])
    np.testing.assert_allclose(fast, formula, rtol=ROUNDING[dtype], atol=ROUNDING[dtype])
    np.testing.assert_array_equal(pixels, before)


@settings(deadline=None)
@given(
    shape=st.tuples(sizes, sizes),
    stored=st.sampled_from(["uint8", "float32", "float64"]),
    dtype=dtypes,
    scaling=st.sampled_from([Scaling(), Scaling(255.0), Scaling(255.0, 0.1307, 0.3081), Scaling(1, 0, 2)]),
    seed=seeds,
)
def test_scale(shape, stored, dtype, scaling, seed):
    """Also in place, where the pixels are of the dtype already."""
    pixels = np.random.default_rng(seed).integers(0, 256, shape).astype(stored)
    formula = (pixels.astype("float64") / scaling.divisor - scaling.mean) / scaling.std
    for backend in (PlainBackend(), NumpyBackend()):
        inputs, out = pixels.copy(), np.full(shape, np.nan, dtype)
        assert backend.scale(inputs, scaling, out) is out
        np.testing.assert_allclose(out, formula, rtol=ROUNDING[dtype], atol=ROUNDING[dtype])
        np.testing.assert_array_equal(inputs, pixels)
        if stored == dtype:
            assert backend.scale(inputs, scaling, inputs) is inputs
            np.testing.assert_array_equal(inputs, out)


@pytest.mark.parametrize("n", [1, 15, 16, 64 * 1024, 64 * 1024 + 1, 200_003])
@pytest.mark.parametrize("start", [0, 5, 16, 48, 16 * 12345])
@pytest.mark.parametrize("host", [NumpyBackend, NumbaBackend])
def test_keep_mask(n, start, host):
    stream, backend = Stream(2**63 + 3, index=2), host()
    plain, fast = np.zeros(n, bool), np.ones(n, bool)
    lanes = stream.lanes(start + n, 4)[start:]
    threshold = int(lanes[0])  # a lane that is exactly the threshold stays
    Backend.keep_mask(backend, Draw(stream, 4, threshold, plain, start))
    assert backend.keep_mask(Draw(stream, 4, threshold, fast, start)) is fast
    np.testing.assert_array_equal(fast, plain)
    np.testing.assert_array_equal(plain, lanes >= threshold)


@settings(deadline=None)
@given(
    rows=st.integers(1, 40),
    features=st.integers(1, 40),
    cuts=st.lists(st.integers(0, 40), max_size=4),
    step=st.integers(0, 5),
)
def test_the_rows_of_a_mask_can_be_drawn_apart(rows, features, cuts, step):
    """In any pieces and any order they are rows of the whole mask, also where one begins within a word."""
    layer, whole = md.Dropout(0.3, seed=2), np.empty((rows, features), bool)
    Backend.keep_mask(layer.backend, Draw(layer.stream, step, layer.rate.threshold, whole))
    layer.set_step(step)
    draw = layer.prepare_keep((rows, features), layer.rate)
    layer.mask[...] = ~whole
    ends = sorted({0, rows, *(min(cut, rows) for cut in cuts)})
    pieces = [slice(a, b) for a, b in pairwise(ends)]
    for piece in [*pieces[::-1], slice(rows, rows)]:
        layer.backend.drawn(draw.rows(piece))
    np.testing.assert_array_equal(layer.mask, whole)
    assert layer.step == step + 1


def test_take():
    labels, indices = np.arange(10) * 7, np.array([9, 0, 3, 3])
    for take in (Backend.take, NumpyBackend.take):
        out = np.zeros(4, int)
        assert take(NumpyBackend(), labels, indices, out) is out
        np.testing.assert_array_equal(out, [63, 0, 21, 21])


# -- the operations against what they stand for ------------------------------------------------------------


@pytest.mark.parametrize("host", [PlainBackend, NumpyBackend, NumbaBackend])
def test_an_element_is_kept_if_its_lane_is_not_below_the_threshold(host):
    stream, keep_mask = Stream(3), host().keep_mask
    lanes = stream.lanes(12, step=5).reshape(3, 4)
    threshold = int(lanes[1, 2])  # a lane that is exactly the threshold stays
    keep = keep_mask(Draw(stream, 5, threshold, np.zeros((3, 4), bool)))
    np.testing.assert_array_equal(keep, lanes >= threshold)
    assert keep[1, 2]
    assert keep_mask(Draw(stream, 5, 0, np.zeros((3, 4), bool))).all()
    assert not keep_mask(Draw(stream, 5, 65536, np.ones((3, 4), bool))).any()


def test_standard_normals_are_float64_draws_rounded():
    stream, backend = Stream(3, Purpose.NOISE), md.get_backend("numpy")
    expected = stream.generator(7).standard_normal((3, 4))
    np.testing.assert_array_equal(backend.standard_normal(stream, 7, np.empty((3, 4))), expected)
    single = backend.standard_normal(stream, 7, np.empty((3, 4), np.float32))
    np.testing.assert_array_equal(single, expected.astype(np.float32), strict=True)


def test_errors_are_rows_whose_maximum_is_not_at_the_label():
    logits = np.array([[1.0, 2, 0], [3, 2, 1], [0, 0, 1]])
    assert md.get_backend("numpy").count_errors(logits, np.array([1, 1, 2])) == 1
    assert md.get_backend("numpy").count_errors(logits, np.array([0, 1, 1])) == 3


def test_squared_row_norms():
    np.testing.assert_array_equal(
        md.get_backend("numpy").squared_row_norms(np.array([[3.0, 4], [1, 1]])), [25, 2]
    )
