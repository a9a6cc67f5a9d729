"""check_layer passes what is right: minidrop's layers, and a stranger's."""

import numpy as np
import pytest
import stranger_layers as strangers
from layers.layer_cases import CASES, PASSES
from wrong_layers import LINEAR, NORM

import minidrop as md
from minidrop.errors import ArgumentError
from minidrop.testing import check_layer


@pytest.mark.parametrize("shape", [(4, 5), (1, 1)], ids=str)
@pytest.mark.parametrize(("name", "training"), PASSES)
def test_every_layer_of_minidrop_passes_every_check(name, training, shape):
    layer = CASES[name](shape[1], "float32")
    layer.train(training)
    report = check_layer(layer, input_shape=shape)
    assert [outcome.status for outcome in report.outcomes] == ["passed"] * 17


RIGHT = {
    "Linear": (strangers.Linear, {"parameters": LINEAR}),
    "InPlaceLinear": (
        strangers.InPlaceLinear,
        {"parameters": {"params.W": "grads.0", "params.b": "grads.1"}},
    ),
    "Softplus": (strangers.Softplus, {}),
    "LeakyReLU": (strangers.LeakyReLU, {}),
    "PReLU": (strangers.PReLU, {"parameters": {"a": "da"}}),
    "Absolute": (strangers.Absolute, {}),
    "SignedSquare": (strangers.SignedSquare, {}),
    "RowNorm": (strangers.RowNorm, {"parameters": NORM}),
    "GlobalDropout": (strangers.GlobalDropout, {"freeze": lambda: np.random.seed(0)}),  # noqa: NPY002
    "OwnDropout": (strangers.OwnDropout, {"freeze": lambda layer: layer.reseed(0)}),
    "Double": (strangers.Double, {}),
    "BatchNorm": (strangers.BatchNorm, {"parameters": NORM, "skip": ("batch additivity",)}),
    "Conv": (strangers.Conv, {"parameters": {"k": "dk"}, "input_shape": (3, 6, 2)}),
}
NO_COMPLEX_STEP = ("Absolute", "SignedSquare")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", RIGHT)
def test_a_strangers_right_layer_passes(name, seed):
    make, options = RIGHT[name]
    report = check_layer(make(), seed=seed, **options)
    skipped = {outcome.check for outcome in report.outcomes if outcome.status == "skipped"}
    assert skipped == set(options.get("skip", ())) | ({"complex step"} if name in NO_COMPLEX_STEP else set())


def test_the_layer_itself_never_runs_and_stays_as_it_is():
    layer = strangers.Linear()
    before = layer.W.copy()
    check_layer(layer, parameters=LINEAR)
    assert set(vars(layer)) == {"W", "b"}
    np.testing.assert_array_equal(layer.W, before)

    net = md.Sequential(md.Linear(3, 2), md.Dropout(0.5))
    arena = net.parameters()
    flat = arena.flat_values.copy()
    net.forward(np.ones((1, 3), np.float32))
    check_layer(net)
    assert net.parameters() is arena
    assert arena.dtype == np.float32
    assert net[1].step == 1
    np.testing.assert_array_equal(arena.flat_values, flat)


def test_reused_buffers_of_a_training_step_are_no_aliasing():
    layer = md.Linear(3, 2)
    layer.reuse_buffers(True)
    assert check_layer(layer)["memory"].status == "passed"


def test_large_layers_are_moved_along_random_directions():
    report = check_layer(md.Linear(60, 50), input_shape=(20, 60))
    assert report.passed


def test_what_is_skipped_says_why():
    report = check_layer(strangers.Absolute(), skip=("memory",))
    assert "memory                    skipped                -           -  as asked" in str(report)
    assert report["complex step"].note == "forward drops the imaginary part"
    assert report["adjointness"].note == "J v by central differences"
    assert max(map(len, str(report).splitlines())) <= 100
    not_analytic = "not analytic in input: complex step and differences disagree"
    assert check_layer(strangers.SignedSquare())["complex step"].note == not_analytic
    assert check_layer(md.Tanh(), analytic=False)["complex step"].note == "as analytic=False says"


