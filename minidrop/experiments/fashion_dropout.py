"""003-1, 003-2: dropout on Fashion-MNIST, from scratch and with a framework's layer.

784-256-256-10 ReLU, dropout .5 behind both hidden layers, SGD .1, batches of 256, 10 epochs. Two slips:

    the mask from scratch is [z > d] with z ~ N(0, 1), so it drops with probability Φ(d), not d, and what is
    kept is divided by 1 - d all the same; in training activations are (1 - Φ(d)) / (1 - d) times too large
    the accuracy that is printed is that of pixels in 0 ... 255, while training saw pixels in [0, 1]

So there are the network as published, the same with the layer as it was meant, and the framework's, which
differs from the second one by how it begins; and each is evaluated on both kinds of pixels.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from minidrop.building import build_model
from minidrop.config import TrainConfig, from_dict
from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result
from minidrop.experiments.fashion import (
    PRINTED,
    accuracy_curves,
    diverged,
    fashion_job,
    from_scratch,
    nearest,
    paired,
    printed_runs,
    rebuilt,
    setting,
    variant,
)
from minidrop.experiments.normal_masks import SIGMAS, NormalDropout
from minidrop.experiments.training_job import training
from minidrop.experiments.verdicts import Quantity, ordered
from minidrop.layers import Dropout, Layer, Sequential

#: for d: the real drop rate and the scale of activations, and half of their last digits (the audit of 003)
PUBLISHED = {
    0.0: (0.500, 0.50, 0.005),
    0.1: (0.540, 0.51, 0.005),
    0.5: (0.691, 0.617, 0.0005),
    0.9: (0.816, 1.84, 0.005),
}
#: by variant: what it is, the plotted validation accuracy, and the printed accuracy on raw pixels
VARIANTS = {
    "published": ("from scratch, as published", 0.747, 0.66),
    "meant": ("from scratch, drop rate as meant", None, None),
    "framework": ("framework", 0.844, PRINTED["dropout 0.5"]["fashion-dropout"]),
}


def published(config: TrainConfig) -> Sequential:
    """The network from scratch as the document has it: its dropout behind each hidden layer."""

    def change(layers: Sequence[Layer]) -> list[Layer]:
        return [
            NormalDropout(layer.drop_prob, backend=layer.backend)
            if isinstance(layer, Dropout) and i > 0
            else layer
            for i, layer in enumerate(layers)
        ]

    return rebuilt(config, change)


def masks(folder: Path, d: float, size: int) -> Result:
    """Count what `NormalDropout(d)` drops of `size` ones, and hold its backward pass to its mask."""
    layer = NormalDropout(d, backend="numpy")
    y = layer.forward(np.ones((size, 1)))
    dy = np.linspace(-1, 1, size)[:, None]
    off = layer.backward(dy) - np.where(layer.mask, dy, 0) / (1 - d)
    return {"rate": 1 - float(layer.mask.mean()), "scale": float(y.mean()), "gradient": float(abs(off).max())}


def beginnings(folder: Path, configs: Mapping[str, Mapping[str, Any]]) -> Result:
    """The spread of the first matrix's initial weights, and the largest initial bias, by configuration."""
    found = {}
    for name, config in configs.items():
        weights = build_model(from_dict(config)).state_dict()
        found[name] = {"std": float(weights["1.weight"].std()), "bias": float(abs(weights["1.bias"]).max())}
    return found


def jobs(plan: Plan) -> Sequence[Job]:
    """Masks for each d, the initial weights of the full network, and the trainings."""
    found = [Job(f"masks-{d:g}", masks, {"d": d, "size": plan.pick(4_000_000, 400_000)}) for d in PUBLISHED]
    full = Plan(backend=plan.backend)
    configs = {
        name: training(full, "", setting(full, **changes)).arguments["config"]
        for name, changes in (("from scratch", from_scratch(full)), ("framework", {}))
    }
    found.append(Job("beginnings", beginnings, {"configs": configs}, reads_data=False))
    for seed in plan.seeds_of(5):
        scratch = from_scratch(plan) | {"seed": seed}
        build = f"{__name__}:published"
        found += [
            fashion_job(plan, f"published-seed-{seed}", scratch, build=build),
            fashion_job(plan, f"meant-seed-{seed}", scratch),
            fashion_job(plan, f"framework-seed-{seed}", {"seed": seed}),
        ]
    return found


