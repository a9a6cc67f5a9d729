import numpy as np
import pytest
from benchmark_helpers import assert_agreement, built, measured, values_of
from numpy.testing import assert_allclose

from benchmarks import batch_vs_loop, harness
from benchmarks.batch_vs_loop import TOLERANCE, Work, given, on_host
from benchmarks.harness import DisagreementError, agree

pytest.importorskip("torch", reason="half of the contestants are PyTorch's")


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Layers of which a wrong sum is no slower to find."""
    monkeypatch.setattr(batch_vs_loop, "INPUTS", 20)
    monkeypatch.setattr(batch_vs_loop, "UNITS", 30)


def small_cases(name):
    """The cases of one pass with up to 100 examples."""
    cases = [case for case in batch_vs_loop.cases(False) if case.parameters["pass"] == name]
    return [case for case in cases if case.parameters["batch"] <= 100]


@pytest.mark.parametrize("name", ["forward", "backward"])
def test_all_contestants_compute_the_same(name):
    for case in small_cases(name):
        assert_agreement(case)


def test_every_contestant_computes_the_formula():
    x, w, dy = given(7)
    expected = {"forward": [x @ w.T], "backward": [dy.T @ x, dy @ w]}
    for name, arrays in expected.items():
        for contestant in batch_vs_loop.contestants(name, 7):
            if contestant.missing():
                continue
            work = built(contestant)
            for _ in range(2):  # a repetition does not add to the one before
                work()
            for result, array in zip(work.results, arrays, strict=True):
                assert_allclose(on_host(result), array, rtol=TOLERANCE, atol=TOLERANCE * np.abs(array).max())


def last_left_out():
    x, w, _ = given(100)
    return (np.vstack([x[:-1] @ w.T, np.zeros((1, len(w)))]),)


def gradient_of_the_last_alone():
    x, w, dy = given(100)
    return np.outer(dy[-1], x[-1]), dy @ w


def gradient_without_the_last():
    x, w, dy = given(100)
    return dy[:-1].T @ x[:-1], dy @ w


def gradient_averaged():
    x, w, dy = given(100)
    return dy.T @ x / 100, dy @ w


def minus():
    x, w, _ = given(100)
    return (-(x @ w.T),)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("forward", last_left_out),
        ("forward", minus),
        ("backward", gradient_of_the_last_alone),
        ("backward", gradient_without_the_last),
        ("backward", gradient_averaged),
    ],
)
def test_a_wrong_loop_is_caught(name, wrong):
    (case,) = (case for case in small_cases(name) if case.parameters["batch"] == 100)
    values = values_of(case)
    agree(case, values)
    with pytest.raises(DisagreementError, match="wrong"):
        agree(case, values | {"wrong": Work(wrong).values(case.values)})


def test_without_a_gpu_its_contestants_are_left_out_with_a_reason(monkeypatch):
    monkeypatch.setattr(harness, "finds_gpu", lambda module: False)
    case, *others = batch_vs_loop.cases(False)
    reasons = {c.label: c.missing() for c in case.contestants}
    assert reasons["PyTorch GPU, loop"] == ["a GPU that torch finds"]
    assert reasons["CuPy GPU, batch"]
    assert not reasons["NumPy, loop"]
    swept = [c for other in others for c in other.contestants if other.parameters["batch"] < 1000]
    assert {c.label for c in swept} == {"NumPy, batch", "NumPy, loop", "PyTorch, batch", "PyTorch, loop"}


def test_with_a_gpu_every_case_has_its_contestants(monkeypatch):
    monkeypatch.setattr(harness, "finds_gpu", lambda module: True)
    for case in batch_vs_loop.cases(False):
        assert "PyTorch GPU, loop" in [c.label for c in case.contestants if not c.missing()]


def test_a_device_is_waited_for():
    done = []
    assert not hasattr(Work(lambda: ()), "synchronise")
    Work(lambda: (), lambda: done.append(1)).synchronise()
    assert done


def test_the_ratio_is_of_the_same_library_and_what_is_published_stands_beside_it():
    case = batch_vs_loop.cases(False)[0]
    seconds = {"NumPy, batch": 1.0, "NumPy, loop": 3.0, "PyTorch, batch": 2.0, "PyTorch, loop": 10.0}
    found = measured(case, seconds)
    texts = [batch_vs_loop.against_batch(one, found) for one in found["contestants"]]
    assert texts == ["", "3.0", "", "5.0"]
    notes = {c.label: c.note for c in case.contestants if c.note}
    assert notes == {"PyTorch, loop": "document 002: 5.1", "PyTorch GPU, loop": "document 002: 76.0"}
    assert not any(c.note for other in batch_vs_loop.cases(False)[1:] for c in other.contestants)


def test_the_figure_has_a_line_for_each_pass_and_both_published_marks():
    seconds = {"NumPy, batch": 1.0, "NumPy, loop": 3.0, "PyTorch GPU, batch": 1.0, "PyTorch GPU, loop": 50.0}
    result = {"cases": [measured(case, seconds) for case in batch_vs_loop.cases(False)]}
    (axes,) = batch_vs_loop.draw(result).axes
    lines = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
    assert lines["NumPy, forward"] == [3.0] * 7
    assert lines["PyTorch GPU, backward"] == [50.0] * 4
    assert [5.1, 5.1] in lines.values()
    assert [76.0, 76.0] in lines.values()
