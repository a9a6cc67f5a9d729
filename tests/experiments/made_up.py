"""Experiments that are made up for the tests of the runner; workers of other processes import this file."""

import os
import time

import numpy as np
from filelock import FileLock

from minidrop.experiments import Claim, Drawing, Experiment, Findings, Job, Quantity, Table
from minidrop.experiments.figures import COLOURS, band, label, panels


def square(folder, x, fail=False):
    """x², leaving a trace that it ran."""
    with open(folder / "ran.txt", "a") as file:
        file.write("once\n")
    if fail and not (folder / "mended").exists():
        raise ValueError(f"no square of {x} today")
    return {"square": x * x}


def configured(folder, config=None, configs=None, data_dir=None):
    """A training's arguments, without the training."""
    return {}


def anywhere(folder, backend):
    """Leave a trace of having run."""
    with open(folder / "ran.txt", "a") as file:
        file.write("once\n")
    return {}


def die(folder):
    """End the process as a kill does."""
    os._exit(1)


def wait(folder, seconds):
    """Take some time."""
    time.sleep(seconds)
    return {}


def hold(folder):
    """Keep a lock for long, which the system takes from a process that ends."""
    with FileLock(folder / "held"):
        (folder / "began").touch()
        time.sleep(600)


def squares(n=3, failing=(), published=4.0):
    """Squares of 0 ... n - 1, of which that of 2 is compared with what was `published`."""

    def jobs(plan):
        return [Job(f"x={x}", square, {"x": x, "fail": x in failing}) for x in range(n)]

    def analyse(plan, results):
        found = [result["square"] for result in results.values()]
        figure, axes = panels()
        band(axes[0, 0], range(len(found)), [found, found], "ours", COLOURS[0])
        label(axes[0, 0], "x", "x² [1]", "Squares <of> x")
        quantities = [Quantity("mean of the squares", [float(np.mean(found)), 2.0], 1.5)]
        if "x=2" in results:
            quantities.append(Quantity("2²", [results["x=2"]["square"]], published, "exact"))
        claims = [
            Claim("squares grow", found == sorted(found), str(found)),
            Claim("none is negative", True, exact=True),
        ]
        table = Table("All of them", ("x", "x²"), list(enumerate(found)))
        drawing = Drawing("squares", "The squares & their <mean>.", figure)
        return Findings(quantities, claims, [table], [drawing], ["A note."])

    return Experiment("squares", ("T-1",), "Are squares <square>?", "none", "1 s", jobs, analyse)
