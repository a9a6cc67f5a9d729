"""000-Q3: "will the Adam optimiser give me the same results as SGD with dampening?"

784-800-800-10 with dropout of hidden units and inputs and the paper's limit, ReLU units: Adam with four
learning rates beside SGD with dampening = momentum, and the paper's update, both at 1. The learning rates
fall by the paper's 0.2 % an epoch for all of them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import minidrop as md
from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result
from minidrop.experiments.figures import label, legend_below, panels
from minidrop.experiments.hinton import RELU, Runs, Study, Variant, log_errors
from minidrop.experiments.hinton_exact import path, small_net
from minidrop.experiments.row_norms import ASKED, histograms, lengths_table
from minidrop.experiments.verdicts import Claim, Quantity, alike, signed

RATES = (1e-4, 3e-4, 1e-3, 3e-3)
ADAM = {"optimizer": "adam", "momentum": None, "momentum_schedule": "constant"}
STUDY = Study(
    {
        "paper": Variant("the paper's update", RELU),
        "dampened": Variant("dampening = momentum", RELU | {"optimizer": "momentum:dampening=momentum"}),
        **{f"adam-{rate:g}": Variant(f"Adam, {rate:g}", RELU | ADAM | {"lr": rate}) for rate in RATES},
    },
    epochs=20,
    asked=ASKED,
)
CAPTION = "Test errors and training loss by epoch, mean over seeds with its 95 % interval."


def algorithm_1(folder: Path, steps: int = 100, rate: float = 1e-3) -> Result:
    """Our Adam on given gradients beside algorithm 1 of Kingma & Ba 2015, written out."""
    arena = small_net().parameters()
    g = np.random.default_rng(0).standard_normal((steps, arena.size))
    w = arena.flat_values.copy()
    ours = path(md.Adam(arena), g, [rate] * steps)
    m, v, largest, first = np.zeros_like(w), np.zeros_like(w), 0.0, np.abs(ours[0] - w) / rate
    for t in range(1, steps + 1):
        m = 0.9 * m + (1 - 0.9) * g[t - 1]
        v = 0.999 * v + (1 - 0.999) * g[t - 1] ** 2
        w = w - rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        largest = max(largest, float(np.abs(ours[t - 1] - w).max()))
    return {"difference": largest, "first": first.tolist()}


def jobs(plan: Plan) -> Sequence[Job]:
    """Adam on given gradients, then the trainings."""
    return [Job("algorithm-1", algorithm_1), *STUDY.jobs(plan)]


def analyse(plan: Plan, results: Mapping[str, Result]) -> Findings:
    """Adam is Adam; its errors beside those of both forms of SGD."""
    runs, exact = STUDY.runs(plan, results), []
    if found := results.get("algorithm-1"):
        text = "Adam on given gradients: largest difference from algorithm 1"
        exact.append(Quantity(text, [found["difference"]], 0.0, "exact", 1e-12, 14))
        text = "Adam's first step in units of its learning rate, every weight"
        exact.append(Quantity(text, found["first"], 1.0, "exact", 1e-5, 6))
    return Findings(
        [*exact, *runs.quantities()],
        [
            same_results(runs, "dampened", "SGD with dampening"),
            same_results(runs, "paper", "the paper's update"),
            runs.within_limit(list(STUDY.variants), 15**0.5),
        ],
        [runs.table(), lengths_table(runs)],
        [
            Drawing("errors", CAPTION, draw(plan, runs)),
            histograms(runs, {"ReLU": STUDY.labels}, {"dampened": "--"}),
        ],
        runs.notes("Adam's best learning rate is chosen by the test errors themselves, in Adam's favour."),
    )


def same_results(runs: Runs, name: str, what: str) -> Claim:
    """The claim that Adam at the best of its rates has the errors of another update, seed by seed."""
    best = runs.best([f"adam-{rate:g}" for rate in RATES])
    gaps = runs.gaps(best, name)
    text = f"Adam at its best learning rate gives the results of {what}"
    pair = f"{STUDY.labels[best]} - {STUDY.labels[name]}"
    told = f"{pair}: {signed(gaps, 1, len(RATES))} errors, seed by seed"
    return alike(text, gaps, told, len(RATES))


def draw(plan: Plan, runs: Runs) -> Any:
    """Test errors and training loss against the epoch."""
    figure, axes = panels(1, 2, height=3.8)
    for axis, key in zip(axes.flat, ("test_errors", "train_loss"), strict=True):
        runs.draw(axis, key, list(STUDY.variants), styles={"dampened": "--"})  # it lies on the paper's
    label(axes[0, 0], "epoch", f"test errors of {runs.size}", epochs=True, legend=False)
    log_errors(axes[0, 0], plan)
    label(axes[0, 1], "epoch", "training loss [nats]", epochs=True, legend=False)
    legend_below(figure, 3)
    return figure


EXPERIMENT = Experiment(
    name="adam-against-hinton",
    ids=("000-Q3",),
    question="Does Adam give the results of SGD with dampening, or of the paper's update?",
    data="mnist",
    duration="30 min",
    jobs=jobs,
    analyse=analyse,
)
