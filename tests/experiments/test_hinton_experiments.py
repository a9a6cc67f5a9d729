"""000: the paper's dropout on MNIST, its nets, and document 000's three questions, in quick runs."""

import json
from dataclasses import replace

import numpy as np
import pytest

import minidrop as md
from minidrop.errors import ArgumentError
from minidrop.experiments import Plan, experiment, hinton_exact, hinton_mnist, row_norms
from minidrop.experiments.hinton import Study, Variant, configuration
from minidrop.experiments.hinton_exact import (
    appendix_a,
    path,
    small_net,
)
from minidrop.experiments.reproduce import reproduce
from minidrop.experiments.verdicts import AGREES, DIFFERS, NOT_JUDGED

QUICK = Plan(quick=True)
NAMES = ("hinton-mnist", "hinton-nets", "dampened-sgd", "norm-limits", "adam-against-hinton")
#: document 000's questions, which want the lengths of rows too
ASKING = NAMES[2:]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Each experiment's quick run, made when first asked for."""
    made = {}

    def outcome(name):
        if name not in made:
            made[name] = reproduce(experiment(name), QUICK, tmp_path_factory.mktemp(name))
        return made[name]

    return outcome


@pytest.mark.parametrize("name", NAMES)
def test_a_quick_run_is_as_it_must_be_and_judges_no_accuracy(outcomes, name):
    outcome = outcomes(name)
    findings = outcome.findings
    assert not outcome.broken
    assert not outcome.failed
    exact = [q for q in findings.quantities if q.rule == "exact"]
    exact_claims = [claim for claim in findings.claims if claim.exact]
    assert exact
    assert exact_claims
    assert {one.verdict for one in (*exact, *exact_claims)} == {AGREES}
    others = [q for q in findings.quantities if q.rule != "exact"]
    assert others
    assert {q.verdict for q in others} == {NOT_JUDGED}
    assert all(0 <= value <= 360 for q in others for value in q.ours)
    assert (outcome.folder / "errors.png").exists()
    assert (outcome.folder / "row-norms.png").exists() == (name in ASKING)


@pytest.mark.parametrize("name", NAMES)
def test_runs_that_are_missing_diverged_or_short_are_left_out_and_named(outcomes, name):
    this = experiment(name)
    outcome = outcomes(name)
    jobs = {job.key: job for job in this.jobs(QUICK)}
    results = {key: _result(outcome.folder, key) for key in jobs}
    trained = [key for key in jobs if "-seed-" in key]
    del results[trained[0]]
    results[trained[1]] = results[trained[1]] | {"diverged": "the loss became nan", "test": None}
    results[trained[2]] = results[trained[2]] | {"history": results[trained[2]]["history"][:2]}
    findings = this.analyse(QUICK, results)
    assert any(trained[0] in note and "the loss became nan" in note for note in findings.notes)
    nothing = this.analyse(QUICK, {})
    assert nothing.notes


def _result(folder, key):
    return json.loads((folder / "jobs" / key / "result.json").read_text())["result"]


def test_configurations_are_the_papers_and_the_documents():
    full = {job.key: job.arguments["config"] for job in hinton_mnist.STUDY.jobs(Plan())}
    assert len(full) == 30
    paper = full["relu-both-seed-0"]
    assert (paper["layers"], paper["dropout"], paper["lr"]) == ("784-800-800-10", "0.2,0.5,0.5", 1.0)
    assert (paper["lr_schedule"], paper["momentum_schedule"]) == ("exponential:0.998", "linear:0.99,500")
    assert (paper["limit"], paper["limit_kind"], paper["init"]) == (15.0, "squared", "normal:0.01")
    assert {config["epochs"] for config in full.values()} == {200}
    assert full["relu-none-seed-0"]["limit"] == 0
    assert full["logistic-both-seed-2"]["lr"] == 10.0
    slowly, guessing = full["logistic-slowly-seed-1"], full["logistic-none-seed-1"]
    assert slowly == guessing | {"lr": 1.0}
    published = full["published-none-seed-1"]
    assert (published["lr"], published["optimizer"], published["limit"]) == (
        0.1,
        "hinton:slips=published",
        15.0,
    )
    assert (published["mode"], published["normalise"]) == ("inverted", "standard")
    assert configuration(QUICK, 30)["layers"] == "64-32-32-10"


