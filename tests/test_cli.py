"""The command line, as a user meets it: what it prints, what it leaves behind, how it refuses."""

import csv
import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from minidrop.checkpoint import load_weights
from minidrop.cli import main
from minidrop.data import write_idx

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


@pytest.fixture
def minidrop(monkeypatch, capsys, tmp_path):
    """Run the command line in an empty folder: minidrop("train", ...) -> (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINIDROP_DATA", raising=False)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["minidrop", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capsys.readouterr()
        return stopped.value.code, out, err

    return run


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


# -- train ---------------------------------------------------------------------------------------------------


def test_train_ends_with_a_summary_and_a_complete_run_folder(minidrop, tmp_path):
    status, out, err = minidrop("train", *SMALL)
    assert (status, err) == (0, "")
    folder = tmp_path / "runs" / "digits-001"
    assert {path.name for path in folder.iterdir()} == FILES
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


# -- resume --------------------------------------------------------------------------------------------------


def test_more_epochs_by_resume_are_the_longer_run(minidrop, tmp_path):
    minidrop("train", *SMALL, "--run", "run")
    status, _, _ = minidrop("train", "--resume", "--run", "run", "--epochs", 4)
    assert status == 0
    minidrop("train", *SMALL, "--epochs", 4, "--run", "whole")
    same_weights(tmp_path / "run", tmp_path / "whole")
    assert (tmp_path / "run/history.csv").read_text() == (tmp_path / "whole/history.csv").read_text()


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


def test_a_run_killed_at_any_moment_resumes_to_the_same_bits(minidrop, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    minidrop("train", *LONG, "--run", "whole")
    folder, kills = tmp_path / "killed", 0
    process = start("train", *LONG, "--run", folder)
    while process.poll() is None and kills < 5:
        wait_for = folder / "checkpoint.safetensors"
        while not wait_for.exists() and process.poll() is None:
            time.sleep(0.005)
        time.sleep(0.05 + 0.083 * kills)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.communicate()
        process = start("train", "--resume", "--run", folder)
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert kills >= 2, "the run was over before it could be killed"
    for name in ("checkpoint.safetensors", "model.safetensors", "history.csv", "summary.json"):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path):
    folder = tmp_path / "run"
    process = start("train", *LONG, "--epochs", 10_000, "--run", folder)
    while not (folder / "history.csv").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    refused((process.returncode, "", err), f"go on with: minidrop train --resume --run {folder}", code=130)


def test_a_resume_of_a_finished_run_completes_its_folder(minidrop, tmp_path):
    """As after a kill between the last checkpoint and the files that are made from it."""
    minidrop("train", *SMALL, "--run", "run")
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    for name in ("history.csv", "curves.png", "model.safetensors", "summary.json"):
        (tmp_path / "run" / name).unlink()
    assert minidrop("train", "--resume", "--run", "run")[0] == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_a_resume_with_more_epochs_is_written_down(minidrop, tmp_path):
    minidrop("train", *SMALL, "--run", "run")
    minidrop("train", "--resume", "--run", "run", "--epochs", 3)
    assert json.loads((tmp_path / "run/config.json").read_text())["epochs"] == 3
    refused(minidrop("train", "--resume", "--run", "run", "--epochs", 1), "has 3 epochs already")


def test_a_resume_cannot_change_the_run(minidrop):
    minidrop("train", *SMALL, "--run", "run")
    refused(
        minidrop("train", "--resume", "--run", "run", "--layers", "64-32-10"),
        "run is a run with layers 64-16-10; it cannot go on with 64-32-10",
    )


def test_a_config_that_was_edited_after_the_run_is_caught_by_the_checkpoint(minidrop, tmp_path):
    minidrop("train", *SMALL, "--run", "run")
    path = tmp_path / "run/config.json"
    path.write_text(path.read_text().replace("64-16-10", "64-32-10"))
    refused(
        minidrop("train", "--resume", "--run", "run", "--epochs", 3),
        "checkpoint.safetensors is of another model",
    )
    refused(minidrop("eval", "run"), "does not fit config.json")


def test_resume_needs_a_run(minidrop):
    refused(minidrop("train", "--resume"), "--resume goes on with the run of --run FOLDER")
    refused(minidrop("train", "--resume", "--run", "nowhere"), "there is no run in nowhere")


def test_a_folder_with_a_run_is_not_overwritten(minidrop, tmp_path):
    minidrop("train", *SMALL, "--run", "run")
    before = (tmp_path / "run/checkpoint.safetensors").read_bytes()
    refused(minidrop("train", *SMALL, "--run", "run"), "run holds another run", "--resume")
    assert (tmp_path / "run/checkpoint.safetensors").read_bytes() == before


@pytest.mark.parametrize("keep", [0, 100, -1])
def test_a_truncated_checkpoint_is_refused(minidrop, tmp_path, keep):
    minidrop("train", *SMALL, "--run", "run")
    path = tmp_path / "run/checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    refused(minidrop("train", "--resume", "--run", "run", "--epochs", 3), "checkpoint.safetensors is damaged")


# -- what is refused -----------------------------------------------------------------------------------------


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
    refused(minidrop("train", "--backend", "cupy"), "backend cupy", "minidrop[cuda12]", "minidrop[cuda13]")
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


# -- the other commands --------------------------------------------------------------------------------------


def test_eval_repeats_the_result(minidrop):
    _, out, _ = minidrop("train", *SMALL, "--run", "run")
    status, again, _ = minidrop("eval", "run")
    assert status == 0
    assert again.splitlines()[-1] == out.splitlines()[-1]
    refused(minidrop("eval", "run", "--part", "validation"), "the run has no validation examples")
    refused(minidrop("eval", "run", "--part", "all"), "part must be one of train, validation, test")
    refused(minidrop("eval", "nowhere"), "there is no run in nowhere")


def test_info_shows_what_a_bug_report_needs(minidrop, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    status, out, _ = minidrop("info")
    assert status == 0
    assert "minidrop[cuda12]" in out or "ready" in out.split("backend cupy")[1]
    for word in ("python", np.__version__, "blas", "threads", "backend numpy", "backend cupy"):
        assert word in out


def test_data_list(minidrop, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    status, out, _ = minidrop("data", "list", "--data-dir", ".")
    assert status == 0
    assert re.search(r"digits\s+│\s+1437\s+│\s+360\s+│\s+64\s", out)
    assert re.search(r"^fashion-mnist: .*minidrop data fetch fashion-mnist", out, re.MULTILINE)


def test_no_command_shows_the_help(minidrop):
    for words in ((), ("data",)):
        status, out, err = minidrop(*words)
        assert "Usage" in out
        assert (status, err) == (2, "")


def test_a_wrong_command(minidrop):
    refused(minidrop("tarin"), "tarin")
    refused(minidrop("data", "fetch", "cifar"), "cifar")


# -- the real thing ------------------------------------------------------------------------------------------


def test_hintons_net_learns_mnist(minidrop, data_dir):
    """One epoch of the ReLU preset: a plain script had 493 errors here; 20 epochs of it had 159."""
    status, out, _ = minidrop("train", "--dataset", "mnist", "--data-dir", data_dir, "--epochs", 1)
    assert status == 0
    errors = int(re.search(r"\((\d+)/10000\)", out.splitlines()[-1])[1])
    assert errors < 700
