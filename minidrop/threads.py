"""Threads that share a training step, within the number that NumPy's matrix products may use.

That number is the machine's, or what OMP_NUM_THREADS, OPENBLAS_NUM_THREADS, `threadpoolctl` or --threads make
of it. While a job is shared out, each thread has the matrix products of its share to itself; outside of one
they run on all threads again, as they do in any NumPy program.

Any thread may set the number, and sets it for all: of trainings in several threads at once, only those of
`fit_replicas` have the bits that each would have alone.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import cache
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

import numpy  # noqa: F401 - whose BLAS can be found only once it is loaded
from threadpoolctl import ThreadpoolController

from minidrop.errors import check_count

Job = Callable[[int], object]

#: How long a thread that needs the interpreter's lock waits before it insists, in seconds. Array operations
#: give the lock back while they work, but many end before a waiting thread has woken up: at Python's 5 ms one
#: thread can keep the others out for a whole job.
_SWITCH = 1e-5


@cache
def _controllers() -> list[Any]:
    """NumPy's BLAS, as far as threadpoolctl knows it; on some systems it knows none."""
    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


def libraries() -> list[dict[str, Any]]:
    """What threadpoolctl knows of NumPy's BLAS: its file, its version, its kernels."""
    return [controller.info() for controller in _controllers()]


def available() -> int:
    """How many threads a step may use: as many as NumPy's matrix products use now, or 1 if nobody knows.

    >>> available() >= 1
    True
    """
    return min((int(library.get_num_threads()) for library in _controllers()), default=1)


def _set_threads(library: Any, threads: int) -> None:
    """Let `library` use `threads` threads, whichever thread says so."""
    # from the first thread that sets OpenBLAS's number until that ends, threadpoolctl 3.8 ignores all others
    release = getattr(library, "clear_controlling_thread", lambda force=False: None)
    release(force=True)
    library.set_num_threads(threads)
    release()


def limit(threads: int) -> None:
    """Let matrix products, and the steps shared out with them, use `threads` threads from now on.

    Raises:
        ArgumentError: unless `threads` is at least 1.
    """
    check_count("threads", threads)
    for library in _controllers():
        _set_threads(library, threads)


@contextmanager
def limited(threads: int) -> Iterator[None]:
    """Let steps use `threads` threads inside a `with` block; 0 changes nothing."""
    if not threads:  # the number may be what another thread has set for a while, and is not to be put back
        yield
        return
    libraries = _controllers()
    before = [library.get_num_threads() for library in libraries]
    limit(threads)
    try:
        yield
    finally:
        for library, number in zip(libraries, before, strict=True):
            _set_threads(library, number)


def span(n: int, share: int, shares: int, multiple: int = 1) -> slice:
    """Which of n things belong to `share` of `shares`; all but the last share have multiples of `multiple`.

    >>> [span(100, share, 3, multiple=8) for share in range(3)]
    [slice(0, 32, None), slice(32, 64, None), slice(64, 100, None)]
    """
    low, high = (n * i // shares // multiple * multiple for i in (share, share + 1))
    return slice(low, n if share == shares - 1 else high)


class Team:
    """Threads that wait for work: `run(job, shares)` calls job(0), job(1), ... at once and waits for all.

    >>> done = []
    >>> Team().run(done.append, 3)
    >>> sorted(done)
    [0, 1, 2]
    """

    def __init__(self) -> None:
        self._work: list[SimpleQueue[Any]] = []
        self._busy = Lock()

    def run(self, job: Job, shares: int) -> None:
        """Call job(share) for each share, share 0 in the calling thread; raise what the first of them raises.

        The others run in a copy of the caller's context, so that what `numpy.errstate` says holds there too.
        """
        with self._busy:
            while len(self._work) < shares - 1:
                work: SimpleQueue[Any] = SimpleQueue()
                Thread(target=self._serve, args=(work,), name="minidrop", daemon=True).start()
                self._work.append(work)
            done: SimpleQueue[BaseException | None] = (
                SimpleQueue()
            )  # of this run: it may be interrupted twice
            for share, work in enumerate(self._work[: shares - 1], start=1):
                work.put((copy_context(), job, share, done))
            errors: list[BaseException | None] = []
            try:
                job(0)
            finally:  # also when interrupted: nobody may still write when the caller goes on
                errors = [done.get() for _ in range(shares - 1)]
            for error in errors:
                if error is not None:
                    raise error

    def _serve(self, work: "SimpleQueue[Any]") -> None:
        while True:
            context, job, share, done = work.get()
            try:
                context.run(job, share)
            except BaseException as error:  # whatever it is, the caller must see it
                done.put(error)
            else:
                done.put(None)
            del context, job, done  # an idle thread keeps no model alive


_team, _sharing = Team(), Lock()


def _forget_threads() -> None:
    """A forked process has none of its parent's threads."""
    global _team, _sharing
    _team, _sharing = Team(), Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


@contextmanager
def _alone() -> Iterator[int]:
    """Keep matrix products on the thread that asks inside a `with` block; give how many threads there are."""
    with _sharing:  # of two callers the second must not take the first's limit for the usual one
        usual, interval = available(), sys.getswitchinterval()
        with limited(1):
            sys.setswitchinterval(_SWITCH)
            try:
                yield usual
            finally:
                sys.setswitchinterval(interval)


def share_out(job: Job, shares: int) -> None:
    """Call job(0) ... job(shares - 1), each in a thread of its own with matrix products on that thread alone.

    One share is no sharing: its matrix products run on all threads.

    Raises:
        Exception: what the first failing share raises, once all have ended.
    """
    if shares == 1:
        job(0)
        return
    with _alone():
        _team.run(job, shares)


def side_by_side(job: Job, most: int) -> None:
    """Call job(0), job(1), ..., one in each thread that there is, but at most `most` of them.

    Matrix products are on the thread that asks alone, here also where there is only one job.

    >>> side_by_side(print, 1)
    0

    Raises:
        Exception: what the first failing job raises, once all have ended.
    """
    with _alone() as threads:
        _team.run(job, min(most, threads))
