"""003-Q7, its second half: "Can you develop a method that outperforms dropout" for a fixed architecture?

Document 003's network with the noise of each contestant, at three rates p:

    dropout             x m / (1-p), m Bernoulli, behind the hidden layers: what is to be beaten
    Gaussian noise      x r, r ~ N(1, p / (1-p)), there too: dropout's mean and variance, and no unit is gone
    DropConnect         (M ∘ W) x / (1-p), a mask for each batch, of the weights into the hidden layers

and the first two also with a tenth of that kind of noise on the pixels: nine settings against six of dropout.
All learn from 50,000 examples for 30 epochs; after the document's ten dropout makes no clear difference to
its network (see `dropout_epochs`). The 10,000 others, the validation set, choose the epoch of each run: at
this learning rate a single one, such as the last, says little. They choose a noise and a dropout too: for
each seed those that are best in the mean of the other seeds, so that a seed's luck does not choose what it is
then judged by. The test set chooses nothing, and is shown for the chosen and for the network without noise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite
from statistics import fmean
from typing import Any

from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result, Table
from minidrop.experiments.fashion import Variant, beside_a_run, diverged, setting, variant
from minidrop.experiments.figures import COLOURS, band, ends, label, longest, panels
from minidrop.experiments.training_job import curve, last, training
from minidrop.experiments.verdicts import Claim, gaps, ordered
from minidrop.intervals import interval
from minidrop.runs import Run

RATES = (0.1, 0.3, 0.5)
#: of the noise on the pixels, where there is some
PIXEL_RATE = 0.1
#: the contestant that has no noise
NONE = "none"


@dataclass(frozen=True)
class Kind:
    """A kind of noise: what it is called, its rate on the pixels, and the function that builds it."""

    name: str
    pixels: float = 0.0
    build: str | None = None

    def at(self, rate: float) -> str:
        """What it is called at a rate in the hidden layers."""
        name, comma, pixels = self.name.partition(",")
        return f"{name} {rate:g}{comma}{pixels}"


_GAUSSIAN = "minidrop.experiments.stochastic_relu:gaussian"
KINDS = {
    "dropout": Kind("dropout"),
    "dropout-pixels": Kind(f"dropout, pixels {PIXEL_RATE:g}", PIXEL_RATE),
    "gaussian": Kind("Gaussian noise", 0.0, _GAUSSIAN),
    "gaussian-pixels": Kind(f"Gaussian noise, pixels {PIXEL_RATE:g}", PIXEL_RATE, _GAUSSIAN),
    "dropconnect": Kind("DropConnect", 0.0, "minidrop.experiments.dropconnect:meant"),
}
#: the kind and the rate of each contestant with noise, by the beginning of its jobs' keys
CONTESTANTS = {f"{kind}-{rate:g}": (kind, rate) for kind in KINDS for rate in RATES}
COLOURS_OF = dict(zip((NONE, *KINDS), ("#000000", *COLOURS), strict=False))


def config(plan: Plan, key: str, seed: int = 0) -> dict[str, Any]:
    """The training of a contestant.

    >>> config(Plan(), "gaussian-pixels-0.3")["dropout"], config(Plan(), NONE)["dropout"]
    ('0.1,0.3,0.3', '0')
    """
    dropout = "0"
    if key != NONE:
        kind, rate = CONTESTANTS[key]
        dropout = f"{KINDS[kind].pixels:g},{rate:g},{rate:g}"
    length = {"validation": plan.pick(10_000, 437), "epochs": plan.pick(30, 3)}
    return setting(plan, **length, dropout=dropout, seed=seed)


def jobs(plan: Plan) -> Sequence[Job]:
    """All contestants with a seed after the other."""
    builds = {NONE: None} | {key: KINDS[kind].build for key, (kind, _) in CONTESTANTS.items()}
    return [
        training(
            plan, f"{key}-seed-{seed}", config(plan, key, seed), build=build, probe=f"{__name__}:parameters"
        )
        for seed in plan.seeds_of(5)
        for key, build in builds.items()
    ]


def parameters(run: Run) -> int:
    """How many numbers the network learns."""
    return int(run.model.parameters().flat_values.size)


def analyse(plan: Plan, results: Mapping[str, Result]) -> Findings:
    """Validation accuracies, who is chosen by them, and the test accuracies of those."""
    found = {
        key: variant(results, plan.seeds_of(5), key, KINDS[kind].at(rate))
        for key, (kind, rate) in CONTESTANTS.items()
    }
    found[NONE] = variant(results, plan.seeds_of(5), NONE, "no noise")
    noise, dropout = choose(found, of_dropout=False), choose(found, of_dropout=True)
    without_noise = dict.fromkeys(found[NONE].runs, NONE)
    ours, theirs, none = (tested(found, chosen) for chosen in (noise, dropout, without_noise))
    quantities = [
        beside_a_run(f"{name}: test accuracy", list(accuracies.values()), None)
        for name, accuracies in (("chosen noise", ours), ("chosen dropout", theirs), ("no noise", none))
        if accuracies
    ]
    claims = [
        same_size(results),
        ordered("on the test set the chosen noise beats the chosen dropout", gaps(ours, theirs)),
        ordered("on the test set the chosen noise beats none", gaps(ours, none)),
        ordered("on the test set the chosen dropout beats none", gaps(theirs, none)),
    ]
    figure, axes = panels(1, 2)
    by_rate(axes[0, 0], found)
    for name, chosen in (("chosen noise", noise), ("chosen dropout", dropout), ("no noise", without_noise)):
        if chosen:
            by_epoch(axes[0, 1], found, name, chosen)
    label(axes[0, 1], "epoch", "validation accuracy", epochs=True)
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3, fontsize="small")
    caption = (
        "Validation accuracy, mean over seeds with its 95 % interval. Left: in the best epoch of each run, "
        "by the rate of the noise, a little beside it; the dotted line is without any. Right: by epoch."
    )
    drawing = Drawing("validation", caption, figure)
    return Findings(
        quantities, claims, [table(found), choices(found, noise, dropout)], [drawing], diverged(results)
    )


def is_dropout(kind: str) -> bool:
    """Whether a kind is what is to be beaten."""
    return kind.startswith("dropout")


def choose(found: Mapping[str, Variant], *, of_dropout: bool) -> dict[int, str]:
    """By seed, the dropout or the other noise with the highest mean validation accuracy of the other seeds.

    Only those count that came to their end with the most seeds. A single seed has to choose for itself.
    """
    keys = [key for key, (kind, _) in CONTESTANTS.items() if is_dropout(kind) == of_dropout]
    seeds = max((found[key].runs.keys() for key in keys), key=len)
    ran = [key for key in keys if found[key].runs.keys() == seeds]

    def without(seed: int, key: str) -> float:
        others = {s: run for s, run in found[key].runs.items() if s != seed} or found[key].runs
        return fmean(validation_accuracies(others))

    return {seed: max(ran, key=partial(without, seed)) for seed in seeds}


def tested(found: Mapping[str, Variant], chosen: Mapping[int, str]) -> dict[int, float]:
    """By seed the test accuracy of its contestant, with the weights of the best validation epoch."""
    tests = {seed: found[key].runs[seed]["test"] for seed, key in chosen.items()}
    return {seed: 1 - test["errors"] / test["size"] for seed, test in tests.items()}


def validation_accuracies(runs: Mapping[int, Result]) -> list[float]:
    """Of each run, in its best epoch."""
    return [1 - min(curve(run, "validation_error")) / 100 for run in runs.values()]


def same_size(results: Mapping[str, Result]) -> Claim:
    """That the architecture is fixed."""
    found = {result["probe"] for result in results.values() if not result["diverged"]}
    text = "every contestant's network learns the same number of parameters"
    return Claim(text, len(found) == 1 if found else None, ", ".join(map(str, sorted(found))), exact=True)


def table(found: Mapping[str, Variant]) -> Table:
    """Validation accuracy, in which epoch, and training loss in the last, a row for each contestant."""
    rows: list[Sequence[Any]] = []
    for key, one in found.items():
        if one.runs:
            kind, rate = CONTESTANTS.get(key, (None, None))
            mean, half = interval(validation_accuracies(one.runs))
            best = fmean(run["best_epoch"] for run in one.runs.values())
            loss = fmean(last(run, "train_loss") for run in one.runs.values())
            name, spread = KINDS[kind].name if kind else one.name, half if isfinite(half) else None
            rows.append((name, rate, len(one.runs), best, mean, spread, loss))
    accuracy = ("best epoch", "validation accuracy", "± 95 %")
    columns = ("noise", "rate, hidden", "seeds", *accuracy, "training loss")
    return Table("In the best epoch", columns, rows)


def choices(found: Mapping[str, Variant], noise: Mapping[int, str], dropout: Mapping[int, str]) -> Table:
    """Who is chosen for each seed."""
    rows = [
        (seed, found[key].name, found[dropout[seed]].name) for seed, key in noise.items() if seed in dropout
    ]
    return Table("Chosen by the other seeds", ("seed", "noise", "dropout"), rows)


def by_rate(axes: Any, found: Mapping[str, Variant]) -> None:
    """Validation accuracy against the rate of the noise."""
    for i, ((kind, about), marker) in enumerate(zip(KINDS.items(), "o^sDv", strict=True)):
        points = [
            (rate, *ends(validation_accuracies(runs)))
            for rate in RATES
            if (runs := found[f"{kind}-{rate:g}"].runs)
        ]
        if points:
            rates, means, low, high = map(list, zip(*points, strict=True))
            beside = [rate + 0.012 * (i - 2) for rate in rates]  # or one would hide the other
            axes.plot(beside, means, label=about.name, color=COLOURS_OF[kind], marker=marker)
            if isfinite(low[0]):
                axes.vlines(beside, low, high, color=COLOURS_OF[kind])
    if found[NONE].runs:
        axes.axhline(fmean(validation_accuracies(found[NONE].runs)), color=COLOURS_OF[NONE], linestyle=":")
    label(axes, "rate of the noise", "validation accuracy", legend=False)
    axes.set_xticks(RATES)


def by_epoch(axes: Any, found: Mapping[str, Variant], name: str, chosen: Mapping[int, str]) -> None:
    """Validation accuracy against the epoch of each seed's contestant, in the colour of the first."""
    errors = [curve(found[key].runs[seed], "validation_error") for seed, key in chosen.items()]
    curves = [[1 - error / 100 for error in each] for each in longest(errors)]
    kind, _ = CONTESTANTS.get(next(iter(chosen.values())), (NONE, None))
    band(axes, range(1, len(curves[0]) + 1), curves, name, COLOURS_OF[kind])


EXPERIMENT = Experiment(
    name="noise-contest",
    ids=("003-Q7b",),
    question="Does Gaussian noise or DropConnect, chosen by validation, beat dropout in the same network?",
    data="fashion-mnist",
    duration="30 min",
    jobs=jobs,
    analyse=analyse,
)
