"""003-Q7: noise other than dropout, behind the same network.

The document's StochasticReLU switches a rectifier off with probability 1 - p, scales neither in training nor
in evaluation, and says that it need not, "since the expected value of the function is equal to the input".
Its mean is p max(x, 0): in evaluation each hidden layer is 1/p times too large for the next. Here it is as
published; corrected, where it is ReLU followed by inverted dropout; and beside them Gaussian noise of
dropout's mean and variance, x N(1, (1-p)/p), which keeps every unit. Can any of them beat dropout?
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np

from minidrop.config import TrainConfig
from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result
from minidrop.experiments.fashion import (
    PIXELS,
    accuracy_curves,
    diverged,
    fashion_job,
    nearest,
    paired,
    rebuilt,
    variant,
)
from minidrop.experiments.verdicts import Quantity, ordered
from minidrop.layers import Dropout, GaussianNoise, Identity, Layer, ReLU, Sequential, StochasticReLU

#: by variant: what it is, the plotted validation accuracy, and the printed accuracy on raw pixels
VARIANTS = {
    "published": ("StochasticReLU, published", 0.781, 0.71),
    "corrected": ("StochasticReLU, scaled", None, None),
    "gaussian": ("Gaussian noise", None, None),
    "dropout": ("dropout", None, None),
}
#: by how many standard errors a mean or a variance may be off
SIGMAS = 5.0


def _stochastic(config: TrainConfig, scaled: bool) -> Sequential:
    def change(layers: Sequence[Layer]) -> list[Layer]:
        found = list(layers)
        for i in range(len(layers) - 1):
            unit, dropout = layers[i : i + 2]
            if isinstance(unit, ReLU) and isinstance(dropout, Dropout):
                found[i] = StochasticReLU(dropout.drop_prob, scaled=scaled, backend=unit.backend)
                found[i + 1] = Identity(unit.backend)
        return found

    return rebuilt(config, change)


def published(config: TrainConfig) -> Sequential:
    """The configured network with each ReLU and its dropout made a StochasticReLU, not scaled."""
    return _stochastic(config, scaled=False)


def corrected(config: TrainConfig) -> Sequential:
    """The same, scaled in training by one over the probability to stay."""
    return _stochastic(config, scaled=True)


def gaussian(config: TrainConfig) -> Sequential:
    """The configured network with each dropout made Gaussian noise of its mean and variance."""

    def change(layers: Sequence[Layer]) -> list[Layer]:
        return [
            GaussianNoise(sqrt(layer.rate.scale - 1), backend=layer.backend)
            if isinstance(layer, Dropout) and layer.drop_prob
            else layer
            for layer in layers
        ]

    return rebuilt(config, change)


def layers(folder: Path, size: int) -> Result:
    """Means and variances of the three layers on ones, and the corrected one beside ReLU and dropout."""
    found: Result = {}
    ones, x = np.ones((size, 1)), np.linspace(-1, 1, size)[:, None]
    options: dict[str, Any] = {"backend": "numpy"}
    published_layer = StochasticReLU(0.5, scaled=False, **options)
    scaled, noise = StochasticReLU(0.5, **options), GaussianNoise(1.0, **options)
    for name, layer in (("published", published_layer), ("corrected", scaled), ("gaussian", noise)):
        y = layer.forward(ones)
        found[name] = {"mean": float(y.mean()), "variance": float(y.var())}
    relu, dropout = ReLU("numpy"), Dropout(0.5, **options)
    y, dx = scaled.forward(x), scaled.backward(ones)
    dropout.use_mask(scaled.mask.copy())
    y -= dropout.forward(relu.forward(x))
    dx -= relu.backward(dropout.backward(ones))
    return found | {"y": float(abs(y).max()), "dx": float(abs(dx).max())}


def jobs(plan: Plan) -> Sequence[Job]:
    """The layers alone, and a training for each variant and seed."""
    found = [Job("layers", layers, {"size": plan.pick(1_000_000, 100_000)})]
    for seed in plan.seeds_of(5):
        found += [
            fashion_job(plan, f"{key}-seed-{seed}", {"seed": seed}, build=f"{__name__}:{key}")
            for key in ("published", "corrected", "gaussian")
        ]
        found.append(fashion_job(plan, f"dropout-seed-{seed}", {"seed": seed}))
    return found


def analyse(plan: Plan, results: Mapping[str, Result]) -> Findings:
    """Accuracy by variant, beside dropout's; and that the published layer is not its input on average."""
    found = {
        key: variant(results, plan.seeds_of(5), key, name, scaled=scaled, raw=raw, decimals=2)
        for key, (name, scaled, raw) in VARIANTS.items()
    }
    quantities = exact(plan, results["layers"]) if "layers" in results else []
    quantities += [quantity for one in found.values() for quantity in one.quantities()]
    claims = [
        ordered(
            f"scaling StochasticReLU gains accuracy, {pixels} pixels",
            paired(found["corrected"], found["published"], pixels),
        )
        for pixels in PIXELS
    ]
    claims += [
        ordered(f"{found[key].name} beats dropout", paired(found[key], found["dropout"]), among=3)
        for key in ("published", "corrected", "gaussian")
    ]
    caption = (
        "Accuracy by epoch, mean over seeds with its 95 % interval; crosses are the published numbers: the "
        "plotted validation accuracy on the left, the printed one on the right."
    )
    drawing = Drawing("accuracy", caption, accuracy_curves(list(found.values())))
    return Findings(quantities, claims, [nearest(list(found.values()))], [drawing], diverged(results))


def exact(plan: Plan, found: Result) -> list[Quantity]:
    """Means and variances on ones by theory, within five standard errors, and identities.

    A Bernoulli mask scaled by c has mean c/2 and variance c²/4; its squared deviation never varies, so the
    sampled variance is off by the square of the mean's error only. The Gaussian's has standard error √(2/n).
    """
    n = plan.pick(1_000_000, 100_000)
    wanted = {"published": (0.5, 0.25), "corrected": (1.0, 1.0), "gaussian": (1.0, 1.0)}
    quantities = []
    for key, (mean, variance) in wanted.items():
        off = SIGMAS * sqrt(variance / n)
        spread = SIGMAS * sqrt(2 / n) if key == "gaussian" else off**2
        name = f"{VARIANTS[key][0]}, on ones"
        quantities += [
            Quantity(f"{name}: mean", [found[key]["mean"]], mean, "exact", off),
            Quantity(f"{name}: variance", [found[key]["variance"]], variance, "exact", spread),
        ]
    return quantities + [
        Quantity(f"scaled StochasticReLU off dropout(relu(x)): {key}", [found[key]], 0.0, "exact", 1e-12)
        for key in ("y", "dx")
    ]


EXPERIMENT = Experiment(
    name="stochastic-relu",
    ids=("003-Q7",),
    question="Does StochasticReLU need scaling, and does other noise beat dropout?",
    data="fashion-mnist",
    duration="6 min",
    jobs=jobs,
    analyse=analyse,
)
