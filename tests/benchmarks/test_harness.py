"""What a measurement means must not depend on luck: who runs when, on what, and what is computed from it."""

import os
from dataclasses import replace
from math import nan

import numpy as np
import pytest
import typer
from fake_contestants import Device, Logged, fake, race

from benchmarks import __main__ as command
from benchmarks import harness, results, worker
from benchmarks.harness import (
    Case,
    Contestant,
    DisagreementError,
    Pace,
    agree,
    ratio,
    run_case,
    spread,
    typical,
)
from minidrop.backends import get_backend

#: blocks so short that each is one repetition
SHORT = Pace(rounds=3, seconds=1e-9)
#: what a contestant does before its first round: it compiles, and twice more to see how long it takes
WARM_UP = 3


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log"
    path.touch()
    return path


def test_agreement_allows_the_tolerance():
    agree(Case("", {}, [], tolerance=1e-3), {"a": [1.0, 2.0], "b": [1.0009, 2.0], "c": None})


@pytest.mark.parametrize("other", [[1.0, 2.1], [1.0], [1.0, 2.0, 3.0], [[1.0, 2.0]], [1.0, nan], []], ids=str)
def test_other_values_and_shapes_do_not_agree(other):
    with pytest.raises(DisagreementError, match=r"race: 'a' and 'c' do not compute the same: \[1.0, 2.0\]"):
        agree(Case("race", {}, [], tolerance=1e-3), {"a": [1.0, 2.0], "b": [1.0, 2.0], "c": other})


def test_nan_agrees_with_nothing():
    with pytest.raises(DisagreementError):
        agree(Case("", {}, [], tolerance=1e-3), {"a": [nan], "b": [nan]})


def test_medians_of_times_and_of_the_ratios_of_each_round():
    one, reference = {"seconds": [2.0, 30.0, 4.0]}, {"seconds": [1.0, 10.0, 4.0]}
    assert typical(one) == 4
    assert ratio(one, reference) == 2  # of 2, 3 and 1; the medians' ratio is 1
    assert ratio(reference, reference) == 1


def test_the_spread_is_half_the_distance_of_the_quartiles():
    assert spread({"seconds": [1.0, 2.0, 4.0, 5.0, 100.0]}) == (5 - 2) / 2 / 4


def test_rounds_alternate_and_values_come_first(log):
    contestants = [fake(name, "Logged", log=str(log), name=name, numbers=[1, 2]) for name in "ab"]
    result = run_case(race(*contestants, values=2), SHORT)
    lines = log.read_text().splitlines()
    assert lines[:2] == ["a values", "b values"]
    warming = lines[2 : 2 + 2 * WARM_UP]
    assert warming == ["a works"] * WARM_UP + ["b works"] * WARM_UP
    assert lines[2 + 2 * WARM_UP :] == ["a works", "b works"] * SHORT.rounds
    for one in result["contestants"]:
        assert len(one["seconds"]) == SHORT.rounds
        assert one["calls"] == 1


def test_nothing_is_timed_before_all_agree(log):
    contestants = [fake(name, "Logged", log=str(log), name=name, numbers=[i]) for i, name in enumerate("ab")]
    with pytest.raises(DisagreementError):
        run_case(race(*contestants, values=1), SHORT)
    assert log.read_text().splitlines() == ["a values", "b values"]


def test_a_case_can_have_fewer_rounds(log):
    case = race(fake("a", "Logged", log=str(log), name="a"), rounds=2)
    assert len(run_case(case, Pace(5, 1e-9))["contestants"][0]["seconds"]) == 2
    assert len(run_case(case, Pace(1, 1e-9))["contestants"][0]["seconds"]) == 1


@pytest.mark.parametrize(("repetition", "calls"), [(1e-3, 100), (0.06, 2), (0.1, 1), (60, 1)])
def test_a_block_is_as_long_as_the_pace_says(repetition, calls):
    class Steady:
        def ask(self, request, n):
            return repetition

    assert harness._calls(Steady(), 0.1) == calls


@pytest.mark.parametrize(
    ("kind", "n", "expected"),
    [
        (Logged, 1, ["works"]),
        (Logged, 2, ["works", "works", "works"]),
        (Device, 1, ["waits", "works", "waits"]),
        (Device, 2, ["works", "waits", "works", "works", "waits"]),
    ],
)
def test_what_a_block_runs(kind, n, expected, log):
    assert worker.seconds(kind(log, "a"), n) > 0
    assert log.read_text().splitlines() == [f"a {what}" for what in expected]


def test_a_synchronised_block_is_timed_as_a_whole(log, monkeypatch):
    clock = iter([10.0, 16.0])
    monkeypatch.setattr(worker, "perf_counter", lambda: next(clock))
    assert worker.seconds(Device(log, "a"), 3) == 2


def test_a_block_is_the_median_of_its_repetitions(log, monkeypatch):
    clock = iter([0.0, 1.0, 10.0, 90.0, 100.0, 102.0])
    monkeypatch.setattr(worker, "perf_counter", lambda: next(clock))
    assert worker.seconds(Logged(log, "a"), 3) == 2


def test_parts_are_kept_round_by_round(log):
    contestants = [fake(kind, kind, log=str(log), name="a") for kind in ("Partial", "Logged")]
    with_parts, without = run_case(race(*contestants), SHORT)["contestants"]
    assert with_parts["parts"] == [{"half": 0.5}] * SHORT.rounds
    assert "parts" not in without


