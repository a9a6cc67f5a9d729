"""003-Q3: the variance of the hidden activations over training, with and without dropout.

After each epoch, in training mode, before and after each dropout: the mean over the batch of the squared
deviation from the batch's mean, averaged over units. For a dropout that divides by its keep probability q,

    Var(a m / q) = Var(a) / q + (1 - q) / q E[a]²

The document gives q (1 - q) a² + q Var(a) instead. That holds without the division by q, and for an a that
is its own mean; its network divides, as torch.nn.Dropout does.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from math import inf, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from minidrop.backends import Array
from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result, Table
from minidrop.experiments.fashion import (
    CROSS,
    Variant,
    beside_a_run,
    diverged,
    fashion_job,
    legend_with_crosses,
    variant,
)
from minidrop.experiments.figures import COLOURS, band, label, longest, panels
from minidrop.experiments.verdicts import Claim
from minidrop.layers import Dropout
from minidrop.runs import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: by key: the name, the dropout, and what the document's figures show at the end of training: before and
#: after dropout, of the first and of the second hidden layer
VARIANTS = {
    "dropout": ("dropout 0.5", "0,0.5,0.5", ((0.066, 0.162), (0.175, 0.453))),
    "none": ("no dropout", "0", ((0.111, 0.111), (0.187, 0.187))),
}
#: how many batches are looked at after an epoch, and the step of the first one's masks, which no training has
BATCHES, FAR_STEP = 20, 1 << 40
#: by how many standard errors the measured variance may be off the law
SIGMAS = 6.0


def variances(run: Run) -> list[dict[str, float]]:
    """Of each hidden layer the variance before and after dropout, what laws say of it, and a standard error.

    >>> from minidrop.config import TrainConfig
    >>> config = TrainConfig(layers="64-16-16-10", dropout="0,0.5,0.5", mode="inverted")
    >>> first, second = variances(Run(config))
    >>> sorted(first), abs(first["after"] - first["expected"]) < 6 * first["error"]
    (['after', 'before', 'document', 'error', 'expected', 'law'], True)
    """
    model, found = run.model, dict[int, list[dict[str, float]]]()
    model.train()
    model.set_step(FAR_STEP)
    for x, _ in islice(run.train.epoch(0), BATCHES):
        for i, layer in enumerate(model.layers):
            y = layer.forward(x)
            if isinstance(layer, Dropout) and i > 0:
                a, dropped = model.backend.to_host(x), model.backend.to_host(y)
                found.setdefault(i, []).append(moments(a, dropped, layer.rate.keep))
            x = y
    return [pooled(batches) for batches in found.values()]


def moments(a: Array, dropped: Array, q: float) -> dict[str, float]:
    """The variances of one batch of activations (B, units) and of what dropout made of it.

    `law` is that of the population. Of a batch of B the mean over the masks is (1 - q) / (q B) E[a²] less,
    since the batch's mean is itself random: `expected`. Its standard error, to first order in what one mask
    element changes: for y = a m / q, the deviation (y - E[a])² is (a/q - E[a])² or E[a]².

    >>> found = moments(np.array([[1.0], [3.0]]), np.array([[2.0], [0.0]]), 0.5)
    >>> found["before"], found["after"], found["law"], found["expected"]
    (1.0, 1.0, 6.0, 3.5)
    """
    a, dropped = np.asarray(a, np.float64), np.asarray(dropped, np.float64)
    mean, variance, square = a.mean(axis=0), a.var(axis=0), (a * a).mean(axis=0)
    law = variance / q + (1 - q) / q * mean**2 if q else 0 * mean
    lost = (1 - q) / (q * len(a)) * square if q else 0 * mean
    change = (a / q) ** 2 - 2 * a * mean / q if q else 0 * a
    return {
        "before": float(variance.mean()),
        "after": float(dropped.var(axis=0).mean()),
        "law": float(law.mean()),
        "expected": float((law - lost).mean()),
        "document": float((q * (1 - q) * square + q * variance).mean()),
        "error": sqrt(q * (1 - q) * float((change * change).sum())) / a.size,
    }


def pooled(batches: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The means over batches, and the standard error of a mean."""
    found = {key: float(np.mean([batch[key] for batch in batches])) for key in batches[0]}
    found["error"] = sqrt(sum(batch["error"] ** 2 for batch in batches)) / len(batches)
    return found


