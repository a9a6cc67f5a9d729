"""What a layer refuses, each with one line that says what to do, where the other files do not already."""

import numpy as np
import pytest

import minidrop as md
from minidrop.errors import ArgumentError, ArrayError, UsageError
from minidrop.testing import check_layer


def test_a_given_mask_must_fit_in_kind_shape_and_backend():
    layer = md.Dropout(0.5)
    with pytest.raises(ArrayError, match=r"must hold booleans, True where an element stays; got float64"):
        layer.use_mask(np.ones((2, 3)))
    with pytest.raises(ArrayError, match=r"the mask of Dropout.* must be a numpy\.ndarray, .*; got list"):
        layer.use_mask([True, False])
    with pytest.raises(ArrayError, match="must hold floating-point factors; got bool"):
        md.GaussianNoise(0.5).use_mask(np.ones((2, 3), bool))
    layer.use_mask(np.ones((2, 4), bool))
    with pytest.raises(ArrayError, match=r"has shape \(2, 4\), which does not fit \(2, 3\)"):
        layer.forward(np.ones((2, 3)))


@pytest.mark.parametrize("step", [-1, 1.5, None])
def test_a_step_is_a_count(step):
    with pytest.raises(ArgumentError, match="step must be an integer of at least 0"):
        md.Dropout(0.5).set_step(step)


def test_a_refused_seed_changes_nothing():
    layer = md.Dropout(0.5, seed=3)
    stream = layer.stream
    with pytest.raises(ArgumentError, match="seed must be an integer of at least 0"):
        layer.seed(-1)
    assert layer.stream == stream


@pytest.mark.parametrize("dtype", ["float16", ">f4", "int64", "longdouble"])
def test_inputs_of_other_dtypes(dtype):
    with pytest.raises(ArrayError, match="must be float32 or float64"):
        md.ReLU().forward(np.ones((2, 3), dtype))


def test_sequential_takes_layers():
    with pytest.raises(UsageError, match="Sequential takes layers, but at 1 there is a ndarray"):
        md.Sequential(md.ReLU(), np.ones(3))


def test_sequential_knows_whether_it_trains():
    model = md.Sequential(md.ReLU(), md.Sequential(md.Dropout(0.5)))
    model.eval()
    assert not any(layer.training for layer in (model, model[0], model[1], model[1][0]))
    model.train()
    assert all(layer.training for layer in (model, model[0], model[1], model[1][0]))


def test_dropconnects_activation_is_elementwise():
    with pytest.raises(ArgumentError, match=r"must be elementwise, got Linear\(2, 2\)"):
        md.DropConnect(2, 2, activation=md.Linear(2, 2))


def test_dropconnect_keeps_its_last_training_masks_through_an_evaluation():
    layer = md.DropConnect(3, 2, per="example")
    layer.forward(np.ones((2, 3), np.float32))
    mask = layer.mask
    layer.eval()
    layer.forward(np.ones((2, 3), np.float32))
    np.testing.assert_array_equal(layer.mask, mask)


@pytest.mark.parametrize(
    "make",
    [
        lambda: md.Constant(np.nan),
        lambda: md.Normal(np.nan),
        lambda: md.Normal(-1),
        lambda: md.Normal(1, np.inf),
        lambda: md.Uniform(1, -1),
        lambda: md.FanIn(np.nan),
        lambda: md.XavierNormal(-1),
        lambda: md.XavierUniform(np.inf),
        lambda: md.KaimingNormal(np.nan),
        lambda: md.KaimingUniform(-1),
    ],
)
def test_initializers_refuse_what_is_no_distribution(make):
    with pytest.raises(ArgumentError, match="must be a number in"):
        make()


def test_numpys_booleans_are_no_numbers():
    with pytest.raises(ArgumentError):
        md.Dropout(np.True_)


