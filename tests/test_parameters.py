"""Parameters, the flat arena that they share, and the way in and out of it by name."""

import copy

import numpy as np
import pytest
from tolerances import FLOAT32_ROUNDING

import minidrop as md
from minidrop.errors import ArgumentError, ArrayError, UsageError

NO_TORCH = "PyTorch is the reference here: pip install -e '.[reference]'"


def small_model(seed=0, dtype="float32"):
    return md.Sequential(
        md.Linear(3, 4, dtype=dtype), md.ReLU(), md.Linear(4, 2, bias=False, dtype=dtype), seed=seed
    )


# -- the arena ---------------------------------------------------------------------------------------------


def test_names_and_order_are_those_of_registration():
    model = md.Sequential(
        md.Linear(3, 4),
        md.ReLU(),
        md.Sequential(md.Linear(4, 4), md.Dropout(), md.DropConnect(4, 2)),
        md.Linear(2, 2, bias=False),
    )
    names = ["0.weight", "0.bias", "2.0.weight", "2.0.bias", "2.2.weight", "2.2.bias", "3.weight"]
    assert list(model.parameters()) == list(model.state_dict()) == names
    assert len(model.parameters()) == 7
    assert model.parameters()["2.2.bias"] is model[2][2].linear.bias
    assert list(md.Linear(2, 2).parameters()) == ["weight", "bias"]


def test_parameters_are_views_of_one_flat_array():
    model = small_model()
    arena = model.parameters()
    first, second = model[0], model[2]
    assert arena.flat_values.shape == arena.flat_gradients.shape == (3 * 4 + 4 + 4 * 2,)
    assert arena.size == 24
    assert arena.slices() == {"0.weight": slice(0, 12), "0.bias": slice(12, 16), "2.weight": slice(16, 24)}

    arena.flat_values[:] = np.arange(24)
    assert first.weight.value.tolist() == np.arange(12).reshape(4, 3).tolist()
    assert first.bias.value.tolist() == [12, 13, 14, 15]
    assert second.weight.value.tolist() == np.arange(16, 24).reshape(2, 4).tolist()

    first.bias.value = np.full(4, -1, np.float32)  # assigning copies into the arena
    second.weight.value[...] = -2
    assert arena.flat_values[12:].tolist() == [-1] * 4 + [-2] * 8


def test_gradients_land_in_the_arena():
    model = small_model()
    arena = model.parameters()
    assert not arena.flat_gradients.any()
    model.backward(np.ones_like(model.forward(np.ones((5, 3), np.float32))))
    assert model[2].weight.grad.any()
    expected = np.concatenate([p.grad.reshape(-1) for p in arena.values()])
    np.testing.assert_array_equal(arena.flat_gradients, expected)
    np.testing.assert_array_equal(arena.views(arena.flat_gradients)["2.weight"], model[2].weight.grad)
    assert np.shares_memory(arena.flat_gradients, model[2].weight.grad)


def test_moving_into_the_arena_keeps_values_and_the_second_call_gives_the_same_arena():
    model = small_model()
    model[0].weight.value[...] = 5
    arena = model.parameters()
    assert (arena.flat_values[:12] == 5).all()
    assert model.parameters() is arena
    assert model[0].weight.arena is arena


def test_moving_into_the_arena_keeps_gradients():
    model = small_model()
    model.backward(np.ones_like(model.forward(np.ones((5, 3), np.float32))))
    written = model[2].weight.grad.copy()
    assert written.any()
    np.testing.assert_array_equal(model.parameters()["2.weight"].grad, written)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_slots_are_zeros_of_the_arenas_size_and_dtype(dtype):
    arena = small_model(dtype=dtype).parameters()
    slot = arena.new_slot()
    assert (slot.shape, slot.dtype) == ((24,), dtype)
    assert not slot.any()
    assert not np.shares_memory(slot, arena.new_slot())


def test_max_norm_can_tell_which_parameters_have_rows_of_incoming_weights():
    layers = md.Linear(3, 2), md.DropConnect(3, 2).linear
    assert all(layer.weight.rows_are_units and not layer.bias.rows_are_units for layer in layers)


def test_a_model_without_parameters_has_no_arena():
    with pytest.raises(UsageError, match="no parameters to train"):
        md.Sequential(md.ReLU(), md.Dropout()).parameters()


