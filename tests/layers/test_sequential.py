"""Sequential: order, names, seeds, modes, and the gradients that it may leave out."""

import numpy as np
import pytest
from tolerances import FLOAT64_ROUNDING

import minidrop as md
from minidrop.errors import ArrayError, UsageError


def normals(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


class Spy(md.Layer):
    """Adds its number to a diary in each pass, and multiplies by it."""

    def __init__(self, number, diary):
        super().__init__()
        self.number, self.diary = number, diary

    def forward(self, x):
        self.diary.append(("forward", self.number))
        self.save()
        return x * self.number + 1

    def backward(self, dy):
        self.diary.append(("backward", self.number))
        return dy * self.number


class FirstLinear(md.Linear):
    """A Linear whose input gradient nobody may ask for."""

    backward_parameters = md.Linear.backward_parameters

    def backward(self, dy):
        raise AssertionError("dx of the first layer was computed")


def deep_model(first=md.Linear):
    return md.Sequential(
        md.Sequential(md.Tanh(), first(4, 5, dtype="float64")),
        md.Dropout(0.3),
        md.Sequential(
            md.Linear(5, 5, dtype="float64"), md.Sequential(md.ReLU(), md.DropConnect(5, 3, dtype="float64"))
        ),
        seed=1,
    )


def test_forward_in_order_and_backward_in_reverse():
    diary = []
    model = md.Sequential(Spy(2, diary), Spy(3, diary), Spy(5, diary))
    assert model.forward(np.array([[1.0]])).tolist() == [[((1 * 2 + 1) * 3 + 1) * 5 + 1]]
    assert model.backward(np.array([[1.0]])).tolist() == [[30]]
    assert diary == [
        ("forward", 2),
        ("forward", 3),
        ("forward", 5),
        ("backward", 5),
        ("backward", 3),
        ("backward", 2),
    ]


def test_a_model_of_models_is_the_layers_in_one_row():
    nested = deep_model()
    flat = md.Sequential(*(leaf for _, leaf in deep_model().leaves()), seed=1)
    x, dy = normals(6, 4), normals(6, 3, seed=1)
    np.testing.assert_array_equal(nested.forward(x), flat.forward(x))  # so their seeds are counted alike
    np.testing.assert_array_equal(nested.backward(dy), flat.backward(dy))
    assert [name for name, _ in nested.leaves()] == ["0.0", "0.1", "1", "2.0", "2.1.0", "2.1.1"]
    assert list(nested.parameters()) == [
        f"{name}.{kind}" for name in ("0.1", "2.0", "2.1.1") for kind in ("weight", "bias")
    ]
    assert list(flat.parameters()) == [f"{i}.{kind}" for i in (1, 3, 5) for kind in ("weight", "bias")]


def test_it_is_a_sequence_of_its_layers():
    linear, relu = md.Linear(2, 2), md.ReLU()
    model = md.Sequential(linear, relu)
    assert len(model) == 2
    assert model[0] is linear
    assert model[-1] is relu
    assert list(model) == [linear, relu]
    assert repr(model) == "Sequential(Linear(2, 2), ReLU())"


def test_modes_and_steps_reach_every_layer():
    model = deep_model()
    leaves = [leaf for _, leaf in model.leaves()]
    model.eval()
    assert not any(leaf.training for leaf in leaves)
    model.train()
    assert all(leaf.training for leaf in leaves)
    model.set_step(12)
    assert model[1].step == model[2][1][1].step == 12
    model.reuse_buffers(True)
    assert all(leaf.workspace.reuse for leaf in leaves)


def test_a_seed_reaches_every_layer_and_can_be_set_again():
    one, other = deep_model(), deep_model()
    x = normals(6, 4)
    y = one.forward(x)
    other.forward(x)
    other.seed(9)
    other.set_step(0)
    assert not np.array_equal(other.forward(x), y)  # the weights stay, the masks are others
    other.seed(1)
    other.set_step(0)
    np.testing.assert_array_equal(other.forward(x), y)


# -- parameter gradients alone -----------------------------------------------------------------------------


def test_parameter_gradients_alone_are_the_same_gradients():
    model, x, dy = deep_model(), normals(6, 4), normals(6, 3, seed=1)
    arena = model.parameters()
    model.forward(x)
    model.backward(dy)
    expected = arena.flat_gradients.copy()
    assert all(expected[where].any() for where in arena.slices().values())
    arena.flat_gradients[:] = np.nan
    assert model.backward_parameters(dy) is None
    np.testing.assert_array_equal(arena.flat_gradients, expected)


def test_parameter_gradients_alone_stop_at_the_first_layer_that_has_some():
    diary = []
    first = FirstLinear(4, 3, dtype="float64")
    model = md.Sequential(Spy(1, diary), md.Sequential(Spy(2, diary), first), Spy(3, diary))
    model.forward(normals(6, 4))
    diary.clear()
    model.backward_parameters(np.ones((6, 3)))
    assert diary == [("backward", 3)]
    np.testing.assert_allclose(first.bias.grad, 18, rtol=FLOAT64_ROUNDING)


def test_without_parameters_there_is_nothing_to_write():
    diary = []
    model = md.Sequential(Spy(1, diary))
    model.backward_parameters(np.ones((1, 1)))
    assert diary == []


# -- what is refused ---------------------------------------------------------------------------------------


def test_a_model_has_at_least_one_layer():
    with pytest.raises(UsageError, match="needs at least one layer"):
        md.Sequential()


def test_a_layer_cannot_have_two_places():
    layer, inner = md.ReLU(), md.Sequential(md.Linear(2, 2))
    for layers in (
        (layer, md.Linear(2, 2), layer),
        (layer, md.Sequential(md.Linear(2, 2), layer)),
        (inner, inner),
        (layer, md.DropConnect(2, 2, activation=layer)),
    ):
        with pytest.raises(UsageError, match="a layer appears twice in Sequential"):
            md.Sequential(*layers)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_that_are_not_finite_are_refused(bad, dtype):
    model, x = md.Sequential(md.ReLU()), np.ones((3, 4), dtype)
    x[1, 2] = bad
    with pytest.raises(ArrayError, match=r"^the model's input holds 1 values .* the first at \(1, 2\)$"):
        model.forward(x)


def test_every_bad_input_is_refused_by_the_model_itself():
    model = md.Sequential(md.Linear(4, 3), md.ReLU())
    for x, complaint in (
        (np.ones((0, 4), np.float32), r"the input of Sequential\(.*\) is empty or no batch"),
        (np.ones((2, 4), np.uint8), r"the input of Sequential\(.*\) must be float32 or float64, got uint8"),
        (np.ones((2, 4)), r"the input of Linear\(4, 3\) must be float32, got float64"),
        (
            np.ones((2, 5), np.float32),
            r"the input of Linear\(4, 3\) must have shape \(any, 4\), got \(2, 5\)",
        ),
    ):
        with pytest.raises(ArrayError, match=complaint):
            model.forward(x)
