"""003-Q6: DropConnect, dropout of single weights, as published and as Wan et al. 2013 have it.

The network from scratch of 003-1 with the weights of both hidden layers dropped instead of activations. The
document draws one mask for a whole batch, with its dropout's slip: it drops Φ(.5) = .691 of the weights and
doubles the rest, and evaluates with the raw weights. Wan et al. draw a mask for each example and scale
nothing; in evaluation they average over the Gaussian that has the mean and variance of a unit's input,

    μ = k x Wᵀ + b,    v = k (1 - k) x² (W²)ᵀ

"Rate as meant" is the published one without the slip. "Mean weights" is the network of Wan et al. evaluated
with k W alone, as dropout is.

Between that and Wan et al. two things change, the scale and the masks. "Not scaled" is in the middle:
one mask for the batch and no scale. In the coordinates W' = k W it is the scaled net whose dropped weights
begin k times as large and learn with k² η (as in `--match-paper`), half and a quarter here, and so it is run.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from math import prod, sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from minidrop.building import build_model
from minidrop.config import TrainConfig
from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result
from minidrop.experiments.fashion import (
    accuracy_curves,
    beside_a_run,
    diverged,
    fashion_job,
    from_scratch,
    nearest,
    paired,
    raw_accuracy,
    rebuilt,
    variant,
)
from minidrop.experiments.normal_masks import SIGMAS, NormalDropConnect
from minidrop.experiments.verdicts import Quantity, ordered
from minidrop.layers import DropConnect, Dropout, Layer, Linear, ReLU, Sequential
from minidrop.runs import Run
from minidrop.training import evaluate

#: draws for the evaluation's average over the Gaussian; its error, 1/√100 of a unit's own spread, is averaged
#: again over 256 units
SAMPLES = 100
#: the hidden layers' weights begin k times as large and learn with k² of the learning rate
UNSCALED = {"dropout": "0.5,0.5,0", "match_paper": True}
#: by variant: what it is, the plotted validation accuracy, and the printed accuracy on raw pixels
VARIANTS = {
    "published": ("one mask a batch, as published", 0.753, 0.67),
    "meant": ("one mask a batch, rate as meant", None, None),
    "unscaled": ("one mask a batch, not scaled", None, None),
    "example": ("a mask an example, not scaled (Wan et al.)", None, None),
    "dropout": ("dropout of activations", None, None),
}


def connected(config: TrainConfig, make: Callable[..., Layer], *, place: int = 2) -> Sequential:
    """The configured network with the weights of each hidden layer dropped by a layer that `make` makes.

    The layers keep their places. A hidden layer's drop probability moves to its weights from the dropout that
    is `place` layers further: the one behind its unit, or with -1 the one of its input.
    """

    def change(layers: Sequence[Layer]) -> list[Layer]:
        found: list[Layer] = []
        for i, layer in enumerate(layers):
            near = layers[i + place] if i + place < len(layers) else None
            if isinstance(layer, Linear) and isinstance(near, Dropout) and near.drop_prob:
                found.append(_like(layer, make, drop_prob=near.drop_prob))
            elif isinstance(layer, Dropout):
                found.append(Dropout(0.0, backend=layer.backend))
            elif not isinstance(layer, ReLU):
                found.append(layer)
        return found

    return rebuilt(config, change)


def _like(linear: Linear, make: Callable[..., Layer], **options: Any) -> Layer:
    init = linear.weight.initializer
    bias = None if linear.bias is None else linear.bias.initializer
    given: dict[str, Any] = {
        "init": init,
        "bias_init": bias,
        "dtype": linear.dtype,
        "backend": linear.backend,
    }
    activation = ReLU(linear.backend)
    return make(linear.in_features, linear.out_features, activation=activation, **given, **options)


def published(config: TrainConfig) -> Sequential:
    """One mask a batch, and the slip: 003-Q6 as it is."""
    return connected(config, NormalDropConnect)


def meant(config: TrainConfig) -> Sequential:
    """One mask a batch at the rate that was asked for; raw weights in evaluation."""
    return connected(config, DropConnect)


def unscaled(config: TrainConfig) -> Sequential:
    """The same, of a configuration that has the probabilities at the inputs, as `match_paper` reads them."""
    return connected(config, DropConnect, place=-1)


def example(config: TrainConfig) -> Sequential:
    """A mask an example, and moment matching in evaluation: Wan et al. 2013."""
    return connected(config, partial(DropConnect, per="example", samples=SAMPLES))


def raw_and_mean_weights(run: Run) -> dict[str, float]:
    """The accuracy on raw pixels, and that of the plain network with k W on the pixels it was trained on."""
    plain = build_model(replace(run.config, dropout="0"))
    keeps = {
        f"{name}.weight": leaf.rate.keep for name, leaf in run.model.leaves() if isinstance(leaf, DropConnect)
    }
    trained = [keeps.get(name, 1.0) * value for name, value in run.model.state_dict().items()]
    plain.load_state_dict(dict(zip(plain.state_dict(), trained, strict=True)))
    batches = run.evaluation("test")
    assert batches is not None
    result = evaluate(plain, batches)
    return {"raw": raw_accuracy(run), "mean weights": 1 - result.errors / result.size}


def moments(folder: Path, samples: int) -> Result:
    """A layer of six inputs in evaluation, beside all its 2^6 masks and the Gaussian of their moments."""
    options: dict[str, Any] = {"per": "example", "dtype": "float64", "backend": "numpy", "seed": 1}
    linear, rectified = (
        DropConnect(6, 3, activation=activation, samples=samples, **options)
        for activation in (None, ReLU("numpy"))
    )
    x = np.linspace(-1, 2, 6)
    weight, bias = (linear.linear.weight.value, linear.own_parameters()["bias"].value)
    masks = np.array(list(product((0.0, 1.0), repeat=6)))
    z = np.einsum("mi,oi,i->mo", masks, weight, x) + bias
    mean, std = z.mean(axis=0), z.std(axis=0)
    for layer in (linear, rectified):
        layer.eval()
    found_mean, found = (layer.forward(x[None])[0] for layer in (linear, rectified))
    normal = NormalDist()
    wanted = [m * normal.cdf(m / s) + s * normal.pdf(m / s) for m, s in zip(mean, std, strict=True)]
    counted = NormalDropConnect(784, 256, drop_prob=0.5, backend="numpy")
    counted.forward(np.ones((2, 784), np.float32))
    return {
        "mean": float(abs(found_mean - mean).max()),
        "rectified": float((abs(found - wanted) / std).max()),
        "rate": 1 - float(counted.mask.mean()),
        "shape": list(counted.mask.shape),
    }


def jobs(plan: Plan) -> Sequence[Job]:
    """The moments, and a training for each variant and seed."""
    found = [Job("moments", moments, {"samples": plan.pick(100_000, 10_000)})]
    for seed in plan.seeds_of(5):
        changes = from_scratch(plan) | {"seed": seed}
        found += [
            fashion_job(plan, f"{key}-seed-{seed}", changes, build=f"{__name__}:{key}")
            for key in ("published", "meant")
        ]
        probe = f"{__name__}:raw_and_mean_weights"
        found += [
            fashion_job(plan, f"dropout-seed-{seed}", changes),
            fashion_job(plan, f"unscaled-seed-{seed}", changes | UNSCALED, build=f"{__name__}:unscaled"),
            fashion_job(plan, f"example-seed-{seed}", changes, build=f"{__name__}:example", probe=probe),
        ]
    return found


def analyse(plan: Plan, results: Mapping[str, Result]) -> Findings:
    """Accuracy by variant; the exact mean and the Gaussian of the evaluation; the real drop rate."""
    found = {
        key: variant(results, plan.seeds_of(5), key, name, scaled=scaled, raw=raw, decimals=2)
        for key, (name, scaled, raw) in VARIANTS.items()
    }
    quantities = exact(plan, results["moments"]) if "moments" in results else []
    quantities += [quantity for one in found.values() for quantity in one.quantities()]
    runs = found["example"].runs.values()
    means = [run["probe"]["mean weights"] for run in runs if run["probe"]]
    if means:
        quantities.append(beside_a_run("Wan et al. with mean weights: accuracy, scaled pixels", means, None))
    claims = [
        ordered(text, paired(found[one], found[other]), among=2 if other == "dropout" else 1)
        for text, one, other in (
            ("the slip in the rate costs accuracy", "meant", "published"),
            ("to scale in training gains accuracy, with a mask for the batch", "meant", "unscaled"),
            ("a mask for each example beats one for the batch, neither scaled", "example", "unscaled"),
            ("DropConnect, scaled and with the rate as meant, beats dropout", "meant", "dropout"),
            ("DropConnect of Wan et al. beats dropout", "example", "dropout"),
        )
    ]
    caption = (
        "Accuracy by epoch, mean over seeds with its 95 % interval; crosses are the published numbers: the "
        "plotted validation accuracy on the left, the printed one on the right."
    )
    drawing = Drawing("accuracy", caption, accuracy_curves(list(found.values())))
    return Findings(quantities, claims, [nearest(list(found.values()))], [drawing], diverged(results))


def exact(plan: Plan, found: Result) -> list[Quantity]:
    """What theory says: the mean over all masks, the mean of a rectified Gaussian, the real drop rate."""
    drop = NormalDist().cdf(0.5)
    error = SIGMAS * sqrt(drop * (1 - drop) / prod(found["shape"]))
    sampling = SIGMAS / sqrt(plan.pick(100_000, 10_000))
    return [
        Quantity(
            "published mask: drop rate of weights, counted", [found["rate"]], 0.691, "exact", 5e-4 + error
        ),
        Quantity(
            "published mask: weights in it, one mask for the batch",
            [prod(found["shape"])],
            784 * 256,
            "exact",
        ),
        Quantity("evaluation off the mean over all 2⁶ masks", [found["mean"]], 0.0, "exact", 1e-12),
        Quantity("evaluation off E[relu(N(μ, v))], in σ", [found["rectified"]], 0.0, "exact", sampling),
    ]


EXPERIMENT = Experiment(
    name="dropconnect",
    ids=("003-Q6",),
    question="What does dropping weights do, as published and as Wan et al. 2013 have it?",
    data="fashion-mnist",
    duration="40 min",
    jobs=jobs,
    analyse=analyse,
)
