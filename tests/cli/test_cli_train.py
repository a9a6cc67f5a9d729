"""`minidrop train`: what it prints and leaves behind."""

import csv
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from cli_helpers import FILES, SMALL

import minidrop as md
from minidrop import threads


def test_train_ends_with_a_summary_and_a_complete_run_folder(minidrop, tmp_path):
    status, out, err = minidrop("train", *SMALL)
    assert (status, err) == (0, "")
    folder = tmp_path / "runs" / "digits-001"
    assert {path.name for path in folder.iterdir()} == FILES | {".lock"}
    assert re.search(r"^epoch 1  train loss \d\.\d{4}  test error \d+\.\d\d %", out, re.MULTILINE)
    result = re.fullmatch(r"test error (\d+\.\d\d) % \((\d+)/360\)", out.splitlines()[-1])
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["test"]["errors"] == int(result[2])
    assert float(result[1]) == round(100 * int(result[2]) / 360, 2)
    with open(folder / "history.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert rows[-1]["test_errors"] == result[2]
    assert rows[0]["validation_loss"] == ""
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((folder / "config.json").read_text())["layers"] == "64-16-10"
    assert json.loads((folder / "versions.json").read_text())["numpy"] == np.__version__


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--tf32"], "--tf32 is for GPUs: products of the numpy backend stay as they are"),
        (["--backend", "numba"], "Numba compiles its loops in the first step"),
    ],
)
def test_what_a_backend_does_otherwise_is_said(minidrop, options, line):
    _, plain, _ = minidrop("train", *SMALL)
    status, out, _ = minidrop("train", *SMALL, *options)
    assert status == 0
    assert line in out
    assert line not in plain


def test_the_summary_says_what_its_time_is_for(minidrop):
    _, out, _ = minidrop("train", *SMALL, "--run", "run")
    _, resumed, _ = minidrop("train", "--resume", "--run", "run", "--epochs", 3)
    assert re.search(r"time\s+│ \d+\.\d s, tests and figures included", out)
    assert re.search(r"time\s+│ \d+\.\d s since it was resumed, tests and figures", resumed)
    assert re.search(r"steps\s+│ \d+ to that epoch", out)


def test_every_default_is_shown(minidrop, monkeypatch):
    from dataclasses import fields

    from minidrop.config import TrainConfig
    from minidrop.optim import OPTIMIZERS

    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setenv("TERMINAL_WIDTH", "400")
    _, out, _ = minidrop("train", "--help")
    for field in fields(TrainConfig):
        option = "--" + field.name.replace("_", "-")
        (line,) = [line for line in out.splitlines() if f"{option} " in line]
        if field.default is not None:
            shown = str(field.default).lower() if field.type is bool else str(field.default)
            assert f"Default: {shown}" in line
    assert ", ".join(OPTIMIZERS) in out


def test_a_config_file_repeats_the_run(minidrop, tmp_path):
    minidrop("train", *SMALL, "--seed", 3, "--validation", 100, "--run", "first")
    status, _, _ = minidrop("train", "--config", tmp_path / "first" / "config.json", "--run", "second")
    assert status == 0
    for name in ("config.json", "history.csv", "checkpoint.safetensors", "model.safetensors", "summary.json"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_the_threads_of_a_run(minidrop, monkeypatch):
    """As many as --threads says while it trains, and as many as before afterwards."""
    step, found = md.TrainStep.__call__, set()

    def asked(self, x, labels):
        found.add(threads.available())
        return step(self, x, labels)

    monkeypatch.setattr(md.TrainStep, "__call__", asked)
    with threads.limited(3):
        usual = threads.available()  # 1 where nobody knows
        for number in (1, 2, 0):
            assert minidrop("train", *SMALL, "--threads", number)[0] == 0
            assert found == {min(usual, number or usual)}
            assert threads.available() == usual
            found.clear()


def test_the_seed_changes_the_run(minidrop, tmp_path):
    for seed in (1, 2):
        minidrop("train", *SMALL, "--seed", seed, "--run", seed)
    assert (tmp_path / "1/history.csv").read_text() != (tmp_path / "2/history.csv").read_text()


def test_runs_that_start_together_get_folders_of_their_own(tmp_path):
    command = [sys.executable, "-m", "minidrop", "train", *SMALL, "--quiet"]
    runs = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert sorted(os.listdir(tmp_path / "runs")) == ["digits-001", "digits-002", "digits-003"]


def test_the_weights_of_the_mean_network_give_pytorch_the_same_outputs(minidrop, tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is the reference here: pip install '.[reference]'")
    from safetensors.numpy import load_file

    import minidrop as md

    minidrop("train", *SMALL, "--mode", "paper", "--run", "run")
    theirs = torch.nn.Sequential(
        torch.nn.Dropout(0.2),
        torch.nn.Linear(64, 16),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.5),
        torch.nn.Linear(16, 10),
    ).eval()
    weights = {name: torch.from_numpy(w) for name, w in load_file(tmp_path / "run/model.safetensors").items()}
    theirs.load_state_dict(weights, strict=True)
    test = md.data.load("digits").test
    logits = theirs(torch.from_numpy(test.inputs.astype(np.float32) / 16)).detach().numpy()
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert int((logits.argmax(axis=1) != test.labels).sum()) == summary["test"]["errors"]


def test_run_folders_are_numbered(minidrop, tmp_path):
    minidrop("train", *SMALL)
    minidrop("train", *SMALL)
    assert sorted(os.listdir("runs")) == ["digits-001", "digits-002"]


def test_validation_chooses_the_epoch(minidrop, tmp_path):
    _, out, _ = minidrop("train", *SMALL, "--epochs", 6, "--validation", 200, "--run", "run")
    with open("run/history.csv") as file:
        errors = [
            (int(row["validation_errors"]), float(row["validation_loss"])) for row in csv.DictReader(file)
        ]
    assert f"6, weights of epoch {1 + errors.index(min(errors))}" in out
    _, out, _ = minidrop("eval", "run", "--part", "validation")
    assert f"({min(errors)[0]}/200)" in out


def test_quiet(minidrop):
    _, out, _ = minidrop("train", *SMALL, "--quiet")
    assert "epoch 1 " not in out


def test_hintons_net_learns_mnist(minidrop, data_dir):
    """One epoch of the ReLU preset: a plain script had 493 errors here; 20 epochs of it had 159."""
    status, out, _ = minidrop("train", "--dataset", "mnist", "--data-dir", data_dir, "--epochs", 1)
    assert status == 0
    errors = int(re.search(r"\((\d+)/10000\)", out.splitlines()[-1])[1])
    assert errors < 700
