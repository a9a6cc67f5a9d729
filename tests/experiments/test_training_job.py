"""The job that trains: it resumes after a kill, and its questions are asked after each epoch."""

import pytest

from minidrop.errors import ArgumentError, CheckpointError, Interrupted
from minidrop.experiments import Plan, training_job
from minidrop.experiments.notebook import tidy
from minidrop.experiments.training_job import curve, last, train, training

SMALL = {"dataset": "digits", "layers": "64-8-10", "epochs": 3, "lr": 0.1, "batch_size": 200}


def first_weight(run):
    """Something to ask of a run."""
    return float(run.model[1].weight.value.sum())


def diverging(run):
    raise AssertionError("nothing is asked of a run that diverged")


def kill(run):
    """Stop the run after its second epoch, the first time."""
    if run.state.epoch == 2 and not (run.folder / "killed").exists():
        (run.folder / "killed").touch()
        raise Interrupted("killed")
    return run.state.epoch


def without(result, *keys):
    return {key: value for key, value in result.items() if key not in ("seconds", *keys)}


def test_a_training_is_what_its_configuration_says_and_nothing_else(tmp_path):
    job = training(Plan(), "a", SMALL)
    config = job.arguments["config"]
    assert (config["optimizer"], config["dropout"], config["limit"]) == ("sgd", "0", 0.0)
    assert (config["lr_schedule"], config["momentum_schedule"]) == ("constant", "constant")
    result = train(tmp_path, **job.arguments)
    assert len(curve(result, "train_loss")) == 3
    assert last(result, "train_loss") < curve(result, "train_loss")[0]
    assert result["test"]["size"] == 360
    assert (result["diverged"], result["probe"], result["followed"]) == (None, None, [])


def test_questions_are_asked_after_each_epoch_and_at_the_end(tmp_path):
    name = f"{__name__}:first_weight"
    result = train(tmp_path, **training(Plan(), "a", SMALL, probe=name, follow=name).arguments)
    assert len(set(result["followed"])) == 3
    assert result["followed"][-1] == result["probe"]


def test_a_killed_training_goes_on_to_the_same_result(tmp_path):
    arguments = training(Plan(), "a", SMALL, follow=f"{__name__}:kill").arguments
    (tmp_path / "a").mkdir()
    with pytest.raises(Interrupted):
        train(tmp_path / "a", **arguments)
    resumed = train(tmp_path / "a", **arguments)
    (tmp_path / "b" / "run").mkdir(parents=True)
    (tmp_path / "b" / "run" / "killed").touch()  # so that this one is not
    whole = train(tmp_path / "b", **arguments)
    assert without(resumed, "followed") == without(whole, "followed")
    assert whole["followed"] == [1, 2, 3]
    assert resumed["followed"] == [1, None, 3]  # the kill came before the answer was written


def test_a_killed_training_does_not_go_on_by_another_configuration(tmp_path):
    follow = f"{__name__}:kill"
    with pytest.raises(Interrupted):
        train(tmp_path, **training(Plan(), "a", SMALL, follow=follow).arguments)
    with pytest.raises(CheckpointError, match=r"is a run with lr 0.1; it cannot go on with 0.2"):
        train(tmp_path, **training(Plan(), "a", SMALL | {"lr": 0.2}, follow=follow).arguments)


def test_a_training_that_was_tidied_can_be_run_again(tmp_path):
    job = tidy(training(Plan(), "a", SMALL))
    first = job.work(tmp_path, **job.arguments)
    assert not (tmp_path / "run" / "checkpoint.safetensors").exists()
    assert without(job.work(tmp_path, **job.arguments)) == without(first)


def test_a_diverged_training_is_a_result(tmp_path):
    arguments = training(Plan(), "a", SMALL | {"lr": 1e6}).arguments
    result = train(tmp_path, **arguments)
    assert "diverged" in result["diverged"]
    assert result["test"] is None


def test_a_wrong_key_is_found_before_anything_runs():
    with pytest.raises(ArgumentError, match="unknown key 'droput'; did you mean dropout"):
        training(Plan(), "a", SMALL | {"droput": 0.5})


def test_the_plan_says_where_and_on_what():
    config = training(Plan(backend="numpy", data_dir="/data"), "a", SMALL).arguments["config"]
    assert (config["backend"], config["data_dir"]) == ("numpy", "/data")
    assert training_job.PLAIN["optimizer"] == "sgd"
