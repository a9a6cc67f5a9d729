"""Bugs that turn a verdict of document 003's experiments red."""

from dataclasses import replace

import pytest
from fashion_helpers import QUICK, made_up, red, some

from minidrop.building import build_model
from minidrop.config import TrainConfig
from minidrop.experiments import experiment, stochastic_relu
from minidrop.experiments.normal_masks import NormalMasks
from minidrop.initializers import Normal
from minidrop.layers import DropConnect, Dropout, Linear, StochasticReLU
from minidrop.layers.stochastic import DropRate, StochasticLayer
from minidrop.optim import SGD


def test_a_mask_that_drops_d_is_found(tmp_path, monkeypatch):
    def as_meant(self, shape, rate):
        return StochasticLayer.draw_keep(self, shape, DropRate.of(self.drop_prob))

    monkeypatch.setattr(NormalMasks, "draw_keep", as_meant)
    found = red(some("fashion-dropout", tmp_path, "masks"))
    assert "d = 0.5: drop rate, counted" in found
    assert "d = 0: scale, counted" in found
    assert "published mask: drop rate of weights, counted" in red(
        some("dropconnect", tmp_path / "b", "moments")
    )


def test_a_backward_pass_without_its_mask_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(Dropout, "backward", lambda self, dy: self.saved(dy)[1] * dy)
    assert "d = 0.5: largest error of dx" in red(some("fashion-dropout", tmp_path / "a", "masks"))
    assert "scaled StochasticReLU off dropout(relu(x)): dx" in red(
        some("stochastic-relu", tmp_path / "b", "layers")
    )


def test_a_wrong_initializer_is_found(tmp_path, monkeypatch):
    call = Normal.__call__

    def wider(self, rng, fans, out):
        call(self, rng, fans, out)
        out *= 1.02

    monkeypatch.setattr(Normal, "__call__", wider)
    assert red(some("fashion-dropout", tmp_path, "beginnings")) == ["from scratch: spread of initial weights"]


@pytest.mark.parametrize("scale", [1.0, 1.9])
def test_a_wrong_scale_is_found(scale, tmp_path, monkeypatch):
    monkeypatch.setattr(DropRate, "scale", property(lambda self: scale if self.threshold else 1.0))
    assert len(red(some("activation-variance", tmp_path / "a", "dropout-seed-0"))) == 2
    assert "StochasticReLU, scaled, on ones: mean" in red(some("stochastic-relu", tmp_path / "b", "layers"))


def test_a_weight_decay_that_is_ignored_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(SGD, "decay_of", lambda self, group: 0.0)
    assert len(red(some("dropout-and-decay", tmp_path, "shrinkage"))) == 1


def test_probabilities_at_the_wrong_layers_are_found(tmp_path, monkeypatch):
    drop_probs = TrainConfig.drop_probs
    monkeypatch.setattr(TrainConfig, "drop_probs", lambda self: [0.0, *drop_probs(self)[:0:-1]])
    assert len(red(some("dropout-pairs", tmp_path, *("0.1-0.5-masks", "0.9-0.1-masks")))) == 2


def test_an_evaluation_with_raw_weights_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(DropConnect, "_moment_matched", lambda self, x: Linear.forward(self.linear, x))
    found = red(some("dropconnect", tmp_path, "moments"))
    assert found == ["evaluation off the mean over all 2⁶ masks", "evaluation off E[relu(N(μ, v))], in σ"]


def test_a_wrong_variance_in_evaluation_is_found(tmp_path, monkeypatch):
    keep = DropRate.keep.fget
    monkeypatch.setattr(DropRate, "keep", property(lambda self: keep(self) * 0.9))
    assert len(red(some("dropconnect", tmp_path, "moments"))) == 2


def test_a_stochastic_relu_that_scales_when_it_should_not_is_found(tmp_path, monkeypatch):
    begin = StochasticReLU.__init__
    monkeypatch.setattr(
        StochasticReLU,
        "__init__",
        lambda self, *args, **options: begin(self, *args, **(options | {"scaled": True})),
    )
    assert "StochasticReLU, published, on ones: mean" in red(some("stochastic-relu", tmp_path, "layers"))


def test_a_longer_run_that_begins_otherwise_is_found():
    this = experiment("dropout-epochs")
    jobs = {job.key: job for job in this.jobs(QUICK)}
    results = {key: made_up(jobs[key]) for key in ("short", "dropout-seed-0")}
    assert red(this.analyse(QUICK, results)) == []
    results["short"] = made_up(jobs["short"], 1e-9)
    assert len(red(this.analyse(QUICK, results))) == 1


def test_a_larger_network_in_the_contest_is_found(tmp_path, monkeypatch):
    def larger(config):
        return build_model(replace(config, layers="64-40-32-10"))

    monkeypatch.setattr(stochastic_relu, "gaussian", larger)
    keys = ("none-seed-0", "gaussian-0.1-seed-0")
    assert red(some("noise-contest", tmp_path, *keys)) == [
        "every contestant's network learns the same number of parameters"
    ]
