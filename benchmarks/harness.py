"""How things are measured: the same work, each contestant in a process of its own, in interleaved rounds.

A `Benchmark` has cases, a case has contestants. Each contestant is built in a fresh process (`worker.py`),
which warms up and then waits. Before anything is timed, the contestants that can are asked for the values
that they compute, and must agree. Then they take turns: in each round each runs one short block while the
others sleep, so that whatever else the machine does meets all of them alike. What is reported are medians
over the rounds, and the median of each round's ratio to the reference.
"""

import gc
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from ctypes import CDLL
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from statistics import median
from typing import Any

import numpy as np

from benchmarks.worker import Answers
from minidrop.backends import using_backend

#: programs that fail unless the module of that name finds a CUDA device
ASK_FOR_GPU = {
    "cupy": "import cupy; assert cupy.cuda.runtime.getDeviceCount()",
    "torch": "import torch; assert torch.cuda.is_available()",
    "jax": "import jax; assert jax.default_backend() == 'gpu'",
}


#: a program that says what the GPU is, whose products minidrop uses there, and which CUDA it has
ABOUT_GPU = """
import cupy, minidrop.backends
backend, runtime = minidrop.backends.get_backend("cupy"), cupy.cuda.runtime
print(backend.device(), "products: " + backend.products, sep="\\n")
print("CUDA", runtime.runtimeGetVersion(), "driver", runtime.driverGetVersion())
"""


class DisagreementError(AssertionError):
    """Contestants of one case that do not compute the same thing."""


#: the environment of a contestant whose arrays are the numba backend's
NUMBA = {"MINIDROP_BACKEND": "numba"}


@dataclass(frozen=True)
class Contestant:
    """One way to do the work of a case.

    Args:
        label: the row's name.
        make: "module:function"; called with `arguments` in the contestant's process, it returns the work: an
            object whose call is one repetition. If it has `values(n)`, that is called before all else and
            gives n numbers that must be the other contestants' too, such as the losses of its first n steps
            with masks that all are given. If it has `synchronise()`, a whole block is timed between two. A
            `parts()` gives seconds by name: where the time of its last repetition went. `facts()` gives other
            numbers by name that the result is to hold.
        arguments: what JSON can hold.
        needs: modules without which the contestant is left out, with a reason.
        note: what is different about it.
        environment: variables of its process.
        gpu: the module of `needs` that must find a CUDA device, a key of `ASK_FOR_GPU`.
    """

    label: str
    make: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    note: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    gpu: str = ""

    def missing(self) -> list[str]:
        """What it needs and this machine lacks: modules that are not installed, or a GPU."""
        modules = [name for name in self.needs if find_spec(name) is None]
        if not modules and self.gpu and not finds_gpu(self.gpu):
            return [f"a GPU that {self.gpu} finds"]
        return modules


@dataclass(frozen=True)
class Case:
    """Work with a fixed size, and who does it; the first contestant is the one that ratios refer to.

    Args:
        name: what is different from the other cases.
        parameters: the sizes by name, for figures and tables.
        contestants: the reference first.
        values: how many values are compared; 0 for none.
        tolerance: the relative difference allowed between them, with `values`.
        share: of the pace's block length: less than 1 where cases are many.
        rounds: at most, where a repetition takes long; 0 for the pace's.
    """

    name: str
    parameters: Mapping[str, Any]
    contestants: Sequence[Contestant]
    values: int = 0
    tolerance: float = 0.0
    share: float = 1.0
    rounds: int = 0


@dataclass(frozen=True)
class Pace:
    """How long a measurement takes.

    Args:
        rounds: how many blocks of each contestant.
        seconds: how long a block lasts, or one repetition if that is longer.
        threads: how many processors each contestant may use.
        apart: whether each has a process of its own; without, nothing is measured, but all runs in a minute.
    """

    rounds: int = 15
    seconds: float = 0.3
    threads: int = 0
    apart: bool = True

    def processors(self) -> list[int]:
        """The processors that the contestants may run on: the first `threads`, or all for 0."""
        usable = sorted(os.sched_getaffinity(0))
        return usable[: self.threads or len(usable)]


@cache
def finds_gpu(module: str) -> bool:
    """Whether `module` finds a CUDA device; another process looks, so that this one holds nothing there."""
    try:
        CDLL("libcuda.so.1")  # without a driver the answer takes no time
    except OSError:
        return False
    return not subprocess.run([sys.executable, "-c", ASK_FOR_GPU[module]], capture_output=True).returncode


def about_gpu() -> str:
    """The CUDA device that minidrop uses, with its libraries; nothing without one."""
    if not finds_gpu("cupy"):
        return ""
    run = [sys.executable, "-c", ABOUT_GPU]
    return subprocess.run(run, capture_output=True, text=True, check=False).stdout.strip().replace("\n", "; ")


