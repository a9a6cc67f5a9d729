"""The experiments of document 001 and the timing of document 002: machinery, exact parts, injected bugs."""

import json
import re
from dataclasses import replace
from math import log

import numpy as np
import pytest
from tolerances import FLOAT64_ROUNDING, TRAINING_PATH_FLOAT32

import minidrop.runs
from minidrop.backends import get_backend
from minidrop.data import Examples, load
from minidrop.experiments import Plan, experiment, notebook_split, wide_nets
from minidrop.experiments.batch_passes import rounding_apart, ways
from minidrop.experiments.dropout_moments import noise_theory, standard_errors, theory
from minidrop.experiments.notebook import batch_loss
from minidrop.experiments.notebook_loop import compare_by_hand, machinery
from minidrop.experiments.reproduce import reproduce
from minidrop.experiments.runner import run_jobs
from minidrop.experiments.verdicts import AGREES, DIFFERS, NOT_JUDGED, Quantity
from minidrop.experiments.wide_nets import PUBLISHED, columns_of, spread
from minidrop.fused import Block
from minidrop.initializers import KaimingUniform, TorchLinear
from minidrop.layers import Dropout, Linear
from minidrop.layers.stochastic import DropRate
from minidrop.losses import SoftmaxCrossEntropy
from minidrop.optim import SGD
from minidrop.optim.optimizer import LinearRule

QUICK = Plan(quick=True, backend="numpy")


def run(name, folder):
    return reproduce(experiment(name), QUICK, folder)


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    return run("wide-nets", tmp_path_factory.mktemp("wide-nets"))


def found(name, folder, keys=slice(None)):
    """What some of an experiment's jobs lead to, without its files."""
    this = experiment(name)
    return this.analyse(QUICK, run_jobs(this.jobs(QUICK)[keys], folder))


def red(findings):
    """The texts of what must be exact and is not."""
    return [c.text for c in findings.claims if c.exact and c.verdict == DIFFERS] + [
        q.name for q in findings.quantities if q.rule == "exact" and q.verdict == DIFFERS
    ]


def jobs_of(outcome):
    return json.loads((outcome.folder / "results.json").read_text())["jobs"]


# -- 001-1 -----------------------------------------------------------------------------------------------


def test_scaling_has_the_published_means_and_the_variances_of_theory(tmp_path):
    outcome = run("dropout-scaling", tmp_path)
    assert not outcome.broken
    assert [q.published for q in outcome.findings.quantities] == [0.5, 0.35, 0.35]
    assert all(q.verdict == AGREES and q.tolerance < 1e-3 for q in outcome.findings.quantities)
    assert len(outcome.findings.claims) == 6
    assert all(claim.verdict == AGREES for claim in outcome.findings.claims)
    assert (tmp_path / "moments.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("name", "mean", "variance"),
    [
        ("x", 1 / 2, 1 / 12),
        ("paper training", 0.35, 0.7 / 3 - 0.35**2),
        ("paper evaluation", 0.35, 0.49 / 12),
        ("inverted training", 1 / 2, 1 / 12 / 0.7 + 0.3 / 0.7 / 4),  # Var/k + (1-k)/k E[x]²
        ("inverted evaluation", 1 / 2, 1 / 12),
    ],
)
def test_theory_is_that_of_a_masked_uniform_number(name, mean, variance):
    assert theory(name)[:2] == pytest.approx((mean, variance), rel=FLOAT64_ROUNDING)


def test_fourth_moments_are_those_of_a_uniform_and_of_a_normal_number():
    assert theory("x")[2] == pytest.approx(1 / 80, rel=FLOAT64_ROUNDING)
    assert standard_errors(theory("x"), 100) == pytest.approx((12**-0.5 / 10, (1 / 80 - 1 / 144) ** 0.5 / 10))
    _, variance, fourth = noise_theory("element")
    assert fourth == pytest.approx(3 * variance**2)


def test_a_shared_mask_is_not_averaged_over_the_batch():
    assert noise_theory("feature")[1] > 400 * noise_theory("element")[1]


