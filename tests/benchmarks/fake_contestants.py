"""Work for the harness's own tests, and benchmarks made of it."""

import gc
import os
from pathlib import Path

import numpy as np

from benchmarks.harness import Case, Contestant
from minidrop.backends import get_backend

HERE = Path(__file__).resolve().parent
#: lets a worker find this file and `benchmarks`, wherever the tests are started
PATHS = os.pathsep.join([str(HERE), str(HERE.parents[1])])


def fake(label, make, needs=(), **arguments):
    """A contestant out of this file."""
    return Contestant(label, f"fake_contestants:{make}", arguments, needs, environment={"PYTHONPATH": PATHS})


def race(*contestants, **settings):
    """A case of these contestants."""
    return Case("a race", {}, contestants, **settings)


class Logged:
    """Work that writes down what is asked of it, in one file for all contestants."""

    def __init__(self, log, name, numbers=()):
        self.log, self.name, self.numbers = Path(log), name, list(numbers)

    def write(self, what):
        with self.log.open("a", encoding="utf-8") as file:
            file.write(f"{self.name} {what}\n")

    def __call__(self):
        self.write("works")

    def values(self, n):
        self.write("values")
        return self.numbers[:n]


class Device(Logged):
    """Work that goes on after its call has returned."""

    def synchronise(self):
        self.write("waits")


class Partial(Logged):
    """Work that says where its time goes."""

    def parts(self):
        return {"half": 0.5}


class Knowing(Logged):
    """Work that knows something of itself."""

    def facts(self):
        return {"nodes": 3}


class Backend:
    """Work that says which backend is the current one, when it is made and when it is asked."""

    def __init__(self):
        self.made = get_backend().name

    def __call__(self):
        pass

    def values(self, n):
        return [self.made == "numba", get_backend().name == "numba"]


class Limited:
    """Work that says where it may run."""

    def __call__(self):
        pass

    def values(self, n):
        return [len(os.sched_getaffinity(0)), int(os.environ["OMP_NUM_THREADS"])]


class Hungry:
    """Work that needs much memory to build, some to give its values, and little to run; all in bytes."""

    def __init__(self, building, values, running):
        self.bytes = {"values": values, "running": running}
        gc.disable()
        garbage = [np.ones(building, np.uint8)]
        garbage.append(garbage)  # what only the collector finds, when it is asked to

    def __call__(self):
        self.kept = np.ones(self.bytes["running"], np.uint8)

    def values(self, n):
        return [float(np.ones(self.bytes["values"], np.uint8)[0])]


def chatty():
    """Work that prints."""
    print("to standard output")
    return lambda: os.system("echo to standard output, too")


def dying():
    """Work that ends its process."""
    return lambda: os._exit(3)


def wrong():
    """No work."""
    raise ValueError("the reason why")
