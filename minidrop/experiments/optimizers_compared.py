"""004-8: SGD, momentum and Adam train the same Kaiming-initialized ReLU net on Fashion-MNIST.

The document: 784-512-256-256-128-10, inputs of mean 0 and variance 1, 50,000 images to train on and 10,000 to
validate, batch 256 without the last smaller one, 40 epochs, the weights of the best validation epoch. Its
three runs share split and initial weights; here each seed has its own, shared by its optimizers. A tie
between epochs goes to the smaller validation loss here, to the earlier epoch there.

Its momentum is the form ema, so that 0.1 means 0.1 also with momentum 0.9; torch.optim.SGD's 0.1 would be ten
times as large. The slip: Adam's printed formula divides by √v, its code by √v̂. The printed one takes steps
larger by (1 - β₂ᵗ)^-½, and is trained here beside the other, as a fourth optimizer.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result, Table
from minidrop.experiments.figures import COLOURS, band, label, panels, plain_ticks
from minidrop.experiments.training_job import curve, last, training
from minidrop.experiments.tutorial_network import HIDDEN
from minidrop.experiments.tutorial_optimizers import CONTESTANTS, INFLATION, updates
from minidrop.experiments.verdicts import Claim, Quantity
from minidrop.intervals import interval

#: percentage points by which the single published run of an optimizer may be off
TOLERANCE = 0.5
#: float64: sums of some twenty numbers of order one; ε = 1e-8 beside a √v of 0.03
ROUNDING, EPSILON = 1e-12, 1e-6
CROSS: dict[str, Any] = {"markersize": 8, "markeredgewidth": 2}


def jobs(plan: Plan) -> Sequence[Job]:
    """The updates on fixed gradients, and a training for each optimizer and seed."""
    full = {"dataset": "fashion-mnist", "layers": [784, *HIDDEN, 10], "validation": 10000, "batch_size": 256}
    quick = {"dataset": "digits", "layers": [64, 64, 32, 10], "validation": 237, "batch_size": 64}
    setting = plan.pick(full, quick) | {
        "normalise": "standard",
        "epochs": plan.pick(40, 3),
        "drop_last": True,
        "init": "kaiming-normal",
    }
    build = "minidrop.experiments.tutorial_network:kaiming"
    trainings = [
        training(plan, f"{key}-seed-{seed}", setting | contestant.config | {"seed": seed}, build=build)
        for seed in plan.seeds_of(5)
        for key, contestant in CONTESTANTS.items()
    ]
    return [Job("updates", updates, {"backend": plan.backend}), *trainings]


def analyse(plan: Plan, results: Mapping[str, Result]) -> Findings:
    """Accuracies beside the published ones, the formulas, and how much larger Adam's printed steps are."""
    findings = Findings()
    if "updates" in results:
        _judge_updates(results["updates"], findings)
    rows, means, trained = [], [], {}
    for key, contestant in CONTESTANTS.items():
        runs = [result for name, result in results.items() if name.startswith(f"{key}-seed-")]
        ended = [run for run in runs if run["diverged"] is None]
        if len(ended) < len(runs):
            findings.notes.append(
                f"{contestant.title}: {len(runs) - len(ended)} of {len(runs)} runs diverged."
            )
        if not ended:
            continue
        trained[key] = ended
        test = [100 - 100 * run["test"]["errors"] / run["test"]["size"] for run in ended]
        best = [100 - min(curve(run, "validation_error")) for run in ended]
        findings.quantities += [
            Quantity(
                f"{contestant.title}: {what} accuracy, %",
                ours,
                published,
                tolerance=TOLERANCE,
                digits=2,
                because="within the 95 % interval of our mean, widened, as it is of one run, by "
                f"{TOLERANCE:g} points",
            )
            for what, ours, published in (
                ("test", test, contestant.test),
                ("best validation", best, contestant.validation),
            )
        ]
        epochs = [run["best_epoch"] for run in ended]
        losses = [last(run, "train_loss") for run in ended]
        rows.append((contestant.title, len(ended), *map(float, map(np.mean, (epochs, losses, best, test)))))
        if contestant.test is not None:
            means.append(interval(test)[0])
    columns = ("optimizer", "runs", "best epoch", "last training loss", "best validation %", "test %")
    findings.tables.append(Table("Means over the seeds", columns, rows))
    if len(means) == 3:
        apart = max(means) - min(means)
        text = "the optimizers perform similarly: their mean test accuracies are within a point"
        findings.claims.append(Claim(text, apart < 1, f"{apart:.2f} points apart"))
    if trained:
        findings.drawings.insert(0, _curves(trained, plan.quick))
    return findings