class Worker:
    """The process of one contestant."""

    def __init__(self, contestant: Contestant, processors: list[int]) -> None:
        self.contestant = contestant
        job = {"make": contestant.make, "arguments": dict(contestant.arguments), "processors": processors}
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "")
        threads = {name: str(len(processors)) for name in threads}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **threads, **contestant.environment},
        )

    def ask(self, request: str, *arguments: Any) -> Any:
        """Its answer to a request; RuntimeError if it died."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            print(json.dumps([request, *arguments]), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RuntimeError(_died(self.contestant, request))
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()


class Guest:
    """A contestant in this process, which answers as a `Worker` does: no other import of what many need."""

    def __init__(self, contestant: Contestant) -> None:
        self.contestant = contestant
        self.answers: Answers | None = None

    def ask(self, request: str, *arguments: Any) -> Any:
        """Its answer to a request, as JSON has it; RuntimeError if it fails."""
        try:
            with using_backend(self.contestant.environment.get("MINIDROP_BACKEND", "numpy")):
                if self.answers is None:
                    self.answers = Answers(self.contestant.make, self.contestant.arguments)
                    gc.freeze()  # collections need not look through all that has been imported each time
                answer = json.loads(json.dumps(self.answers(request, *arguments)))
                # what this process holds is everybody's
                return answer | {"peak_bytes": None} if request == "memory" else answer
        except Exception:
            traceback.print_exc()
            raise RuntimeError(_died(self.contestant, request)) from None


def _died(contestant: Contestant, request: str) -> str:
    return f"{contestant.label!r} died when asked for {request!r}; see above"


@contextmanager
def workers(
    contestants: Sequence[Contestant], processors: list[int], *, apart: bool = True
) -> Iterator[list[Worker | Guest]]:
    """The processes of `contestants`, started together, ended with the block; or guests, but on a GPU."""
    with ExitStack() as stack:
        started: list[Worker | Guest] = []
        for contestant in contestants:
            if apart or contestant.gpu:
                worker = Worker(contestant, processors)
                stack.callback(worker.close)
                started.append(worker)
            else:
                started.append(Guest(contestant))
        yield started


def run_case(case: Case, pace: Pace, told: Callable[[str], None] = lambda what: None) -> dict[str, Any]:
    """Check and measure one case; the answer is what the results file holds of it.

    Raises:
        DisagreementError: if two contestants compute different values.
    """
    present = [c for c in case.contestants if not c.missing()]
    left_out = {c.label: f"needs {', '.join(c.missing())}" for c in case.contestants if c.missing()}
    block = pace.seconds * case.share
    with workers(present, pace.processors(), apart=pace.apart) as racing:
        told(f"{case.name}: starting")
        for worker in racing:
            worker.ask("ready")
        if case.values:
            told(f"{case.name}: comparing values")
            agree(case, {worker.contestant.label: worker.ask("values", case.values) for worker in racing})
        for worker in racing:
            worker.ask("rest")
        told(f"{case.name}: warming up")
        calls = []
        for worker in racing:
            calls.append(_calls(worker, block))
            worker.ask("rest")
        seconds: list[list[float]] = [[] for _ in racing]
        parts: list[list[dict[str, float]]] = [[] for _ in racing]
        rounds = min(pace.rounds, case.rounds or pace.rounds)
        for turn in range(rounds):
            told(f"{case.name}: round {turn + 1} of {rounds}")
            for i, worker in enumerate(racing):
                seconds[i].append(worker.ask("time", calls[i]))
                parts[i].append(worker.ask("parts") or {})
                worker.ask("rest")
        facts = [worker.ask("facts") for worker in racing]
        memory = [worker.ask("memory") for worker in racing]
    return {
        "name": case.name,
        "parameters": dict(case.parameters),
        "contestants": [
            {
                "label": worker.contestant.label,
                "note": worker.contestant.note,
                "seconds": seconds[i],
                "calls": calls[i],
                **({"parts": parts[i]} if any(parts[i]) else {}),
                **({"facts": facts[i]} if facts[i] else {}),
                **memory[i],
            }
            for i, worker in enumerate(racing)
        ],
        "left_out": left_out,
    }


def _calls(worker: Worker | Guest, seconds: float) -> int:
    """How many repetitions fill a block, after a warm-up of one block."""
    worker.ask("time", 1)  # compiles, allocates
    if min(worker.ask("time", 1) for _ in range(2)) >= seconds:
        return 1
    n = max(1, round(seconds / 4 / worker.ask("time", 3)))
    return max(1, int(seconds / worker.ask("time", n) + 0.5))


def agree(case: Case, values: Mapping[str, Sequence[float] | None]) -> None:
    """DisagreementError if the values of two contestants differ by more than the case's tolerance."""
    known = {label: np.asarray(numbers) for label, numbers in values.items() if numbers is not None}
    first, *others = known
    for other in others:
        if known[other].shape != known[first].shape or not np.allclose(
            known[other], known[first], rtol=case.tolerance, atol=0
        ):
            raise DisagreementError(
                f"{case.name}: {first!r} and {other!r} do not compute the same: "
                f"{known[first].tolist()} against {known[other].tolist()}"
            )


def typical(contestant: Mapping[str, Any]) -> float:
    """The median time of a repetition in seconds."""
    return float(median(contestant["seconds"]))


def ratio(contestant: Mapping[str, Any], reference: Mapping[str, Any]) -> float:
    """The median over the rounds of this contestant's time as a multiple of the reference's."""
    return float(median(a / b for a, b in zip(contestant["seconds"], reference["seconds"], strict=True)))


def spread(contestant: Mapping[str, Any]) -> float:
    """Half the distance between the quartiles, as a fraction of the median."""
    low, high = np.percentile(contestant["seconds"], [25, 75])
    return float((high - low) / 2 / typical(contestant))
