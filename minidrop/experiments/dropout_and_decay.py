"""003-Q5: dropout and weight decay, apart and together.

The framework's network of 003-2 with and without dropout .5, .5, by weight decay. The document tries 0 and .5
at a learning rate of .1, once each, and looks at raw pixels (see `fashion`). A decay of .5 multiplies every
weight by 1 - .1 · .5 = .95 in each step, which no gradient here makes up for: the network ends as a guess. So
decays from 1e-5 to 1e-2 are tried as well, and for each the interaction is

    (dropout and decay) - (dropout alone) - (decay alone) + (neither)

in accuracy, seed by seed: 0 if the effects add, negative if they get in each other's way.
"""

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidrop.building import build_model, build_optimizer
from minidrop.config import from_dict
from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result, Table
from minidrop.experiments.fashion import (
    CROSS,
    PIXELS,
    PRINTED,
    Variant,
    accuracy,
    diverged,
    fashion_job,
    legend_with_crosses,
    paired,
    printed_runs,
    setting,
    variant,
)
from minidrop.experiments.figures import COLOURS, label, panels
from minidrop.experiments.training_job import training
from minidrop.experiments.verdicts import Claim, Quantity, alike, signed
from minidrop.intervals import interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: the document's decay, with which every network ends as a guess
GUESS = 0.5
DECAYS, QUICK_DECAYS = (0.0, 1e-5, 1e-4, 1e-3, 1e-2, GUESS), (0.0, 1e-3, GUESS)
DROPOUT = {"none": ("no dropout", "0"), "dropout": ("dropout 0.5", "0,0.5,0.5")}
#: the accuracy on raw pixels by dropout and decay, read off the document's figure
PUBLISHED = {
    ("none", 0.0): PRINTED["no dropout"]["dropout-and-decay"],
    ("none", 0.5): 0.10,
    ("dropout", 0.0): PRINTED["dropout 0.5"]["dropout-and-decay"],
    ("dropout", 0.5): 0.10,
}
#: how many steps `shrinkage` takes
STEPS = 100


def shrinkage(folder: Path, config: Mapping[str, object]) -> Result:
    """What becomes of a weight in 100 steps of the configured optimizer without any gradient, as a factor."""
    built = from_dict(config)
    model = build_model(built)
    optimizer = build_optimizer(built, model)
    parameters = model.parameters()
    before = parameters.flat_values.copy()
    parameters.flat_gradients[...] = 0
    for _ in range(STEPS):
        optimizer.step()
    at = int(abs(before).argmax())
    return {"factor": float(parameters.flat_values[at]) / float(before[at])}


def jobs(plan: Plan) -> Sequence[Job]:
    """The shrinkage, and one training for each decay, with and without dropout, and seed."""
    config = training(plan, "", setting(plan, weight_decay=0.5)).arguments["config"]
    return [Job("shrinkage", shrinkage, {"config": config})] + [
        fashion_job(
            plan,
            f"{key}-{decay:g}-seed-{seed}",
            {"dropout": dropout, "weight_decay": decay, "seed": seed},
        )
        for seed in plan.seeds_of(5)
        for decay in plan.pick(DECAYS, QUICK_DECAYS)
        for key, (_, dropout) in DROPOUT.items()
    ]


