"""Streams and graphs of the stand-in for CuPy: work is done at once, or recorded while a stream captures."""

import threading
import weakref
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import numpy as np


class StandInError(AssertionError):
    """What a GPU would do wrongly or slowly without a word, or what a test has forbidden."""


class CUDARuntimeError(RuntimeError):
    """What CUDA itself refuses."""


class Graph:
    """cupy.cuda.Graph: what was submitted during a capture, done again by each launch.

    Like CUDA's it keeps no memory alive: arrays that it works on must outlive it, or launching it fails.
    """

    def __init__(self) -> None:
        self._nodes: list[tuple[Callable[[], object], list[weakref.ref[Any]]]] = []

    def __len__(self) -> int:
        return len(self._nodes)

    def add(self, work: Callable[[], object], memories: Sequence[Any]) -> None:
        """Add a node that needs `memories`."""
        self._nodes.append((work, [weakref.ref(memory) for memory in memories]))

    def launch(self, stream: "Stream | None" = None) -> None:
        """Do all work in the order in which it was captured."""
        if (stream or current_stream()).graph is not None:
            raise StandInError("a graph is launched in a capture, which the stand-in has no use for")
        for position, (work, memories) in enumerate(self._nodes):
            if any(memory() is None for memory in memories):
                raise StandInError(f"node {position} of the graph works on an array that is no longer alive")
            run(work)

    def upload(self, stream: "Stream | None" = None) -> None:
        """Nothing to do."""


class Stream:
    """cupy.cuda.Stream."""

    null: "Stream"
    _pointers = count(1)

    def __init__(
        self, null: bool = False, non_blocking: bool = False, ptds: bool = False, priority: int | None = None
    ) -> None:
        self.ptr = 0 if null else next(self._pointers) << 12
        self.is_non_blocking = non_blocking
        #: what is being captured
        self.graph: Graph | None = None
        self._invalid = ""

    def __enter__(self) -> "Stream":
        _stack().append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _stack().pop()

    def use(self) -> "Stream":
        """Make this the current stream."""
        _stack()[-1] = self
        return self

    def synchronize(self) -> None:
        """Wait for nothing, as all is done; refused in a capture."""
        self.refuse_capturing("synchronize()", CUDARuntimeError)

    @property
    def done(self) -> bool:
        """Whether all work is done."""
        self.refuse_capturing("a query", CUDARuntimeError)
        return True

    def begin_capture(self, mode: int | None = None) -> None:
        """Record all that is submitted to this stream from now on."""
        if self.ptr == 0:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        if not self.is_non_blocking:
            raise StandInError("capture on Stream(non_blocking=True): others wait for the default stream")
        if self.graph is not None:
            raise CUDARuntimeError("cudaErrorIllegalState: the stream is capturing already")
        self.graph, self._invalid = Graph(), ""

    def end_capture(self) -> Graph:
        """The graph of what was submitted since `begin_capture`."""
        graph, self.graph = self.graph, None
        if graph is None:
            raise CUDARuntimeError("cudaErrorIllegalState: the stream is not capturing")
        if self._invalid:
            raise CUDARuntimeError(f"cudaErrorStreamCaptureInvalidated: {self._invalid}")
        if not len(graph):
            raise StandInError("nothing was captured: is the stream the current one?")
        return graph

    def is_capturing(self) -> bool:
        """Whether a capture is on."""
        return self.graph is not None

    def refuse_capturing(self, what: str, error: type[Exception]) -> None:
        """Raise `error` if a capture is on, which CUDA gives up if the error is its own."""
        if self.graph is None:
            return
        if error is CUDARuntimeError:
            self._invalid = f"{what} during the capture"
            raise error(f"cudaErrorStreamCaptureUnsupported: {what} during a capture")
        raise error(f"{what} during a capture")


Stream.null = Stream(null=True)
_of_thread = threading.local()


def _stack() -> list[Stream]:
    if not hasattr(_of_thread, "stack"):
        _of_thread.stack = [Stream.null]
    return _of_thread.stack


def current_stream() -> Stream:
    """The stream that work of this thread is submitted to."""
    return _stack()[-1]


def submit(work: Callable[[], object], memories: Sequence[Any], stream: Stream | None = None) -> None:
    """Do `work`, on `memories`, now or whenever the graph that is being captured is launched."""
    graph = (stream or current_stream()).graph
    if graph is None:
        run(work)
    else:
        graph.add(work, memories)


def run(work: Callable[[], object]) -> None:
    """Do `work` as a GPU does: without a word about numbers that overflow."""
    with np.errstate(all="ignore"):
        work()
