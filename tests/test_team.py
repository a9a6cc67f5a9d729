"""Sharing out: what belongs to whom, and what happens when a share fails."""

import gc
import os
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threads_helpers import StopError, error_of

from minidrop.threads import Team, span

# -- spans -------------------------------------------------------------------------------------------------


@given(n=st.integers(0, 1000), shares=st.integers(1, 70), multiple=st.integers(1, 40))
def test_everything_belongs_to_one_share(n, shares, multiple):
    """In order, and each share but the last begins and ends at a multiple."""
    spans = [span(n, share, shares, multiple) for share in range(shares)]
    assert [i for where in spans for i in range(where.start, where.stop)] == list(range(n))
    assert all(where.start <= where.stop for where in spans)
    assert all(where.start % multiple == 0 for where in spans)
    assert all(where.stop % multiple == 0 for where in spans[:-1])


@given(n=st.integers(0, 1000), shares=st.integers(1, 70), multiple=st.integers(1, 40))
def test_no_share_is_much_larger_than_another(n, shares, multiple):
    sizes = [where.stop - where.start for where in (span(n, i, shares, multiple) for i in range(shares))]
    assert max(sizes) - n / shares < 2 * multiple
    if multiple == 1:
        assert max(sizes) - min(sizes) <= 1


# -- the team ----------------------------------------------------------------------------------------------


@pytest.fixture
def team():
    return Team()


@pytest.mark.parametrize("shares", [1, 2, 3, 9])
def test_each_share_is_done_once(team, shares):
    done = []
    team.run(done.append, shares)
    assert sorted(done) == list(range(shares))


def test_share_0_is_the_callers_and_the_others_meet(team):
    """All of them wait for each other, which they only can if each has a thread."""
    names, together = {}, threading.Barrier(4)

    def job(share):
        names[share] = threading.current_thread()
        together.wait(timeout=60)

    team.run(job, 4)
    assert names[0] is threading.current_thread()
    assert len(set(names.values())) == 4
    assert all(names[share].daemon for share in (1, 2, 3))


def test_the_threads_are_used_again_and_grow_in_number(team):
    found = []
    for shares in (2, 2, 4, 3, 1, 4):
        names = set()
        team.run(lambda share, names=names: names.add(threading.get_ident()), shares)
        found.append(names)
    assert found[0] == found[1] < found[2] == found[5]
    assert found[3] < found[2]
    assert found[4] == {threading.get_ident()}


def test_many_runs(team):
    counts = np.zeros(3, int)

    def job(share):
        counts[share] += 1

    for _ in range(3000):
        team.run(job, 3)
    assert counts.tolist() == [3000] * 3


@pytest.mark.parametrize("kind", [StopError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("failing", [0, 1, 2])
def test_what_a_share_raises_is_raised_after_all_have_ended(team, failing, kind):
    done = []

    def job(share):
        if share == failing:
            raise kind(f"share {share}")
        time.sleep(0.02)
        done.append(share)

    for _ in range(2):  # the team works afterwards
        error = error_of(team.run, job, 3)
        assert (type(error), str(error)) == (kind, f"share {failing}")
        assert sorted(done) == [share for share in range(3) if share != failing]
        done.clear()
        team.run(done.append, 3)
        assert sorted(done) == [0, 1, 2]
        done.clear()


@pytest.mark.parametrize("failing", [(0, 1), (1, 2), (0, 1, 2)])
def test_of_several_errors_one_is_raised(team, failing):
    def job(share):
        if share in failing:
            raise StopError(share)

    error = error_of(team.run, job, 3)
    assert isinstance(error, StopError)
    assert error.args[0] in failing
    assert error_of(team.run, lambda share: None, 3) is None


def test_an_error_says_where_it_comes_from(team):
    def fails_here(share):
        return 1 // (1 - share)

    with pytest.raises(ZeroDivisionError) as error:
        team.run(fails_here, 2)
    assert error.traceback[-1].name == "fails_here"


@pytest.mark.parametrize("share_that_divides", [0, 1, 2])
def test_what_the_caller_says_of_floating_point_errors_holds_in_every_share(team, share_that_divides):
    def job(share):
        if share == share_that_divides:
            np.ones(3) / np.zeros(3)

    with np.errstate(divide="raise"):
        assert isinstance(error_of(team.run, job, 3), FloatingPointError)
    with np.errstate(divide="ignore"):
        assert error_of(team.run, job, 3) is None


def test_a_share_leaves_the_floating_point_errors_of_the_caller_alone(team):
    before = np.geterr()
    team.run(lambda share: np.seterr(all="ignore") if share else None, 3)
    assert np.geterr() == before


def test_two_callers_at_once_get_what_they_asked_for(team):
    found = {}

    def caller(name):
        for _ in range(200):
            done = []
            team.run(done.append, 3)
            found.setdefault(name, set()).add(tuple(sorted(done)))

    callers = [threading.Thread(target=caller, args=(name,)) for name in ("a", "b")]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join()
    assert found == {"a": {(0, 1, 2)}, "b": {(0, 1, 2)}}


def test_an_idle_thread_keeps_nothing_alive(team):
    class Job:
        def __call__(self, share):
            pass

    job = Job()
    reference = weakref.ref(job)
    team.run(job, 3)
    del job
    for _ in range(1000):  # the caller may be back before the thread has put its work away
        gc.collect()
        if reference() is None:
            return
        time.sleep(0.01)
    pytest.fail("a thread that waits for work holds on to the last job")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_shares_out_with_threads_of_its_own():
    program = """
import os, warnings
from minidrop.threads import share_out
warnings.simplefilter("ignore")  # newer Pythons warn of any fork with threads about
done, done_in_child = [], []
share_out(done.append, 3)
child = os.fork()
if child == 0:
    share_out(done_in_child.append, 3)
    os._exit(sorted(done_in_child) != [0, 1, 2])
_, status = os.waitpid(child, 0)
share_out(done.append, 3)
print(os.waitstatus_to_exitcode(status), sorted(done))
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = [sys.executable, "-c", program]
    result = subprocess.run(run, env=environment, capture_output=True, text=True, timeout=120)
    assert (result.stdout.strip(), result.stderr) == ("0 [0, 0, 1, 1, 2, 2]", "")
