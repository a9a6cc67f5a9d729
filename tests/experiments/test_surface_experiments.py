"""The experiments on loss surfaces and on the size of a batch: what is exact, and that a bug is seen."""

from functools import cache

import numpy as np
import pytest

from minidrop.experiments import Plan, experiment
from minidrop.experiments.batch_size_figures import draw_curves
from minidrop.experiments.experiment import Findings
from minidrop.experiments.gradient_descent import CURVATURE, EIGENVALUES
from minidrop.experiments.reproduce import reproduce
from minidrop.experiments.verdicts import AGREES, DIFFERS
from minidrop.losses import SoftmaxCrossEntropy
from minidrop.optim import SGD, Adam, Momentum
from minidrop.optim.optimizer import LinearRule
from minidrop.surfaces import Quadratic, Ravine, SteepOptima

WALKS = ("gradient-descent", "ravine", "steep-optima")


@cache
def results_of(name):
    """The results of all jobs of an experiment without a bug."""
    return {job.key: job.work(None, **job.arguments) for job in experiment(name).jobs(Plan(quick=True))}


def findings_of(name):
    """What they say."""
    return experiment(name).analyse(Plan(quick=True), results_of(name))


def found_now(name, long):
    """The findings of an experiment as things are, of the walks or of the longer jobs."""
    one, plan = experiment(name), Plan(quick=True)
    jobs = [job for job in one.jobs(plan) if long == job.key.startswith(("limit", "neighbours", "fastest"))]
    return one.analyse(plan, {job.key: job.work(None, **job.arguments) for job in jobs})


def verdicts(findings: Findings, part: str) -> set[str]:
    """The verdicts of the quantities and claims whose text has `part` in it."""
    found = {q.verdict for q in findings.quantities if part in q.name}
    return found | {c.verdict for c in findings.claims if part in c.text}


@pytest.mark.parametrize("name", [*WALKS, "batch-size"])
def test_a_quick_run_is_not_broken(name, tmp_path):
    outcome = reproduce(experiment(name), Plan(quick=True), tmp_path)
    assert not outcome.broken
    exact = [q.verdict for q in outcome.findings.quantities if q.rule == "exact"]
    exact += [claim.verdict for claim in outcome.findings.claims if claim.exact]
    assert set(exact) == {AGREES}
    for drawing in outcome.findings.drawings:
        assert (tmp_path / f"{drawing.name}.png").stat().st_size > 10_000
        for axes in drawing.figure.axes:
            assert axes.get_ylabel() or axes.get_subplotspec().colspan.start > 0


def test_the_stability_limit():
    findings = findings_of("gradient-descent")
    limits = [q for q in findings.quantities if "largest stable" in q.name]
    assert [round(q.published, 6) for q in limits] == [0.051948, 0.077922]
    assert [q.verdict for q in limits] == [AGREES, AGREES]
    np.testing.assert_allclose(np.linalg.eigvalsh(CURVATURE), EIGENVALUES)
    assert len([q for q in findings.quantities if "closed form" in q.name]) == 6


def test_the_fastest_rate_is_that_of_theory_and_not_the_last_before_the_limit():
    findings = findings_of("gradient-descent")
    (best,) = [q for q in findings.quantities if "fastest" in q.name]
    assert (round(best.published, 4), best.own, best.verdict) == (0.0494, True, AGREES)
    steeper = {"rate": 1.01 * best.mean, "growth": 0.9}
    wrong = experiment("gradient-descent").analyse(Plan(quick=True), {"fastest": steeper})
    assert verdicts(wrong, "fastest") == {DIFFERS}


def test_bands_of_losses_stay_above_0_on_a_logarithmic_axis():
    history = [{"step": i + 1, "train_loss": 1.0, "test_loss": 1.0} for i in range(3)]
    apart = [[row | {"train_loss": loss} for row in history] for loss in (0.1, 0.2, 20.0)]
    runs = {("sum", 10): {seed: {"history": rows, "diverged": None} for seed, rows in enumerate(apart)}}
    axes = draw_curves(runs, 100, {"mean": "mean", "sum": "sum"}).figure.axes
    bands = [band.get_paths()[0].vertices[:, 1] for axis in axes for band in axis.collections]
    assert len(bands) == 2
    assert all(band.min() > 0 for band in bands)


def test_the_last_points_in_the_ravine():
    findings = findings_of("ravine")
    ends = {q.name.partition(":")[0]: q for q in findings.quantities if "w₂" in q.name}
    assert {name: [round(w, 3) for w in q.ours] for name, q in ends.items()} == {
        "SGD": [-6.723, -6.723],
        "momentum": [-13.071, -13.071],
        "Adam": [-12.627, -12.627],
    }
    assert verdicts(findings, "starts that differ") == {AGREES}


def test_adam_alone_stays_in_the_pit():
    findings = findings_of("steep-optima")
    ends = [q for q in findings.quantities if q.name.startswith("Adam")]
    assert [[round(w, 3) for w in q.ours] for q in ends] == [[-0.499] * 2, [-0.799] * 2, [-3.979] * 2]
    assert len([c for c in findings.claims if c.verdict == AGREES]) == 2


@pytest.mark.parametrize("name", WALKS)
@pytest.mark.parametrize("backwards", [False, True])
def test_missing_jobs_are_left_out(name, backwards):
    everything = list(results_of(name).items())[:: -1 if backwards else 1]
    for count in (0, 1, len(everything) - 1):
        experiment(name).analyse(Plan(quick=True), dict(everything[:count]))