class TestKinks:
    def test_elements_on_a_kink_are_moved_off_it(self):
        x = np.random.default_rng(0).normal(size=(4, 5))
        x[0, 0] = x[2, 3] = 0
        report = check_layer(md.ReLU(), x)
        assert report["finite differences"].note == "2 moved off a kink"

    def test_an_input_of_zeros_only_is_moved_as_a_whole(self):
        assert check_layer(md.ReLU(), np.zeros((2, 3)))["finite differences"].note == "6 moved off a kink"

    def test_a_smooth_minimum_is_no_kink(self):
        class Square:
            def forward(self, x):
                self.x = x
                return x * x

            def backward(self, dy):
                return 2 * self.x * dy

        assert check_layer(Square(), np.zeros((2, 3)))["finite differences"].note == ""

    def test_elements_that_stay_on_one_are_set_aside_and_counted(self):
        layer = strangers.PReLU()
        net = _ReluOfBias()
        report = check_layer(net, parameters={"b": "db"})
        assert report["finite differences"].note == "1 at a kink set aside"
        assert check_layer(layer, np.array([[1.0, -1.0]]), parameters={"a": "da"}).passed

    def test_never_all_of_them(self):
        net = _ReluOfBias()
        net.b = np.zeros(5)
        with pytest.raises(AssertionError, match="b: every element lies at a kink, so nothing was checked"):
            check_layer(net, parameters={"b": "db"})


class _ReluOfBias:
    """y = x + max(b, 0), and one element of b is at the kink."""

    def __init__(self):
        self.b = np.array([1.0, -1.0, 0.0, 2.0, 3.0])

    def forward(self, x):
        self.x = x
        return x + np.maximum(self.b, 0)

    def backward(self, dy):
        assert dy.shape == self.x.shape
        self.db = dy.sum(axis=0) * (self.b > 0)
        return dy.copy()


def test_bits_do_not_depend_on_what_ran_before():
    first, second = (str(check_layer(md.Linear(3, 2), seed=7)) for _ in range(2))
    assert first == second


class TestArguments:
    @pytest.mark.parametrize(
        ("layer", "options", "message"),
        [
            (md.Tanh(), {"skip": ("momery",)}, "skip must be one of backward before forward, shapes"),
            (object(), {}, "a layer has forward"),
            (strangers.Linear(), {"parameters": {"w": "dw"}}, "parameters: Linear has no 'w'"),
            (strangers.Linear(), {"input_shape": (4, 7)}, r"say input_shape=\(batch, features\)"),
            (md.Tanh(), {"x": np.array("a")}, "x must be an array of real numbers"),
            (md.Tanh(), {"x": [[1.0]]}, "x must be an array of real numbers, got list"),
            (md.Tanh(), {"x": np.zeros((0, 3))}, "not empty"),
            (strangers.SquaredError(), {}, "input_shape"),
        ],
    )
    def test_what_cannot_be_used_is_refused(self, layer, options, message):
        with pytest.raises(md.errors.ArgumentError, match=message):
            check_layer(layer, **options)

    def test_a_loss_is_no_layer(self):
        class Sum:
            def forward(self, x):
                return x.sum()

            def backward(self, dy):
                return dy

        with pytest.raises(md.errors.ArgumentError, match="use check_loss"):
            check_layer(Sum())

    def test_a_layer_that_cannot_be_copied(self):
        layer = strangers.Softplus()
        layer.source = (i for i in range(3))
        with pytest.raises(md.errors.ArgumentError, match=r"copy\.deepcopy of Softplus failed"):
            check_layer(layer)

    def test_a_tolerance_of_ones_own(self):
        assert check_layer(md.Tanh(), tolerance=0.5)["finite differences"].tolerance == 0.5
        report = check_layer(md.Tanh(), tolerance={"complex step": 1e-14})
        assert report["complex step"].tolerance == 1e-14
        with pytest.raises(AssertionError, match="finite differences"):
            check_layer(md.Tanh(), tolerance={"finite differences": 1e-20})


def test_what_is_no_layer_or_no_shape_is_told():
    with pytest.raises(ArgumentError, match=r"an instance is checked, as Softplus\(\.\.\.\) makes one"):
        check_layer(strangers.Softplus)
    with pytest.raises(
        ArgumentError, match=r"input_shape must be \(batch, features\), such as \(4, 5\); got 5"
    ):
        check_layer(strangers.Softplus(), input_shape=5)
