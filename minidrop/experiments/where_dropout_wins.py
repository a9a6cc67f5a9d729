"""001-5: longer training and fewer examples: where do document 001's dropout and no dropout cross?

The document finds that ten epochs are better without dropout, and says why: dropout is against overfitting,
and needs "an extensive training budget" or a data set that "actually needs it". It trains neither. Here its
net and its two readings of the mask learn for longer, from 50,000 examples of MNIST and from 5,000 and 1,000.

What differs from the document, so that this takes hours and not days: 1024 units a layer for 8192, and
batches of 100 for 1000, hence ten times as many updates an epoch at the same learning rate. With one
seed the fewer examples are some of the more. The curves are those of the test set.
"""

from collections.abc import Mapping, Sequence
from math import ceil, isfinite
from statistics import fmean
from typing import Any

from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result, Table
from minidrop.experiments.figures import COLOURS, band, label, legend_below, panels
from minidrop.experiments.notebook import LOOP, NETS, logarithmic, runs_of, tidy
from minidrop.experiments.training_job import curve, last, training
from minidrop.experiments.verdicts import Claim, gaps, lower_since, ordered, signed
from minidrop.intervals import interval


def sizes(plan: Plan) -> dict[int, int]:
    """How many epochs by the number of training examples, most examples first."""
    full, quick = {50000: 60, 5000: 200, 1000: 300}, {1200: 3, 100: 6}
    return quick if plan.quick else full


def config(plan: Plan, n: int) -> dict[str, Any]:
    """The setting of n training examples."""
    quick = {
        "dataset": "digits",
        "layers": "64-64-64-64-10",
        "batch_size": 20,
        "lr": 0.5,
    }
    full = {"dataset": "mnist", "layers": "784-1024-1024-1024-10", "batch_size": 100}
    return LOOP | (quick if plan.quick else full) | {"examples": n, "epochs": sizes(plan)[n]}


def jobs(plan: Plan) -> Sequence[Job]:
    """Each net with each number of examples and each seed, a seed after the other."""
    return [
        tidy(training(plan, f"{net}-{n}-seed-{seed}", config(plan, n) | own | {"seed": seed}))
        for seed in plan.seeds_of(3)
        for n in sizes(plan)
        for net, (_, own) in NETS.items()
        if not (plan.quick and net == "element")
    ]


def analyse(plan: Plan, results: Mapping[str, Result]) -> Findings:
    """The last epoch's test errors, and from which epoch on dropout's mean is lower."""
    findings, rows = Findings(), []
    runs: dict[tuple[str, int], dict[int, Result]] = {}
    for n, epochs in sizes(plan).items():
        for net in NETS:
            runs[net, n] = runs_of(results, f"{net}-{n}", epochs)
        updates = epochs * ceil(n / config(plan, n)["batch_size"])
        done = {run["history"][-1]["step"] for net in NETS for run in runs[net, n].values()}
        if done:
            text = f"Every net makes {updates} updates with {n} training examples"
            findings.claims.append(Claim(text, done == {updates}, f"found {sorted(done)}", exact=True))
        plain = runs["none", n]
        for net in NETS:
            if not runs[net, n]:
                continue
            errors = [last(run, "test_error") for run in runs[net, n].values()]
            losses = [last(run, "train_loss") for run in runs[net, n].values()]
            found = ""
            if net != "none" and plain:
                found = lower_since(mean_curve(runs[net, n]), mean_curve(plain))
                tries = len(sizes(plan)) * (len(NETS) - 1)
                findings.claims.append(claim(net, n, epochs, found, runs[net, n], plain, tries))
            mean, half = interval(errors)
            half_shown = half if isfinite(half) else None
            rows.append((n, NETS[net][0], epochs, mean, half_shown, fmean(losses), found))
    columns = (
        "training examples",
        "net",
        "epochs",
        "test error, %",
        "± 95 %",
        "training loss",
        "beside no dropout",
    )
    findings.tables.append(Table("After the last epoch", columns, rows))
    findings.drawings.append(draw(plan, runs))
    findings.notes += [
        f"{key} diverged: {run['diverged']}" for key, run in results.items() if run["diverged"]
    ]
    findings.notes.append(
        "Training losses are means over an epoch's batches as they were trained on, so dropout's noise is in "
        "them. The mean over seeds is what is lower in 95 % of the epochs."
    )
    return findings


def claim(
    net: str,
    n: int,
    epochs: int,
    found: str,
    ours: Mapping[int, Result],
    plain: Mapping[int, Result],
    tries: int,
) -> Claim:
    """Whether dropout wins in the end."""
    errors, others = ({seed: last(run, "test_error") for seed, run in runs.items()} for runs in (ours, plain))
    gained = gaps(others, errors)
    text = f"With {n} examples {NETS[net][0]} has the lower test error after {epochs} epochs"
    detail = f"{signed(gained, 2, tries)} points; {found}"
    return ordered(text, gained, detail=detail, among=tries)


def mean_curve(runs: Mapping[int, Result]) -> list[float]:
    """The mean test error over seeds, by epoch."""
    curves = [curve(run, "test_error") for run in runs.values()]
    return [fmean(errors) for errors in zip(*curves, strict=True)]


def draw(plan: Plan, runs: Mapping[tuple[str, int], Mapping[int, Result]]) -> Drawing:
    """Test error above training loss, a column for each number of examples."""
    figure, axes = panels(2, len(sizes(plan)), height=2.8, sharex="col")
    for column, (n, epochs) in zip(axes.T, sizes(plan).items(), strict=True):
        for one, key in zip(column, ("test_error", "train_loss"), strict=True):
            for colour, (net, (name, _)) in zip(COLOURS, NETS.items(), strict=False):
                if runs[net, n]:
                    curves = [curve(run, key) for run in runs[net, n].values()]
                    band(one, range(1, epochs + 1), curves, name, colour, log=key == "train_loss")
        logarithmic(column[1])
        final = [line.get_ydata()[-1] for line in column[0].lines]
        if final and not plan.quick:
            column[0].set_ylim(0.8 * min(final), 1.6 * max(final))
        first = n == next(iter(sizes(plan)))
        label(column[0], "", "test error, %" if first else "", f"{n} training examples", legend=False)
        label(column[1], "epoch", "training loss" if first else "", legend=False, epochs=True)
    legend_below(figure)
    caption = (
        "Test error, mean over seeds, whose first epochs are cut off, and training loss, geometric mean, by "
        "epoch, from fewer and fewer examples, with 95 % intervals."
    )
    return Drawing("curves", caption, figure)


EXPERIMENT = Experiment(
    name="where-dropout-wins",
    ids=("001-5",),
    question="With longer training or fewer examples, from which epoch on is dropout better?",
    data="mnist",
    duration="2 h",
    jobs=jobs,
    analyse=analyse,
)
