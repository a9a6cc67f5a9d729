"""What the command line refuses: one line each, exit code 2, and nothing left behind."""

import gzip
import os
import shutil

import numpy as np
import pytest
from cli_helpers import SMALL, refused

from minidrop.data import write_idx


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dataset", "cifar"], ["data set must be one of digits, mnist, fashion-mnist"]),
        (["--layers", "100-10", "--dropout", "0"], ["do not fit digits", "64 inputs and 10 classes"]),
        (["--layers", "64-12", "--dropout", "0"], ["do not fit digits"]),
        (["--dropout", "1.5"], ["dropout must be a number in [0, 1], got 1.5"]),
        (["--dropout", "-0.1"], ["dropout must be a number in [0, 1], got -0.1"]),
        (["--dropout", "nan"], ["dropout must be a number in [0, 1], got nan"]),
        (["--lr", "nan"], ["lr must be a number in", "got nan"]),
        (["--lr", "-1"], ["lr must be a number in", "got -1.0"]),
        (["--batch-size", "0"], ["batch size must be an integer of at least 1, got 0"]),
        (["--batch-size", "5000"], ["batch size 5000 is larger than the data, 1437 examples"]),
        (["--epochs", "0"], ["epochs must be an integer of at least 1, got 0"]),
        (["--validation", "1437"], ["validation"]),
        (["--examples", "1438"], ["examples must be at most 1437"]),
        (["--init", "normall"], ["init must be one of"]),
        (["--optimizer", "sgd:beta=1"], ["optimizer 'sgd:beta=1'"]),
        (["--epochs", "many"], ["--epochs", "integer"]),
        (["--colour", "red"], ["--colour"]),
        (["--config", "none.toml"], ["cannot read the configuration none.toml"]),
        (["--dataset", "mnist", "--data-dir", "."], ["--data-dir", "minidrop data fetch mnist"]),
    ],
    ids=lambda value: " ".join(value) if value and value[0].startswith("--") else "",
)
def test_wrong_options_are_one_line_and_leave_nothing_behind(minidrop, tmp_path, arguments, words):
    refused(minidrop("train", *arguments), *words)
    assert list(tmp_path.iterdir()) == []


def test_cupy_without_cupy_or_device(minidrop, tmp_path):
    if shutil.which("nvidia-smi"):
        pytest.skip("this machine may have a CUDA device")
    refused(minidrop("train", "--backend", "cupy"), "backend cupy", ".[cuda12]", ".[cuda13]")
    assert list(tmp_path.iterdir()) == []


def test_no_write_access(minidrop, tmp_path):
    (tmp_path / "file").write_text("")
    refused(minidrop("train", *SMALL, "--run", "file/run"), "cannot make the run folder file/run")


def test_damaged_mnist(minidrop, tmp_path):
    raw = tmp_path / "data/MNIST/raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, n in (("train", 30), ("t10k", 20)):
        write_idx(raw / f"{part}-images-idx3-ubyte", rng.integers(0, 256, (n, 28, 28)).astype(np.uint8))
        write_idx(raw / f"{part}-labels-idx1-ubyte", rng.integers(0, 10, n).astype(np.uint8))
    train = ["train", "--dataset", "mnist", "--data-dir", "data", "--layers", "784-5-10", "--dropout", "0"]
    train += ["--epochs", 1, "--batch-size", 10]
    assert minidrop(*train, "--run", "good")[0] == 0

    labels = raw / "train-labels-idx1-ubyte"
    good = labels.read_bytes()
    labels.write_bytes(good[:-1] + b"\x0a")
    refused(minidrop(*train), "label", "10")
    labels.write_bytes(good[:-1])
    refused(minidrop(*train), "train-labels-idx1-ubyte")
    labels.write_bytes(b"\x00\x00\x07\x01" + good[4:])
    refused(minidrop(*train), "train-labels-idx1-ubyte")
    write_idx(labels, np.zeros(29, np.uint8))
    refused(minidrop(*train), "29", "30")
    labels.unlink()
    packed = gzip.compress(good)
    (raw / "train-labels-idx1-ubyte.gz").write_bytes(packed[: len(packed) // 2])
    refused(minidrop(*train), "train-labels-idx1-ubyte.gz")
    assert sorted(os.listdir(tmp_path)) == ["data", "good"]


def test_a_run_that_diverges_says_where_and_keeps_the_last_good_checkpoint(minidrop, tmp_path):
    result = minidrop("train", *SMALL, "--lr", "1e6", "--run", "run")
    refused(result, "the run has diverged", "in epoch 1, step ", "lower the learning rate", code=1)
    assert minidrop("eval", "run")[0] == 0


def test_a_run_whose_weights_explode_in_its_last_step_has_diverged(minidrop):
    result = minidrop(
        "train", *SMALL, "--epochs", 1, "--batch-size", 1437, "--lr", "1e30", "--optimizer", "sgd"
    )
    refused(result, "the run has diverged", "in epoch 1, step 1 (its last)", code=1)


def test_more_memory_than_there_is(minidrop, tmp_path):
    refused(minidrop("train", "--layers", "64-99999999999-10", "--dropout", "0"), "not enough memory")
    assert list(tmp_path.iterdir()) == []


def test_the_environment_names_the_backend(minidrop, monkeypatch):
    monkeypatch.setattr("minidrop.backends._current", None)
    monkeypatch.setenv("MINIDROP_BACKEND", "bogus")
    refused(minidrop("train", *SMALL), "unknown backend 'bogus'")


def test_a_path_may_look_like_markup(minidrop):
    status, out, _ = minidrop("train", *SMALL, "--run", "[red]x[/y]")
    assert status == 0
    assert "[red]x[/y]" in out
