"""Bugs that turn a verdict of document 000's experiments red."""

import pytest

import minidrop as md
from minidrop.experiments import Plan, experiment, hinton_mnist, norm_limits
from minidrop.experiments.adam_against_hinton import algorithm_1
from minidrop.experiments.dampened_sgd import trajectories
from minidrop.experiments.hinton import PAPER, RELU
from minidrop.experiments.hinton_exact import (
    beginning,
    of_the_beginning,
    updates,
)
from minidrop.experiments.verdicts import AGREES, DIFFERS

QUICK = Plan(quick=True)


def verdicts(name, **results):
    """The exact verdicts of an experiment's analysis of some results."""
    findings = experiment(name).analyse(QUICK, {key.replace("_", "-"): one for key, one in results.items()})
    exact = [q.verdict for q in findings.quantities if q.rule == "exact"]
    return exact + [claim.verdict for claim in findings.claims if claim.exact]


def bug(monkeypatch, cls, method, change):
    """Let `change` have the method's result and its object."""
    original = getattr(cls, method)
    monkeypatch.setattr(cls, method, lambda self, *a, **k: change(self, original(self, *a, **k)))


@pytest.mark.parametrize("slip", md.SGDHinton.SLIPS)
def test_each_slip_in_the_papers_update_is_found(tmp_path, monkeypatch, slip):
    assert DIFFERS not in verdicts("hinton-mnist", updates=updates(tmp_path))
    bug(monkeypatch, md.SGDHinton, "__init__", lambda self, _: setattr(self, "slips", self.slips | {slip}))
    if slip in ("limit-norm", "limit-output"):  # these are read when the projection is made
        changes = {"squared": False} if slip == "limit-norm" else {"layers": "all"}
        made = md.MaxNorm
        monkeypatch.setattr("minidrop.optim.hinton.MaxNorm", lambda limit, **k: made(limit, **(k | changes)))
    if slip == "ascend-plain":  # is for momentum 0, which the schedule never has
        monkeypatch.setattr(md.SGDHinton, "_ascends", lambda self: True)
    assert DIFFERS in verdicts("hinton-mnist", updates=updates(tmp_path))


def test_a_wrong_layer_is_found(tmp_path, monkeypatch):
    config = PAPER | RELU
    assert {q.verdict for q in of_the_beginning("net", beginning(tmp_path, config))} == {AGREES}
    bug(monkeypatch, md.ReLU, "backward", lambda self, dx: 0.5 * dx)
    assert of_the_beginning("net", beginning(tmp_path, config))[-1].verdict == DIFFERS


def test_a_wrong_initializer_is_found(tmp_path):
    config = PAPER | RELU | {"init": "normal:0.0102"}
    assert DIFFERS in [q.verdict for q in of_the_beginning("net", beginning(tmp_path, config))]


def test_a_dropout_that_forgets_to_scale_in_evaluation_is_found(tmp_path, monkeypatch):
    jobs = {job.key: job for job in hinton_mnist.jobs(QUICK)}
    original = md.Dropout.forward

    def forward(self, x):
        return original(self, x) if self.training else x

    monkeypatch.setattr(md.Dropout, "forward", forward)
    results = {}
    for mode in ("paper", "inverted"):
        (tmp_path / mode).mkdir()
        job = jobs[f"twin-{mode}"]
        results[f"twin_{mode}"] = job.work(tmp_path / mode, **job.arguments)
    assert DIFFERS in verdicts("hinton-mnist", **results)


def test_a_dampened_first_step_is_found(tmp_path, monkeypatch):
    assert DIFFERS not in verdicts("dampened-sgd", trajectories=trajectories(tmp_path))
    bug(monkeypatch, md.Momentum, "begin_step", lambda self, _: setattr(self, "velocity_steps", 2))
    assert DIFFERS in verdicts("dampened-sgd", trajectories=trajectories(tmp_path))


def test_a_projection_of_the_squared_length_to_its_limit_is_found(tmp_path, monkeypatch):
    assert DIFFERS not in verdicts("norm-limits", projected=norm_limits.projected(tmp_path))
    monkeypatch.setattr(md.MaxNorm, "lengths", lambda self, parameters: {"0.weight": self.limit})
    assert DIFFERS in verdicts("norm-limits", projected=norm_limits.projected(tmp_path))


def test_an_adam_without_correction_is_found(tmp_path, monkeypatch):
    assert DIFFERS not in verdicts("adam-against-hinton", **{"algorithm-1": algorithm_1(tmp_path)})
    bug(monkeypatch, md.Adam, "__init__", lambda self, _: setattr(self, "corrected", False))
    assert DIFFERS in verdicts("adam-against-hinton", **{"algorithm-1": algorithm_1(tmp_path)})
