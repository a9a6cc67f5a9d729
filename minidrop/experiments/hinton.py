"""What the experiments of document 000 share: the set-up of Hinton et al. 2012 on MNIST, and its analysis."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite
from typing import Any

from minidrop.experiments.experiment import Job, Plan, Result, Table
from minidrop.experiments.figures import COLOURS, band
from minidrop.experiments.training_job import curve, last, training
from minidrop.experiments.verdicts import Claim, Quantity, gaps, ordered, signed
from minidrop.intervals import interval

#: appendix A, but for the units and the learning rate that suits them; the paper trains for 3000 epochs
PAPER: dict[str, Any] = {
    "dataset": "mnist",
    "layers": "784-800-800-10",
    "dropout": "0.2,0.5,0.5",
    "mode": "paper",
    "init": "normal:0.01",
    "bias_init": "constant:0",
    "optimizer": "hinton",
    "momentum": 0.5,
    "lr_schedule": "exponential:0.998",
    "momentum_schedule": "linear:0.99,500",
    "limit": 15.0,
    "batch_size": 100,
}
#: the paper does not say which units; a learning rate of 10, the paper's, kills a ReLU net in its first epoch
RELU = {"unit": "relu", "lr": 1.0}
LOGISTIC = {"unit": "sigmoid", "lr": 10.0}
#: what a quick run changes; its larger initial weights let so few steps learn something
QUICK = {"dataset": "digits", "epochs": 4, "batch_size": 50, "init": "normal:0.1", "threads": 1}


def configuration(plan: Plan, epochs: int, **changes: Any) -> dict[str, Any]:
    """The paper's training for `epochs` epochs with `changes`; in a quick run a small one on the digits.

    >>> configuration(Plan(quick=True), 30, layers="784-1200-1200-1200-10")["layers"]
    '64-48-48-48-10'
    """
    config = PAPER | {"epochs": epochs} | changes
    if plan.quick:
        hidden = [str(int(size) // 25) for size in config["layers"].split("-")[1:-1]]
        config |= QUICK | {"layers": "-".join(["64", *hidden, "10"])}
    return config


@dataclass(frozen=True)
class Variant:
    """One of the trainings that are compared: what figures call it, and what it changes in `PAPER`."""

    label: str
    changes: Mapping[str, Any]


@dataclass(frozen=True)
class Study:
    """Trainings that differ in a few keys, several seeds each.

    Args:
        variants: by a name for the keys of their jobs.
        epochs: of a full run.
        seeds: of a full run.
        quick: what a quick run changes beside `QUICK`.
        asked: `training`'s arguments, such as a probe.
    """

    variants: Mapping[str, Variant]
    epochs: int
    seeds: int = 3
    quick: Mapping[str, Any] = field(default_factory=dict)
    asked: Mapping[str, Any] = field(default_factory=dict)

    @property
    def labels(self) -> dict[str, str]:
        """What figures call each variant."""
        return {name: variant.label for name, variant in self.variants.items()}

    def jobs(self, plan: Plan) -> list[Job]:
        """One training for each seed and variant, all variants of the first seed first."""
        return [
            training(
                plan,
                f"{name}-seed-{seed}",
                configuration(plan, self.epochs, **variant.changes)
                | (dict(self.quick) if plan.quick else {})
                | {"seed": seed},
                **self.asked,
            )
            for seed in plan.seeds_of(self.seeds)
            for name, variant in self.variants.items()
        ]

    def runs(self, plan: Plan, results: Mapping[str, Result]) -> "Runs":
        """What came of them."""
        found: dict[str, dict[int, Result]] = {name: {} for name in self.variants}
        failed = []
        for name in self.variants:
            for seed in plan.seeds_of(self.seeds):
                result = results.get(key := f"{name}-seed-{seed}")
                if result is None or result["diverged"] or not result["history"]:
                    failed.append(f"{key} ({'missing' if result is None else result['diverged']})")
                else:
                    found[name][seed] = result
        return Runs(self, plan, found, failed)


@dataclass(frozen=True)
class Runs:
    """The trainings of a study that came to their end, by variant and seed, and what became of the others."""

    study: Study
    plan: Plan
    found: Mapping[str, Mapping[int, Result]]
    failed: Sequence[str]

    def of(self, name: str) -> list[Result]:
        """The runs of a variant, one for each seed."""
        return list(self.found[name].values())

    def curves(self, name: str, key: str) -> list[list[float]]:
        """A number of every epoch, a list for each seed, all as long as the shortest."""
        found = [curve(run, key) for run in self.of(name)]
        length = min(map(len, found), default=0)
        return [values[:length] for values in found]

    def errors(self, name: str) -> list[float]:
        """The final test errors, one for each seed."""
        return [last(run, "test_errors") for run in self.of(name)]

    def last(self, name: str, seed: int) -> float | None:
        """The final test errors of one run; None if it is not there."""
        run = self.found[name].get(seed)
        return None if run is None else last(run, "test_errors")

    @property
    def size(self) -> int:
        """How many test examples there are; 0 if no run came to its end."""
        return next((int(run["test"]["size"]) for name in self.found for run in self.of(name)), 0)

    @property
    def epochs(self) -> int:
        """After how many epochs the runs end."""
        return max((len(run["history"]) for name in self.found for run in self.of(name)), default=0)

    def quantities(self, published: Mapping[str, float] | None = None) -> list[Quantity]:
        """The final errors of every variant beside published ones, of so many more epochs: not judged."""
        shown = []
        for name, variant in self.study.variants.items():
            if errors := self.errors(name):
                what = f"{variant.label}: test errors of {self.size} after {self.epochs} epochs"
                beside = (published or {}).get(name)
                shown.append(Quantity(what, errors, beside, digits=1, judge=False))
        return shown

    def fewer(self, text: str, names: Sequence[str], among: int = 1) -> Claim:
        """The claim that the variants, in this order, have fewer and fewer errors; see `ordered`."""
        pairs = {(name, better): self.gaps(name, better) for name, better in pairwise(names)}
        labels = {name: self.study.variants[name].label for name in names}
        shown = [f"{labels[a]} - {labels[b]}: {signed(gaps, 1, among)}" for (a, b), gaps in pairs.items()]
        detail = f"{'; '.join(shown)} errors after {self.epochs} epochs"
        return ordered(text, *pairs.values(), detail=detail, among=among)

    def gaps(self, name: str, other: str) -> list[float]:
        """By how much the final errors of a variant are above another's, for each seed that both have."""
        ours, theirs = (
            {seed: last(run, "test_errors") for seed, run in self.found[each].items()}
            for each in (name, other)
        )
        return gaps(ours, theirs)

    def best(self, names: Sequence[str]) -> str:
        """Which of the variants has the fewest errors in the mean; the first if none has run."""
        ran = [name for name in names if self.of(name)]
        return min(ran, key=lambda name: interval(self.errors(name))[0], default=names[0])

    def mean(self, name: str, key: str) -> list[float]:
        """A number of every epoch, averaged over the seeds."""
        return [interval(values)[0] for values in zip(*self.curves(name, key), strict=True)]

    def table(self) -> Table:
        """A row for each variant: errors on the way and at the end, training loss, longest row."""
        milestones = [epoch for epoch in (1, 10, 30, 100) if epoch < self.epochs]
        columns = [f"errors, epoch {epoch}" for epoch in (*milestones, self.epochs)]
        rows = []
        for name, variant in self.study.variants.items():
            if not self.of(name):
                continue
            errors = self.mean(name, "test_errors")
            way = [errors[epoch - 1] if epoch <= len(errors) else None for epoch in milestones]
            mean, half = interval(self.errors(name))
            rows.append(
                (
                    *(variant.label, len(self.of(name)), *way, mean, half if isfinite(half) else None),
                    self.mean(name, "train_loss")[-1],
                    max(max(values) for values in self.curves(name, "largest_row_norm")),
                )
            )
        more = ("± 95 %", "training loss [nats]", "longest hidden row")
        return Table(
            f"Test errors of {self.size}, mean over seeds", ("training", "runs", *columns, *more), rows
        )

    def notes(self, *texts: str) -> list[str]:
        """The texts, and what became of the runs that did not come to their end."""
        quick = "A quick run: layers 25 times as narrow, on the embedded digits; its errors mean nothing."
        failed = f"Not in the numbers: {', '.join(self.failed)}."
        return [*texts, *([quick] if self.plan.quick else []), *([failed] if self.failed else [])]

    def draw(
        self,
        axes: Any,
        key: str,
        names: Sequence[str],
        labels: Sequence[str] = (),
        styles: Mapping[str, str] | None = None,
    ) -> None:
        """Draw a number against the epoch, with bands over the seeds; not solid what lies on another."""
        shown = labels or [self.study.variants[name].label for name in names]
        for name, text, colour in zip(names, shown, COLOURS, strict=False):
            if curves := self.curves(name, key):
                style = (styles or {}).get(name, "-")
                band(axes, range(1, len(curves[0]) + 1), curves, text, colour, linestyle=style)

    def within_limit(self, names: Sequence[str], length: float) -> Claim:
        """The claim that no hidden unit's incoming weights are ever longer than the limit."""
        rows = [max(values) for name in names for values in self.curves(name, "largest_row_norm")]
        longest = max(rows, default=0.0)
        return Claim(
            f"with the paper's limit no row of hidden weights is longer than {length:.4f} after any epoch",
            longest <= length * (1 + 1e-6) if rows else None,
            f"longest {longest:.4f}",
            exact=True,
        )


def log_errors(axes: Any, plan: Plan) -> None:
    """Let an axis of errors be logarithmic, with plain numbers at its ticks; a full run's top is cut off.

    What matters there is between 100 and 200 errors, and all begin at some hundreds or thousands.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_yscale("log")
    axes.set_ylim(bottom=plan.pick(90, 8))
    together = axes.get_shared_y_axes().get_siblings(axes)
    last = [line.get_ydata()[-1] for one in together for line in one.lines]
    if last and not plan.quick:
        learnt = [errors for errors in last if errors < 20 * min(last)]  # a net that guesses is cut off, too
        axes.set_ylim(top=max(500, 1.5 * max(learnt)))
    between = plan.pick((120, 150, 300), ())
    axes.yaxis.set_major_locator(FixedLocator([a * 10**b for b in range(5) for a in (1, 2, 5)] + [*between]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
