"""003-Q7, its second half: "Can you develop a method that outperforms dropout" for a fixed architecture?

Document 003's network with the noise of each contestant behind its hidden layers, at three rates p:

    dropout             x m / (1-p), m Bernoulli: what is to be beaten
    Gaussian noise      x r, r ~ N(1, p / (1-p)): dropout's mean and variance, and no unit is ever gone
    DropConnect         (M ∘ W) x / (1-p): a mask of the weights for each batch

and the first two also with a tenth of that kind of noise on the pixels. Every contestant learns from 50,000
examples for 30 epochs: the document's ten are too few for its network to overfit. On the 10,000 others, the
validation set, the best noise and the best dropout are chosen, each by its mean over the seeds after the last
epoch. Only these two, and the network without any noise, are then looked at on the test set, once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import fmean
from typing import TYPE_CHECKING, Any

from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result, Table
from minidrop.experiments.fashion import Variant, beside_a_run, diverged, paired, setting, variant
from minidrop.experiments.figures import COLOURS, band, ends, label, panels
from minidrop.experiments.training_job import curve, last, training
from minidrop.experiments.verdicts import Claim, ordered
from minidrop.intervals import interval
from minidrop.runs import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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


_GAUSSIAN = "minidrop.experiments.stochastic_relu:gaussian"
KINDS = {
    "dropout": Kind("dropout"),
    "dropout-pixels": Kind("dropout + pixels", PIXEL_RATE),
    "gaussian": Kind("Gaussian noise", 0.0, _GAUSSIAN),
    "gaussian-pixels": Kind("Gaussian noise + pixels", PIXEL_RATE, _GAUSSIAN),
    "dropconnect": Kind("DropConnect", 0.0, "minidrop.experiments.dropconnect:meant"),
}
#: the kind and the rate of each contestant with noise, by the beginning of its jobs' keys
CONTESTANTS = {f"{kind}-{rate:g}": (kind, rate) for kind in KINDS for rate in RATES}


def config(plan: Plan, key: str, seed: int = 0) -> dict[str, Any]:
    """The training of a contestant.

    >>> config(Plan(), "gaussian-pixels-0.3")["dropout"], config(Plan(), NONE)["dropout"]
    ('0.1,0.3,0.3', '0')
    """
    dropout = "0"
    if key != NONE:
        kind, rate = CONTESTANTS[key]
        dropout = f"{KINDS[kind].pixels:g},{rate:g},{rate:g}"
    held_out = {"validation": plan.pick(10_000, 437), "epochs": plan.pick(30, 3)}
    return setting(plan, **held_out, dropout=dropout, seed=seed)


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
        key: variant(results, plan.seeds_of(5), key, f"{KINDS[kind].name} {rate:g}")
        for key, (kind, rate) in CONTESTANTS.items()
    }
    found[NONE] = variant(results, plan.seeds_of(5), NONE, "no noise")
    noise, dropout = best(found, of_dropout=False), best(found, of_dropout=True)
    chosen = {"the best noise": noise, "the best dropout": dropout, "": NONE}
    quantities = []
    for role, key in chosen.items():
        if found[key].runs:
            name = told(role, found[key])
            quantities += [
                beside_a_run(f"{name}: validation accuracy", validation_accuracies(found[key]), None),
                beside_a_run(f"{name}: test accuracy", found[key].final("scaled"), None),
            ]
    claims = [same_size(results)]
    claims += [
        ordered(f"on the test set {text}", paired(found[one], found[other]))
        for text, one, other in (
            ("the best noise beats the best dropout", noise, dropout),
            ("the best noise beats none", noise, NONE),
            ("the best dropout beats none", dropout, NONE),
        )
    ]
    caption = (
        "Validation accuracy, mean over seeds with its 95 % interval: after the last epoch by the rate of "
        "the noise, where the dotted line is without any, and by epoch for those that are chosen."
    )
    drawing = Drawing("validation", caption, draw(found, chosen))
    return Findings(quantities, claims, [table(found)], [drawing], diverged(results))


def is_dropout(kind: str) -> bool:
    """Whether a kind is what is to be beaten."""
    return kind.startswith("dropout")


def best(found: Mapping[str, Variant], *, of_dropout: bool) -> str:
    """The contestant with the highest mean validation accuracy, of dropout or of the other kinds of noise."""
    keys = [key for key, (kind, _) in CONTESTANTS.items() if is_dropout(kind) == of_dropout]
    ran = [key for key in keys if found[key].runs] or keys
    return max(ran, key=lambda key: fmean(validation_accuracies(found[key]) or [0.0]))


def told(role: str, one: Variant) -> str:
    """Role and name, such as "the best dropout (dropout 0.3)"."""
    return f"{role} ({one.name})" if role else one.name


def validation_accuracies(one: Variant) -> list[float]:
    """Of each run, after its last epoch."""
    return [1 - last(run, "validation_error") / 100 for run in one.runs.values()]


def same_size(results: Mapping[str, Result]) -> Claim:
    """That the architecture is fixed."""
    found = {result["probe"] for result in results.values() if not result["diverged"]}
    text = "every contestant's network learns the same number of parameters"
    return Claim(text, len(found) == 1 if found else None, ", ".join(map(str, sorted(found))), exact=True)


def table(found: Mapping[str, Variant]) -> Table:
    """Validation accuracy and training loss, a row for each contestant."""
    rows: list[Sequence[Any]] = []
    for key, one in found.items():
        if one.runs:
            kind, rate = CONTESTANTS.get(key, (None, None))
            mean, half = interval(validation_accuracies(one))
            loss = fmean(last(run, "train_loss") for run in one.runs.values())
            spread = half if isfinite(half) else None
            rows.append((KINDS[kind].name if kind else one.name, rate, len(one.runs), mean, spread, loss))
    columns = ("noise", "rate", "seeds", "validation accuracy", "± 95 %", "training loss")
    return Table("After the last epoch", columns, rows)


def draw(found: Mapping[str, Variant], chosen: Mapping[str, str]) -> "Figure":
    """Validation accuracy against the rate of the noise, and against the epoch."""
    figure, axes = panels(1, 2)
    left, right = axes[0]
    colours = dict(zip((NONE, *KINDS), ("#000000", *COLOURS), strict=False))
    for (kind, about), marker in zip(KINDS.items(), "oosDv", strict=True):
        points = [
            (rate, *ends(validation_accuracies(found[key])))
            for key, (one, rate) in CONTESTANTS.items()
            if one == kind and found[key].runs
        ]
        if points:
            rates, means, low, high = map(list, zip(*points, strict=True))
            left.plot(rates, means, label=about.name, color=colours[kind], marker=marker)
            if isfinite(low[0]):
                left.fill_between(rates, low, high, color=colours[kind], alpha=0.15, linewidth=0)
    if found[NONE].runs:
        left.axhline(fmean(validation_accuracies(found[NONE])), color=colours[NONE], linestyle=":")
    label(left, "rate of the noise", "validation accuracy", legend=False)
    left.set_xticks(RATES)
    for role, key in chosen.items():
        if found[key].runs:
            errors = [curve(run, "validation_error") for run in found[key].runs.values()]
            longest = max(map(len, errors))
            curves = [[1 - error / 100 for error in one] for one in errors if len(one) == longest]
            colour = colours[CONTESTANTS[key][0] if key != NONE else NONE]
            band(right, range(1, longest + 1), curves, told(role, found[key]), colour)
    label(right, "epoch", "validation accuracy", epochs=True)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize="small")
    return figure


EXPERIMENT = Experiment(
    name="noise-contest",
    ids=("003-Q7b",),
    question="Does any noise, chosen on a validation set, beat dropout in the same network?",
    data="fashion-mnist",
    duration="45 min",
    jobs=jobs,
    analyse=analyse,
)
