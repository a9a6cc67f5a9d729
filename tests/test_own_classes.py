"""Layers, containers and optimizers of one's own are asked, whatever shortcut the library has for its own."""

import numpy as np
import pytest
from tolerances import FLOAT64_ROUNDING

import minidrop as md
from minidrop.errors import DivergenceError, UsageError
from minidrop.fused import blocks
from minidrop.optim.optimizer import LinearRule
from minidrop.replica_step import are_replicas

X = np.random.default_rng(0).standard_normal((6, 8))
LABELS = np.array([0, 1, 2, 0, 1, 2])


class Residual(md.Sequential):
    """y = x + f(x)."""

    def forward(self, x):
        return x + super().forward(x)

    def backward(self, dy):
        return dy + super().backward(dy)


class Around(md.Layer):
    """A container that is no Sequential, and says only what is inside."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = layers

    def leaves(self):
        for i, layer in enumerate(self.layers):
            for name, leaf in layer.leaves():
                yield f"inside.{i}.{name}".rstrip("."), leaf

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy


def linear(inputs, outputs, **options):
    return md.Linear(inputs, outputs, dtype="float64", **options)


def with_residual(*inside):
    return md.Sequential(linear(8, 8), Residual(linear(8, 8), md.ReLU(), *inside), linear(8, 3), seed=1)


def step_of(model, optimizer=md.SGD, **options):
    return md.TrainStep(model, md.SoftmaxCrossEntropy(), optimizer(model.parameters(), lr=0.1), **options)


# -- containers ------------------------------------------------------------------------------------------


def test_a_container_with_passes_of_its_own_is_not_fused_away():
    fused, plain = step_of(with_residual()), step_of(with_residual(), fused=False)
    for _ in range(3):
        assert float(fused(X, LABELS)) == float(plain(X, LABELS))
    for name, value in fused.model.state_dict().items():
        np.testing.assert_array_equal(value, plain.model.state_dict()[name])
    assert not fused.fused
    assert blocks(Residual(linear(8, 8))) is None


class Scaled(md.Sequential):
    """g times a chain: it has a parameter too, and so names itself."""

    def __init__(self, *layers):
        super().__init__(*layers)
        self.g = md.Parameter((1,), md.Constant(2), dtype="float64")

    def own_parameters(self):
        return {"g": self.g}

    def leaves(self):
        yield "", self
        yield from super().leaves()


def test_a_container_with_a_parameter_of_its_own_names_itself():
    model = md.Sequential(Scaled(md.Dropout(0.5, mode="paper"), linear(8, 3)), seed=1)
    assert list(model.named_parameters()) == ["0.g", "0.1.weight", "0.1.bias"]
    with pytest.raises(UsageError, match="has a container of your own"):
        model.mean_network()
    model.eval()
    assert not any(layer.training for layer in model.modules())


def test_a_sequential_inside_another_is_fused():
    assert step_of(md.Sequential(md.Sequential(linear(8, 5), md.ReLU()), linear(5, 3))).fused


def test_only_its_author_knows_the_mean_network_of_a_container():
    with pytest.raises(UsageError, match="has a container of your own: what takes the place of Dropout"):
        with_residual(md.Dropout(0.5, mode="paper"), linear(8, 8)).mean_network()
    model = with_residual(md.Dropout(0.5), linear(8, 8))  # inverted: nothing takes its place
    assert model.mean_network().keys() == model.state_dict().keys()


@pytest.mark.parametrize("kind", [md.Sequential, Around])
def test_the_seed_and_the_step_reach_what_is_inside(kind):
    def model(seed):
        inside = [linear(8, 8), md.Dropout(0.5), linear(8, 8), md.Dropout(0.5)]
        return md.Sequential(kind(*inside), md.Dropout(0.5), linear(8, 3), seed=seed)

    one, same, other = (model(seed).state_dict() for seed in (0, 0, 5))
    for name in one:
        np.testing.assert_array_equal(one[name], same[name])
        assert (one[name] != other[name]).any(), name
    matrices = [value for name, value in one.items() if value.shape == (8, 8)]
    assert (matrices[0] != matrices[1]).any()

    whole, resumed = step_of(model(1), fused=False), step_of(model(1), fused=False)
    resumed.optimizer.steps = 7
    whole.optimizer.steps = 7
    whole.model.set_step(3)  # a step says which masks come next, whatever was drawn before
    whole(X, LABELS), resumed(X, LABELS)
    dropouts = [
        [leaf for _, leaf in step.model.leaves() if isinstance(leaf, md.Dropout)] for step in (whole, resumed)
    ]
    for a, b in zip(*dropouts, strict=True):
        assert a.step == b.step == 8
        np.testing.assert_array_equal(a.mask, b.mask)
    assert len({layer.mask.tobytes() for layer in dropouts[0]}) == 3


def test_an_evaluation_leaves_inner_containers_as_they_were():
    model = with_residual()
    md.evaluate(model, md.data.Batches(md.data.Examples(X, LABELS), 6, dtype="float64"))
    assert [layer.training for layer in model.modules()] == 6 * [True]
    assert len(list(model.modules())) == 6


def test_a_divergence_inside_a_sequential_is_one():
    model = md.Sequential(linear(8, 8), md.Sequential(linear(8, 8), md.ReLU()), linear(8, 3))
    step = step_of(model, fused=False)
    step.optimizer.lr = 1e200
    with pytest.raises(DivergenceError, match="in epoch 1, step "):
        md.fit(step, md.data.Batches(md.data.Examples(X, LABELS), 2, dtype="float64"), 3)


# -- layers ----------------------------------------------------------------------------------------------


class Doubled(md.Linear):
    """y = 2 (x Wᵀ + b), whose base class has a pass for the gradients alone."""

    def forward(self, x):
        return 2 * super().forward(x)

    def backward(self, dy):
        return super().backward(2 * dy)


class DoubledChain(md.Sequential):
    """The same of a chain."""

    def forward(self, x):
        return 2 * super().forward(x)

    def backward(self, dy):
        return super().backward(2 * dy)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Doubled(8, 3, dtype="float64"),
        lambda: md.Sequential(Doubled(8, 3, dtype="float64")),
        lambda: DoubledChain(linear(8, 3)),
        lambda: md.Sequential(DoubledChain(linear(8, 3))),
    ],
)
def test_a_backward_pass_of_ones_own_gives_the_first_layers_gradients(make):
    """Where nobody asks for dx, its base class would give other gradients without it."""
    step = step_of(make(), gradients=True)
    model, loss = make(), md.SoftmaxCrossEntropy()
    step(X, LABELS)
    loss.forward(model.forward(X), LABELS)
    model.backward(loss.backward())
    for name, parameter in model.named_parameters().items():
        np.testing.assert_allclose(
            step.model.named_parameters()[name].grad, parameter.grad, rtol=FLOAT64_ROUNDING
        )


class TwoMatrices(md.Layer):
    def __init__(self):
        super().__init__()
        self.a = md.Parameter((3, 2), md.Normal(1.0))
        self.b = md.Parameter((2, 3), md.Normal(1.0))

    def own_parameters(self):
        return {"a": self.a, "b": self.b}


def test_the_parameters_of_a_layer_alone_do_not_begin_alike():
    layer, seeded = TwoMatrices(), TwoMatrices()
    arena = layer.parameters()
    assert (arena["a"].value.ravel() != arena["b"].value.ravel()).all()
    seeded.seed(0)
    np.testing.assert_array_equal(seeded.parameters().flat_values, arena.flat_values)


@pytest.mark.parametrize("kind", [md.Dropout, md.StochasticReLU, lambda p: md.DropConnect(8, 3, drop_prob=p)])
def test_a_drop_probability_can_be_changed(kind):
    layer, other = kind(0.5), kind(0.9)
    layer.drop_prob = 0.9
    x = X.astype("float32")
    assert repr(layer) == repr(other)
    np.testing.assert_array_equal(layer.forward(x), other.forward(x))
    with pytest.raises(md.errors.ArgumentError, match="drop_prob must be a number in"):
        layer.drop_prob = 1.5
    assert layer.drop_prob == 0.9


# -- optimizers ------------------------------------------------------------------------------------------


class Clipping:
    def update(self, xp, w, g, lr, *slots):
        super().update(xp, w, xp.clip(g, -1, 1), lr, *slots)


class ClippedSGD(Clipping, md.SGD):
    pass


class Twice(md.Momentum):
    def linear_rule(self, lr):
        return LinearRule(self.momentum, 1, -2 * lr)


class TwiceAgain(Twice):
    pass


class Moments(md.Adam):
    def update_moments(self, xp, g, m, v):
        super().update_moments(xp, g, m, v)
        m[...] = 0


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [(ClippedSGD, 0.9), (Twice, -19.0), (TwiceAgain, -19.0), (Moments, 1.0)],
)
def test_kernels_do_not_replace_a_rule_of_ones_own(backend, optimizer, expected):
    layer = md.Linear(1, 1, bias=False, init=md.Constant(1), dtype="float64", backend=backend)
    found = optimizer(layer.parameters(), lr=0.1)
    assert found.formula() is None
    layer.weight.grad[...] = 100.0
    found.step()
    assert layer.weight.value.item() == pytest.approx(expected, rel=FLOAT64_ROUNDING)


def test_a_formula_that_is_newer_than_the_rule_stays():
    class Named(md.SGD):
        def formula(self):
            return super().formula()

    layer = md.Linear(1, 1)
    assert Named(layer.parameters(), lr=0.1).formula() is not None


def test_replicas_on_a_device_ask_an_optimizers_own_step(monkeypatch):
    class Clipped(md.SGD):
        def step(self):
            self.parameters.flat_gradients.clip(-1, 1, out=self.parameters.flat_gradients)
            super().step()

    def steps(optimizer):
        models = [md.Sequential(md.Linear(8, 3, backend="numba"), seed=seed) for seed in (0, 1)]
        return [
            md.TrainStep(
                model, md.SoftmaxCrossEntropy(backend="numba"), optimizer(model.parameters(), lr=0.1)
            )
            for model in models
        ]

    monkeypatch.setattr(type(md.get_backend("numba")), "takes_replicas", True)
    assert are_replicas(steps(md.SGD))
    assert not are_replicas(steps(Clipped))


@pytest.mark.parametrize("schedule", [md.schedules.exponential(1.0, 10.0), md.schedules.step(1.0, 10.0, 1)])
def test_a_schedule_that_overflows_is_refused_by_the_optimizer(schedule):
    assert schedule(400) == float("inf")
    optimizer = md.SGD(md.Linear(1, 1).parameters(), lr=0.1)
    with pytest.raises(md.errors.ArgumentError, match=r"learning rate must be .*, got inf"):
        optimizer.lr = schedule(400)