def analyse(plan: Plan, results: Mapping[str, Result]) -> Findings:
    """Accuracy by decay, with and without dropout, and whether the two effects add."""
    decays, seeds = plan.pick(DECAYS, QUICK_DECAYS), plan.seeds_of(5)
    found = {
        (key, decay): variant(
            results,
            seeds,
            f"{key}-{decay:g}",
            f"{name}, weight decay {decay:g}",
            raw=PUBLISHED.get((key, decay)),
        )
        for key, (name, _) in DROPOUT.items()
        for decay in decays
    }
    quantities = [quantity for one in found.values() for quantity in one.quantities()]
    if "shrinkage" in results:
        factor = results["shrinkage"]["factor"]
        name = f"weights after {STEPS} steps without a gradient, decay 0.5: 0.95^{STEPS}"
        quantities.append(Quantity(name, [factor], 0.95**STEPS, "exact", 1e-6, digits=6))
    rows, claims = [], []
    among = len(PIXELS) * len(decays[1:-1])  # one that is not 0 would be an answer
    for decay in decays[1:]:
        for pixels in PIXELS:
            alone = [paired(found[key, decay], found[key, 0.0], pixels) for key in DROPOUT]
            dropped = paired(found["dropout", 0.0], found["none", 0.0], pixels)
            both = interaction(found, decay, pixels)
            told = signed(both, among=1 if decay == GUESS else among)
            rows.append((f"{decay:g}", pixels, *map(signed, (*alone, dropped)), told))
            if decay != GUESS:  # where both nets guess, the interaction is minus what dropout does alone
                text = f"weight decay {decay:g}: the effects add, the interaction is 0 ({pixels} pixels)"
                claims.append(alike(text, both, among=among))
    guesses = [value for key in DROPOUT for value in found[key, GUESS].final("scaled")]
    claims.append(
        Claim(
            f"weight decay {GUESS:g} ends as a guess, with dropout and without",
            max(guesses) < 0.15 if guesses else None,
            f"accuracy at most {max(guesses, default=0):.3f}",
        )
    )
    columns = ("weight decay", "pixels", "decay alone", "decay with dropout", "dropout alone", "interaction")
    caption = (
        "Final accuracy by weight decay, mean over seeds with its 95 % interval; crosses are the published "
        "single runs, which are on raw pixels. The axis is logarithmic, with 0 at its left; a decay of 0.5, "
        "with which every network guesses, is left out."
    )
    return Findings(
        quantities,
        claims,
        [Table("Changes of accuracy, seed by seed", columns, rows)],
        [Drawing("decay", caption, drawn(found, decays))],
        [printed_runs(), *diverged(results)],
    )


def interaction(found: Mapping[tuple[str, float], Variant], decay: float, pixels: str) -> list[float]:
    """How much better both together are than the sum of what each changes alone, seed by seed."""
    four = [found[key, value] for key in ("dropout", "none") for value in (decay, 0.0)]
    seeds = [seed for seed in four[0].runs if all(seed in one.runs for one in four)]
    both, dropout, alone, neither = ([accuracy(one.runs[seed], pixels) for seed in seeds] for one in four)
    return [b - d - w + n for b, d, w, n in zip(both, dropout, alone, neither, strict=True)]


def drawn(found: Mapping[tuple[str, float], Variant], decays: Sequence[float]) -> "Figure":
    """Accuracy against weight decay on both kinds of pixels, but for the largest."""
    figure, axes = panels(1, 2)
    for axis, pixels in zip(axes.flat, PIXELS, strict=True):
        _panel(axis, found, decays[:-1], pixels)
    legend_with_crosses(figure)
    return figure


def _panel(
    axis: Any, found: Mapping[tuple[str, float], Variant], decays: Sequence[float], pixels: str
) -> None:
    zero = decays[1] / 10  # where 0 stands on the logarithmic axis
    for (key, (name, _)), colour in zip(DROPOUT.items(), COLOURS, strict=False):
        finals = {decay: found[key, decay].final(pixels) for decay in decays}
        points = [(decay or zero, *interval(values)) for decay, values in finals.items() if values]
        if points:
            x, means, halves = zip(*points, strict=True)
            errors = [half if isfinite(half) else 0.0 for half in halves]
            axis.errorbar(x, means, errors, label=name, color=colour, marker="o", markersize=4, capsize=3)
        if pixels == "raw":
            crosses = [(d or zero, value) for (k, d), value in PUBLISHED.items() if k == key and d in decays]
            axis.plot(*zip(*crosses, strict=True), color=colour, **CROSS)
    axis.set_xscale("log")
    axis.minorticks_off()
    axis.set_xticks([decay or zero for decay in decays], [f"{decay:g}" for decay in decays])
    label(axis, "weight decay λ", f"test accuracy, {pixels} pixels", legend=False)


EXPERIMENT = Experiment(
    name="dropout-and-decay",
    ids=("003-Q5",),
    question="Do the effects of dropout and weight decay add?",
    data="fashion-mnist",
    duration="15 min",
    jobs=jobs,
    analyse=analyse,
)
