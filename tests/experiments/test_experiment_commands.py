"""`minidrop reproduce` and `minidrop sweep` from the outside."""

import json
import subprocess
import sys

import pytest

from minidrop.experiments import NAMES, Plan, experiment
from minidrop.experiments.sweep import read_sweep
from minidrop.intervals import interval


def test_the_list_names_every_experiment_once_and_fits_a_terminal(minidrop):
    code, out, _ = minidrop("reproduce", "--list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1::2]] == list(NAMES)
    for name in NAMES:
        assert experiment(name).name == name
    assert max(map(len, out.splitlines()[1::2])) < 80


def test_the_ids_are_those_of_the_documents_and_each_is_there_once():
    """All experiments but those that need convolution or batch normalisation: 002-4, 002-6, 002-7."""
    ids = sorted(one for name in NAMES for one in experiment(name).ids)
    expected = ["000-1", "000-2", "000-Q1", "000-Q2", "000-Q3", *(f"001-{i}" for i in range(1, 6))]
    expected += ["002-1", "002-2", "002-3", "002-5", "003-1", "003-2"]
    expected += [*(f"003-Q{i}" for i in (1, 2, 3, 4, 5, 6, 7, "7b")), *(f"004-{i}" for i in range(1, 11))]
    assert ids == sorted(expected)


def test_an_experiment_by_name(minidrop, tmp_path):
    code, out, err = minidrop("reproduce", "golden-dropout", "--quick")
    assert code == 0, err
    assert "agrees" in out
    assert "report: runs/reproduce/golden-dropout-quick/report.html" in out
    assert (tmp_path / "runs/reproduce/golden-dropout-quick/results.json").exists()


def test_a_part_of_an_experiment_says_what_is_left(minidrop):
    code, out, err = minidrop("reproduce", "ravine", "--only", "SGD-*")
    assert code == 0, err
    assert "5 jobs are still to be run: momentum-float32, " in " ".join(out.split())
    code, out, _ = minidrop("reproduce", "ravine")
    assert code == 0
    assert "still to be run" not in out


@pytest.mark.parametrize("name", NAMES)
def test_another_first_seed_is_another_sample(name):
    """Of all trainings that an experiment repeats; what it makes once, as it must be, stays."""
    one, other = (
        experiment(name).jobs(Plan(backend="numpy", seeds=2, first_seed=first)) for first in (0, 100)
    )
    assert len(one) == len(other)
    for job, again in zip(one, other, strict=True):
        if job.arguments != again.arguments and "config" in job.arguments:
            assert again.arguments["config"]["seed"] == job.arguments["config"]["seed"] + 100
        assert job.arguments != again.arguments or "seed-" not in job.key


def test_the_first_seed_is_in_the_command(minidrop, tmp_path):
    code, _, err = minidrop("reproduce", "dropout-scaling", "--quick", "--first-seed", 3, "--out", "out")
    assert code == 0, err
    found = json.loads((tmp_path / "out/results.json").read_text())
    assert found["command"] == "minidrop reproduce dropout-scaling --quick --first-seed 3"
    assert list(found["jobs"]) == ["seed-3"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["reproduce"], "name one experiment, or say --all or --list"),
        (["reproduce", "golden-dropout", "--all"], "name one experiment, or say --all or --list"),
        (["reproduce", "golden-droput"], "golden-dropout"),
        (["reproduce", "golden-dropout", "--jobs", 0], "greater than or equal to 1"),
        (["reproduce", "golden-dropout", "--only", "x"], "no job is called 'x'; the jobs are example"),
        (["sweep", "nothing.toml"], "cannot read the configuration nothing.toml"),
    ],
)
def test_bad_input_is_one_line(minidrop, arguments, message):
    code, _, err = minidrop(*arguments)
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1


SWEEP = """
name = "small"
seeds = 2
[base]
layers = "64-16-16-10"
epochs = 2
[grid]
lr = [0.1, 0.5]
[[runs]]
optimizer = "adam"
dropout = 0
"""


def test_a_sweep_of_a_grid_and_a_list(minidrop, tmp_path):
    (tmp_path / "small.toml").write_text(SWEEP)
    code, out, err = minidrop("sweep", "small.toml", "--jobs", 2)
    assert code == 0, err
    folder = tmp_path / "runs/sweep/small"
    results = json.loads((folder / "results.json").read_text())
    assert len(results["jobs"]) == 6
    assert {q["name"] for q in results["quantities"]} == {
        "lr=0.1: test error [%]",
        "lr=0.5: test error [%]",
        "optimizer=adam, dropout=0: test error [%]",
    }
    means = [q["mean"] for q in results["quantities"]]
    assert means == sorted(means)
    assert results["command"] == "minidrop sweep small.toml"
    best, *others = (q["name"].partition(":")[0] for q in results["quantities"])
    assert [claim["text"] for claim in results["claims"]] == [
        f"{best} has a lower test error than {other}" for other in others
    ]
    differences = [b - a for a, b in zip(*(q["ours"] for q in results["quantities"][:2]), strict=True)]
    mean, half = interval(differences, among=3)
    assert results["claims"][0]["detail"] == f"{mean:+.2f} ± {half:.2f} (3 together) points"
    assert "verdict" in out
    assert "published" not in out
    assert all(len(q["ours"]) == 2 for q in results["quantities"])
    assert (folder / "curves.svg").exists()
    again, out, _ = minidrop("sweep", "small.toml")
    assert again == 0
    assert "6/6" in out


