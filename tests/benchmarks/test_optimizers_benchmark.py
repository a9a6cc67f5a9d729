from dataclasses import replace

import numpy as np
import pytest
from benchmark_helpers import assert_agreement, measured

from benchmarks import optimizers
from benchmarks.harness import DisagreementError
from benchmarks.optimizers import FORMULAS, LIMIT, by_minidrop, by_torch, case, copying, rate
from minidrop.optim import OPTIMIZERS

pytest.importorskip("torch", reason="the other contestants are PyTorch's")

#: three matrices, and enough weights that lengths do not depend on a few of them
LAYERS = (80, 60, 50, 10)
each_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


@each_optimizer
def test_all_contestants_compute_the_same(name):
    assert_agreement(case(name, LAYERS))


CHANGES = [(name, option) for name, formula in FORMULAS.items() for option in formula.torch_options]


@pytest.mark.parametrize(("name", "option"), CHANGES)
def test_an_optimizer_with_another_option_is_caught(name, option, monkeypatch):
    formula = FORMULAS[name]
    factor = {"lr": 1.001, "momentum": 0.999, "eps": 2, "weight_decay": 2}[option]
    changed = {**formula.torch_options, option: formula.torch_options[option] * factor}
    monkeypatch.setitem(FORMULAS, name, replace(formula, torch_options=changed))
    with pytest.raises(DisagreementError, match="PyTorch"):
        assert_agreement(case(name, LAYERS))


def test_an_update_that_leaves_out_a_parameter_is_caught(monkeypatch):
    def without_last_bias(name, layers, way):
        work = by_torch(name, layers, way)
        bias, update = work.weights[-1], work.step
        before = bias.copy()

        def step():
            update()
            bias[...] = before

        work.step = step
        return work

    monkeypatch.setattr(optimizers, "by_torch", without_last_bias)
    with pytest.raises(DisagreementError, match="PyTorch"):
        assert_agreement(case("sgd", LAYERS))


def test_hintons_rows_are_over_the_limit_before_every_projection():
    work = by_minidrop("hinton", optimizers.LAYERS, "step()")
    for _ in range(20):
        work()
    *hidden, output = (w for w in work.weights if w.ndim > 1)
    for matrix in hidden:
        squared = np.square(matrix, dtype=float).sum(axis=1)
        assert np.isclose(squared, LIMIT).mean() > 0.9
    assert np.square(output, dtype=float).sum(axis=1).max() > LIMIT


@pytest.mark.parametrize(("name", "expected"), [("sgd", 12), ("momentum", 20), ("hinton", 20), ("adam", 28)])
def test_bytes_for_each_weight(name, expected):
    assert FORMULAS[name].bytes == expected


@each_optimizer
def test_bytes_are_of_the_slots_that_the_optimizer_has(name):
    spare = {"rmsprop": 1}  # without momentum its formula needs no velocity
    assert FORMULAS[name].slots == len(OPTIMIZERS[name].slots) - spare.get(name, 0)


def test_rates_count_what_is_read_and_what_is_written():
    given = case("adam", LAYERS)
    n = given.parameters["weights"]
    found = measured(given, {"minidrop step()": 2.0, "copy, cache": 1.0, "copy, memory": 1.0})
    rates = [rate(one, found) for one in found["contestants"]]
    assert rates == [n * 28 / 2, n * 16, given.parameters["memory"]]  # w, g and two slots are 16 bytes
    assert copying(found) == n * 16


def test_a_copy_moves_all_of_its_bytes(monkeypatch):
    moved = []
    monkeypatch.setattr(np, "copyto", lambda target, source: moved.append(target.nbytes + source.nbytes))
    optimizers.copy(4096)()
    assert moved == [4096]


def test_the_parameters_are_those_of_the_net():
    assert optimizers.weights(optimizers.LAYERS) == optimizers.model(optimizers.LAYERS).parameters().size


def test_the_figure_has_a_bar_for_each_update_and_two_marks_for_each_optimizer():
    cases = optimizers.cases(False)
    result = {"cases": [measured(one, {c.label: 1e-3 for c in one.contestants}) for one in cases]}
    (axes,) = optimizers.draw(result).axes
    assert [tick.get_text().partition("\n")[0].split()[0] for tick in axes.get_yticklabels()] == [*OPTIMIZERS]
    updates = [c for one in cases for c in one.contestants if not c.label.startswith("copy")]
    assert len(axes.texts) == len(updates)
    assert sum(len(line.get_xdata()) == 2 for line in axes.lines) == 2 * len(cases)