def test_integer_logits():
    with pytest.raises(ArrayError, match="the logits must be float32 or float64, got int64"):
        md.SoftmaxCrossEntropy().forward(np.ones((2, 3), int), np.zeros(2, int))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: md.SGD(md.Linear(2, 2)), r"takes what model\.parameters\(\) returns, got Linear"),
        (lambda: md.SGD(md.Linear(2, 2).parameters(), groups={"*": 3}), "groups map patterns"),
        (lambda: md.SGD(md.Linear(2, 2).parameters(), projections=md.MaxNorm(3)), "projections is a list"),
        (lambda: md.SGDHinton(md.Linear(2, 2).parameters(), slips=None), "slips is a list of ascend-first"),
        (lambda: md.SGDHinton(md.Linear(2, 2).parameters(), limit=None), "limit must be a number"),
        (lambda: md.Linear(2, 2, init="normal"), "an initializer is an object such as Normal"),
        (lambda: md.DropConnect(2, 2, activation="relu"), "the activation is a layer such as ReLU"),
        (lambda: md.data.Batches(np.ones((3, 2)), 1), "Batches takes Examples"),
        (lambda: md.evaluate(md.Linear, None), r"the model must be of type Layer, such as md\.Sequential"),
        (lambda: md.data.Batches(md.data.load("digits").test, 9, scaling=md.Scaling(0)), "must be above 0"),
        (lambda: md.data.Batches(md.data.load("digits").test, 9, scaling=1 / 16), "be of type Scaling"),
    ],
)
def test_arguments_of_another_kind(call, match):
    with pytest.raises(ArgumentError, match=match):
        call()


def test_reading_a_layers_weights_claims_nothing():
    layer = md.Linear(2, 2)
    layer.state_dict()
    model = md.Sequential(layer)
    model.parameters()
    assert model[0].state_dict().keys() == {"weight", "bias"}


def test_the_mean_network_needs_a_matrix_behind_each_paper_dropout():
    with pytest.raises(UsageError, match=r"is not followed by a Linear"):
        md.Sequential(md.Linear(2, 2), md.Dropout(0.5, mode="paper")).mean_network()


def test_a_layer_of_somebody_elses_that_forgets_something_is_told():
    class NoSuper(md.Layer):
        def __init__(self):
            self.scale = 2.0

        def forward(self, x):
            return self.scale * self.check_input(x)

    class Bare(md.Layer):
        def __init__(self, own):
            super().__init__()
            self.own = own

        def own_parameters(self):
            return self.own

        @property
        def doubled(self):
            return 2 * self.onw

    with pytest.raises(
        UsageError, match=r"NoSuper\.__init__ must call super\(\)\.__init__\(\) before all else"
    ):
        NoSuper().forward(np.ones((2, 3)))
    with pytest.raises(UsageError, match="must call super"):
        md.Sequential(NoSuper())
    with pytest.raises(AttributeError, match="'ReLU' object has no attribute 'slope'"):
        _ = md.ReLU().slope
    with pytest.raises(AttributeError, match="'Bare' object has no attribute 'onw'"):
        _ = Bare({}).doubled
    for use in (md.Sequential, md.Layer.parameters, check_layer):
        with pytest.raises(
            ArgumentError, match=r"Bare's parameter W must be of type Parameter, .*; got ndarray"
        ):
            use(Bare({"W": np.ones(3)}))
        with pytest.raises(
            ArgumentError, match=r"Bare\.own_parameters\(\) returns must be of type Mapping, .* list"
        ):
            use(Bare([]))


@pytest.mark.parametrize(
    ("init", "got"), [(md.Normal, "the class Normal"), (np.ones((2, 3)), "ndarray"), (0.1, "float")]
)
@pytest.mark.parametrize("which", ["init", "bias_init"])
def test_an_initializer_is_an_object(which, init, got):
    with pytest.raises(
        ArgumentError, match=rf"an initializer is an object such as Normal\(0\.01\), got {got}"
    ):
        md.Linear(3, 2, **{which: init})


def test_a_parameter_that_cannot_be():
    for shape in (3, [3]):
        with pytest.raises(ArgumentError, match=r"a parameter's shape must be a tuple, such as \(3,\); got "):
            md.Parameter(shape, md.Constant(1))
    with pytest.raises(ArgumentError, match="dtype must be one of float32, float64"):
        md.Parameter((3,), md.Constant(1), dtype="int32")
    assert md.Parameter((), md.Normal(1)).value.shape == ()


def test_the_parameters_of_a_layer_draw_each_their_own():
    class Affine(md.Layer):
        def __init__(self):
            super().__init__()
            self.gain, self.shift = (md.Parameter((4,), md.Normal(1)) for _ in range(2))

        def own_parameters(self):
            return {"gain": self.gain, "shift": self.shift}

    layer = md.Sequential(Affine(), seed=3)[0]
    assert (layer.gain.value != layer.shift.value).all()
