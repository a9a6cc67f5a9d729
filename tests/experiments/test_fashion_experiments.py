"""The experiments of document 003: quick runs and exact numbers."""

import json
from dataclasses import replace
from itertools import product
from math import isfinite, sqrt
from statistics import NormalDist

import numpy as np
import pytest
from fashion_helpers import QUICK, made_up, verdicts
from tolerances import FLOAT64_ROUNDING, STANDARD_ERRORS

from minidrop.config import from_dict, resolve
from minidrop.experiments import Plan, experiment
from minidrop.experiments.activation_variance import moments
from minidrop.experiments.dropconnect import example as wan
from minidrop.experiments.dropconnect import meant, raw_and_mean_weights, unscaled
from minidrop.experiments.dropconnect import published as published_dropconnect
from minidrop.experiments.dropout_and_decay import interaction
from minidrop.experiments.fashion import Variant, beside_a_run, nearest, raw_accuracy, variant
from minidrop.experiments.fashion_dropout import PUBLISHED, published
from minidrop.experiments.normal_masks import NormalDropConnect, NormalDropout, NormalRate
from minidrop.experiments.reproduce import reproduce
from minidrop.experiments.stochastic_relu import corrected, gaussian
from minidrop.experiments.training_job import PLAIN, train
from minidrop.runs import Run
from minidrop.testing import check_layer

NAMES = (
    "fashion-dropout",
    "dropout-pairs",
    "dropout-epochs",
    "activation-variance",
    "dropout-at-test",
    "dropout-and-decay",
    "dropconnect",
    "stochastic-relu",
    "noise-contest",
)
SMALL = {"dataset": "digits", "layers": "64-16-16-10", "dropout": "0,0.5,0.5", "mode": "inverted"}


# -- quick runs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "exact", "drawing"),
    [
        ("fashion-dropout", 24, "accuracy"),
        ("dropout-pairs", 4, "pairs"),
        ("dropout-epochs", 1, "accuracy"),
        ("activation-variance", 2, "variance"),
        ("dropout-at-test", 1, "passes"),
        ("dropout-and-decay", 1, "decay"),
        ("dropconnect", 4, "accuracy"),
        ("stochastic-relu", 8, "accuracy"),
        ("noise-contest", 1, "validation"),
    ],
)
def test_a_quick_run_is_as_it_must_be(name, exact, drawing, tmp_path):
    outcome = reproduce(experiment(name), QUICK, tmp_path)
    assert not outcome.broken
    assert list(verdicts(outcome.findings).values()) == ["agrees"] * exact
    assert (tmp_path / f"{drawing}.png").stat().st_size > 10_000
    found = json.loads((tmp_path / "results.json").read_text())
    trained = [job["result"] for job in found["jobs"].values() if "history" in job["result"]]
    assert trained
    assert all(run["diverged"] is None for run in trained)
    assert any(run["history"][-1]["test_error"] < 60 for run in trained)  # chance is 90
    accuracies = [q["mean"] for q in found["quantities"] if "accuracy" in q["name"]]
    assert all(0 <= value <= 1 for value in accuracies)


@pytest.mark.parametrize("name", NAMES)
def test_the_jobs_of_a_full_run_are_the_documents(name):
    jobs = experiment(name).jobs(Plan(data_dir="here"))
    configs = [job.arguments["config"] for job in jobs if job.work is train]
    assert {config["dataset"] for config in configs} == {"fashion-mnist"}
    assert {config["layers"] for config in configs} == {"784-256-256-10"}
    assert {(c["lr"], c["batch_size"], c["optimizer"], c["limit"]) for c in configs} == {(0.1, 256, "sgd", 0)}
    epochs = {"dropout-epochs": {5, 20}, "noise-contest": {30}}
    assert {config["epochs"] for config in configs} == epochs.get(name, {10})
    assert {config["seed"] for config in configs} == set(range(5))


@pytest.mark.parametrize("name", NAMES)
def test_missing_diverged_and_shorter_runs_are_results(name):
    """The analysis of a full run copes with each, and a figure is drawn of what is left."""
    plan = Plan(data_dir="here")
    this = experiment(name)
    jobs = [job for job in this.jobs(plan) if job.work is train]
    results = {job.key: made_up(job, 0.001 * i) for i, job in enumerate(jobs)}
    full = this.analyse(plan, results)
    assert {q.verdict for q in full.quantities if "accuracy" in q.name} <= {"agrees", "differs", "not judged"}
    assert all(isfinite(q.half) for q in full.quantities if q.rule == "interval")
    first, second, third = [job.key for job in jobs][:3]
    del results[first]
    results[second] |= {"diverged": "the loss became inf", "history": [], "followed": [], "probe": None}
    results[third] |= {key: results[third][key][:2] for key in ("history", "followed")}
    partly = this.analyse(plan, results)
    assert any(second in note for note in partly.notes)
    partly.drawings[0].figure.canvas.draw()
    nothing = this.analyse(plan, {})
    assert all(claim.holds is None or name == "activation-variance" for claim in nothing.claims)


