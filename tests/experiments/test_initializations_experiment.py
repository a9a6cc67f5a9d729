"""004-1 to 7, quickly; and that a wrong initializer, layer, loss or probe turns red."""

import json
from functools import partial
from math import sqrt

import numpy as np
import pytest
from tolerances import FLOAT64_ROUNDING, STANDARD_ERRORS
from tutorial_helpers import QUICK, what_differs

import minidrop as md
from minidrop import probes
from minidrop.backends.base import Backend
from minidrop.config import TrainConfig
from minidrop.experiments import Plan, experiment
from minidrop.experiments import initializations as module
from minidrop.experiments.network_theory import expected_variances, variance_law
from minidrop.experiments.reproduce import reproduce
from minidrop.experiments.tutorial_network import HIDDEN, SETTINGS, kaiming, network
from minidrop.experiments.verdicts import AGREES, DIFFERS, NOT_JUDGED
from minidrop.initializers import Fans, draw


@pytest.fixture(scope="module")
def initializations(tmp_path_factory):
    return reproduce(experiment("initializations"), QUICK, tmp_path_factory.mktemp("initializations"))


@pytest.fixture
def without_figures(monkeypatch):
    """Let the analysis draw nothing, which takes most of its time."""
    monkeypatch.setattr(module, "drawings", lambda *_: [])


@pytest.fixture
def judge(tmp_path, without_figures):
    """What differs in the analysis of some jobs."""
    return partial(what_differs, tmp_path)


def test_initializations_quickly(initializations):
    assert not initializations.broken
    findings = initializations.findings
    ratios = [q for q in findings.quantities if q.rule == "exact"]
    assert [q.published for q in ratios] == [6.5536, 1.6384, 1.6384, 0.4096]
    assert all(q.verdict == AGREES and len(q.ours) == 3 for q in ratios)
    others = [q for q in findings.quantities if q.rule != "exact"]
    assert len(others) == 7 * 5 + 3 * 5
    assert {q.verdict for q in others} == {NOT_JUDGED}  # they are of other data
    assert [claim.verdict for claim in findings.claims] == [AGREES] * 9
    (table,) = findings.tables
    assert len(table.rows) == 7 * 2 * 5
    assert {row[0] for row in table.rows} == {setting.title for setting in SETTINGS.values()}
    names = {"activation-variances", "gradient-variances", "activations", "gradients"}
    assert {drawing.name for drawing in findings.drawings} == names
    json.loads((initializations.folder / "results.json").read_text())


def test_the_law_is_near_our_means(initializations):
    (table,) = initializations.findings.tables
    for title, part, layer, ours, _, law, _ in table.rows:
        if part == "activations" and layer < 8:  # the last layer has ten units, and a wide distribution
            assert ours == pytest.approx(law, rel=0.2), (title, layer)


def test_published_variances_are_judged_in_the_distribution_of_our_draws(without_figures):
    this = experiment("initializations")
    rng = np.random.default_rng(0)

    def draws(setting, factor=1.0):
        spread = np.exp(0.1 * rng.standard_normal((40, 5)))
        return {
            "input": [1.0],
            "activations": (factor * spread * setting.activations).tolist(),
            "gradients": (factor * spread * (setting.gradients or [1.0] * 5)).tolist(),
            "law": np.ones((40, 5, 2)).tolist(),
            "hidden_gradient": [0.0],
            "slope_error": 0.0,
            "unit_error": 0.0,
            "histograms": None,
        }

    near = this.analyse(Plan(), {name: draws(setting) for name, setting in SETTINGS.items()})
    far = this.analyse(Plan(), {name: draws(setting, 2.0) for name, setting in SETTINGS.items()})
    for findings, verdict in ((near, AGREES), (far, DIFFERS)):
        found = [q for q in findings.quantities if q.rule == "interval"]
        assert len(found) == 50
        assert {q.verdict for q in found} == {verdict}


WRONG_INITIALIZERS = {
    "kaiming": (md.KaimingNormal, lambda self, rng, fans, out: md.FanIn(1.0)(rng, fans, out)),
    "xavier": (md.XavierUniform, lambda self, rng, fans, out: md.KaimingUniform(1.0)(rng, fans, out)),
    "equal-variance": (md.FanIn, lambda self, rng, fans, out: md.KaimingNormal(1.0, "out")(rng, fans, out)),
    "std-0.01": (md.Normal, lambda self, rng, fans, out: md.Uniform(-0.01, 0.01)(rng, fans, out)),
}


@pytest.mark.parametrize("name", WRONG_INITIALIZERS)
def test_a_wrong_initializer_turns_red(judge, monkeypatch, name):
    monkeypatch.setattr(WRONG_INITIALIZERS[name][0], "__call__", WRONG_INITIALIZERS[name][1])
    (text,) = judge("initializations", name)
    assert text.startswith(f"{SETTINGS[name].title}: each layer's variance is")


def no_bias(self, x):
    y = self.array("y", (len(x), self.out_features), self.dtype)
    self.backend.xp.matmul(x, self.weight.value.T, out=y)
    self.save(x, output=y)
    return y


def nothing_for_weights(self, dy):
    self.saved(dy)
    self.weight.new_grad()[...] = 0
    self.backend.column_sums(dy, self.bias.new_grad())