@pytest.mark.parametrize(
    ("target", "name", "wrong", "expected"),
    [
        (DropRate, "scale", property(lambda self: 1.0), "inverted training"),
        (DropRate, "keep", property(lambda self: 1.0), "mean of paper evaluation"),
        (Dropout, "draw_keep", lambda self, shape, rate: np.ones(shape, bool), "mean of paper training"),
    ],
)
def test_a_wrong_dropout_turns_the_scaling_red(tmp_path, monkeypatch, target, name, wrong, expected):
    monkeypatch.setattr(target, name, wrong)
    assert any(expected in text for text in red(found("dropout-scaling", tmp_path)))


# -- 001-2, 3, 4 -----------------------------------------------------------------------------------------


def test_wide_nets_run(wide):
    assert not wide.broken
    findings = wide.findings
    published = {0.928, 0.931, 0.947, 0.24539, 0.24044, 0.19025, None}
    assert {q.published for q in findings.quantities} == published
    assert {q.verdict for q in findings.quantities} == {NOT_JUDGED}
    last = jobs_of(wide)["last-seed-0"]["result"]
    assert [q.ours for q in findings.quantities if q.published is None] == [
        [last["last"][measure] - last["others"][measure]] for measure in ("accuracy", "loss")
    ]
    assert sum(claim.exact and claim.verdict == AGREES for claim in findings.claims) == 5
    assert [len(table.rows) for table in findings.tables] == [3, 3]
    assert 'published as "train/loss"' in findings.tables[0].columns
    assert {drawing.name for drawing in findings.drawings} == {"accuracy", "losses"}


def test_the_last_batch_is_told_of_and_the_weights_are_deleted(wide):
    result = jobs_of(wide)["none-seed-0"]["result"]
    accuracy, loss, batch, right = columns_of(result)
    assert len(accuracy) == len(loss) == len(batch) == len(right) == 3
    assert 0 < batch[-1] < log(10)
    assert 0.2 < right[-1] <= 1
    assert batch != loss
    assert not list((wide.folder / "jobs").rglob("*.safetensors"))


def test_wide_nets_without_some_jobs_and_with_diverged_ones(wide):
    results = {key: job["result"] for key, job in jobs_of(wide).items()}
    some = {key: results[key] for key in ("none-seed-0", "by-hand-none")}
    some["feature-seed-0"] = results["feature-seed-0"] | {"history": results["feature-seed-0"]["history"][:1]}
    some["feature-seed-1"] = some["feature-seed-0"] | {"history": [], "followed": [], "diverged": "too far"}
    lost = [None, *results["none-seed-0"]["followed"][1:]]
    some["none-seed-0"] = some["none-seed-0"] | {"followed": lost}
    findings = experiment("wide-nets").analyse(QUICK, some)
    assert len(findings.quantities) == 2
    assert any("too far" in note for note in findings.notes)
    nothing = experiment("wide-nets").analyse(QUICK, {})
    assert nothing.quantities == []
    assert all(claim.exact for claim in nothing.claims), "no claim on what is not there"


def test_the_published_numbers_are_ten_epochs_of_three_runs():
    assert [len(rows) for documents in PUBLISHED.values() for rows in documents] == [10, 10, 10]
    assert all(len(row) == 4 for documents in PUBLISHED.values() for rows in documents for row in rows)
    assert 0.005 < spread(0) < 0.01
    assert 0.005 < spread(1) < 0.02


def test_the_last_examples_are_judged_apart_and_not_learnt_from(tmp_path, monkeypatch):
    digits = load("digits")
    labels = digits.train.labels.copy()
    labels[-237:] = (labels[-237:] + 1) % 10
    wrong = replace(digits, train=Examples(digits.train.inputs, labels))
    monkeypatch.setattr(notebook_split, "load", lambda *_: wrong)
    config = wide_nets.config(QUICK) | {"layers": "64-64-10", "epochs": 10}
    (job,) = notebook_split.judging(QUICK, config)
    found = job.work(tmp_path, **job.arguments)
    assert found["others"]["accuracy"] > 0.9
    assert found["last"]["accuracy"] < 0.1
    assert found["last"]["loss"] > 10 * found["others"]["loss"]


