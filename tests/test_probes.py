"""Probes: activations and gradients are those of a pass by hand, and the model stays as it was."""

import numpy as np
import pytest
from tolerances import FLOAT64_ROUNDING

import minidrop as md
from minidrop import probes
from minidrop.errors import ArrayError

RNG = np.random.default_rng(3)
X = RNG.normal(size=(7, 4))
LABELS = RNG.integers(0, 2, 7)


def model(**options):
    return md.Sequential(
        md.Dropout(0.5, **options),
        md.Linear(4, 5, dtype="float64"),
        md.Sequential(md.Tanh(), md.Dropout(0.5, **options)),
        md.Linear(5, 2, dtype="float64"),
        seed=1,
    )


def test_activations_are_those_of_a_pass_by_hand():
    net = model()
    found = probes.activations(net, X)
    assert list(found) == ["0", "1", "2.0", "2.1", "3"]
    weights = net.state_dict()
    z = X @ weights["1.weight"].T + weights["1.bias"]
    y = np.tanh(z) @ weights["3.weight"].T + weights["3.bias"]
    for name, expected in {"0": X, "1": z, "2.0": np.tanh(z), "2.1": np.tanh(z), "3": y}.items():
        np.testing.assert_allclose(found[name], expected, rtol=FLOAT64_ROUNDING, atol=FLOAT64_ROUNDING)


def test_activations_in_training_are_those_of_the_masks():
    net = model()
    found = probes.activations(net, X, training=True)
    np.testing.assert_array_equal(found["0"], X * net[0].mask * 2)
    np.testing.assert_array_equal(found["2.1"], found["2.0"] * net[2][1].mask * 2)


@pytest.mark.parametrize("training", [True, False])
def test_gradients_are_those_of_a_pass_by_hand(training):
    found = probes.gradients(model(), X, LABELS, training=training)
    net, loss = model(), md.SoftmaxCrossEntropy()
    net.train(training)
    loss.forward(net.forward(X), LABELS)
    net.backward(loss.backward())
    assert list(found) == list(net.parameters())
    for name, parameter in net.parameters().items():
        np.testing.assert_array_equal(found[name], parameter.grad)
        assert abs(found[name]).max() > 0


def test_gradients_of_another_loss_and_of_some_names():
    net = model()
    found = probes.gradients(net, X, LABELS, names="3.*", loss=md.SoftmaxCrossEntropy("sum"))
    assert list(found) == ["3.weight", "3.bias"]
    powers = np.exp(probes.activations(net, X)["3"])
    expected = np.sum(powers / powers.sum(axis=1, keepdims=True) - np.eye(2)[LABELS], axis=0)
    np.testing.assert_allclose(found["3.bias"], expected, rtol=FLOAT64_ROUNDING, atol=FLOAT64_ROUNDING)


@pytest.mark.parametrize("training", [True, False])
def test_a_probe_leaves_the_model_as_it_was(training):
    net = model()
    net.train(training)
    before = net.state_dict()
    first, second = (probes.activations(net, X) for _ in range(2))
    probes.gradients(net, X, LABELS)
    assert net.training is training
    assert all(layer.training is training for _, layer in net.leaves())
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    for name in first:  # what was returned is a copy
        assert not np.shares_memory(first[name], second[name])


@pytest.mark.parametrize("training", [True, False])
def test_each_layer_keeps_its_own_mode_and_its_place_in_its_stream(training):
    """A dropout that is switched off by hand, and one that is at its third step."""
    net = md.Sequential(md.Dropout(0.5), md.DropConnect(4, 3, dtype="float64"), md.Dropout(0.5))
    net.set_step(3)
    net[2].eval()
    x = np.ones((5, 4))
    probes.activations(net, x, training=training)
    probes.gradients(net, x, np.zeros(5, int), training=training)
    md.evaluate(net, md.data.Batches(md.data.Examples(x, np.zeros(5, int)), 5, dtype="float64"))
    assert [layer.training for layer in net.layers] == [True, True, False]
    assert [layer.step for layer in net.layers] == [3, 3, 3]


def test_the_mode_comes_back_after_an_error():
    net = model()
    with pytest.raises(ArrayError):
        probes.activations(net, np.ones((7, 3)))
    with pytest.raises(ArrayError):
        probes.gradients(net, X, LABELS + 9)
    assert all(layer.training for _, layer in net.leaves())


def test_a_probe_between_steps_changes_nothing():
    """Also not with a velocity that its matrix product is added to, where no gradient is written."""

    def train(probe):
        net = model()
        step = md.TrainStep(net, md.SoftmaxCrossEntropy(), md.Momentum(net.parameters(), lr=0.5))
        for _ in range(4):
            step(X, LABELS)
            if probe:
                probes.activations(net, X)
                probes.gradients(net, X, LABELS)
        return net.state_dict()

    plain, probed = train(False), train(True)
    for name in plain:
        np.testing.assert_array_equal(plain[name], probed[name])


def test_layers_that_are_no_chain_are_one_layer():
    class Twice(md.Sequential):
        def forward(self, x):
            return super().forward(super().forward(x))

    net = md.Sequential(Twice(md.Linear(4, 4, dtype="float64")), md.ReLU(), seed=0)
    found = probes.activations(net, X)
    assert list(found) == ["0", "1"]
    np.testing.assert_array_equal(found["1"], net.forward(X))
    assert list(probes.activations(md.Identity(), X)) == [""]


def test_variances():
    arrays = {
        "a": RNG.normal(np.array([0, 10, 20]), size=(50, 3)),
        "b": RNG.normal(size=(9, 2)).astype(np.float32),
    }
    a = arrays["a"]
    expected = ((a - a.mean()) ** 2).mean()
    assert probes.variances(arrays)["a"] == pytest.approx(expected, rel=FLOAT64_ROUNDING)
    expected = np.mean([((unit - unit.mean()) ** 2).mean() for unit in a.T])
    assert probes.variances(arrays, per_unit=True)["a"] == pytest.approx(expected, rel=FLOAT64_ROUNDING)
    exact = arrays["b"].astype(np.float64).var()
    assert probes.variances(arrays)["b"] == pytest.approx(exact, rel=FLOAT64_ROUNDING)  # summed in float64
    with pytest.raises(ArrayError, match="'c' is empty"):
        probes.variances({"c": np.empty((0, 2))})