def test_a_sweep_of_which_nothing_comes_to_its_end_says_so(minidrop, tmp_path):
    (tmp_path / "wild.toml").write_text("seeds = 2\n[base]\nepochs = 1\n[grid]\nlr = [1e30]")
    code, out, err = minidrop("sweep", "wild.toml")
    assert code == 1
    assert "Diverged: 01-seed-0, 01-seed-1." in out
    assert err.strip() == "nothing to compare: no training came to its end"


def swept(tmp_path, text, errors):
    """The findings of a sweep whose runs end with these test errors; None diverged."""
    (tmp_path / "my sweep.toml").write_text(text)
    study = read_sweep(tmp_path / "my sweep.toml")
    assert (study.name, study.command) == ("my sweep", f"minidrop sweep '{tmp_path / 'my sweep.toml'}'")
    results = {}
    for key, number in errors.items():
        history = [{"epoch": 1, "train_loss": 1.0, "test_error": number, "validation_error": None}]
        test = None if number is None else {"errors": number, "size": 100}
        diverged = "the loss became nan" if number is None else None
        results[key] = {"history": history, "best_epoch": 1, "test": test, "diverged": diverged}
    return study.analyse(Plan(), results)


def test_a_configuration_that_diverged_with_some_seeds_is_not_the_best(tmp_path):
    text = "seeds = 2\n[grid]\nlr = [0.1, 0.5, 0.9]"
    numbers = (3, 4, 1, None, 5, 5)
    keys = [f"{i:02}-seed-{seed}" for i in (1, 2, 3) for seed in range(2)]
    found = swept(tmp_path, text, dict(zip(keys, numbers, strict=True)))
    assert [row[:3] for row in found.tables[0].rows] == [
        ("lr=0.1", 2, 3.5),
        ("lr=0.9", 2, 5.0),
        ("lr=0.5", 1, 1.0),
    ]
    assert found.notes == ["Diverged: 02-seed-1."]
    assert [claim.holds for claim in found.claims] == [None, None]
    apart = swept(tmp_path, text, {"01-seed-0": 3, "02-seed-1": 4})
    assert apart.claims == []
    nothing = swept(tmp_path, text, dict.fromkeys(keys))
    assert nothing.tables[0].title == "Configurations, the best first, by test error"
    assert nothing.quantities == []


def test_with_a_validation_set_the_best_is_chosen_by_it(minidrop, tmp_path):
    grid = 'layers = ["64-16-16-10", "64-24-24-10", "64-32-32-10", "64-48-48-10"]'
    (tmp_path / "valid.toml").write_text(f"seeds = 1\n[base]\nvalidation = 50\nepochs = 3\n[grid]\n{grid}")
    code, _, err = minidrop("sweep", "valid.toml", "--jobs", 2)
    assert code == 0, err
    results = json.loads((tmp_path / "runs/sweep/valid/results.json").read_text())
    (table,) = results["tables"]
    assert table["title"] == "Configurations, the best first, by validation error"
    chosen = {}
    for i, key in enumerate(results["jobs"]):
        run = results["jobs"][key]["result"]
        chosen[f"layers=64-{(16, 24, 32, 48)[i]}-{(16, 24, 32, 48)[i]}-10"] = min(
            row["validation_error"] for row in run["history"]
        )
    assert [row[0] for row in table["rows"]] == sorted(chosen, key=chosen.get)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sedes = 3", "unknown key 'sedes'; the keys are name, seeds, base, grid, runs"),
        ("name = 'x'", "has neither a grid nor runs"),
        ("[grid]\nlr = 0.1", "grid.lr must be a list of values"),
        ("[grid]\nlrr = [0.1]", "unknown key 'lrr'; did you mean lr"),
        ("[grid]\nlr = [-1.0]", "lr must be a number in [0, inf), got -1.0"),
        ("[grid]\nseed = [1, 2]", "has seeds = N at its beginning"),
        ("grid = 3", "grid must be a table"),
        ("runs = [1]", "runs must be a list of tables"),
        ("name = '../x'\n[grid]\nlr = [0.1]", "name must be that of a folder"),
        ("name = '..'\n[grid]\nlr = [0.1]", "name must be that of a folder"),
        ("[grid]\nlr = [0.1, 0.1]", "has lr=0.1 twice"),
        ("[grid]\nlr = [0.1]\n[[runs]]\nlr = 0.1", "has lr=0.1 twice"),
        ("seeds = 0\n[grid]\nlr = [0.1]", "seeds"),
    ],
)
def test_a_sweep_that_says_something_wrong(minidrop, tmp_path, text, message):
    (tmp_path / "bad.toml").write_text(text)
    code, out, err = minidrop("sweep", "bad.toml")
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1


KILLED_IN_THE_THIRD_RUN = """
import os, signal
from minidrop.cli import main
from minidrop.training import TrainStep

step, steps = TrainStep.__call__, []

def step_or_die(self, *batch):
    steps.append(self)
    if len(steps) == 200:  # a run has 2 epochs of 45 steps
        os.kill(os.getpid(), signal.SIGINT)
    return step(self, *batch)

TrainStep.__call__ = step_or_die
main()
"""


def test_a_sweep_killed_half_way_goes_on(minidrop, tmp_path):
    """What was finished is not run again, and all is there in the end."""
    (tmp_path / "s.toml").write_text(SWEEP)
    command = [sys.executable, "-c", KILLED_IN_THE_THIRD_RUN, "sweep", "s.toml"]
    killed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert killed.returncode == 130, killed.stderr
    assert "the same command goes on where this stopped" in killed.stderr
    folder = tmp_path / "runs/sweep/small/jobs"
    finished = {path: path.stat().st_mtime_ns for path in folder.glob("*/result.json")}
    assert len(finished) == 2
    code, out, err = minidrop("sweep", "s.toml")
    assert code == 0, err
    assert "6/6" in out
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