def test_sums_are_judged_where_no_network_is_a_guess_and_never_proven():
    this, plan = experiment("dropout-and-decay"), Plan(data_dir="here")
    jobs = [job for job in this.jobs(plan) if job.work is train]
    claims = this.analyse(plan, {job.key: made_up(job) for job in jobs}).claims
    sums = [claim for claim in claims if "the effects add" in claim.text]
    assert [claim.text.partition(":")[0] for claim in sums] == [
        f"weight decay {decay:g}" for decay in (1e-5, 1e-4, 1e-3, 1e-2) for _ in ("scaled", "raw")
    ]
    assert {claim.verdict for claim in sums} == {"open"}


def test_a_number_is_shown_once_and_the_law_of_dropout_only_where_there_is_dropout():
    this, plan = experiment("activation-variance"), Plan(data_dir="here")
    found = this.analyse(plan, {job.key: made_up(job) for job in this.jobs(plan)})
    plain = [q.name for q in found.quantities if q.name.startswith("no dropout")]
    assert plain == ["no dropout, layer 1: variance", "no dropout, layer 2: variance"]
    assert len(found.quantities) == 6
    assert [claim.text.partition(",")[0] for claim in found.claims] == ["dropout 0.5"] * 2


def test_the_epoch_that_is_nearest_to_a_published_number():
    run = {"history": [{"test_error": 100 * (1 - value)} for value in (0.5, 0.7, 0.9)], "followed": []}
    shown = [Variant("net", {0: run, 1: run}, {"scaled": 0.72}), Variant("none", {}, {"scaled": 0.72})]
    rows = nearest(shown).rows
    assert rows == [("net", "scaled", 0.72, 2, pytest.approx(0.7), 3)]


# -- exact numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", PUBLISHED)
def test_what_the_published_mask_drops(d):
    drop = NormalDist().cdf(d)
    rate, scale, half = PUBLISHED[d]
    assert round(drop, 3) == rate
    assert abs((1 - drop) / (1 - d) - scale) < half
    assert abs(1 - NormalRate.of(d).keep - drop) <= 2.0**-17
    layer = NormalDropout(d, seed=3, backend="numpy")
    y = layer.forward(np.ones((500, 400)))
    assert abs(1 - layer.mask.mean() - drop) < STANDARD_ERRORS * sqrt(drop * (1 - drop) / y.size)
    assert set(np.unique(y)) == {0.0, 1 / (1 - d)}


def test_the_published_layer_in_evaluation_and_at_its_ends():
    x = np.linspace(-1, 1, 20).reshape(4, 5)
    layer = NormalDropout(0.5, backend="numpy")
    layer.eval()
    assert np.array_equal(layer.forward(x), x)
    assert np.array_equal(layer.backward(x), x)
    assert not NormalDropout(1.0, backend="numpy").forward(x).any()
    layer.train()
    layer.use_mask(np.eye(4, 5, dtype=bool))
    assert np.array_equal(layer.forward(x), 2 * x * np.eye(4, 5))


def test_the_published_layers_masks_are_a_function_of_seed_and_step():
    x = np.ones((10, 10))
    one, other = NormalDropout(0.5, seed=1, backend="numpy"), NormalDropout(0.5, seed=1, backend="numpy")
    first = one.forward(x)
    assert np.array_equal(other.forward(x), first)
    assert not np.array_equal(one.forward(x), first)
    one.set_step(0)
    assert np.array_equal(one.forward(x), first)


@pytest.mark.parametrize("layer", [NormalDropout(0.5), NormalDropConnect(5, 3, drop_prob=0.5)])
def test_the_backward_passes_of_the_published_layers(layer):
    assert check_layer(layer).passed


def test_the_law_of_the_variance_over_all_masks():
    """The mean over the 2^6 masks of a batch's variance is `expected`, exactly."""
    a, q = np.array([[0.3, 1.0], [0.0, 2.0], [1.5, 0.2]]), 0.5
    masks = np.array(list(product((0, 1), repeat=a.size))).reshape(-1, *a.shape)
    found = moments(a, a, q)
    mean = (a * masks / q).var(axis=1).mean()
    assert found["expected"] == pytest.approx(mean, rel=FLOAT64_ROUNDING)
    assert found["before"] == found["after"] == a.var(axis=0).mean()
    undivided = (a * masks).mean(axis=0), (a * masks).var(axis=0)  # over masks, for each a alone
    assert undivided[1] == pytest.approx(q * (1 - q) * a * a)
    assert found["document"] == pytest.approx((undivided[1].mean(axis=0) + q * a.var(axis=0)).mean())


def test_the_standard_error_of_the_variance():
    """Its formula is of first order in one mask element, so a batch of 200 has it within a few percent."""
    rng = np.random.default_rng(0)
    a, q = rng.random((200, 5)), 0.3
    measured = [(a * (rng.random(a.shape) < q) / q).var(axis=0).mean() for _ in range(2000)]
    found = moments(a, a, q)
    assert np.std(measured) == pytest.approx(found["error"], rel=STANDARD_ERRORS / sqrt(2 * 2000))
    assert abs(np.mean(measured) - found["expected"]) < STANDARD_ERRORS * found["error"] / sqrt(2000)


