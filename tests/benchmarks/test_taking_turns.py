"""What one contestant must not do to the next."""

from itertools import pairwise

import pytest

from benchmarks import harness, worker
from benchmarks.harness import Case, Contestant, Pace, finds_gpu, run_case


class Clock:
    """A process some of whose threads use a processor until `busy` seconds have passed."""

    def __init__(self, busy):
        self.now, self.busy = 0.0, busy

    def sleep(self, seconds):
        self.now += seconds

    def perf_counter(self):
        return self.now

    def process_time(self):
        return min(self.now, self.busy)


@pytest.mark.parametrize(("busy", "least", "most"), [(0, 0, 0.02), (0.1, 0.1, 0.12), (60, 0.9, 1.1)])
def test_resting_waits_until_no_thread_runs_but_not_for_ever(busy, least, most, monkeypatch):
    clock = Clock(busy)
    for name in ("sleep", "perf_counter", "process_time"):
        monkeypatch.setattr(worker, name, getattr(clock, name))
    worker.rest()
    assert least <= clock.now <= most


def test_a_contestant_rests_before_the_next_one_begins(monkeypatch):
    asked = []

    def ask(self, request, *arguments):
        asked.append((self.contestant.label, request))
        return {"time": 1e-3, "memory": {}}.get(request)

    monkeypatch.setattr(
        harness.Worker, "__init__", lambda self, contestant, _: vars(self).update(contestant=contestant)
    )
    monkeypatch.setattr(harness.Worker, "close", lambda self: None)
    monkeypatch.setattr(harness.Worker, "ask", ask)
    run_case(Case("", {}, [Contestant("a", ""), Contestant("b", "")], values=0), Pace(3))
    for (label, request), (following, _) in pairwise(asked):
        if label != following and request not in ("ready", "facts", "memory"):
            assert request == "rest"


def test_without_a_driver_there_is_no_gpu(monkeypatch):
    def missing(name):
        raise OSError(name)

    finds_gpu.cache_clear()
    monkeypatch.setattr(harness, "CDLL", missing)
    assert not finds_gpu("torch")
    finds_gpu.cache_clear()


@pytest.mark.parametrize(("program", "expected"), [("pass", True), ("assert False", False)])
def test_with_a_driver_the_library_is_asked(program, expected, monkeypatch):
    finds_gpu.cache_clear()
    monkeypatch.setattr(harness, "CDLL", lambda name: None)
    monkeypatch.setattr(harness, "ASK_FOR_GPU", {"torch": program})
    assert finds_gpu("torch") == expected
    finds_gpu.cache_clear()


def test_a_contestant_that_lacks_its_module_is_not_asked_for_a_gpu(monkeypatch):
    monkeypatch.setattr(harness, "finds_gpu", lambda module: pytest.fail("asked"))
    assert Contestant("", "", needs=("no_such_module",), gpu="torch").missing() == ["no_such_module"]
