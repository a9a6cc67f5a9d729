"""Copies of a layer: the same numbers, no shared memory, and another dtype if that is asked for."""

import copy

import numpy as np
import pytest
from layer_cases import CASES, parameters_of
from tolerances import FLOAT32_ROUNDING

import minidrop as md
from minidrop.errors import UsageError

every_layer = pytest.mark.parametrize("name", CASES)


def trained(name, dtype="float32"):
    """A layer whose weights, gradients and masks all exist already, with its input."""
    layer, x = CASES[name](4, dtype), np.random.default_rng(0).normal(size=(5, 4)).astype(dtype)
    y = layer.forward(x)
    layer.backward(np.ones_like(y))
    return layer, x


@every_layer
def test_a_copy_goes_on_where_the_layer_is(name):
    layer, x = trained(name)
    twin = copy.deepcopy(layer)
    assert list(parameters_of(twin)) == list(parameters_of(layer))
    for ours, theirs in zip(parameters_of(twin).values(), parameters_of(layer).values(), strict=True):
        np.testing.assert_array_equal(ours.grad, theirs.grad)
    y = layer.forward(x)
    np.testing.assert_array_equal(twin.forward(x), y)  # with the masks of the second step
    np.testing.assert_array_equal(twin.backward(np.ones_like(y)), layer.backward(np.ones_like(y)))


@every_layer
@pytest.mark.parametrize("in_arena", [False, True])
def test_a_copy_shares_no_memory(name, in_arena):
    layer, _ = trained(name)
    if in_arena and parameters_of(layer):
        layer.parameters()
    twin = copy.deepcopy(layer)
    for ours, theirs in zip(parameters_of(twin).values(), parameters_of(layer).values(), strict=True):
        assert ours.arena is None
        assert not np.shares_memory(ours.value, theirs.value)
        assert not np.shares_memory(ours.grad, theirs.grad)
    for (_, ours), (_, theirs) in zip(twin.leaves(), layer.leaves(), strict=True):
        assert ours.backend is theirs.backend
        assert ours.workspace is not theirs.workspace


def test_a_copy_of_a_layer_that_reuses_its_buffers_has_buffers_of_its_own():
    layer, x = md.ReLU(), np.ones((2, 3))
    layer.reuse_buffers(True)
    y, twin = layer.forward(x), copy.deepcopy(layer)
    theirs = twin.forward(x)
    assert theirs is twin.forward(x)
    assert not np.shares_memory(theirs, y)


@every_layer
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_another_dtype_holds_the_same_numbers(name, dtype):
    layer, x = trained(name)
    twin = layer.astype(dtype)
    for ours, theirs in zip(parameters_of(twin).values(), parameters_of(layer).values(), strict=True):
        assert ours.dtype == ours.value.dtype == ours.grad.dtype == dtype
        assert theirs.dtype == theirs.value.dtype == theirs.grad.dtype == np.float32
        np.testing.assert_array_equal(ours.value, theirs.value)
        np.testing.assert_array_equal(ours.grad, theirs.grad)
    layer.set_step(0)
    twin.set_step(0)
    y = layer.forward(x)
    result = twin.forward(x.astype(dtype))
    np.testing.assert_allclose(result, y, rtol=FLOAT32_ROUNDING, atol=FLOAT32_ROUNDING)


@every_layer
def test_another_dtype_leaves_the_forward_pass_behind(name):
    layer, _ = trained(name)
    with pytest.raises(UsageError, match="backward needs a forward pass first"):
        layer.astype("float64").backward(np.ones((5, 3)))
    layer.backward(np.ones((5, 3 if parameters_of(layer) else 4), np.float32))


@pytest.mark.parametrize("optimizer_first", [False, True])
def test_a_model_and_its_optimizer_are_copied_together(optimizer_first):
    model = md.Sequential(md.Linear(2, 2), md.ReLU(), md.Linear(2, 2))
    optimizer = md.SGDHinton(model.parameters(), lr=0.1, limit=0.1)
    if optimizer_first:
        other, twin = copy.deepcopy((optimizer, model))
    else:
        twin, other = copy.deepcopy((model, optimizer))
    assert other.parameters is twin.parameters()
    before = model.parameters().flat_values.copy()
    other.parameters.flat_gradients[...] = 1
    other.step()
    np.testing.assert_array_equal(other.parameters["0.weight"].value, twin[0].weight.value)
    assert not np.array_equal(twin.parameters().flat_values, before)
    np.testing.assert_array_equal(model.parameters().flat_values, before)