def test_parameters_of_different_dtypes_are_refused():
    model = md.Sequential(md.Linear(2, 2), md.Linear(2, 2, dtype="float64"))
    with pytest.raises(ArrayError, match=r"1\.weight is float64 on numpy, but 0\.weight is float32 on numpy"):
        model.parameters()
    assert model[0].weight.arena is None


def test_two_models_cannot_share_a_layer():
    shared = md.Linear(2, 2)
    md.Sequential(md.Linear(2, 2), shared).parameters()
    for other in (
        md.Sequential(md.Linear(2, 2), shared),
        md.Sequential(shared),
        md.Sequential(md.ReLU(), shared),
        shared,
    ):
        with pytest.raises(UsageError, match="already belongs to another model"):
            other.parameters()


def test_two_models_with_equal_names_cannot_share_their_first_layer():
    shared = md.Linear(2, 2)
    md.Sequential(shared, md.Linear(2, 2)).parameters()
    with pytest.raises(UsageError, match="already belongs to another model"):
        md.Sequential(shared, md.Linear(2, 2)).parameters()


def test_a_parameter_has_one_name():
    """Tied weights: the second gradient would replace the first."""
    first, second = md.Linear(3, 3), md.Linear(3, 3)
    second.weight = first.weight
    with pytest.raises(UsageError, match=r"0\.weight and 2\.weight are one parameter: .* replace the first"):
        md.Sequential(first, md.Tanh(), second).parameters()
    assert first.weight.arena is None


@pytest.mark.parametrize("optimizer", [md.SGD, md.Adam])
def test_a_parameter_may_be_a_single_number(optimizer):
    class Scale(md.Layer):
        def __init__(self):
            super().__init__()
            self.scale = md.Parameter((), md.Constant(2))

        def own_parameters(self):
            return {"scale": self.scale}

    layer = Scale()
    update = optimizer(layer.parameters(), lr=0.5)
    layer.scale.grad[...] = 1
    update.step()
    np.testing.assert_allclose(layer.scale.value, 1.5, rtol=1e-6)


@pytest.mark.parametrize("size", [0, -1, 1.5])
def test_a_parameter_is_not_empty(size):
    with pytest.raises(ArgumentError, match=r"a size in the shape .* must be an integer of at least 1"):
        md.Parameter((3, size), md.Constant(0))


@pytest.mark.parametrize("dtype", ["float16", "int64", np.int32, ">f4", None, 3])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(ArgumentError, match="dtype must be one of float32, float64, complex128"):
        md.Linear(2, 2, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float64", np.float64, np.dtype("float64")])
def test_a_dtype_may_be_given_as_numpy_gives_them(dtype):
    assert md.Linear(2, 2, dtype=dtype).weight.value.dtype == np.float64


@pytest.mark.parametrize("size", [0, -1, 2.0, None, "3", True])
def test_bad_sizes_are_refused(size):
    with pytest.raises(ArgumentError, match="in_features must be an integer of at least 1"):
        md.Linear(size, 2)
    with pytest.raises(ArgumentError, match="out_features must be an integer of at least 1"):
        md.Linear(2, size)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (np.ones((3, 2), np.float32), r"a parameter's new value must have shape \(2, 3\), got \(3, 2\)"),
        (np.ones((2, 3)), "a parameter's new value must be float32, got float64"),
        ([[1.0] * 3] * 2, "a parameter's new value must be a numpy.ndarray, .*; got list"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(value, complaint):
    weight = md.Linear(3, 2).weight
    before = weight.value.copy()
    with pytest.raises(ArrayError, match=complaint):
        weight.value = value
    np.testing.assert_array_equal(weight.value, before)


# -- state by name -----------------------------------------------------------------------------------------


def test_a_state_is_copied_out_and_in():
    model, other = small_model(seed=0), small_model(seed=1)
    state = model.state_dict()
    x = np.ones((2, 3), np.float32)
    y = model.forward(x)
    assert not np.array_equal(other.forward(x), y)
    other.load_state_dict(state)
    np.testing.assert_array_equal(other.forward(x), y)
    arena = other.parameters()
    assert np.shares_memory(other[0].weight.value, arena.flat_values)
    np.testing.assert_array_equal(other.forward(x), y)

    model[0].weight.value[...] = 0
    assert state["0.weight"].any()
    state["2.weight"][...] = 0
    assert model[2].weight.value.any()
    assert other[2].weight.value.any()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"0.bias": None}, r"^the weights are of another architecture: missing 0\.bias$"),
        ({"9.weight": np.zeros(1)}, r"^the weights are of another architecture: unexpected 9\.weight$"),
        ({"0.bias": None, "0.b": np.zeros(4)}, r"missing 0\.bias; unexpected 0\.b$"),
        (
            {"2.weight": np.zeros((4, 2), "float32")},
            r"^2\.weight must be float32 of shape \(2, 4\), got float32 of shape \(4, 2\)$",
        ),
        (
            {"2.weight": np.zeros((2, 4))},
            r"^2\.weight must be float32 of shape \(2, 4\), got float64 of shape \(2, 4\)$",
        ),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, complaint):
    model = small_model(seed=0)
    before = model.parameters().flat_values.copy()
    state = small_model(seed=1).state_dict() | change
    with pytest.raises(ArrayError, match=complaint):
        model.load_state_dict({name: array for name, array in state.items() if array is not None})
    np.testing.assert_array_equal(model.parameters().flat_values, before)


