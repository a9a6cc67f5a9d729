"""Max-norm: the projection of each unit's incoming weights onto a ball."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optim_helpers import fixed_examples, seeds, small_model
from tolerances import ROW_NORM_EPS

import minidrop as md
from minidrop.errors import ArgumentError
from minidrop.optim import largest_row_norm

dtypes = st.sampled_from(["float32", "float64"])
limits = st.floats(1e-3, 1e3)


def projected(rows: np.ndarray, limit, **options) -> np.ndarray:
    """What max-norm on all layers makes of a layer whose units have these rows."""
    layer = md.Linear(rows.shape[1], rows.shape[0], bias=False, dtype=rows.dtype, backend="numpy")
    layer.weight.value = rows
    md.MaxNorm(limit, **({"layers": "all"} | options)).apply(layer.parameters())
    return layer.weight.value.copy()


def rounding(dtype: str) -> float:
    """How far, relatively, a projected row may be off."""
    return ROW_NORM_EPS * float(np.finfo(dtype).eps)


def length(row: np.ndarray) -> float:
    return sqrt(sum(float(x) ** 2 for x in row))


def random_rows(seed: int, limit: float, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows in random directions and, for each, its length as a multiple of the limit; no length is near 1."""
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(1, 40), rng.integers(1, 64)
    multiples = rng.choice([0.0, 0.01, 0.5, 0.99, 1.01, 2.0, 1000.0], rows)
    directions = rng.standard_normal((rows, columns))
    directions /= np.array([length(row) for row in directions])[:, None]
    return (limit * multiples[:, None] * directions).astype(dtype), multiples


@given(seed=seeds, limit=limits, dtype=dtypes)
@fixed_examples
def test_short_rows_keep_their_bits_and_long_ones_their_direction(seed, limit, dtype):
    rows, multiples = random_rows(seed, limit, dtype)
    after = projected(rows, limit)
    assert after.dtype == dtype
    for before, row, multiple in zip(rows, after, multiples, strict=True):
        if multiple < 1:
            np.testing.assert_array_equal(row, before)
        else:
            assert length(row) == pytest.approx(limit, rel=rounding(dtype))
            np.testing.assert_allclose(row, before * (limit / length(before)), rtol=rounding(dtype))


