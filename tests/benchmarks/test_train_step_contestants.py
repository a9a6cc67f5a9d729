"""Whether the contestants of the training step do the same step, and whether the comparison would notice."""

import json
from dataclasses import asdict
from importlib import import_module

import numpy as np
import pytest

from benchmarks.contestants import minidrop_step, products
from benchmarks.harness import Case, DisagreementError, agree
from benchmarks.train_step import FLOOR, STEPS, TOLERANCE, cases, times_floor
from benchmarks.workload import Workload

SMALL = asdict(Workload((20, 32, 32, 10), batch=16))

FACTORS = Workload.factors

#: those that do all of the step, with their module and its options
EQUALS = {
    "minidrop, fused": ("minidrop", {"fused": True}),
    "minidrop, unfused": ("minidrop", {"fused": False}),
    "torch, sgd": ("torch", {"optimizer": "sgd"}),
    "torch, fused": ("torch", {"optimizer": "fused"}),
    "jax": ("jax", {}),
}


def make(module, **arguments):
    """A contestant, its arguments through JSON as in its process."""
    if module != "minidrop":
        pytest.importorskip(module)
    return import_module(f"benchmarks.contestants.{module}_step").step(**json.loads(json.dumps(arguments)))


def compare(values):
    """The harness's comparison with minidrop's losses."""
    reference = make("minidrop", **SMALL).values(STEPS)
    agree(Case("small", {}, [], STEPS, TOLERANCE), {"minidrop": reference, "other": values})


@pytest.mark.parametrize("name", EQUALS)
def test_the_same_losses(name):
    module, options = EQUALS[name]
    work = make(module, **SMALL, **options)
    compare(work.values(STEPS))
    assert np.isfinite(work())  # goes on with dropout of its own


@pytest.mark.parametrize(
    "change", [{"limit": 0}, {"momentum": 0.45}, {"lr": 0.00101}, {"drops": (0.2, 0.5, 0.4)}]
)
@pytest.mark.parametrize("name", EQUALS)
def test_another_step_is_noticed(name, change):
    module, options = EQUALS[name]
    work = make(module, **SMALL | change, **options)
    with pytest.raises(DisagreementError, match="'minidrop' and 'other' do not compute the same"):
        compare(work.values(STEPS))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda self, step: FACTORS(self, step + 1),
        lambda self, step: self.masks(step),
        lambda self, step: FACTORS(self, 0),
    ],
    ids=["the next step's masks", "not scaled", "always the first masks"],
)
@pytest.mark.parametrize("name", ["torch, sgd", "jax"])
def test_another_mask_is_noticed(name, wrong, monkeypatch):
    module, options = EQUALS[name]
    work = make(module, **SMALL, **options)
    monkeypatch.setattr(Workload, "factors", wrong)
    with pytest.raises(DisagreementError):
        compare(work.values(STEPS))


def test_without_max_norm_there_is_nothing_to_compare():
    work = make("torch", **SMALL, max_norm=False)
    assert work.values(STEPS) is None
    assert work.hidden == []


@pytest.mark.parametrize("case", cases(True) + cases(False), ids=lambda case: case.name)
def test_limit_binds_and_losses_are_sane_in_the_compared_steps(case):
    fields = {name: case.contestants[0].arguments[name] for name in SMALL}
    workload, work = Workload(**fields), minidrop_step.step(**fields)
    parameters = work.step.model.parameters()
    hidden = [p.value for p in parameters.values() if p.rows_are_units][:-1]
    for _ in range(STEPS):
        assert 0.5 < work() < 5  # log 10 is what a guess costs
        for W in hidden:
            lengths = np.linalg.norm(W, axis=1) / workload.length
            assert lengths.max() < 1 + TOLERANCE
            assert 0.1 < (lengths > 1 - TOLERANCE).mean() < 0.9


def test_products_are_those_of_a_step():
    work = products.step(**SMALL)
    work()
    for i, W in enumerate(work.weights):
        np.testing.assert_allclose(work.inputs[i + 1], work.inputs[i] @ W.T, rtol=TOLERANCE)
        np.testing.assert_allclose(
            work.gradients[i], work.input_gradients[i + 1].T @ work.inputs[i], rtol=TOLERANCE
        )
        if i:
            np.testing.assert_allclose(
                work.input_gradients[i], work.input_gradients[i + 1] @ W, rtol=TOLERANCE
            )


@pytest.mark.parametrize("module", ["thinc", "sklearn"])
def test_those_that_do_another_step_run(module):
    work = make(module, **SMALL)
    assert not hasattr(work, "values")
    assert np.isfinite([work(), work()]).all()


def test_multiple_of_the_floor():
    step, floor = {"label": "minidrop", "seconds": [3.0, 4.0]}, {"label": FLOOR, "seconds": [2.0, 2.0]}
    assert times_floor(step, {"contestants": [step, floor]}) == "1.75"