# -- what the numbers are ----------------------------------------------------------------------------------


def test_errors_stand_beside_those_of_3000_epochs_unjudged(outcomes):
    findings = outcomes("hinton-mnist").findings
    published = [q.published for q in findings.quantities if q.rule != "exact"]
    assert published == [160, 130, 110] * 3 + [160]
    assert [len(claim.detail) > 0 for claim in findings.claims if not claim.exact] == [True] * 9


def test_the_gap_of_dampened_sgd_is_nine_and_one(outcomes):
    found = _result(outcomes("dampened-sgd").folder, "trajectories")
    assert found["constant"]["0.9"]["gap"][-1] == pytest.approx(9, abs=1e-9)
    assert found["constant"]["0.9"]["gap"][:2] == pytest.approx([0.9, 1.71])
    assert found["constant"]["0.5"]["gap"][-1] == pytest.approx(1, abs=1e-9)
    first, repriced = (np.array(found["scheduled"][key]) for key in ("first", "repriced"))
    assert first[0] == pytest.approx(0.5), "in units of the first step: its momentum"
    assert (repriced[:10] < 1e-12).all(), "in the first epoch nothing is re-priced"
    assert 1e-4 < repriced[-1] < first[-1]


def test_a_limit_of_15_is_no_limit_and_that_of_the_paper_binds(outcomes):
    findings = outcomes("norm-limits").findings
    rows = {(row[0], row[1]): row[2:] for row in findings.tables[1].rows}
    assert rows["ReLU, no limit", 1] == rows["ReLU, length ≤ 15", 1]
    assert rows["ReLU, length ≤ √15", 1][2] == pytest.approx(15**0.5)
    assert rows["ReLU, length ≤ √15", 1][3] > 0
    order = ("no limit", "decay 1e-06", "decay 1e-05", "decay 0.0001")
    longest = [rows[f"logistic, {limit}", 1][2] for limit in order]
    assert longest == sorted(longest, reverse=True)
    assert len(set(longest)) == len(order)


def test_the_epoch_from_which_on_a_variant_is_better():
    study = Study({"a": Variant("A", {}), "b": Variant("B", {})}, epochs=4)

    def run(*errors):
        history = [{"test_errors": n, "train_loss": 1.0, "largest_row_norm": 1.0} for n in errors]
        return {"history": history, "test": {"size": 360}, "diverged": None}

    runs = study.runs(QUICK, {"a-seed-0": run(9, 3, 5, 3), "b-seed-0": run(8, 4, 4, 4)})
    assert runs.fewer("text", ("b", "a")).holds is None, "one seed says nothing"
    plan = Plan(seeds=2)
    runs = study.runs(plan, {"a-seed-0": run(3), "b-seed-0": run(8), "a-seed-1": run(4), "b-seed-1": run(9)})
    assert runs.fewer("text", ("b", "a")).holds
    assert runs.best(["b", "a"]) == "a"
    assert study.runs(plan, {}).best(["b", "a"]) == "b", "which says nothing, as there is nothing"
    assert runs.fewer("text", ("a", "b")).holds is False
    assert runs.fewer("text", ("a", "a")).holds is None
    assert study.runs(QUICK, {}).fewer("text", ("a", "b")).holds is None


def test_the_claim_says_by_how_much_errors_are_fewer_and_from_when_on():
    def run(*errors):
        history = [{"test_errors": n, "train_loss": 1.0, "largest_row_norm": 1.0} for n in errors]
        return {"history": history, "test": {"size": 360}, "diverged": None}

    errors = {"none": (5, 9, 8), "both": (6, 4, 5)}
    made = {f"relu-{drop}-seed-{seed}": run(*errors[drop]) for drop in errors for seed in range(2)}
    runs = hinton_mnist.STUDY.runs(Plan(seeds=2), made)
    claim = hinton_mnist.fewer(runs, "relu", "both", "none")
    assert (claim.holds, claim.detail) == (
        True,
        "+3.0 ± 0.0 after 3 epochs; lower in 95 % of the epochs from 2 on",
    )
    claim = hinton_mnist.fewer(runs, "relu", "none", "both")
    assert (claim.holds, claim.detail) == (
        False,
        "-3.0 ± 0.0 after 3 epochs; never lower for good",
    )
    assert hinton_mnist.fewer(runs, "relu", "hidden", "none") is None


