"""NumPy's overrides against the plain definitions in base.py, and the operations that have one form only."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import FLOAT32_ROUNDING, FLOAT64_ROUNDING

import minidrop as md
from minidrop.backends import Backend, Scaling, Workspace
from minidrop.backends.numpy_backend import NumpyBackend
from minidrop.streams import Purpose, Stream

ROUNDING = {"float32": FLOAT32_ROUNDING, "float64": FLOAT64_ROUNDING}
dtypes = st.sampled_from(sorted(ROUNDING))
sizes = st.integers(1, 12)
seeds = st.integers(0, 2**32 - 1)


@settings(deadline=None)
@given(rows=sizes, classes=sizes, dtype=dtypes, seed=seeds, scale=st.sampled_from([1.0, 0.125]))
def test_softmax_cross_entropy(rows, classes, dtype, seed, scale):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 10, (rows, classes)).astype(dtype)
    labels = rng.integers(0, classes, rows)
    backend, before = NumpyBackend(), logits.copy()
    plain, fast = np.full_like(logits, np.nan), np.full_like(logits, np.nan)

    plain_loss = Backend.softmax_cross_entropy(backend, logits, labels, scale, plain, Workspace(np))
    fast_loss = backend.softmax_cross_entropy(logits, labels, scale, fast, Workspace(np, reuse=True))

    assert fast_loss.dtype == plain_loss.dtype == dtype
    np.testing.assert_allclose(fast_loss, plain_loss, rtol=ROUNDING[dtype], atol=ROUNDING[dtype])
    np.testing.assert_allclose(fast, plain, rtol=ROUNDING[dtype], atol=ROUNDING[dtype])
    np.testing.assert_array_equal(logits, before)


@settings(deadline=None)
@given(
    rows=sizes,
    columns=sizes,
    dtype=dtypes,
    seed=seeds,
    limit=st.sampled_from([0.5, 2.0, 15.0, 15**0.5]),
    chunk=st.sampled_from([1, 20, 32 * 1024]),
)
def test_limit_row_norms(rows, columns, dtype, seed, limit, chunk):
    rng = np.random.default_rng(seed)
    matrix = (rng.normal(size=(rows, columns)) * rng.choice([0.1, 1, 10], (rows, 1))).astype(dtype)
    matrix[rng.integers(rows)] = 0
    within = np.linalg.norm(matrix.astype("float64"), axis=1) < limit * (1 - ROUNDING[dtype])
    backend = NumpyBackend()
    backend.chunk = chunk
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
    for limit_row_norms in (Backend.limit_row_norms, NumpyBackend.limit_row_norms):
        limited = matrix.copy()
        limit_row_norms(NumpyBackend(), limited, 5.0, Workspace(np))
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

    Backend.gather(backend, pixels, indices, scaling, plain, Workspace(np))
    returned = backend.gather(pixels, indices, scaling, fast, Workspace(np, reuse=True))

    formula = (pixels[indices].astype("float64") / scaling.divisor - scaling.mean) / scaling.std
    assert returned is fast
    np.testing.assert_allclose(plain, formula, rtol=ROUNDING[dtype], atol=ROUNDING[dtype])
    np.testing.assert_allclose(fast, formula, rtol=ROUNDING[dtype], atol=ROUNDING[dtype])
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("n", [1, 15, 16, 32 * 1024, 32 * 1024 + 1, 100_003])
@pytest.mark.parametrize("start", [0, 5, 16, 48, 16 * 12345])
def test_keep_mask(n, start):
    stream, backend = Stream(3, index=2), NumpyBackend()
    plain, fast = np.zeros(n, bool), np.ones(n, bool)
    Backend.keep_mask(backend, stream, 4, 20000, plain, start)
    assert backend.keep_mask(stream, 4, 20000, fast, start) is fast
    np.testing.assert_array_equal(fast, plain)
    np.testing.assert_array_equal(plain, stream.lanes(start + n, 4)[start:] >= 20000)


def test_take():
    labels, indices = np.arange(10) * 7, np.array([9, 0, 3, 3])
    for take in (Backend.take, NumpyBackend.take):
        out = np.zeros(4, int)
        assert take(NumpyBackend(), labels, indices, out) is out
        np.testing.assert_array_equal(out, [63, 0, 21, 21])


# -- the operations against what they stand for ------------------------------------------------------------


@pytest.mark.parametrize("keep_mask", [Backend.keep_mask, NumpyBackend.keep_mask])
def test_an_element_is_kept_if_its_lane_is_not_below_the_threshold(keep_mask):
    stream, backend = Stream(3), NumpyBackend()
    lanes = stream.lanes(12, step=5).reshape(3, 4)
    threshold = int(lanes[1, 2])  # a lane that is exactly the threshold stays
    keep = keep_mask(backend, stream, 5, threshold, np.zeros((3, 4), bool))
    np.testing.assert_array_equal(keep, lanes >= threshold)
    assert keep[1, 2]
    assert keep_mask(backend, stream, 5, 0, np.zeros((3, 4), bool)).all()
    assert not keep_mask(backend, stream, 5, 65536, np.ones((3, 4), bool)).any()


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