def jobs(plan: Plan) -> Sequence[Job]:
    """One training with and one without dropout, for each seed."""
    asked = dict.fromkeys(("probe", "follow"), f"{__name__}:variances")
    return [
        fashion_job(plan, f"{key}-seed-{seed}", {"dropout": dropout, "seed": seed}, **asked)
        for seed in plan.seeds_of(5)
        for key, (_, dropout, _) in VARIANTS.items()
    ]


def analyse(plan: Plan, results: Mapping[str, Result]) -> Findings:
    """Variances at the end beside the published ones, and all of them beside the law."""
    quantities, claims, rows, found = [], [], [], []
    for key, (name, _, published) in VARIANTS.items():
        one = variant(results, plan.seeds_of(5), key, name)
        found.append(one)
        for layer, numbers in enumerate(published):
            for place, number in zip(("before", "after"), numbers, strict=True):
                ours = [run["probe"][layer][place] for run in one.runs.values() if run["probe"]]
                if ours and (key != "none" or place == "before"):  # without dropout one number twice
                    where = f", {place} dropout" if key != "none" else ""
                    text = f"{name}, layer {layer + 1}{where}: variance"
                    quantities.append(beside_a_run(text, ours, number))
            rows += [
                (name, layer + 1, *(run["probe"][layer][c] for c in ("before", "after", "law", "document")))
                for run in list(one.runs.values())[:1]
                if run["probe"]
            ]
            if key != "none":  # without dropout the law says that a number is itself
                claims.append(follows_the_law(one, layer))
    columns = ("network", "layer", "before", "after", "Var/q + (1-q)/q E[a]²", "the document's formula")
    caption = (
        "Variance of the hidden activations after each epoch, mean over seeds with its 95 % interval; "
        "without dropout, before and after are one. Circles are what the law makes of the activations before "
        "dropout; crosses are read off the document's figures."
    )
    return Findings(
        quantities,
        claims,
        [Table("At the end of training, first seed", columns, rows)],
        [Drawing("variance", caption, drawn(found))],
        diverged(results),
    )


def follows_the_law(one: Variant, layer: int) -> Claim:
    """That the variance after dropout is the expected one within six standard errors, after every epoch."""
    asked = [numbers[layer] for run in one.runs.values() for numbers in run["followed"] if numbers]
    worst = max((_sigmas(numbers) for numbers in asked), default=0.0)
    text = f"{one.name}, layer {layer + 1}: the variance after dropout is Var/q + (1-q)/q E[a]², every epoch"
    detail = f"at most {worst:.1f} standard errors off, {len(asked)} epochs"
    return Claim(text, worst <= SIGMAS if asked else None, detail, exact=True)


def _sigmas(numbers: Mapping[str, float]) -> float:
    off = abs(numbers["after"] - numbers["expected"])
    return off / numbers["error"] if numbers["error"] else inf


def drawn(found: Sequence[Variant]) -> "Figure":
    """A panel for each network, with both layers before and after dropout."""
    figure, axes = panels(1, 2, height=4.2, sharey=True)
    for axis, one, (_, _, published) in zip(axes.flat, found, VARIANTS.values(), strict=True):
        curves = longest([run["followed"] for run in one.runs.values() if all(run["followed"])])
        for layer in (0, 1) if curves and curves[0] else ():
            _layer(axis, curves, layer, published[layer])
        label(axis, "epoch", "variance of activations", one.name, legend=False, epochs=True)
        axis.set_ylim(bottom=0)
    legend_with_crosses(figure, 3)
    return figure


def _layer(axis: Any, curves: Sequence[Any], layer: int, published: tuple[float, float]) -> None:
    epochs = range(1, len(curves[0]) + 1)
    for place, style, number in zip(("before", "after"), ("--", "-"), published, strict=True):
        colour = COLOURS[layer]
        values = [[numbers[layer][place] for numbers in curve] for curve in curves]
        band(axis, epochs, values, f"layer {layer + 1}, {place} dropout", colour, linestyle=style)
        axis.plot(epochs[-1:], [number], color=colour, **CROSS)
    law = np.mean([[numbers[layer]["law"] for numbers in curve] for curve in curves], axis=0)
    name = "Var/q + (1-q)/q E[a]²" if not layer else ""
    axis.plot(epochs, law, "o", color="black", fillstyle="none", markersize=5, label=name)


EXPERIMENT = Experiment(
    name="activation-variance",
    ids=("003-Q3",),
    question="How does the variance of the hidden activations evolve with and without dropout?",
    data="fashion-mnist",
    duration="7 min",
    jobs=jobs,
    analyse=analyse,
)