def test_guests_answer_as_processes_do(log, monkeypatch):
    makes = ("Knowing", "Partial", "Logged")
    case = race(*(fake(make, make, log=str(log), name=make, numbers=[1.0]) for make in makes), values=1)
    apart = run_case(case, SHORT)
    asked = log.read_text().splitlines()
    log.write_text("")
    monkeypatch.delattr(harness, "Worker")
    together = run_case(case, replace(SHORT, apart=False))
    assert log.read_text().splitlines() == asked
    for one, other in zip(apart["contestants"], together["contestants"], strict=True):
        assert one.keys() == other.keys()
        assert {k: one[k] for k in ("label", "calls")} == {k: other[k] for k in ("label", "calls")}
        assert (one.get("parts"), one.get("facts")) == (other.get("parts"), other.get("facts"))


@pytest.mark.parametrize("apart", [True, False])
def test_a_contestant_has_the_backend_of_its_environment(apart):
    numba, numpy = (fake(name, "Backend") for name in ("numba", "numpy"))
    numba = replace(numba, environment={**numba.environment, **harness.NUMBA})
    with harness.workers([numba, numpy], SHORT.processors(), apart=apart) as racing:
        assert [worker.ask("values", 2) for worker in racing] == [[True, True], [False, False]]
    assert get_backend().name == "numpy"


def test_what_needs_a_gpu_has_a_process_of_its_own_always(monkeypatch):
    monkeypatch.setattr(harness.Worker, "__init__", lambda self, contestant, processors: None)
    monkeypatch.setattr(harness.Worker, "close", lambda self: None)
    on_gpu = Contestant("a", "nowhere:nothing", gpu="torch")
    with harness.workers([on_gpu], [0], apart=False) as (worker,):
        assert isinstance(worker, harness.Worker)


def test_facts_are_kept(log):
    contestants = [fake(make, make, log=str(log), name=make) for make in ("Knowing", "Logged")]
    knowing, other = run_case(race(*contestants), SHORT)["contestants"]
    assert knowing["facts"] == {"nodes": 3}
    assert "facts" not in other


def test_threads_limit_processors_and_libraries():
    processors = Pace(threads=1).processors()
    with harness.workers([fake("a", "Limited")], processors) as (only,):
        assert only.ask("values", 2) == [1, 1]
    everywhere = Pace().processors()
    assert everywhere == sorted(os.sched_getaffinity(0))
    with harness.workers([fake("a", "Limited")], everywhere) as (only,):
        assert only.ask("values", 2) == [len(everywhere)] * 2


@pytest.mark.parametrize("values", [0, 1])
def test_memory_is_that_of_running(values):
    large = np.ones(400_000_000, np.uint8)  # of this process, whose children must not inherit the number
    hungry = fake("a", "Hungry", building=200_000_000, values=150_000_000, running=50_000_000)
    (one,) = run_case(race(hungry, values=values), SHORT)["contestants"]
    del large
    before = one["bytes_before"]
    assert before < 150_000_000
    assert 190_000_000 < one["building_bytes"] - before < 250_000_000
    if not os.access("/proc/self/clear_refs", os.W_OK):
        pytest.skip("this system keeps the largest memory for ever")
    assert 45_000_000 < one["peak_bytes"] - before < 120_000_000


def test_what_a_contestant_prints_is_no_answer(capfd):
    (one,) = run_case(race(fake("a", "chatty")), SHORT)["contestants"]
    assert len(one["seconds"]) == SHORT.rounds
    assert "too" in capfd.readouterr().err


def test_a_missing_module_is_a_reason_to_be_left_out(log):
    present = fake("a", "Logged", log=str(log), name="a")
    result = run_case(race(present, fake("b", "Logged", needs=("json", "no_such_module"))), SHORT)
    assert [one["label"] for one in result["contestants"]] == ["a"]
    assert result["left_out"] == {"b": "needs no_such_module"}
    table = results.Benchmark("name", "", lambda quick: [], lambda result: None).table(result)
    assert list(table.columns[0].cells) == ["a", "b"]
    assert list(table.columns[-1].cells) == ["", "needs no_such_module"]


@pytest.mark.parametrize(
    ("quick", "make", "said", "reason"),
    [
        (False, "dying", "benchmarks: 'the one' died when asked for 'time'; see above", ""),
        (False, "wrong", "benchmarks: 'the one' died when asked for 'ready'; see above", "the reason why"),
        (True, "wrong", "benchmarks: 'the one' died when asked for 'ready'; see above", "the reason why"),
    ],
)
def test_a_contestant_that_dies_is_one_line_and_a_failure(quick, make, said, reason, capfd, monkeypatch):
    one = results.Benchmark("a", "", lambda quick: [race(fake("the one", make))], lambda result: None)
    monkeypatch.setattr(command, "benchmark", lambda name: one)
    with pytest.raises(typer.Exit) as stopped:
        command.main("operations", quick=quick, rounds=1, seconds=0.001, threads=0, out=None)
    assert stopped.value.exit_code == 1
    out, err = capfd.readouterr()
    assert [line.strip() for line in out.splitlines() if line.strip()] == [said]
    assert reason in err


def test_contestants_that_disagree_are_one_line_and_a_failure(log, capfd, monkeypatch):
    contestants = [fake(name, "Logged", log=str(log), name=name, numbers=[i]) for i, name in enumerate("ab")]
    one = results.Benchmark("a", "", lambda quick: [race(*contestants, values=1)], lambda result: None)
    monkeypatch.setattr(command, "benchmark", lambda name: one)
    with pytest.raises(typer.Exit) as stopped:
        command.main("operations", quick=True, rounds=1, seconds=0.001, threads=0, out=None)
    assert stopped.value.exit_code == 1
    assert "'a' and 'b' do not compute the same" in capfd.readouterr().out


def test_workers_end_with_the_case(log):
    with harness.workers([fake("a", "Logged", log=str(log), name="a")], Pace().processors()) as (only,):
        only.ask("ready")
        assert only.process.poll() is None
    assert only.process.returncode is not None
