"""003-Q4: what a trained network gives with masks and without."""

from dataclasses import replace

import pytest
import tolerances
from fashion_helpers import made_up, red, some

from minidrop import runs
from minidrop.config import TrainConfig
from minidrop.experiments import Plan, experiment
from minidrop.experiments.dropout_at_test import PASSES, outputs, scores, with_masks
from minidrop.layers.stochastic import DropRate
from minidrop.runs import Run
from minidrop.training import evaluate

SMALL = TrainConfig(layers="64-16-16-10", dropout="0,0.5,0.5", mode="inverted", seed=3, dtype="float64")


@pytest.mark.parametrize("size", [100, 1000])
def test_all_units_are_what_evaluation_says_whatever_the_batches(size, monkeypatch):
    monkeypatch.setattr(runs, "EVALUATION_BATCH", size)
    run = Run(SMALL)
    assert len(run.evaluation("test")) == (4 if size == 100 else 1)
    found = with_masks(run)["all"]
    run.model.eval()
    expected = evaluate(run.model, run.evaluation("test"))
    assert found["accuracy"] == 1 - expected.errors / expected.size
    assert found["loss"] == pytest.approx(expected.loss, rel=tolerances.REORDERED)


def test_without_dropout_every_pass_is_the_network_itself():
    found = with_masks(Run(replace(SMALL, dropout="0")))
    assert found["changed"] == 0
    assert found["single"] == found["all"]["accuracy"]
    for one in found["mean"]:
        assert one == pytest.approx(found["all"], rel=tolerances.REORDERED)


def test_a_pass_has_masks_of_its_own_that_are_those_of_training_and_its_mean_is_over_outputs():
    run = Run(SMALL)
    run.model.train()
    batches = run.evaluation("test")
    first, again, second = (outputs(run.model, batches, t)[0] for t in (0, 0, 1))
    assert (first == again).all()
    assert (first != second).any(axis=1).mean() > 0.9
    assert first.sum(axis=1) == pytest.approx(1)
    found = with_masks(run)
    labels = run.dataset.test.labels
    assert found["mean"][PASSES.index(2)] == pytest.approx(scores((first + second) / 2, labels))
    assert found["changed"] == (first.argmax(axis=1) != second.argmax(axis=1)).mean()
    assert not run.model.training


def test_a_scale_that_does_not_keep_the_mean_is_found(tmp_path, monkeypatch):
    scale = DropRate.scale.fget
    monkeypatch.setattr(DropRate, "scale", property(lambda self: scale(self) * 0.9))
    assert red(some("dropout-at-test", tmp_path, "dropout")) == [
        "the first hidden layer has the same mean with masks and without"
    ]


def test_the_claims_are_about_the_better_one():
    this, plan = experiment("dropout-at-test"), Plan(data_dir="here")
    found = this.analyse(plan, {job.key: made_up(job, 0.001 * i) for i, job in enumerate(this.jobs(plan))})
    assert [(claim.verdict, claim.detail) for claim in found.claims[:3]] == [
        ("agrees", "+0.1000 ± 0.0000"),
        ("agrees", "+0.1000 ± 0.0000"),
        ("agrees", "+0.1000 ± 0.0000"),
    ]