def leaky(self, x, y):
    np.multiply(x, np.where(x > 0, 1.0, 0.1), out=y)


def wrong_tanh(self, dy, y, dx):
    np.multiply(dy, 1 - y, out=dx)


def larger(self, x, y):
    np.multiply(x, 1.1, out=y)


WRONG_LAYERS = {
    "no bias": ("std-0.01", md.Linear, "forward", no_bias, "each layer's variance"),
    "no dW": ("xavier", md.Linear, "backward_parameters", nothing_for_weights, "the loss changes"),
    "tanh'": (
        "xavier-tanh",
        md.Tanh,
        "gradient",
        lambda self, dy, y, dx: np.multiply(dy, 1 - y, out=dx),
        "the loss",
    ),
    "relu'": ("kaiming", md.ReLU, "backward", lambda self, dy: dy.copy(), "the loss changes"),
    "identity": (
        "xavier",
        md.Identity,
        "function",
        lambda self, x, y: np.multiply(x, 1.1, out=y),
        "the unit",
    ),
    "leaky": ("kaiming", md.ReLU, "function", leaky, "the unit is applied"),
}


@pytest.mark.parametrize("bug", WRONG_LAYERS)
def test_a_wrong_layer_turns_red(judge, monkeypatch, bug):
    name, cls, method, wrong, text = WRONG_LAYERS[bug]
    assert hasattr(cls, method)
    monkeypatch.setattr(cls, method, wrong)
    assert any(text in found for found in judge("initializations", name))


def test_a_wrong_loss_turns_red(judge, monkeypatch):
    right = Backend.softmax_cross_entropy

    def without_label(self, logits, labels, scale, gradient, scratch):
        loss = right(self, logits, labels, scale, gradient, scratch)
        gradient[range(len(labels)), labels] += scale
        return loss

    for cls in {Backend, *(c for c in Backend.__subclasses__() if "softmax_cross_entropy" in vars(c))}:
        monkeypatch.setattr(cls, "softmax_cross_entropy", without_label)
    assert "constant 0.005: equal weights leave" in " ".join(judge("initializations", "constant"))


def test_a_wrong_probe_turns_red(judge, monkeypatch):
    right = probes.activations

    def rounded(model, x):
        return {name: a.astype(np.float32) for name, a in right(model, x).items()}

    monkeypatch.setattr(probes, "activations", rounded)
    assert any("variance of layer 2 / layer 0" in found for found in judge("initializations", "constant"))


def test_the_laws_standard_deviation_is_that_of_many_draws():
    rng = np.random.default_rng(5)
    h = rng.normal(size=(20, 6)) @ np.diag([3, 1, 1, 1, 1, 0.1]) + 1
    std, bias_std, units, n = 0.3, 0.7, 4, 20_000
    w, b = std * rng.standard_normal((n, 6, units)), bias_std * rng.standard_normal((n, 1, units))
    drawn = (h @ w + b).var(axis=(1, 2))
    mean, variance = variance_law(h, units, std, bias_std)
    assert abs(drawn.mean() - mean) < STANDARD_ERRORS * sqrt(variance / n)
    error = np.std((drawn - mean) ** 2) / sqrt(n)
    assert abs(np.mean((drawn - mean) ** 2) - variance) < STANDARD_ERRORS * error


def test_the_documents_laws():
    sizes = [784, *HIDDEN, 10]
    law = {name: expected_variances(sizes, setting, 1.0) for name, setting in SETTINGS.items()}
    v = 1.0
    for i, d in enumerate(sizes[:-1]):
        v = d * 0.1**2 * v + 0.1**2
        assert law["std-0.1"][i] == pytest.approx(v, rel=FLOAT64_ROUNDING)
    assert law["equal-variance"] == pytest.approx([1] * 5, rel=FLOAT64_ROUNDING)
    assert law["kaiming"] == pytest.approx([1] * 5, rel=FLOAT64_ROUNDING)
    assert law["xavier"][0] == pytest.approx(2 * 784 / (784 + 512), rel=FLOAT64_ROUNDING)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_settings_say_what_their_initializers_do(name):
    setting = SETTINGS[name]
    for i, (d, n) in enumerate([(300, 200), (200, 100)]):
        layer = network([300, 200, 100], setting)[2 * i]
        weights = draw(layer.weight.initializer, (n, d), Fans(d, n), seed=2)
        std = setting.std(i, d, n)
        error = std / sqrt(2 * weights.size)  # of a normal; a uniform's is smaller
        assert abs(weights.std() - std) <= STANDARD_ERRORS * error + FLOAT64_ROUNDING
        biases = draw(layer.bias.initializer, (n,), Fans(d, n), seed=2)
        error = setting.bias_std / sqrt(2 * n)
        assert abs(biases.std() - setting.bias_std) <= STANDARD_ERRORS * error + FLOAT64_ROUNDING


def test_kaiming_is_the_documents_net():
    net = kaiming(TrainConfig(layers="64-32-16-10", dropout="0", seed=3))
    assert [type(layer) for layer in net.layers] == [md.Linear, md.ReLU, md.Linear, md.ReLU, md.Linear]
    assert net[0].weight.initializer == md.FanIn()
    assert {net[2].weight.initializer, net[4].weight.initializer} == {md.KaimingNormal()}
    assert not any(net[i].bias.value.any() for i in (0, 2, 4))