def test_missing_diverged_and_short_trainings_are_left_out():
    one, plan = experiment("batch-size"), Plan(quick=True, seeds=2)
    row = {"step": 10, "train_loss": 1.0, "test_loss": 1.0}
    keys = [job.key for job in one.jobs(plan) if job.key.startswith(("mean", "sum-2", "sum-4", "both"))]
    results = {key: {"history": [row, row], "diverged": None} for key in keys}
    results["mean-25-seed-0"] = {"history": [], "diverged": "at once"}
    results["mean-25-seed-1"] = {"history": [row], "diverged": "later"}
    del results["mean-400-seed-0"], results["mean-400-seed-1"]
    findings = one.analyse(plan, results)
    table, equal = findings.tables
    assert [row[:2] for row in table.rows if row[-1]] == [["mean", 25]]
    assert [row[1] for row in equal.rows] == []  # two epochs: no size is twice another
    assert ["mean", 400] not in [row[:2] for row in table.rows]
    assert one.analyse(plan, {}).quantities == []


def test_sizes_are_compared_after_as_many_updates():
    """Three epochs of 75 are as many updates as one of 25."""
    one, plan = experiment("batch-size"), Plan(quick=True, seeds=2)
    results = {}
    for job in one.jobs(plan):
        if "config" in job.arguments:
            size = job.arguments["config"]["batch_size"]
            losses = {25: (0.5, 0.2, 0.1), 75: (0.9, 0.6, 0.4)}.get(size, (1.0, 1.0, 1.0))
            rows = [{"step": 1425 // size * (i + 1), "test_loss": loss} for i, loss in enumerate(losses)]
            results[job.key] = {"history": rows, "diverged": None}
    findings = one.analyse(plan, results)
    assert findings.tables[1].rows == [(57, 75, 0.4, 25, 0.5)]
    (claim,) = [claim for claim in findings.claims if "updates of" in claim.text]
    assert claim.text == "with the mean, 57 updates of 75 lower the loss more than of 25"
    assert (claim.verdict, claim.detail) == ("agrees", "+0.1000 ± 0.0000")


def test_the_two_readings_of_a_batch():
    one = experiment("batch-size")
    (proof,) = [job for job in one.jobs(Plan(quick=True)) if job.key == "sum-and-mean"]
    found = proof.work(None, **proof.arguments)
    assert found["ratio"] == pytest.approx(20, abs=1e-9)
    jobs = {job.key: job.arguments.get("config") for job in one.jobs(Plan(seeds=1))}
    rates = {key: config["lr"] / config["batch_size"] for key, config in jobs.items() if config}
    assert {round(rate, 9) for key, rate in rates.items() if key.startswith(("sum", "both"))} == {0.001}
    assert len(jobs) == 12


def no_correction(self, xp, w, g, lr, m, v):
    """The document's prose formula of Adam, with √v for √v̂."""
    self.update_moments(xp, g, m, v)
    w -= lr * m / (1 - self.beta1**self.steps) / (xp.sqrt(v) + self.eps)


def undamped(self, lr):
    """The form ema without its 1 - μ."""
    return LinearRule(self.momentum, 1, -lr)


def late_momentum(self, lr):
    """The classical form with momentum on the learning rate's side."""
    return LinearRule(self.momentum, lr * (1 - self.momentum), -1)


def ascend(self, xp, w, g, lr, *slots):
    """The sign of document 000's first step."""
    w += lr * g


def slope(self, w):
    """The ravine without its absolute value."""
    tanh, e = np.tanh(w[..., 0]), np.exp(-np.abs(w[..., 1]))
    return np.stack([2 * tanh * (1 - tanh**2), e / (1 + e)], axis=-1)


@pytest.mark.parametrize(
    ("name", "owner", "attribute", "bug", "seen"),
    [
        ("gradient-descent", SGD, "update", ascend, "closed form"),
        ("gradient-descent", Momentum, "linear_rule", late_momentum, "largest stable"),
        ("gradient-descent", Momentum, "linear_rule", late_momentum, "momentum 0.5 from its closed form"),
        ("gradient-descent", Adam, "update", no_correction, "Adam's first step"),
        ("gradient-descent", Quadratic, "gradient", lambda self, w: w * EIGENVALUES, "closed form"),
        ("ravine", SGD, "update", ascend, "SGD: w₂"),
        ("ravine", Momentum, "linear_rule", undamped, "momentum: w₂"),
        ("ravine", Adam, "update", no_correction, "Adam: w₂"),
        ("ravine", Ravine, "gradient", slope, "SGD: w₂"),
        ("steep-optima", Adam, "update", no_correction, "Adam"),
        ("steep-optima", SGD, "update", ascend, "SGD in the pit"),
        ("steep-optima", SteepOptima, "gradient", lambda self, w: -w, "only Adam"),
    ],
)
def test_a_bug_turns_a_verdict(monkeypatch, name, owner, attribute, bug, seen):
    monkeypatch.setattr(owner, attribute, bug)
    assert DIFFERS in verdicts(found_now(name, long=seen == "largest stable"), seen)


def test_one_step_more_is_not_the_documents_last_point(monkeypatch):
    """The hundredth step would print -0.500 and -0.800."""
    monkeypatch.setattr("minidrop.experiments.steep_optima.STEPS", 100)
    assert DIFFERS in verdicts(found_now("steep-optima", long=False), "Adam: w₁")


def test_a_wrong_mean_turns_a_verdict(monkeypatch):
    monkeypatch.setattr(SoftmaxCrossEntropy, "scale", lambda self, rows: 1.0)
    one, plan = experiment("batch-size"), Plan(quick=True)
    proof = one.jobs(plan)[0]
    findings = one.analyse(plan, {proof.key: proof.work(None, **proof.arguments)})
    assert [q.verdict for q in findings.quantities] == [DIFFERS, DIFFERS]