def test_what_differs_is_seen_on_the_documents_examples():
    def measured(accuracy, loss):
        return {"accuracy": accuracy, "loss": loss}

    results = {
        f"last-seed-{seed}": {"last": measured(0.95 + e, 0.2 - e), "others": measured(0.94, 0.22)}
        for seed, e in enumerate((-0.0001, 0.0, 0.0001))
    }
    apart = notebook_split.differences(results | {"none-seed-0": {}})
    assert [round(q.mean, 6) for q in apart.values()] == [0.01, -0.02]
    quantities = [
        Quantity("validation accuracy, explained", [0.93, 0.931, 0.932], 0.941, tolerance=0.002),
        Quantity("validation accuracy, higher already", [0.95, 0.951, 0.952], 0.941, tolerance=0.002),
        Quantity("validation loss, explained", [0.22], 0.2, tolerance=0.001),
        Quantity("validation accuracy, agrees", [0.931], 0.931, tolerance=0.001),
    ]
    rows = notebook_split.on_the_last(quantities, apart).rows
    assert [[row[0].partition(", ")[2], round(row[3], 6), row[4]] for row in rows] == [
        ["explained", 0.941, AGREES],
        ["higher already", 0.961, DIFFERS],
        ["explained", 0.2, AGREES],
    ]
    assert notebook_split.differences({"none-seed-0": {}}) == {}
    one = {key: replace(q, ours=q.ours[:1]) for key, q in apart.items()}
    assert notebook_split.on_the_last(quantities[2:3], one).rows[0][4] == AGREES  # one seed has no interval


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float32", TRAINING_PATH_FLOAT32), ("float64", FLOAT64_ROUNDING)]
)
def test_loss_and_accuracy_come_back_from_the_gradient(dtype, tolerance):
    rng = np.random.default_rng(0)
    logits, labels = 3 * rng.standard_normal((50, 10)).astype(dtype), rng.integers(0, 10, 50)
    loss = SoftmaxCrossEntropy(backend="numpy")
    expected = float(loss.forward(logits, labels))
    told, accuracy = batch_loss(loss.backward())
    assert told == pytest.approx(expected, rel=tolerance)
    assert accuracy == (logits.argmax(axis=1) == labels).mean()


def wrong_init(self, rng, fans, out):
    KaimingUniform()(rng, fans, out)


WRONG = {
    "optimizer": (SGD, "linear_rule", lambda self, lr: LinearRule(1, -1.01 * lr, 0), "loop"),
    "ascending": (SGD, "linear_rule", lambda self, lr: LinearRule(1, lr, 0), "loop"),
    "scale in training": (Block, "scale", property(lambda self: 1.25), "loop"),
    "no scale in evaluation": (DropRate, "keep", property(lambda self: 1.0), "Evaluation"),
    "initializer": (TorchLinear, "__call__", wrong_init, "begin"),
}


@pytest.mark.parametrize("bug", WRONG)
def test_a_wrong_layer_optimizer_or_initializer_turns_the_loop_red(tmp_path, monkeypatch, bug):
    target, name, wrong, expected = WRONG[bug]
    monkeypatch.setattr(target, name, wrong)
    claims = machinery({"by-hand-feature": compare_by_hand(tmp_path, "feature")})
    texts = [claim.text for claim in claims if claim.exact and claim.verdict == DIFFERS]
    assert any(expected in text for text in texts)


def test_a_mask_for_each_example_is_not_taken_for_the_published_one(tmp_path):
    claims = machinery({"by-hand-feature": compare_by_hand(tmp_path, "element")})
    assert [claim.text[:12] for claim in claims if claim.verdict == DIFFERS] == ["As published"]


# -- 001-5 -----------------------------------------------------------------------------------------------


