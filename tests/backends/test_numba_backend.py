"""What the numba backend does where Numba is missing, cannot keep what it compiles, or has no loop."""

import sys

import numpy as np
import pytest
from tolerances import FLOAT64_ROUNDING

import minidrop as md
from minidrop import backends
from minidrop.backends import Workspace
from minidrop.backends.numba_backend import NumbaBackend
from minidrop.errors import BackendError


@pytest.fixture
def loops_are_imported_again(monkeypatch):
    for module in ("loops", "update_loops"):
        monkeypatch.delitem(sys.modules, f"minidrop.backends.{module}", raising=False)
        monkeypatch.delattr(backends, module, raising=False)
    return monkeypatch


def test_without_numba_the_error_says_what_to_install(loops_are_imported_again):
    loops_are_imported_again.setitem(sys.modules, "numba", None)
    with pytest.raises(BackendError, match=r"Numba is not installed .*pip install .*'\.\[numba\]'"):
        NumbaBackend()


def test_without_a_folder_for_what_is_compiled_the_error_says_how_to_name_one(loops_are_imported_again):
    import numba

    def nowhere(**options):
        raise RuntimeError("cannot cache function: no locator available")

    loops_are_imported_again.setattr(numba, "njit", nowhere)
    with pytest.raises(BackendError, match="no locator available; NUMBA_CACHE_DIR can name a folder"):
        NumbaBackend()


def with_gaps(rng, dtype="float64"):
    return rng.normal(size=(6, 8)).astype(dtype)[:, ::2]


@pytest.mark.parametrize(
    "change",
    [
        lambda backend, z, y, scratch: backend.bias_relu_dropout(z, None, None, 1.0, scratch),
        lambda backend, z, y, scratch: backend.relu_dropout_backward(z, y, 2.0, scratch),
        lambda backend, z, y, scratch: backend.limit_row_norms(z, 0.5, scratch),
        lambda backend, z, y, scratch: backend.column_sums(z, y[0]),
        lambda backend, z, y, scratch: backend.softmax_cross_entropy(z, np.arange(6) % 4, 0.5, y, scratch),
    ],
)
def test_arrays_with_gaps_are_done_as_on_numpy(change):
    results = []
    for backend in (NumbaBackend(), md.get_backend("numpy")):
        z, y = (with_gaps(np.random.default_rng(seed)) for seed in (0, 1))
        change(backend, z, y, Workspace(np, reuse=True))
        results.append((z, y))
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=FLOAT64_ROUNDING)


def test_complex_sums_are_done_as_on_numpy():
    z = with_gaps(np.random.default_rng(0), "complex128")
    np.testing.assert_allclose(NumbaBackend().column_sums(z, np.empty(4, complex)), z.sum(axis=0))
