"""Runs that stop and go on, from the command line."""

import json
import shutil
import signal
import time

import pytest
from cli_helpers import LONG, SMALL, refused, same_weights, start

from minidrop.run_folder import claimed


def test_more_epochs_by_resume_are_the_longer_run(minidrop, tmp_path):
    minidrop("train", *SMALL, "--run", "run")
    status, _, _ = minidrop("train", "--resume", "--run", "run", "--epochs", 4)
    assert status == 0
    minidrop("train", *SMALL, "--epochs", 4, "--run", "whole")
    same_weights(tmp_path / "run", tmp_path / "whole")
    assert (tmp_path / "run/history.csv").read_text() == (tmp_path / "whole/history.csv").read_text()


def test_a_run_killed_at_any_moment_resumes_to_the_same_bits(tmp_path):
    """All of them in processes on one thread, since the last bits may depend on how many there are."""
    _, err = start("train", *LONG, "--run", tmp_path / "whole").communicate()
    assert (tmp_path / "whole/summary.json").exists(), err
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
    before = (tmp_path / "run/config.json").read_text()
    refused(minidrop("train", "--resume", "--run", "run", "--epochs", 1), "has 3 epochs already")
    assert (tmp_path / "run/config.json").read_text() == before


def test_a_resume_cannot_change_the_run(minidrop):
    minidrop("train", *SMALL, "--run", "run")
    refused(
        minidrop("train", "--resume", "--run", "run", "--layers", "64-32-10"),
        "run is a run with layers 64-16-10; it cannot go on with 64-32-10",
    )
    refused(
        minidrop("train", "--resume", "--run", "run", "--threads", 1),
        "run is a run with threads 0; it cannot go on with 1",
    )


def test_a_config_that_was_edited_after_the_run_is_caught_by_the_checkpoint(minidrop, tmp_path):
    minidrop("train", *SMALL, "--run", "run")
    path = tmp_path / "run/config.json"
    path.write_text(path.read_text().replace("64-16-10", "64-32-10"))
    for command in (("train", "--resume", "--run", "run", "--epochs", 3), ("eval", "run")):
        refused(
            minidrop(*command),
            "run/checkpoint.safetensors is of a run with layers 64-16-10, not 64-32-10 as config.json has it",
        )


def test_resume_needs_a_run(minidrop):
    refused(minidrop("train", "--resume"), "--resume needs --run FOLDER, whose configuration it takes")
    refused(minidrop("train", "--resume", "--run", "nowhere"), "there is no run in nowhere")


def test_a_run_whose_checkpoint_is_gone_is_not_begun_anew(minidrop, tmp_path):
    minidrop("train", *SMALL, "--run", "run")
    history = (tmp_path / "run/history.csv").read_text()
    (tmp_path / "run/checkpoint.safetensors").unlink()
    refused(minidrop("train", "--resume", "--run", "run"), "its checkpoint.safetensors is gone: put it back")
    assert (tmp_path / "run/history.csv").read_text() == history


def test_a_run_that_another_process_trains_is_left_alone(minidrop, tmp_path):
    minidrop("train", *SMALL, "--run", "run")
    minidrop("train", *SMALL, "--run", "both", "--replicas", 2)
    for run, held in (("run", "run"), ("both", "both"), ("both", "both/seed-1")):
        with claimed(tmp_path / held):
            refused(minidrop("train", "--resume", "--run", run, "--epochs", 3), "another process works in")
    for run in ("run", "both"):
        assert minidrop("train", "--resume", "--run", run, "--epochs", 3)[0] == 0


def test_a_folder_with_a_run_is_not_overwritten(minidrop, tmp_path):
    minidrop("train", *SMALL, "--run", "run")
    before = (tmp_path / "run/checkpoint.safetensors").read_bytes()
    refused(minidrop("train", *SMALL, "--run", "run"), "run holds another run", "--resume")
    assert (tmp_path / "run/checkpoint.safetensors").read_bytes() == before


@pytest.mark.parametrize("name", ["history.csv", "summary.json", "model.safetensors", "curves.png"])
def test_a_file_that_a_run_would_write_over_is_not_lost(minidrop, tmp_path, name):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text("precious")
    refused(minidrop("train", *SMALL, "--run", "mine"), f"mine has a {name} that is no run's")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == [name]


def test_a_checkpoint_of_another_run_is_refused(minidrop, tmp_path):
    """Of the same sizes, so that its weights would fit."""
    minidrop("train", *SMALL, "--run", "mine", "--unit", "tanh")
    minidrop("train", *SMALL, "--run", "other")
    shutil.copy(tmp_path / "other/checkpoint.safetensors", tmp_path / "mine")
    for command in (("train", "--resume", "--run", "mine", "--epochs", 3), ("eval", "mine")):
        refused(minidrop(*command), "mine/checkpoint.safetensors is of a run with unit relu, not tanh")
    shutil.copy(tmp_path / "other/model.safetensors", tmp_path / "mine/checkpoint.safetensors")
    refused(minidrop("train", "--resume", "--run", "mine"), "holds weights only")


@pytest.mark.parametrize("keep", [0, 100, -1])
def test_a_truncated_checkpoint_is_refused(minidrop, tmp_path, keep):
    minidrop("train", *SMALL, "--run", "run")
    path = tmp_path / "run/checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    refused(minidrop("train", "--resume", "--run", "run", "--epochs", 3), "checkpoint.safetensors is damaged")