def test_where_dropout_wins_runs(tmp_path):
    outcome = run("where-dropout-wins", tmp_path)
    assert not outcome.broken
    exact = [claim for claim in outcome.findings.claims if claim.exact]
    assert [claim.text for claim in exact] == [
        "Every net makes 180 updates with 1200 training examples",
        "Every net makes 30 updates with 100 training examples",
    ]
    (table,) = outcome.findings.tables
    assert len(table.rows) == 4
    assert {row[-1] for row in table.rows if row[1] == "no dropout"} == {""}
    others = [row[-1] for row in table.rows if row[1] != "no dropout"]
    assert all(
        re.fullmatch(r"lower in 95 % of the epochs from [1-4] on|never lower for good", text)
        for text in others
    )
    results = {key: job["result"] for key, job in jobs_of(outcome).items() if key != "none-100-seed-0"}
    assert len(experiment("where-dropout-wins").analyse(QUICK, results).tables[0].rows) == 3
    assert experiment("where-dropout-wins").analyse(QUICK, {}).tables[0].rows == []


def test_a_training_set_of_another_size_turns_it_red(tmp_path, monkeypatch):
    monkeypatch.setattr(minidrop.runs, "split", lambda examples, *_: (examples, None))
    assert len(red(found("where-dropout-wins", tmp_path, slice(-1, None)))) == 1


def test_a_full_plan_learns_from_fewer_and_fewer_examples():
    jobs = experiment("where-dropout-wins").jobs(Plan(backend="numpy"))
    assert len({job.key for job in jobs}) == len(jobs) == 27
    assert {job.arguments["config"]["examples"] for job in jobs} == {50_000, 5_000, 1_000}


# -- 002-1 -----------------------------------------------------------------------------------------------


def test_batch_against_loop_runs(tmp_path):
    outcome = run("batch-against-loop", tmp_path)
    assert not outcome.broken
    assert [claim.verdict for claim in outcome.findings.claims] == [AGREES, AGREES]
    assert {q.verdict for q in outcome.findings.quantities} == {NOT_JUDGED}
    assert all(q.ours[0] > 0 for q in outcome.findings.quantities)
    assert len(outcome.findings.tables[0].rows) == 6
    assert (tmp_path / "ratio.png").exists()


def test_the_published_ratio_stands_beside_ours_in_the_published_setting_only():
    rows = [
        {"pass": name, "batch": 2500, "seconds": [0.01, 0.05], "apart": 0.1, "times": [51, 51]}
        for name in ("forward", "backward")
    ]
    timings = {"backend": "cupy", "inputs": 1000, "units": 1500, "rows": rows}
    findings = experiment("batch-against-loop").analyse(Plan(), {"timings": timings})
    assert [(q.ours, q.published) for q in findings.quantities] == [([5.0], 76.0), ([5.0], None)]


def test_the_full_setting_is_the_documents():
    (job,) = experiment("batch-against-loop").jobs(Plan(backend="numpy"))
    assert [job.arguments[key] for key in ("inputs", "units", "repetitions")] == [1000, 1500, 51]
    assert job.arguments["batches"][-1] == 2500


@pytest.mark.parametrize("name", ["forward", "backward"])
def test_a_wrong_pass_turns_it_red(tmp_path, monkeypatch, name):
    right = getattr(Linear, name)

    def wrong(self, a):
        out = right(self, a)
        out[-1, -1] *= 1.001
        return out

    monkeypatch.setattr(Linear, name, wrong)
    assert len(red(found("batch-against-loop", tmp_path))) == 1


def test_a_weight_gradient_that_misses_an_example_is_seen():
    one, loop, terms, sizes = ways(get_backend("numpy"), 20, 30, 10)["backward"]
    right = [array.copy() for array in one()]
    assert max(map(rounding_apart, right, loop(), terms, sizes)) <= 1
    right[0] *= 19 / 20
    assert rounding_apart(right[0], loop()[0], terms[0], sizes[0]) > 1000
    right[0][0, 0] = np.nan
    assert rounding_apart(right[0], loop()[0], terms[0], sizes[0]) == float("inf")
