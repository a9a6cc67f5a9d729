"""The process of one contestant: it builds its work, then answers requests, one JSON line each.

- ["ready"]: null, once the work is built
- ["values", n]: the n values to compare, or null if the work has none
- ["time", n]: seconds a repetition, out of n: the median, or the mean of a synchronised block
- ["memory"]: the largest resident memory, and what was resident before the work was built, in bytes
"""

import gc
import importlib
import json
import os
import resource
import sys
from statistics import median
from time import perf_counter
from typing import Any


def seconds(work: Any, n: int) -> float:
    """Seconds a repetition, out of n after one that is not counted."""
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


def peak() -> int:
    """The largest resident memory of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Build the work that the command line describes and answer until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")  # what libraries print must not come between the answers
    os.dup2(2, 1)
    job = json.loads(sys.argv[1])
    os.sched_setaffinity(0, job["processors"])
    module, function = job["make"].split(":")
    make = getattr(importlib.import_module(module), function)
    before = peak()
    work = make(**job["arguments"])
    gc.disable()
    for line in sys.stdin:
        request, *arguments = json.loads(line)
        answer: Any = None
        if request == "values" and hasattr(work, "values"):
            answer = work.values(*arguments)
        elif request == "time":
            answer = seconds(work, *arguments)
        elif request == "memory":
            answer = {"peak_bytes": peak(), "bytes_before": before}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