def analyse(plan: Plan, results: Mapping[str, Result]) -> Findings:
    """Rates by theory and by count; accuracies on both kinds of pixels."""
    found = [
        variant(results, plan.seeds_of(5), key, name, scaled=scaled, raw=raw, decimals=2)
        for key, (name, scaled, raw) in VARIANTS.items()
    ]
    quantities = [quantity for d in PUBLISHED for quantity in rates(plan, d, results.get(f"masks-{d:g}"))]
    quantities += spreads(results.get("beginnings"))
    quantities += [quantity for one in found for quantity in one.quantities()]
    as_published, meant, framework = found
    claims = [
        ordered(
            f"{one.name}: raw pixels cost accuracy",
            [scaled - raw for scaled, raw in zip(one.final("scaled"), one.final("raw"), strict=True)],
        )
        for one in found
    ]
    claims += [
        ordered("the slip in the mask costs accuracy", paired(meant, as_published)),
        ordered("beginning as PyTorch does is better than N(0, 0.01²)", paired(framework, meant)),
    ]
    caption = (
        "Accuracy by epoch, mean over seeds with its 95 % interval; crosses are the published numbers: the "
        "plotted validation accuracy on the left, the printed one on the right."
    )
    return Findings(
        quantities,
        claims,
        [nearest(found)],
        [Drawing("accuracy", caption, accuracy_curves(found))],
        [printed_runs(), *diverged(results)],
    )


def rates(plan: Plan, d: float, counted: Result | None) -> list[Quantity]:
    """The real drop rate and the scale for d, by the normal distribution and by counting."""
    rate, scale, half = PUBLISHED[d]
    drop = NormalDist().cdf(d)
    found = [
        Quantity(f"d = {d:g}: real drop rate Φ(d)", [drop], rate, "exact", 0.0005),
        Quantity(f"d = {d:g}: scale (1 - Φ(d)) / (1 - d)", [(1 - drop) / (1 - d)], scale, "exact", half),
    ]
    if counted is not None:
        error = SIGMAS * sqrt(drop * (1 - drop) / plan.pick(4_000_000, 400_000))
        found += [
            Quantity(f"d = {d:g}: drop rate, counted", [counted["rate"]], rate, "exact", 0.0005 + error),
            Quantity(
                f"d = {d:g}: scale, counted", [counted["scale"]], scale, "exact", half + error / (1 - d)
            ),
            Quantity(f"d = {d:g}: largest error of dx", [counted["gradient"]], 0.0, "exact", 1e-12),
        ]
    return found


def spreads(found: Result | None) -> list[Quantity]:
    """How the networks begin: N(0, 0.01²) with biases 0; and U(-a, a), a = 1/√784, of spread a/√3."""
    if found is None:
        return []
    weights = 784 * 256
    wanted = {"from scratch": (0.01, 0.0), "framework": (1 / sqrt(3 * 784), 1 / sqrt(784))}
    quantities = []
    for name, (std, bias) in wanted.items():
        error = SIGMAS * std / sqrt(2 * weights)  # of a normal's; a uniform's is smaller
        quantities += [
            Quantity(f"{name}: spread of initial weights", [found[name]["std"]], std, "exact", error, 5),
            # the largest of 256 uniforms is below 0.9 a with probability 2e-12
            Quantity(f"{name}: largest initial bias", [found[name]["bias"]], bias, "exact", bias / 10, 5),
        ]
    return quantities


EXPERIMENT = Experiment(
    name="fashion-dropout",
    ids=("003-1", "003-2"),
    question="What accuracy do the networks of document 003 have, and what do its two slips cost?",
    data="fashion-mnist",
    duration="5 min",
    jobs=jobs,
    analyse=analyse,
)