def test_the_table_has_milestones_on_the_way_to_200_epochs():
    study = Study({"a": Variant("A", {})}, epochs=200)
    history = [{"test_errors": 300 - i, "train_loss": 1.0, "largest_row_norm": 1.0} for i in range(200)]
    run = {"history": history, "test": {"size": 360}, "diverged": None}
    table = study.runs(Plan(seeds=1), {"a-seed-0": run}).table()
    shown = [f"errors, epoch {epoch}" for epoch in (1, 10, 30, 100, 200)]
    assert list(table.columns)[2:7] == shown
    assert list(table.rows[0])[2:7] == [300, 291, 271, 201, 101]


def test_rows_beyond_the_limit_are_found(outcomes):
    this = experiment("norm-limits")
    folder = outcomes("norm-limits").folder
    results = {job.key: _result(folder, job.key) for job in this.jobs(QUICK)}
    results["relu-root15-seed-0"]["history"][1]["largest_row_norm"] = 3.88
    broken = replace(this, jobs=lambda plan: [])
    assert DIFFERS in [claim.verdict for claim in broken.analyse(QUICK, results).claims if claim.exact]
    results["relu-15-seed-0"]["history"][1]["train_loss"] *= 1 + 1e-15
    found = [claim for claim in broken.analyse(QUICK, results).claims if "does not bind" in claim.text]
    assert [claim.verdict for claim in found] == [DIFFERS, AGREES]


# -- the parts ----------------------------------------------------------------------------------------------


def test_appendix_a_shortens_hidden_rows_only():
    net = small_net(8.0)
    arena = net.parameters()
    weights = arena.state_dict()
    none = [{name: np.zeros_like(value) for name, value in weights.items()}]
    (step,) = appendix_a(weights, none, [1.0], [0.5])
    assert np.linalg.norm(step["0.weight"], axis=1) == pytest.approx(np.full(5, 15**0.5))
    assert (step["2.weight"] == weights["2.weight"]).all()


def test_path_sets_rate_and_momentum_of_each_step():
    arena = md.Linear(1, 1, bias=False, init=md.Constant(0), dtype="float64").parameters()
    optimizer = md.Momentum(arena, form="hinton")
    steps = path(optimizer, np.ones((2, 1)), [1.0, 0.5], [0.5, 0.75])
    assert steps.ravel().tolist() == [-0.5, -0.5 - 0.375 - 0.125]


def test_dampening_momentum_follows_the_momentum():
    """The semantics of torch.optim.SGD: the velocity begins as g, then v = μ v + (1 - μ) g with today's μ."""
    arena = small_net().parameters()
    gradients, momenta = np.random.default_rng(0).standard_normal((20, arena.size)), np.linspace(0.5, 0.9, 20)
    w, v, expected = arena.flat_values.copy(), np.zeros(arena.size), []
    for t, (gradient, momentum) in enumerate(zip(gradients, momenta, strict=True)):
        v = momentum * v + (1 - momentum) * gradient if t else gradient
        w = w - 0.1 * v
        expected.append(w)
    ours = path(md.Momentum(arena, dampening="momentum"), gradients, [0.1] * 20, momenta)
    np.testing.assert_allclose(ours, expected, rtol=1e-13, atol=1e-13)
    with pytest.raises(ArgumentError, match="nesterov needs dampening 0"):
        md.Momentum(small_net().parameters(), dampening="momentum", nesterov=True)


def test_kernels_leave_a_dampening_that_moves_to_the_definition():
    assert md.Momentum(small_net().parameters(), dampening="momentum").formula() is None
    assert hinton_exact.READINGS.keys() == {"paper", "published"}


def test_no_length_falls_out_of_its_histogram():
    """Limited rows are at the limit to rounding, all of them perhaps."""
    lengths = np.array([15**0.5, *np.float32([3.8729835, 3.8729844, 3.8729]), 0.28, 5.0])
    for values in (lengths, lengths[:3], lengths[:1]):
        counted, edges = np.histogram(values, row_norms._bins(values))
        assert counted.sum() == values.size
        assert np.digitize(15**0.5, edges) == np.digitize(np.float32(3.8729844), edges)
