"""Jobs run once, resume, fail alone, and keep others out of their folder."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import made_up
import pytest
from filelock import FileLock

from minidrop.config import TrainConfig
from minidrop.errors import (
    ArgumentError,
    BackendError,
    CheckpointError,
    DataError,
    ExperimentError,
    Interrupted,
)
from minidrop.experiments import NAMES, Findings, Job, Plan, experiment, runner
from minidrop.experiments.reproduce import reproduce
from minidrop.experiments.runner import run_jobs
from minidrop.run_folder import claimed


def times_run(folder, x):
    return len((folder / "jobs" / f"x={x}" / "ran.txt").read_text().splitlines())


@pytest.mark.parametrize("processes", [1, 2])
def test_every_job_runs_once_whoever_asks_again(tmp_path, processes):
    told = []
    for _ in range(2):
        outcome = reproduce(
            made_up.squares(), Plan(), tmp_path, processes=processes, told=lambda *what: told.append(what)
        )
        assert not outcome.broken
    assert [times_run(tmp_path, x) for x in range(3)] == [1, 1, 1]
    assert sorted(key for key, *_ in told) == sorted(["x=0", "x=1", "x=2"] * 2)
    assert [done for _, done, _, _ in told] == [1, 2, 3] * 2
    assert {total for _, _, total, _ in told} == {3}


def test_a_relative_folder_is_that_of_the_working_directory_of_now(tmp_path, monkeypatch):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        run_jobs([Job(f"x={x}", made_up.square, {"x": x}) for x in range(3)], Path("out"), processes=2)
        assert len(list((tmp_path / name / "out/jobs").glob("*/result.json"))) == 3


def test_a_failed_job_does_not_lose_the_others_and_is_tried_again(tmp_path):
    outcome = reproduce(made_up.squares(failing=(1,)), Plan(), tmp_path)
    assert outcome.broken
    assert outcome.failed == {"x=1": "ValueError: no square of 1 today"}
    assert "Traceback" in (tmp_path / "jobs" / "x=1" / "error.txt").read_text()
    assert json.loads((tmp_path / "results.json").read_text())["failed"] == outcome.failed
    assert "no square of 1 today" in (tmp_path / "report.html").read_text()

    (tmp_path / "jobs" / "x=1" / "mended").touch()
    assert not reproduce(made_up.squares(failing=(1,)), Plan(), tmp_path).broken
    assert [times_run(tmp_path, x) for x in range(3)] == [1, 2, 1]
    assert not (tmp_path / "jobs" / "x=1" / "error.txt").exists()


def test_a_part_of_the_jobs_can_be_run_first(tmp_path):
    outcome = reproduce(made_up.squares(), Plan(), tmp_path, only="x=[02]")
    assert not outcome.broken
    assert outcome.missing == ["x=1"]
    results = json.loads((tmp_path / "results.json").read_text())
    assert (results["missing"], results["failed"]) == (["x=1"], {})
    assert results["jobs"]["x=1"]["result"] is None
    assert "x=1 is missing" in (tmp_path / "report.html").read_text()
    assert not (tmp_path / "jobs" / "x=1").exists()

    told = []
    again = reproduce(made_up.squares(), Plan(), tmp_path, only="x=0", told=lambda *what: told.append(what))
    assert again.missing == ["x=1"], "what is done stays in the results, whatever is asked for"
    assert told == [("x=0", 1, 2, None), ("x=2", 2, 2, None)]
    assert not reproduce(made_up.squares(), Plan(), tmp_path).missing
    assert [times_run(tmp_path, x) for x in range(3)] == [1, 1, 1]
    assert "missing" not in (tmp_path / "report.html").read_text()


def test_a_part_without_jobs_names_them(tmp_path):
    with pytest.raises(ArgumentError, match=r"no job is called 'y\*'; the jobs are x=0, x=1, x=2"):
        reproduce(made_up.squares(), Plan(), tmp_path, only="y*")


def test_a_job_keeps_its_time_its_commit_and_what_it_ran_on(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "commit", lambda: "abc1234")
    monkeypatch.setattr(runner, "in_short", lambda: "2 processors")
    run_jobs([Job("wait", made_up.wait, {"seconds": 0.05})], tmp_path)
    found = json.loads((tmp_path / "jobs" / "wait" / "result.json").read_text())
    assert (found["commit"], found["machine"]) == ("abc1234", "2 processors")
    assert found["seconds"] >= 0.05


def test_if_every_job_fails_there_is_nothing_to_analyse(tmp_path):
    with pytest.raises(
        ExperimentError, match=r"squares: all 2 jobs failed, the first with ValueError: no square"
    ):
        reproduce(made_up.squares(2, failing=(0, 1)), Plan(), tmp_path)


def test_two_processes_refuse_each_other_in_one_folder(tmp_path):
    with claimed(tmp_path):
        code = (
            "import pathlib; from minidrop.run_folder import claimed\n"
            f"with claimed(pathlib.Path({str(tmp_path)!r})): pass"
        )
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert other.returncode != 0
    assert f"another process works in {tmp_path}: wait for it, or choose another folder" in other.stderr
    with claimed(tmp_path):
        pass  # it is free again


def test_another_plan_in_the_folder_is_refused(tmp_path):
    reproduce(made_up.squares(), Plan(seeds=2), tmp_path)
    with pytest.raises(CheckpointError, match="holds a run with first_seed 0, not 7"):
        reproduce(made_up.squares(), Plan(seeds=3, first_seed=7), tmp_path)
    assert json.loads((tmp_path / "plan.json").read_text())["seeds"] == 2


def test_more_seeds_run_those_that_are_new_and_fewer_lose_none(tmp_path):
    def each_seed(plan):
        return [Job(f"x={seed}", made_up.square, {"x": seed}) for seed in plan.seeds_of(2)]

    this = replace(made_up.squares(), jobs=each_seed, analyse=lambda *_: Findings())
    done = {}
    for seeds in (None, 3, 1, 3):
        reproduce(this, Plan(seeds=seeds), tmp_path)
        assert json.loads((tmp_path / "plan.json").read_text())["seeds"] == seeds
        now = {path: path.read_bytes() for path in tmp_path.glob("jobs/*/result.json")}
        assert now == now | done, "what is finished stays"
        done = now
    assert len(done) == 3
    assert len(json.loads((tmp_path / "results.json").read_text())["jobs"]) == 3


def test_results_of_something_else_are_not_written_over(tmp_path):
    (tmp_path / "results.json").write_text("precious")
    with pytest.raises(CheckpointError, match=r"has a results.json of no run"):
        reproduce(made_up.squares(), Plan(), tmp_path)
    assert (tmp_path / "results.json").read_text() == "precious"
    assert not (tmp_path / "plan.json").exists()


def test_a_run_goes_on_where_the_data_have_moved(tmp_path):
    config = TrainConfig().to_dict()

    def study(plan):
        where = {"data_dir": plan.data_dir}
        each = {"config": {"config": config | where}, "configs": {"configs": {"one": config | where}}}
        return [Job(name, made_up.configured, arguments | where) for name, arguments in each.items()]

    told = []
    this = replace(made_up.squares(), jobs=study, analyse=lambda *_: Findings())
    for place in ("/here", "/there"):
        reproduce(this, Plan(data_dir=place), tmp_path, told=lambda *what: told.append(what))
    assert [key for key, *_ in told] == ["config", "configs"] * 2
    assert (
        json.loads((tmp_path / "jobs" / "config" / "result.json").read_text())["arguments"]["data_dir"]
        == "/here"
    )


def test_the_current_backend_by_its_name_is_the_same_run(tmp_path):
    def study(plan):
        return [Job("one", made_up.anywhere, {"backend": plan.backend})]

    this = replace(made_up.squares(), jobs=study, analyse=lambda *_: Findings())
    for backend in (None, "numpy", None):
        reproduce(this, Plan(backend=backend), tmp_path)
    assert len((tmp_path / "jobs/one/ran.txt").read_text().splitlines()) == 1
    with pytest.raises(CheckpointError, match="holds a run with backend numpy, not numba"):
        reproduce(this, Plan(backend="numba"), tmp_path)
    with pytest.raises(BackendError, match="unknown backend 'foo'"):
        reproduce(this, Plan(backend="foo"), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_missing_data_are_said_once_before_any_job(tmp_path):
    config = TrainConfig(dataset="mnist", data_dir=str(tmp_path / "nowhere")).to_dict()
    jobs = [Job("without", made_up.square, {"x": 1})]
    jobs += [Job(key, made_up.configured, {key: what}) for key, what in
             (("config", config), ("configs", {"one": config}))]  # fmt: skip
    for some in (jobs, jobs[:1] + jobs[2:]):
        with pytest.raises(DataError, match=r"mnist was not found: .*nowhere"):
            run_jobs(some, tmp_path)
    assert not (tmp_path / "jobs").exists()
    assert run_jobs(jobs, tmp_path, only="without") == {"without": {"square": 1}}


@pytest.mark.parametrize("name", NAMES)
def test_a_quick_run_needs_no_data(name, tmp_path):
    runner.check_data(experiment(name).jobs(Plan(quick=True, data_dir=str(tmp_path))))


def test_a_plan_of_an_older_version_goes_on(tmp_path):
    """It has no first seed, which was 0."""
    reproduce(made_up.squares(), Plan(seeds=2), tmp_path)
    path = tmp_path / "plan.json"
    plan = json.loads(path.read_text())
    del plan["first_seed"]
    path.write_text(json.dumps(plan))
    reproduce(made_up.squares(), Plan(seeds=2), tmp_path)


def test_a_job_with_other_arguments_is_not_taken_for_done(tmp_path):
    run_jobs([Job("a", made_up.square, {"x": 1})], tmp_path)
    with pytest.raises(CheckpointError, match="was run with another x"):
        run_jobs([Job("a", made_up.square, {"x": 2})], tmp_path)


def test_a_job_of_an_older_version_is_done_where_the_new_key_has_its_default(tmp_path):
    config = TrainConfig().to_dict()
    older = {key: value for key, value in config.items() if key != "replicas"}
    for name, made in (("config", lambda one: one), ("configs", lambda one: {"first": one})):
        run_jobs([Job(name, made_up.configured, {name: made(older)})], tmp_path)
        run_jobs([Job(name, made_up.configured, {name: made(config)})], tmp_path)
        with pytest.raises(CheckpointError, match=f"was run with another {name}:"):
            run_jobs([Job(name, made_up.configured, {name: made(config | {"replicas": 2})})], tmp_path)


def test_a_damaged_result_is_named(tmp_path):
    run_jobs([Job("a", made_up.square, {"x": 1})], tmp_path)
    path = tmp_path / "jobs" / "a" / "result.json"
    path.write_text("{")
    with pytest.raises(CheckpointError, match=f"cannot read {path}.*delete it"):
        run_jobs([Job("a", made_up.square, {"x": 1})], tmp_path)


@pytest.mark.parametrize("keys", [["a", "a"], ["a b"], ["../a"], [""]])
def test_keys_are_names_of_folders_each_its_own(tmp_path, keys):
    with pytest.raises(ValueError, match="keys of jobs"):
        run_jobs([Job(key, made_up.square, {"x": 1}) for key in keys], tmp_path)


def test_a_request_to_stop_stops_all_jobs(tmp_path):
    def interrupted(folder):
        raise Interrupted("saved")

    ran = []
    with pytest.raises(Interrupted):
        run_jobs([Job("a", interrupted), Job("b", lambda folder: ran.append(1))], tmp_path)
    assert not ran
    assert not (tmp_path / "jobs" / "a" / "error.txt").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="cannot work in the folder"), claimed(tmp_path / "file" / "x"):
        pass


TWO_THAT_HOLD = """
from pathlib import Path
import made_up
from minidrop.experiments import Job
from minidrop.experiments.runner import run_jobs

run_jobs([Job("a", made_up.hold), Job("b", made_up.hold)], Path("run"), processes=2)
"""


def test_jobs_end_with_the_process_that_gave_them_out(tmp_path):
    """Else they would go on in a folder that another process may claim."""
    environment = os.environ | {"PYTHONPATH": str(Path(made_up.__file__).parent)}
    parent = subprocess.Popen([sys.executable, "-c", TWO_THAT_HOLD], cwd=tmp_path, env=environment)
    places = [tmp_path / "run" / "jobs" / key for key in "ab"]
    try:
        while not all((place / "began").exists() for place in places):
            assert parent.poll() is None
            time.sleep(0.05)
    finally:
        parent.kill()
        parent.wait()
    for place in places:
        with FileLock(place / "held", timeout=60):
            pass
