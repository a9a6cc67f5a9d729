"""The process of one contestant: it builds its work, then answers requests, one JSON line each.

- ["ready"]: null, once the work is built
- ["values", n]: the n values to compare, or null if the work has none
- ["time", n]: seconds a repetition, out of n: the median, or the mean of a synchronised block
- ["rest"]: null, once the threads of the work are asleep
- ["parts"]: what the work says of its last repetition, seconds by name, or null if it says nothing
- ["facts"]: what else the work knows of itself, numbers by name, or null
- ["memory"]: how much memory was resident, in bytes; see `Memory`
"""

import gc
import importlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, sleep
from typing import Any


def seconds(work: Any, n: int) -> float:
    """Seconds a repetition, out of n after one that is not counted; a single one is long enough without."""
    if n > 1:
        work()
    if hasattr(work, "synchronise"):
        work.synchronise()
        since = perf_counter()
        for _ in range(n):
            work()
        work.synchronise()
        return (perf_counter() - since) / n
    times = []
    for _ in range(n):
        since = perf_counter()
        work()
        times.append(perf_counter() - since)
    return median(times)


def rest() -> None:
    """Wait, a second at most, until no thread of this process runs.

    Threads of a matrix product spin when it is done, in case another one follows: OpenBLAS's for 0.1 s. They
    would take a processor from the next contestant.
    """
    deadline = perf_counter() + 1
    while perf_counter() < deadline:
        used = process_time()
        sleep(0.005)
        if process_time() - used < 0.001:
            return


class Memory:
    """What the process holds: before the work is built, at most until it is, and at most while it runs.

    Linux keeps the largest resident memory of a process, and lets it begin anew: what building the work or
    handing over its values needed for a moment does not count as needed to run it. `getrusage` has only a
    number that a process inherits from the one that started it.
    """

    def __init__(self) -> None:
        self.before = resident("VmRSS")
        self.built = self.before
        self.forgets = False

    def begin(self) -> None:
        """Forget the largest so far, if this system can, and what is no longer used."""
        gc.collect()
        try:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        except OSError:
            return
        self.forgets = True

    def answer(self) -> dict[str, int | None]:
        """All three; the last is null if it cannot be told from the second."""
        running = resident("VmHWM") if self.forgets else None
        return {"bytes_before": self.before, "building_bytes": self.built, "peak_bytes": running}


def resident(name: str) -> int:
    """Memory of this process in bytes: VmRSS is what it holds now, VmHWM what it held at most."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return 0


class Answers:
    """The work that `make` names, "module:function", and its answers."""

    def __init__(self, make: str, arguments: Mapping[str, Any]) -> None:
        module, function = make.split(":")
        called = getattr(importlib.import_module(module), function)
        self.memory = Memory()
        self.work = called(**arguments)
        self.memory.built = resident("VmHWM")
        self.memory.begin()

    def __call__(self, request: str, *arguments: Any) -> Any:
        """The answer to a request."""
        work = self.work
        if request == "values" and hasattr(work, "values"):
            values = work.values(*arguments)
            self.memory.begin()
            return values
        if request == "time":
            return seconds(work, *arguments)
        if request == "rest":
            rest()
        if request in ("parts", "facts") and hasattr(work, request):
            return getattr(work, request)()
        return self.memory.answer() if request == "memory" else None


def main() -> None:
    """Build the work that the command line describes and answer until standard input ends."""
    out = os.fdopen(os.dup(1), "w")  # what libraries print must not come between the answers
    os.dup2(2, 1)
    job = json.loads(sys.argv[1])
    os.sched_setaffinity(0, job["processors"])
    answers = Answers(job["make"], job["arguments"])
    gc.disable()
    for line in sys.stdin:
        print(json.dumps(answers(*json.loads(line))), file=out, flush=True)


if __name__ == "__main__":
    main()