def test_the_accuracy_on_raw_pixels():
    run = Run(resolve(PLAIN | SMALL, preset="digits"))
    test = run.dataset.test
    hidden = test.inputs.astype("float32")
    for i in (1, 4, 7):
        layer = run.model[i]
        hidden = hidden @ layer.weight.value.T + layer.bias.value
        hidden = np.maximum(hidden, 0) if i < 7 else hidden
    assert raw_accuracy(run) == pytest.approx((hidden.argmax(axis=1) == test.labels).mean())


def test_networks_of_one_seed_begin_with_the_same_weights():
    config = resolve(PLAIN | SMALL | {"seed": 5}, preset="digits")
    plain = Run(config).model.state_dict().values()
    for build in (published, corrected, gaussian, published_dropconnect, meant, wan):
        weights = build(config).state_dict().values()
        assert all(np.array_equal(a, b) for a, b in zip(plain, weights, strict=True)), build


def test_mean_weights_are_the_layers_with_k_w():
    run = Run(resolve(PLAIN | SMALL, preset="digits"), build=wan)
    test = run.dataset.test
    hidden = test.inputs.astype("float32") / run.dataset.maximum
    for layer in (run.model[1], run.model[3]):
        hidden = np.maximum(hidden @ (0.5 * layer.linear.weight.value.T) + layer.linear.bias.value, 0)
    logits = hidden @ run.model[5].weight.value.T + run.model[5].bias.value
    found = raw_and_mean_weights(run)
    assert found["mean weights"] == pytest.approx((logits.argmax(axis=1) == test.labels).mean())


def test_effects_that_add_have_no_interaction():
    def one(accuracy):
        run = {"history": [{"test_error": 100 * (1 - accuracy)}], "diverged": None}
        return variant({"x-seed-0": run}, [0], "x", "x")

    found = {("dropout", 0.5): one(0.7), ("dropout", 0.0): one(0.8), ("none", 0.5): one(0.75)}
    assert interaction(found | {("none", 0.0): one(0.85)}, 0.5, "scaled") == pytest.approx([0.0])
    assert interaction(found | {("none", 0.0): one(0.9)}, 0.5, "scaled") == pytest.approx([0.05])


def test_a_single_published_run_is_judged_by_the_spread_of_a_run():
    ours = [0.78, 0.80, 0.82, 0.79, 0.81]
    half = float(2.7764 * np.std(ours, ddof=1) * sqrt(1 + 1 / 5))
    assert beside_a_run("accuracy", ours, 0.80 + half + 0.004, 2).verdict == "agrees"
    assert beside_a_run("accuracy", ours, 0.80 - half - 0.004, 2).verdict == "agrees"
    assert beside_a_run("accuracy", ours, 0.80 + half + 0.006, 2).verdict == "differs"
    assert beside_a_run("accuracy", ours, 0.80 + half + 0.004, 3).verdict == "differs"
    assert beside_a_run("accuracy", ours[:1], 0.8).verdict == "not judged"


def test_dropconnect_that_is_not_scaled_is_run_in_other_coordinates():
    """Its steps are those of W with (M ∘ W) x in training, learning rate η and all of the initial weights."""
    jobs = {job.key: job.arguments for job in experiment("dropconnect").jobs(QUICK)}
    run, begin = (
        Run(replace(from_dict(jobs[f"{key}-seed-0"]["config"]), dtype="float64"), build=build)
        for key, build in (("unscaled", unscaled), ("meant", meant))
    )
    (w1, b1, w2, b2, w3, b3) = begin.model.state_dict().values()
    for x, labels in list(run.train.epoch(0))[:5]:
        run.step(x, labels)
        m1, m2 = run.model[1].mask, run.model[3].mask
        h1 = np.maximum(x @ (m1 * w1).T + b1, 0)
        h2 = np.maximum(h1 @ (m2 * w2).T + b2, 0)
        p = np.exp(h2 @ w3.T + b3)
        dz3 = (p / p.sum(axis=1, keepdims=True) - np.eye(10)[labels]) / len(x)
        dz2 = dz3 @ w3 * (h2 > 0)
        dz1 = dz2 @ (m2 * w2) * (h1 > 0)
        w3, b3 = w3 - 0.1 * dz3.T @ h2, b3 - 0.1 * dz3.sum(axis=0)
        w2, b2 = w2 - 0.1 * m2 * (dz2.T @ h1), b2 - 0.1 * dz2.sum(axis=0)
        w1, b1 = w1 - 0.1 * m1 * (dz1.T @ x), b1 - 0.1 * dz1.sum(axis=0)
    found = run.model.state_dict().values()
    for ours, wanted in zip(found, (w1 / 2, b1, w2 / 2, b2, w3, b3), strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=0, atol=FLOAT64_ROUNDING)
