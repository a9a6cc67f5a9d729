"""004-8, quickly; and that a wrong update turns red."""

import json
from functools import partial

import pytest
from tolerances import FLOAT64_ROUNDING
from tutorial_helpers import QUICK, what_differs

import minidrop as md
from minidrop.experiments import Plan, experiment, optimizers_compared
from minidrop.experiments.reproduce import reproduce
from minidrop.experiments.tutorial_optimizers import CONTESTANTS, by_hand, path
from minidrop.experiments.verdicts import AGREES, NOT_JUDGED, OPEN


@pytest.fixture(scope="module")
def optimizers(tmp_path_factory):
    return reproduce(experiment("optimizers-compared"), QUICK, tmp_path_factory.mktemp("optimizers"))


@pytest.fixture
def without_figures(monkeypatch):
    """Let the analysis draw nothing, which takes most of its time."""
    monkeypatch.setattr(optimizers_compared, "_inflation", lambda *_: None)


@pytest.fixture
def judge(tmp_path, without_figures):
    """What differs in the analysis of some jobs."""
    return partial(what_differs, tmp_path)


def test_optimizers_quickly(optimizers):
    assert not optimizers.broken
    findings = optimizers.findings
    exact = [q for q in findings.quantities if q.rule == "exact"]
    assert [(q.published_text(), q.text(), q.verdict) for q in exact] == [
        (text, text, AGREES) for text in ("31.6", "10", "3.2", "1.26")
    ]
    accuracies = {q.name: q for q in findings.quantities if q.rule != "exact"}
    assert len(accuracies) == 8
    assert accuracies["SGD, lr 0.1: test accuracy, %"].published == 89.09
    assert all(50 < q.mean < 100 and q.verdict == NOT_JUDGED for q in accuracies.values())
    assert [claim.verdict for claim in findings.claims] == [AGREES] * 5 + [OPEN]
    assert [drawing.name for drawing in findings.drawings] == ["training", "adam-as-printed"]
    assert [row[0] for row in findings.tables[0].rows] == [each.title for each in CONTESTANTS.values()]


def test_full_size_is_the_documents_setting():
    jobs = experiment("optimizers-compared").jobs(Plan())
    assert len(jobs) == 1 + 5 * 4
    config = jobs[1].arguments["config"]
    expected = {
        "dataset": "fashion-mnist",
        "layers": "784-512-256-256-128-10",
        "validation": 10000,
        "normalise": "standard",
        "batch_size": 256,
        "epochs": 40,
        "drop_last": True,
        "optimizer": "sgd",
        "lr": 0.1,
        "dropout": "0",
        "limit": 0.0,
        "lr_schedule": "constant",
    }
    assert {key: config[key] for key in expected} == expected
    momentum = jobs[2].arguments["config"]
    assert (momentum["optimizer"], momentum["lr"], momentum["momentum"]) == ("momentum:form=ema", 0.1, 0.9)
    assert momentum["momentum_schedule"] == "constant"


def test_runs_that_diverged_or_are_missing_are_left_out(optimizers):
    this = experiment("optimizers-compared")
    results = json.loads((optimizers.folder / "results.json").read_text())["jobs"]
    results = {key: job["result"] for key, job in results.items()}
    results["adam-seed-0"] |= {
        "diverged": "it did",
        "test": None,
        "history": results["adam-seed-0"]["history"][:1],
    }
    findings = this.analyse(QUICK, results)
    assert findings.notes == ["Adam, lr 0.001: 1 of 1 runs diverged."]
    assert [row[0] for row in findings.tables[0].rows] == [
        "SGD, lr 0.1",
        "momentum 0.9, lr 0.1",
        "Adam as printed",
    ]
    findings = this.analyse(QUICK, {"adam-seed-0": results["adam-seed-0"]})
    assert not findings.quantities
    assert not findings.drawings


WRONG_OPTIMIZERS = {
    "sgd": (md.SGD, "update", lambda self, xp, w, g, lr: self.add(lr, g, 1, w)),
    "momentum": (md.Momentum, "update", lambda self, xp, w, g, lr, v: self.add(-lr, g, 1, w)),
    "adam": (md.Adam, "update_moments", lambda self, xp, g, m, v: self.add(1, g, 0, m)),
}


@pytest.mark.parametrize("key", WRONG_OPTIMIZERS)
def test_a_wrong_update_turns_red(judge, monkeypatch, key):
    cls, method, wrong = WRONG_OPTIMIZERS[key]
    monkeypatch.setattr(cls, method, wrong)
    assert f"{CONTESTANTS[key].title}: twenty steps" in " ".join(judge("optimizers-compared", "updates"))


def test_momentum_of_another_form_turns_red(judge, monkeypatch):
    config = CONTESTANTS["momentum"].config
    monkeypatch.setitem(config, "optimizer", "momentum:form=torch")
    assert judge("optimizers-compared", "updates") == [
        "momentum 0.9, lr 0.1: twenty steps are those of the document's formula"
    ]


def test_adam_as_printed_that_is_adam_turns_red(judge, monkeypatch):
    monkeypatch.setitem(CONTESTANTS["adam-printed"].config, "optimizer", "adam")
    found = judge("optimizers-compared", "updates")
    assert [text for text in found if "printed / coded" in text] == [
        f"Adam's step at t = {t}: printed / coded" for t in (1, 10, 100, 1000)
    ]


@pytest.mark.parametrize("key", CONTESTANTS)
def test_by_hand(key):
    gradients = [1.0, -0.5, 2.0, 0.25]
    assert path(CONTESTANTS[key].config, gradients) == pytest.approx(
        by_hand(key, gradients), rel=FLOAT64_ROUNDING
    )