def _judge_updates(result: Result, findings: Findings) -> None:
    for key, distance in result["distances"].items():
        text = f"{CONTESTANTS[key].title}: twenty steps are those of the document's formula"
        findings.claims.append(Claim(text, distance < ROUNDING, f"{distance:.0e} apart", exact=True))
    inflation = result["inflation"]
    findings.quantities += [
        Quantity(
            f"Adam's step at t = {t}: printed / coded",
            [inflation[t - 1]],
            published,
            "exact",
            half,
            digits=max(0, round(-np.log10(2 * half))),
        )
        for t, published, half in INFLATION
    ]
    theory = (1 - 0.999 ** np.arange(1, len(inflation) + 1)) ** -0.5
    off = float(abs(np.array(inflation) / theory - 1).max())
    text = "the printed Adam takes steps (1 - β₂ᵗ)^-½ times as large"
    findings.claims.append(Claim(text, off < EPSILON, f"{off:.0e} off, relatively", exact=True))
    findings.drawings.append(_inflation(inflation))


def _curves(trained: Mapping[str, Sequence[Result]], quick: bool) -> Drawing:
    figure, axes = panels(1, 2)
    loss, accuracy = axes[0]
    for i, (key, runs) in enumerate(trained.items()):
        contestant, epochs, colour = CONTESTANTS[key], len(runs[0]["history"]), COLOURS[i]
        x = range(1, epochs + 1)
        band(loss, x, [curve(run, "train_loss") for run in runs], contestant.title, colour, log=True)
        validated = [[100 - error for error in curve(run, "validation_error")] for run in runs]
        band(accuracy, x, validated, contestant.title, colour)
        if contestant.validation is not None:
            accuracy.plot(
                epochs * (1.03 + 0.03 * i), contestant.validation, "x", color=colour, markersize=8, mew=2
            )
    loss.plot([], [], "x", color="black", markersize=8, mew=2, label="published best\n(Fashion-MNIST)")
    loss.set_yscale("log")
    plain_ticks(loss.yaxis)
    label(loss, "epoch", "training loss (cross-entropy)", epochs=True, legend=False)
    loss.legend(fontsize="small", loc="upper right")
    label(accuracy, "epoch", "validation accuracy (%)", epochs=True, legend=False)
    if not quick:
        accuracy.set_ylim(80, 91)  # single epochs of single seeds fall far below
    caption = (
        "Training loss, geometric mean, and validation accuracy, mean over the seeds, with 95 % intervals. "
        "At the right edge, the best validation accuracy of each published run. Below, intervals are cut off "
        "where a single seed fell far in a single epoch."
    )
    return Drawing("training", caption, figure)


def _inflation(inflation: Sequence[float]) -> Drawing:
    figure, axes = panels(1, 1, height=3.2)
    steps = np.arange(1, len(inflation) + 1)
    axes[0, 0].loglog(steps, inflation, color=COLOURS[0], label="both optimizers run on gradient 1")
    t, published, _ = zip(*INFLATION, strict=True)
    axes[0, 0].plot(
        t, published, "x", color=COLOURS[1], markersize=8, mew=2, label="expected: 31.6, 10, 3.2, 1.26"
    )
    for axis in (axes[0, 0].xaxis, axes[0, 0].yaxis):
        plain_ticks(axis)
    label(axes[0, 0], "step t", "step as printed / step as coded")
    caption = (
        "How much larger Adam's steps are with √v, as the document prints it, than with √v̂, as it codes it."
    )
    return Drawing("adam-as-printed", caption, figure)


EXPERIMENT = Experiment(
    name="optimizers-compared",
    ids=("004-8",),
    question="How well do SGD, momentum and Adam train the same ReLU net on Fashion-MNIST?",
    data="fashion-mnist",
    duration="1 h",
    jobs=jobs,
    analyse=analyse,
)
