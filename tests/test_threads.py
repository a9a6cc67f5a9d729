"""How many threads there are, whose they are in the meantime, and that all come back."""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits
from threads_helpers import StopError, error_of

from minidrop import threads
from minidrop.backends import Backend, numpy_backend
from minidrop.backends.numpy_backend import NumpyBackend
from minidrop.errors import ArgumentError

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
def test_any_thread_can_set_the_limit():
    """Also while another that has set it is alive, by minidrop or not; it keeps no other from it itself."""
    with threadpool_limits(3, "blas"), ThreadPoolExecutor(1) as other:
        other.submit(threads.limit, 2).result()
        assert numbers() == {2}
        with threadpool_limits(5, "blas"):
            assert numbers() == {5}
        threads.limit(4)
        inside = []
        other.submit(threads.share_out, lambda share: inside.append(numbers()), 2).result()
        assert inside == [{1}] * 2
        assert numbers() == {4}


@needs_blas
@pytest.mark.usefixtures("as_before")
def test_one_share_has_all_threads():
    threads.limit(3)
    inside = []
    threads.share_out(lambda share: inside.append((share, threading.get_ident(), threads.available())), 1)
    assert inside == [(0, threading.get_ident(), 3)]


@pytest.mark.parametrize("most", [1, 2, 5])
def test_side_by_side_there_is_a_job_for_each_thread_and_one_thread_for_each_job(libraries, most):
    libraries.append(Library(3))
    inside = []
    NumpyBackend().side_by_side(lambda share: inside.append((share, libraries[0].number)), most)
    assert sorted(inside) == [(share, 1) for share in range(min(most, 3))]
    assert libraries[0].number == 3


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


@pytest.mark.parametrize("call", ["share_out", "side_by_side"])
def test_all_threads_come_back_after_two_callers_at_once(libraries, call):
    """The second one comes while the first is at work, and must not take its limit for the usual one."""
    libraries.append(Library(8))
    inside, first_is_back = [], threading.Event()

    def look(share):
        first_is_back.wait(5)
        inside.append(libraries[0].number)

    def second():
        getattr(NumpyBackend(), call)(look, 2)

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


@needs_blas
@pytest.mark.usefixtures("as_before")
def test_a_job_that_comes_while_another_is_shared_out_waits_and_has_one_thread():
    threads.limit(3)
    inside, arrived, first_is_back = [], threading.Event(), threading.Event()

    def look(share):
        arrived.set()
        first_is_back.wait(5)
        inside.append(numbers())

    with ThreadPoolExecutor(1) as other:

        def first(share):
            if share == 0:
                other.submit(NumpyBackend().side_by_side, look, 1)
                arrived.wait(0.2)

        threads.share_out(first, 2)
        first_is_back.set()
    assert inside == [{1}]
    assert numbers() == {3}


def test_without_a_limit_the_number_at_the_beginning_does_not_come_back(libraries):
    """It may be that of another thread, whose shares have one thread each."""
    libraries.append(Library(8))
    unlimited = threads.limited(0)
    threads.share_out(lambda share: share or unlimited.__enter__(), 2)
    unlimited.__exit__(None, None, None)
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
