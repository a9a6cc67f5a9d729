"""`minidrop train --replicas`: a folder of run folders, and means over them."""

import csv
import json
import shutil
import signal
import statistics
import time

import pytest
from cli_helpers import FILES, LONG, SMALL, refused, start

RUN = [*SMALL, "--validation", 100, "--threads", 1]


def contents(folder, folders=frozenset()):
    """What a run leaves to read, but for the versions, whose threads are those of the process."""
    left_out = {"versions.json", ".lock"} | folders
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in left_out}


def rows(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def test_each_seeds_folder_is_that_of_its_single_run_byte_for_byte(minidrop, tmp_path):
    status, _, err = minidrop("train", *RUN, "--seed", 3, "--replicas", 2, "--run", "both")
    assert (status, err) == (0, "")
    for seed in (3, 4):
        minidrop("train", *RUN, "--seed", seed, "--run", seed)
        found = contents(tmp_path / f"both/seed-{seed}")
        assert found.keys() == FILES - {"versions.json"}
        assert found == contents(tmp_path / str(seed))
    seeds = {"seed-3", "seed-4"}
    found = contents(tmp_path / "both", seeds).keys()
    assert found == FILES - {"versions.json", "checkpoint.safetensors", "model.safetensors"}
    assert all((tmp_path / "both" / name).is_dir() for name in seeds)


def test_history_and_summary_have_mean_and_spread(minidrop, tmp_path):
    status, out, _ = minidrop("train", *RUN, "--replicas", 3)
    assert status == 0
    folder = tmp_path / "runs/digits-001"
    each = [rows(folder / f"seed-{seed}/history.csv") for seed in range(3)]
    for i, row in enumerate(rows(folder / "history.csv")):
        assert row["epoch"] == each[0][i]["epoch"]
        for key in ("train_loss", "validation_errors", "test_error", "largest_row_norm"):
            values = [float(history[i][key]) for history in each]
            assert float(row[key]) == pytest.approx(statistics.fmean(values))
            assert float(row[f"{key}_std"]) == pytest.approx(statistics.stdev(values))
    summary = json.loads((folder / "summary.json").read_text())
    singles = [json.loads((folder / f"seed-{seed}/summary.json").read_text()) for seed in range(3)]
    errors = [single["test"]["errors"] for single in singles]
    assert (summary["seeds"], summary["test"]["size"]) == ([0, 1, 2], 360)
    assert summary["best_epoch"] == [single["best_epoch"] for single in singles]
    mean, half = (
        statistics.fmean(errors),
        4.3027 * statistics.stdev(errors) / 3**0.5,
    )  # Student's t, 2 degrees
    assert summary["test"]["errors"] == {
        "mean": pytest.approx(mean),
        "std": pytest.approx(statistics.stdev(errors)),
        "interval": pytest.approx([mean - half, mean + half]),
        "values": errors,
    }
    assert f"test error {mean / 3.6:.2f} ± {half / 3.6:.2f} % (mean of 3 seeds" in out.splitlines()[-1]
    assert f"seed 1: test error {errors[1] / 3.6:.2f} % ({errors[1]}/360)" in out
    assert "(std " in out.splitlines()[2]
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_eval_repeats_the_results_of_all_and_of_each(minidrop):
    _, out, _ = minidrop("train", *RUN, "--replicas", 2, "--run", "both")
    status, again, _ = minidrop("eval", "both")
    assert status == 0
    assert again.splitlines()[1:] == out.splitlines()[-3:]
    _, one, _ = minidrop("eval", "both/seed-1")
    assert f"seed 1: {one.splitlines()[-1]}" == again.splitlines()[2]


def test_a_config_file_repeats_the_replicas(minidrop, tmp_path):
    minidrop("train", *RUN, "--replicas", 2, "--run", "first")
    minidrop("train", "--config", "first/config.json", "--run", "second")
    assert contents_of_all(tmp_path / "first") == contents_of_all(tmp_path / "second")


def contents_of_all(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "versions.json"
    }


def test_more_epochs_by_resume_are_the_longer_run(minidrop, tmp_path):
    minidrop("train", *RUN, "--replicas", 2, "--run", "run")
    assert minidrop("train", "--resume", "--run", "run", "--epochs", 4)[0] == 0
    minidrop("train", *RUN, "--replicas", 2, "--epochs", 4, "--run", "whole")
    assert contents_of_all(tmp_path / "run") == contents_of_all(tmp_path / "whole")
    before = contents_of_all(tmp_path / "run")
    refused(minidrop("train", "--resume", "--run", "run", "--epochs", 1), "has 4 epochs already")
    refused(minidrop("train", "--resume", "--run", "run", "--replicas", 3), "cannot go on with 3")
    assert contents_of_all(tmp_path / "run") == before


def test_a_kill_while_the_folders_are_made_is_no_loss(minidrop, tmp_path):
    minidrop("train", *RUN, "--replicas", 2, "--run", "run")
    expected = contents_of_all(tmp_path / "run")
    for path in (tmp_path / "run").rglob("*"):
        if path.is_file() and path != tmp_path / "run/config.json":
            path.unlink()
    assert minidrop("train", "--resume", "--run", "run")[0] == 0
    assert contents_of_all(tmp_path / "run") == expected


def test_a_seeds_folder_that_is_of_another_run_is_found_before_any_is_made(minidrop, tmp_path):
    minidrop("train", *SMALL, "--seed", 1, "--lr", 0.1, "--run", "run/seed-1")
    before = contents_of_all(tmp_path / "run")
    refused(minidrop("train", *SMALL, "--replicas", 2, "--run", "run"), "run/seed-1 holds another run")
    assert contents_of_all(tmp_path / "run") == before


def test_replicas_do_not_go_on_with_another_runs_checkpoint(minidrop, tmp_path):
    minidrop("train", *SMALL, "--seed", 1, "--lr", 0.1, "--run", "other")
    minidrop("train", *SMALL, "--replicas", 2, "--run", "run")
    shutil.copy(tmp_path / "other/checkpoint.safetensors", tmp_path / "run/seed-1")
    for command in (("train", "--resume", "--run", "run", "--epochs", 3), ("eval", "run")):
        refused(minidrop(*command), "run/seed-1/checkpoint.safetensors is of a run with lr 0.1, not ")


def test_replicas_that_are_killed_and_stopped_go_on_to_the_same_bits(tmp_path):
    options = [*LONG, "--epochs", 8, "--replicas", 2]
    _, err = start("train", *options, "--run", tmp_path / "whole").communicate()
    assert (tmp_path / "whole/summary.json").exists(), err
    folder = tmp_path / "run"
    for i, number in enumerate((signal.SIGKILL, signal.SIGINT)):
        process = start("train", *(["--resume"] if i else options), "--run", folder)
        while f"\n{2 + i}," not in history(folder / "seed-1/history.csv") and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(number)
        _, err = process.communicate()
        assert process.returncode not in (0, 2), "the run was over before it could be stopped"
    refused((process.returncode, "", err), f"go on with: minidrop train --resume --run {folder}", code=130)
    process = start("train", "--resume", "--run", folder)
    assert process.communicate()[1] == ""
    assert contents_of_all(folder) == contents_of_all(tmp_path / "whole")


def history(path):
    return path.read_text() if path.exists() else ""


def test_replicas_of_which_one_diverges(minidrop, tmp_path):
    result = minidrop("train", *SMALL, "--replicas", 2, "--lr", "1e6", "--run", "run")
    refused(result, "error: seed ", "the run has diverged", "in epoch 1, step ", code=1)
    assert minidrop("eval", "run")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--replicas", "0"], ["replicas must be an integer of at least 1, got 0"]),
        (["--replicas", "1000000"], ["at most 1000", "with --seed"]),
        (["--replicas", "2", "--seed", 2**64 - 1], ["seed must be below 2^64"]),
    ],
)
def test_replicas_that_cannot_be(minidrop, tmp_path, arguments, words):
    refused(minidrop("train", *arguments), *words)
    assert list(tmp_path.iterdir()) == []


def test_replicas_in_a_sweep(minidrop, tmp_path):
    (tmp_path / "sweep.toml").write_text("[base]\nreplicas = 2\n[grid]\nlr = [0.1]\n")
    refused(minidrop("sweep", "sweep.toml"), "seeds = N at its beginning, and no key replicas")
