"""What the tests of the command line share."""

import os
import subprocess
import sys

import numpy as np

from minidrop.checkpoint import load_weights

SMALL = ["--layers", "64-16-10", "--dropout", "0.2,0.5", "--epochs", "2", "--batch-size", "100"]
FILES = {
    "config.json",
    "versions.json",
    "history.csv",
    "checkpoint.safetensors",
    "model.safetensors",
    "curves.png",
    "summary.json",
}


def refused(result, *words, code=2):
    """One clear line on stderr, with these words, and the exit code."""
    status, _, err = result
    assert status == code
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    for word in words:
        assert word in err


def same_weights(first, second):
    a, b = (load_weights(folder / "checkpoint.safetensors") for folder in (first, second))
    assert a.keys() == b.keys()
    for name, value in a.items():
        np.testing.assert_array_equal(value, b[name])


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "minidrop", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


LONG = [
    "--layers",
    "64-64-10",
    "--dropout",
    "0.2,0.5",
    "--epochs",
    30,
    "--optimizer",
    "adam",
    "--validation",
    50,
]