@given(seed=seeds, limit=limits, dtype=dtypes)
@fixed_examples
def test_projecting_twice_is_projecting_once(seed, limit, dtype):
    rows, _ = random_rows(seed, limit, dtype)
    once = projected(rows, limit)
    twice = projected(once, limit)
    np.testing.assert_allclose(twice, once, rtol=rounding(dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_exactly_at_the_limit_and_rows_of_zeros_keep_their_bits(dtype):
    rows = np.array([[3, 4, 0], [0, -5, 0], [0, 0, 0], [0, -0.0, 0]], dtype)
    after = projected(rows, 5.0)
    np.testing.assert_array_equal(after, rows)
    np.testing.assert_array_equal(np.signbit(after), np.signbit(rows))
    np.testing.assert_array_equal(projected(rows, 25.0, squared=True), rows)


def test_squared_bounds_the_squared_length():
    rows = np.array([[6.0, 8.0]])
    np.testing.assert_allclose(projected(rows, 4.0), [[2.4, 3.2]], rtol=rounding("float64"))
    np.testing.assert_allclose(projected(rows, 4.0, squared=True), [[1.2, 1.6]], rtol=rounding("float64"))


def test_the_limit_bounds_the_length_unless_squared_is_said():
    assert md.MaxNorm().lengths(small_model().parameters()) == {"0.weight": 15.0, "1.weight": 15.0}
    in_paper = md.MaxNorm(15.0, squared=True).lengths(small_model().parameters())
    assert in_paper == {"0.weight": sqrt(15.0), "1.weight": sqrt(15.0)}


# -- which matrices --------------------------------------------------------------------------------------


def limited_by(projection: md.MaxNorm) -> set[str]:
    """The parameters of the small model, set to 10 throughout, that the projection changes."""
    arena = small_model().parameters()
    arena.flat_values[...] = 10.0
    projection.apply(arena)
    return {name for name, parameter in arena.items() if (parameter.value != 10.0).any()}


def test_hidden_layers_are_all_but_the_last():
    assert limited_by(md.MaxNorm(1.0)) == {"0.weight", "1.weight"}
    assert limited_by(md.MaxNorm(1.0, layers="hidden")) == {"0.weight", "1.weight"}
    assert limited_by(md.MaxNorm(1.0, layers="all")) == {"0.weight", "1.weight", "2.weight"}


def test_a_model_of_one_layer_has_no_hidden_one():
    assert md.MaxNorm(1.0).lengths(md.Linear(2, 2).parameters()) == {}


def test_limits_by_name_say_the_layers():
    assert limited_by(md.MaxNorm({"2.weight": 1.0})) == {"2.weight"}
    assert limited_by(md.MaxNorm({"0.weight": 1.0, "1.weight": 1000.0})) == {"0.weight"}
    projection = md.MaxNorm({"0.weight": 4.0, "2.weight": 9.0}, squared=True)
    assert projection.lengths(small_model().parameters()) == {"0.weight": 2.0, "2.weight": 3.0}


@pytest.mark.parametrize("name", ["3.weight", "0.bias", "weight", "*.weight"])
def test_limits_for_what_is_no_weight_matrix_are_refused(name):
    arena = small_model().parameters()
    before = arena.flat_values.copy()
    with pytest.raises(ArgumentError, match=r"the weight matrices are 0\.weight, 1\.weight, 2\.weight"):
        md.MaxNorm({"0.weight": 1e-3, name: 1.0}).apply(arena)
    np.testing.assert_array_equal(arena.flat_values, before)


@pytest.mark.parametrize("limit", [0, 0.0, -1.0, float("nan"), float("inf"), None, "x", True], ids=repr)
def test_limits_that_are_no_positive_number_are_refused(limit):
    with pytest.raises(ArgumentError, match="max-norm limit"):
        md.MaxNorm(limit)
    with pytest.raises(ArgumentError, match=r"max-norm 0\.weight"):
        md.MaxNorm({"1.weight": 1.0, "0.weight": limit})


def test_unknown_layers_are_refused():
    with pytest.raises(ArgumentError, match="hidden, all"):
        md.MaxNorm(1.0, layers="output")


# -- one projection and many matrices --------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_blocks_of_rows_change_no_bit(chunk, monkeypatch):
    """NumPy's projection takes as many rows at a time as `chunk` elements hold, and at least one."""
    rows = np.random.default_rng(0).standard_normal((33, 13)).astype("float32")
    whole = projected(rows, 3.0)
    monkeypatch.setattr(type(md.get_backend("numpy")), "chunk", chunk)
    np.testing.assert_array_equal(projected(rows, 3.0), whole)
    assert 0 < np.sum(whole != rows) < rows.size  # some rows were too long and some were not


def test_a_backend_that_takes_everything_at_once_can_project(monkeypatch):
    rows = np.full((2, 3), 2.0)
    whole = projected(rows, 1.0)
    monkeypatch.setattr(type(md.get_backend("numpy")), "chunk", None)
    np.testing.assert_array_equal(projected(rows, 1.0), whole)


def test_one_projection_serves_models_of_different_shape_and_dtype():
    projection = md.MaxNorm(1.0, layers="all")
    for n_in, n_out, dtype in [(3, 50, "float32"), (7, 2, "float64"), (2, 60, "float64")]:
        layer = md.Linear(n_in, n_out, init=md.Constant(5), dtype=dtype, backend="numpy")
        projection.apply(layer.parameters())
        np.testing.assert_allclose(layer.weight.value, n_in**-0.5, rtol=rounding(dtype))
        np.testing.assert_array_equal(layer.bias.value, 5)


# -- the longest row -------------------------------------------------------------------------------------


def test_largest_row_norm_looks_at_the_layers_that_a_limit_would_bound():
    arena = small_model().parameters()
    arena.flat_values[...] = 0.0
    arena["0.weight"].value[1] = [0, 3, 0, 0, -4]
    arena["1.weight"].value[2] = [1, 0, 0]
    assert largest_row_norm(arena) == 5.0
    arena["2.weight"].value[0] = [0, 12, 5, 0]
    arena["0.bias"].value[...] = 100.0
    assert largest_row_norm(arena) == 5.0  # 13 is the output layer's


def test_largest_row_norm_of_a_model_without_hidden_layers_is_the_output_layers():
    layer = md.Linear(2, 3, init=md.Constant(0), dtype="float64", backend="numpy")
    layer.weight.value[2] = [3, 4]
    assert largest_row_norm(layer.parameters()) == 5.0
