"""Sums and products that NumPy's BLAS adds in place, and what it leaves alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import FLOAT32_ROUNDING, FLOAT64_ROUNDING

from minidrop.backends import Backend, blas
from minidrop.backends.numpy_backend import NumpyBackend

ROUNDING = {"float32": FLOAT32_ROUNDING, "float64": FLOAT64_ROUNDING}
dtypes = st.sampled_from(sorted(ROUNDING))
sizes = st.integers(1, 12)
seeds = st.integers(0, 2**32 - 1)


@settings(deadline=None)
@given(
    shape=st.tuples(sizes, sizes, sizes),
    dtype=dtypes,
    seed=seeds,
    alpha=st.sampled_from([1.0, -0.3, 0.0]),
    beta=st.sampled_from([1.0, 0.9, 0.0]),
    margins=st.tuples(*[st.integers(0, 3)] * 3),
)
def test_add_product(shape, dtype, seed, alpha, beta, margins):
    """Where the backend can, also for some columns of larger matrices, of which nothing else changes."""
    rng, (n, rows, columns) = np.random.default_rng(seed), shape
    backend = NumpyBackend()
    wholes = [
        rng.normal(size=(height, width + 2 * margin)).astype(dtype)
        for height, width, margin in zip((n, n, rows), (rows, columns, columns), margins, strict=True)
    ]
    a, b, c = (whole[:, m : whole.shape[1] - m] for whole, m in zip(wholes, margins, strict=True))
    before, old = [whole.copy() for whole in wholes], c.copy()
    formula = beta * c.astype("float64") + alpha * (a.astype("float64").T @ b)

    assert not Backend.add_product(backend, alpha, a, b, beta, c)
    np.testing.assert_array_equal(c, old)
    added = backend.add_product(alpha, a, b, beta, c)

    tolerance = ROUNDING[dtype] * (1 + abs(formula).max())
    np.testing.assert_allclose(c, formula if added else old, rtol=0, atol=tolerance)
    c[...] = old
    for whole, unchanged in zip(wholes, before, strict=True):
        np.testing.assert_array_equal(whole, unchanged)


def test_add_product_leaves_alone_what_blas_cannot_do():
    """Columns in reverse or every second one, rows that overlap or go upwards, other dtypes."""
    rng = np.random.default_rng(0)
    a, b, c = (rng.normal(size=shape) for shape in ((6, 3), (6, 4), (3, 4)))
    bad = {
        "reversed": b[:, ::-1],
        "every second": rng.normal(size=(6, 8))[:, ::2],
        "by columns": np.asfortranarray(b),
        "one row for all": np.broadcast_to(b[0], (6, 4)),
        "overlapping": np.lib.stride_tricks.sliding_window_view(rng.normal(size=9), 4),
        "upside down": b[::-1],
        "float32": b.astype("float32"),
    }
    for name, array in bad.items():
        before = c.copy()
        assert not NumpyBackend().add_product(1.0, a, array, 1.0, c), name
        np.testing.assert_array_equal(c, before)
    z = np.ones((2, 2), complex)
    assert not NumpyBackend().add_product(1.0, z, z, 1.0, z.copy())


@settings(deadline=None)
@given(
    n=sizes,
    dtype=dtypes,
    seed=seeds,
    alpha=st.sampled_from([1.0, -0.3, 0.0]),
    beta=st.sampled_from([1.0, 0.9, 0.0]),
    in_place=st.booleans(),
)
def test_axpby(n, dtype, seed, alpha, beta, in_place):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=n).astype(dtype), rng.normal(size=n).astype(dtype)
    formula = beta * y.astype("float64") + alpha * x.astype("float64")
    for add in (NumpyBackend.axpby, Backend.axpby):
        term, total = x.copy(), y.copy()
        add(NumpyBackend(), alpha, term, beta, total, term if in_place else np.empty_like(y))
        np.testing.assert_allclose(total, formula, rtol=0, atol=ROUNDING[dtype] * (1 + abs(formula).max()))
        if not in_place:
            np.testing.assert_array_equal(term, x)


def test_axpby_of_what_blas_cannot_do():
    """Every second element, other dtypes: NumPy does it in passes, and touches nothing else."""
    y = np.arange(6.0)
    for x, target in ((np.ones(3), y[::2]), (np.ones(6, "float32"), y), (np.ones(6)[::-1], y)):
        expected, others = 0.5 * target + 2 * x, y[1::2].copy()
        assert not blas.axpby(2.0, x, 0.5, target)
        NumpyBackend().axpby(2.0, x, 0.5, target, np.empty_like(target))
        np.testing.assert_array_equal(target, expected)
        if target is not y:
            np.testing.assert_array_equal(y[1::2], others)
    z = np.ones(2, complex)
    NumpyBackend().axpby(1j, np.ones(2, complex), 2.0, z, np.empty_like(z))
    np.testing.assert_array_equal(z, np.full(2, 2 + 1j))


@pytest.fixture
def blas_is_looked_for_again(monkeypatch):
    """NumPy's BLAS is found once a process; here it is looked for with what the test changes."""
    functions = blas._gemm, blas._axpby
    for function in functions:
        function.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    for function in functions:
        function.cache_clear()


def test_without_the_blas_behind_numpy_nothing_is_added(blas_is_looked_for_again):
    blas_is_looked_for_again.setattr(blas, "libraries", list)
    a = np.ones((2, 2))
    assert not NumpyBackend().add_product(1.0, a, a, 1.0, a.copy())
    assert not blas.axpby(1.0, a[0], 1.0, a[1])


def test_the_blas_is_found_among_other_libraries(blas_is_looked_for_again):
    """One that cannot be loaded, and one without matrix products: here a module of NumPy."""
    others = [{"filepath": "no such file"}, {"filepath": np.random._pcg64.__file__}]
    libraries = [*others, *blas.libraries()]
    a, blas_is_known = np.ones((2, 2)), blas._gemm("d") is not None
    blas._gemm.cache_clear()
    blas_is_looked_for_again.setattr(blas, "libraries", lambda: libraries)
    assert NumpyBackend().add_product(1.0, a, a, 1.0, a.copy()) == blas_is_known


def test_a_function_that_does_something_else_is_not_taken(blas_is_looked_for_again):
    """One of this name with other arguments, say: it is tried on a small sum first."""
    blas_is_looked_for_again.setattr(blas, "_find", lambda name: (lambda *arguments: None, int))
    assert blas._gemm("d") is None
    assert blas._axpby("d") is None