# -- PyTorch -----------------------------------------------------------------------------------------------


def twins():
    """The same layers here and in PyTorch, with weights of their own."""
    torch = pytest.importorskip("torch", reason=NO_TORCH)
    ours = md.Sequential(
        md.Linear(5, 7),
        md.Tanh(),
        md.Sequential(md.Linear(7, 6, bias=False), md.ReLU()),
        md.Dropout(0.3),
        md.Linear(6, 4),
        md.Sigmoid(),
    )
    theirs = torch.nn.Sequential(
        torch.nn.Linear(5, 7),
        torch.nn.Tanh(),
        torch.nn.Sequential(torch.nn.Linear(7, 6, bias=False), torch.nn.ReLU()),
        torch.nn.Dropout(0.3),
        torch.nn.Linear(6, 4),
        torch.nn.Sigmoid(),
    )
    ours.eval()
    theirs.eval()
    return torch, ours, theirs


@pytest.mark.parametrize("direction", ["to torch", "from torch", "from torch's parameters"])
def test_weights_go_to_pytorch_and_back_by_name(direction):
    torch, ours, theirs = twins()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x = np.random.default_rng(0).normal(size=(9, 5)).astype("float32")
    with torch.no_grad():
        assert not np.allclose(ours.forward(x), theirs(torch.from_numpy(x)).numpy(), rtol=0.01)
    if direction == "to torch":
        theirs.load_state_dict({name: torch.from_numpy(w) for name, w in ours.state_dict().items()})
    elif direction == "from torch":
        ours.load_state_dict(theirs.state_dict())
    else:  # which require gradients
        ours.load_state_dict(dict(theirs.named_parameters()))
    with torch.no_grad():
        expected = theirs(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(ours.forward(x), expected, rtol=FLOAT32_ROUNDING)


@pytest.mark.parametrize("change", [{"device": "meta"}, {"dtype": "bfloat16"}], ids=str)
def test_tensors_that_are_no_arrays_of_the_host_are_refused(change):
    torch, ours, theirs = twins()
    before = ours.parameters().flat_values.copy()
    where = {name: getattr(torch, value, value) for name, value in change.items()}
    state = {**theirs.state_dict(), "4.bias": torch.zeros(4, **where)}
    with pytest.raises(ArrayError, match=r"^4\.bias is no array of the host: "):
        ours.load_state_dict(state)
    np.testing.assert_array_equal(ours.parameters().flat_values, before)


def test_a_copied_model_is_a_model_of_its_own():
    model = md.Sequential(md.Linear(4, 3), md.Tanh(), md.Linear(3, 2))
    arena = model.parameters()
    twin = copy.deepcopy(model)
    assert twin.parameters() is not arena
    assert twin.backend is model.backend
    np.testing.assert_array_equal(twin.parameters().flat_values, arena.flat_values)
    twin.parameters().flat_values[...] = 0
    assert arena.flat_values.any()


def test_astype_rounds_a_copy_and_leaves_the_model():
    model = md.Sequential(md.Linear(4, 3), md.DropConnect(3, 2), seed=1)
    double = model.astype("float64")
    assert {p.dtype for p in double.parameters().values()} == {np.dtype("float64")}
    assert {p.dtype for p in model.parameters().values()} == {np.dtype("float32")}
    rounded = double.parameters().flat_values.astype("float32")
    np.testing.assert_array_equal(rounded, model.parameters().flat_values)


def test_a_parameter_in_an_arena_keeps_its_dtype():
    model = md.Linear(2, 2)
    model.parameters()
    with pytest.raises(UsageError, match="keeps its dtype once it is part of a model"):
        model.weight.convert("float64")
