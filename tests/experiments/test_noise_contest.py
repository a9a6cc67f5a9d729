"""The contest of 003-Q7: who takes part, who is chosen by what, and what is shown of the test set."""

import pytest
from fashion_helpers import made_up

from minidrop.building import build_model
from minidrop.config import from_dict
from minidrop.experiments import Plan, experiment
from minidrop.experiments.fashion import Variant
from minidrop.experiments.noise_contest import CONTESTANTS, choose
from minidrop.experiments.training_job import function

PLAN = Plan(data_dir="here", backend="numpy")


def test_the_contest_is_judged_on_validation_and_shows_the_chosen_alone_on_the_test_set():
    this = experiment("noise-contest")
    better = {"dropconnect-0.3": (10.0, 30.0), "gaussian-0.1": (20.0, 5.0), "dropout-0.5": (15.0, 25.0)}
    results = {job.key: made_up(job) for job in this.jobs(PLAN)}
    for key, run in results.items():
        validation, test = better.get(key.partition("-seed-")[0], (40.0, 20.0))
        for row in run["history"]:
            row["validation_error"] = 50.0
        run["history"][7]["validation_error"] = validation
        run["test"] = {"errors": test, "size": 100}
    found = this.analyse(PLAN, results)
    assert {q.name: q.text() for q in found.quantities} == {
        "chosen noise: test accuracy": "0.700 ± 0.000",
        "chosen dropout: test accuracy": "0.750 ± 0.000",
        "no noise: test accuracy": "0.800 ± 0.000",
    }
    assert [claim.verdict for claim in found.claims] == ["agrees", "differs", "differs", "differs"]
    assert len(found.tables[0].rows) == 16
    assert "test" not in " ".join(found.tables[0].columns)
    assert found.tables[1].rows == [(seed, "DropConnect 0.3", "dropout 0.5") for seed in range(5)]


def test_a_seed_chooses_by_the_others_and_not_by_its_own_luck():
    def one(name, *accuracies):
        errors = [100 * (1 - accuracy) for accuracy in accuracies]
        return Variant(name, {i: {"history": [{"validation_error": e}]} for i, e in enumerate(errors)}, {})

    found = {key: one(key, 0.1, 0.1, 0.1) for key in CONTESTANTS}
    found |= {"gaussian-0.1": one("lucky", 0.9, 0.5, 0.5), "gaussian-0.3": one("steady", 0.6, 0.6, 0.6)}
    found |= {"gaussian-0.5": one("fewer seeds", 0.95, 0.95)}
    chosen = choose(found, of_dropout=False)
    assert chosen == {0: "gaussian-0.3", 1: "gaussian-0.1", 2: "gaussian-0.1"}
    assert choose({key: one(key) for key in CONTESTANTS}, of_dropout=True) == {}


@pytest.mark.parametrize(
    ("key", "noise"),
    [
        ("none", ["Dropout(0,", "Dropout(0,", "Dropout(0,"]),
        ("dropout-0.3", ["Dropout(0,", "Dropout(0.3,", "Dropout(0.3,"]),
        ("dropout-pixels-0.3", ["Dropout(0.1,", "Dropout(0.3,", "Dropout(0.3,"]),
        ("gaussian-0.5", ["Dropout(0,", "GaussianNoise(1)", "GaussianNoise(1)"]),
        ("gaussian-pixels-0.5", ["GaussianNoise(0.3333", "GaussianNoise(1)", "GaussianNoise(1)"]),
        (
            "dropconnect-0.3",
            [
                "Dropout(0,",
                "DropConnect(784, 256, drop_prob=0.3,",
                "Dropout(0,",
                "DropConnect(256, 256, drop_prob=0.3,",
                "Dropout(0,",
            ],
        ),
    ],
)
def test_the_contestants_have_the_noise_of_their_names(key, noise):
    jobs = {job.key: job.arguments for job in experiment("noise-contest").jobs(PLAN)}
    arguments = jobs[f"{key}-seed-0"]
    assert arguments["config"]["validation"] == 10_000
    make = build_model if arguments["build"] is None else function(arguments["build"])
    layers = [str(layer) for layer in make(from_dict(arguments["config"])).layers]
    shown = [text for text in layers if text.startswith(("Drop", "Gauss"))]
    for text, wanted in zip(shown, noise, strict=True):
        assert text.startswith(wanted)
