"""Sharing out: what belongs to whom, what happens when a share fails, and how many threads there are."""

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
from threadpoolctl import threadpool_info, threadpool_limits

from minidrop import threads
from minidrop.backends import Backend, numpy_backend
from minidrop.backends.numpy_backend import NumpyBackend
from minidrop.errors import ArgumentError
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


class StopError(Exception):
    """What no other code raises."""


def error_of(call, *arguments):
    """What a call raises, or None."""
    try:
        call(*arguments)
    except BaseException as error:
        return error
    return None


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


# -- how many threads --------------------------------------------------------------------------------------

needs_blas = pytest.mark.skipif(
    not threads._controllers(), reason="threadpoolctl does not know this NumPy's BLAS"
)


@pytest.fixture
def as_before():
    """What a test sets is put back."""
    before = [(library, library.get_num_threads()) for library in threads._controllers()]
    yield
    for library, number in before:
        library.set_num_threads(number)


class Library:
    """A BLAS as threadpoolctl shows it."""

    def __init__(self, number):
        self.number, self.asked_by = number, []

    def get_num_threads(self):
        number = self.number
        self.asked_by.append(threading.get_ident())  # whoever sees this knows that the number has been read
        return number

    def set_num_threads(self, number):
        self.number = number


@pytest.fixture
def libraries(monkeypatch):
    """The libraries that minidrop finds: a list for the test to fill."""
    found = []
    monkeypatch.setattr(threads, "_controllers", lambda: found)
    return found


def numbers():
    """What NumPy's BLAS says itself; there may be others, such as SciPy's."""
    ours = [library["filepath"] for library in threads.libraries()]
    return {library["num_threads"] for library in threadpool_info() if library["filepath"] in ours}


@needs_blas
@pytest.mark.usefixtures("as_before")
def test_as_many_threads_as_matrix_products_use():
    for number in (1, 2, 3):
        with threadpool_limits(number, "blas"):
            assert threads.available() == number
        threads.limit(number)
        assert threads.available() == number
        assert numbers() == {number}


def test_without_a_blas_that_is_known_there_is_one_thread(libraries):
    assert threads.available() == 1
    threads.limit(3)
    done = []
    threads.share_out(done.append, 3)
    assert sorted(done) == [0, 1, 2]
    libraries += [Library(4), Library(3)]
    assert threads.available() == 3


@pytest.mark.parametrize("number", [0, -1, 1.5, None, "2"])
def test_what_is_no_number_of_threads_is_refused(libraries, number):
    libraries.append(Library(2))
    with pytest.raises(ArgumentError, match="threads must be an integer of at least 1"):
        threads.limit(number)
    assert libraries[0].number == 2


@needs_blas
@pytest.mark.usefixtures("as_before")
@pytest.mark.parametrize("before", [1, 2, 5])
def test_a_share_has_its_matrix_products_to_itself(before):
    threads.limit(before)
    inside = []
    threads.share_out(lambda share: inside.append((threads.available(), numbers())), 3)
    assert inside == [(1, {1})] * 3
    assert threads.available() == before


@needs_blas
@pytest.mark.usefixtures("as_before")
def test_a_limit_for_a_while():
    """0 is no limit; what was before comes back, also after an error."""
    threads.limit(3)
    with threads.limited(2):
        assert threads.available() == 2
        with threads.limited(0):
            assert threads.available() == 2
    assert threads.available() == 3
    with pytest.raises(StopError), threads.limited(1):
        raise StopError
    assert threads.available() == 3


@needs_blas
@pytest.mark.usefixtures("as_before")
def test_one_share_has_all_threads():
    threads.limit(3)
    inside = []
    threads.share_out(lambda share: inside.append((share, threading.get_ident(), threads.available())), 1)
    assert inside == [(0, threading.get_ident(), 3)]


@pytest.mark.parametrize("failing", [0, 1])
def test_all_threads_come_back_after_an_error(libraries, failing):
    libraries.append(Library(7))

    inside = []

    def job(share):
        inside.append(libraries[0].number)
        if share == failing:
            raise StopError

    assert isinstance(error_of(threads.share_out, job, 2), StopError)
    assert inside == [1, 1]
    assert libraries[0].number == 7


@pytest.mark.parametrize("failing", [None, 0, 1])
def test_the_interpreter_switches_between_threads_as_before(failing):
    def job(share):
        if share == failing:
            raise StopError

    before = sys.getswitchinterval()
    assert isinstance(error_of(threads.share_out, job, 2), StopError) == (failing is not None)
    assert sys.getswitchinterval() == before


def test_each_library_gets_its_own_number_back(libraries):
    libraries += [Library(8), Library(4)]
    threads.share_out(lambda share: None, 2)
    assert [library.number for library in libraries] == [8, 4]


def test_all_threads_come_back_after_two_callers_at_once(libraries):
    """The second one comes while the first is at work, and must not take its limit for the usual one."""
    libraries.append(Library(8))
    inside, first_is_back = [], threading.Event()

    def look(share):
        first_is_back.wait(5)
        inside.append(libraries[0].number)

    def second():
        threads.share_out(look, 2)

    other = threading.Thread(target=second)

    def first(share):
        if share == 0:
            other.start()
            end = time.monotonic() + 0.5
            while other.ident not in libraries[0].asked_by and time.monotonic() < end:
                time.sleep(0.001)

    threads.share_out(first, 2)
    first_is_back.set()
    other.join()
    assert inside == [1, 1]
    assert libraries[0].number == 8


ROWS, PRODUCTS = numpy_backend._ROWS_A_SHARE, NumpyBackend.products_a_share


@given(rows=st.integers(1, 2000), weights=st.integers(1, 10**7), number=st.integers(1, 64))
def test_a_step_is_shared_by_all_threads_or_by_none(rows, weights, number):
    """By all, if each has its rows and its products."""
    enough = rows >= number * ROWS and rows * weights >= number * PRODUCTS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numpy_backend, "available", lambda: number)
        assert NumpyBackend().shares(rows, weights) == (number if enough else 1)


@given(numbers=st.integers(1, 10**8), number=st.integers(1, 64))
def test_an_update_is_shared_by_all_threads_or_by_none(numbers, number):
    enough = numbers >= number * NumpyBackend.numbers_a_share
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numpy_backend, "available", lambda: number)
        assert NumpyBackend().update_shares(numbers) == (number if enough else 1)


@pytest.mark.parametrize(("rows", "weights"), [(1, 10**9), (ROWS, 10**9), (10**6, 1), (ROWS * 8, 1)])
def test_a_small_step_does_not_ask_how_many_threads_there_are(monkeypatch, rows, weights):
    monkeypatch.setattr(numpy_backend, "available", lambda: pytest.fail("asked"))
    assert NumpyBackend().shares(rows, weights) == 1


def test_a_backend_without_threads_has_one_share_and_does_them_in_turn():
    backend, done = Backend(), []
    assert backend.shares(10**6, 10**6) == backend.update_shares(10**9) == 1
    backend.share_out(done.append, 3)
    assert done == [0, 1, 2]
