"""003-Q2: does dropout need more epochs?

The framework's network of 003-2 with dropout .5, .5 and without, after 5, 10 and 20 epochs. The document
trains anew for each number of epochs and compares single runs on raw pixels (see `fashion`). With a constant
learning rate a run of 20 epochs is a run of 5 that goes on, so one training a seed gives all three numbers.
"""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING

from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result, Table
from minidrop.experiments.fashion import (
    PIXELS,
    PRINTED,
    Variant,
    accuracies,
    accuracy_curves,
    beside_a_run,
    diverged,
    fashion_job,
    printed_runs,
    variant,
)
from minidrop.experiments.verdicts import Claim, Quantity, gaps, ordered, signed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: after how many epochs the document looks, and in a quick run; the i-th number stands for the i-th
EPOCHS, QUICK_EPOCHS = (5, 10, 20), (1, 2, 4)
#: by key: the name, the dropout, and the published accuracy on raw pixels after 5, 10 and 20 epochs
VARIANTS = {
    "dropout": ("dropout 0.5", "0,0.5,0.5", (0.786, PRINTED["dropout 0.5"]["dropout-epochs"], 0.829)),
    "none": ("no dropout", "0", (0.755, PRINTED["no dropout"]["dropout-epochs"], 0.819)),
}


def jobs(plan: Plan) -> Sequence[Job]:
    """One training with and one without, for each seed, and a short one to compare with its longer self."""
    epochs = max(plan.pick(EPOCHS, QUICK_EPOCHS))
    found = [
        fashion_job(plan, f"{key}-seed-{seed}", {"dropout": dropout, "epochs": epochs, "seed": seed})
        for seed in plan.seeds_of(5)
        for key, (_, dropout, _) in VARIANTS.items()
    ]
    short = {"epochs": plan.pick(EPOCHS, QUICK_EPOCHS)[0], "seed": plan.seeds_of(5)[0]}
    return [*found, fashion_job(plan, "short", short)]


def analyse(plan: Plan, results: Mapping[str, Result]) -> Findings:
    """Accuracy after each number of epochs, and the difference that dropout makes, seed by seed."""
    dropout, none = (variant(results, plan.seeds_of(5), key, name) for key, (name, _, _) in VARIANTS.items())
    quantities: list[Quantity] = []
    rows, claims = [], []
    among = len(PIXELS) * len(EPOCHS)  # one success would be an answer
    for i, epoch in enumerate(plan.pick(EPOCHS, QUICK_EPOCHS)):
        for one, (_, _, published) in zip((dropout, none), VARIANTS.values(), strict=True):
            for pixels in PIXELS:
                ours = list(after(one, epoch, pixels).values())
                name = f"{one.name}, {epoch} epochs: accuracy, {pixels} pixels"
                if ours:
                    quantities.append(
                        beside_a_run(name, ours, published[i] if pixels == "raw" and not plan.quick else None)
                    )
        for pixels in PIXELS:
            gained = gain(dropout, none, epoch, pixels)
            rows.append((epoch, pixels, len(gained), signed(gained, among=among)))
            claims.append(ordered(f"{epoch} epochs, {pixels} pixels: dropout is better", gained, among=among))
    claims += short_is_a_beginning(results, plan.seeds_of(5)[0])
    columns = ("epochs", "pixels", "seeds", "accuracy with dropout minus without")
    caption = (
        "Accuracy by epoch, mean over seeds with its 95 % interval; crosses are the published single runs, "
        "which are on raw pixels."
    )
    return Findings(
        quantities,
        claims,
        [Table("What dropout gains, seed by seed", columns, rows)],
        [Drawing("accuracy", caption, drawn(dropout, none))],
        [printed_runs(), *diverged(results)],
    )


def short_is_a_beginning(results: Mapping[str, Result], seed: int) -> list[Claim]:
    """That a shorter training is, bit for bit, the beginning of the longer one of its seed."""
    keys = ("short", f"dropout-seed-{seed}")
    if not set(keys) <= results.keys():
        return []
    short, long = (results[key]["history"] for key in keys)
    same = len(short) > 0 and short == long[: len(short)]
    text = f"a run of {len(short)} epochs is the beginning of a run of {len(long)}, bit for bit"
    return [Claim(text, same, f"{len(short)} rows of the history", exact=True)]


def after(one: Variant, epoch: int, pixels: str) -> dict[int, float]:
    """The accuracy after `epoch` epochs by seed, of the runs that came so far and were asked."""
    curves = {seed: accuracies(run, pixels) for seed, run in one.runs.items()}
    found = {seed: values[epoch - 1] for seed, values in curves.items() if len(values) >= epoch}
    return {seed: value for seed, value in found.items() if isfinite(value)}


def gain(dropout: Variant, none: Variant, epoch: int, pixels: str) -> list[float]:
    """The accuracy with dropout minus that without, after `epoch` epochs, seed by seed."""
    return gaps(after(dropout, epoch, pixels), after(none, epoch, pixels))


def drawn(dropout: Variant, none: Variant) -> "Figure":
    """The curves, with a published cross after each of the document's numbers of epochs."""
    published = {
        one.name: values for one, (_, _, values) in zip((dropout, none), VARIANTS.values(), strict=True)
    }
    return accuracy_curves(
        [dropout, none], {name: dict(zip(EPOCHS, v, strict=True)) for name, v in published.items()}
    )


EXPERIMENT = Experiment(
    name="dropout-epochs",
    ids=("003-Q2",),
    question="After how many epochs, if ever, is the network better with dropout than without?",
    data="fashion-mnist",
    duration="15 min",
    jobs=jobs,
    analyse=analyse,
)
