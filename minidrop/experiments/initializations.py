"""004-1 to 004-7: what seven initializations do to the variances of activations and weight gradients.

The document passes one batch of 1,024 training images, in the random order of its split and with mean 0 and
variance 1 over all pixels, through a fresh 784-512-256-256-128-10 net, and prints the variance over all
elements of each Linear's output; for the last three initializations also that of each weight's gradient.

Two things are exact. With a constant c in all weights and biases the units of a layer are equal,
z_l = c d z_(l-1) + c, so that variances have the ratio (c d)² whatever the data. And for random weights the
mean of a layer's variance, given its inputs, is known (`variance_law`). The published variances themselves
are one draw of batch and weights, and are held against the distribution of ours: a draw should be within
`SPREAD` standard deviations of it, on a logarithmic scale. Of fifty numbers one is outside by chance in one
of forty tries.

The slip that matters: the first three initialize the biases like the weights, which adds σ² to the law
v_l = d σ² v_(l-1). And the gradients of the hidden weights, which the document finds "unequal 0" after the
constant initialization, are rounding.
"""

from collections.abc import Mapping, Sequence
from math import copysign, exp, floor, log10
from typing import Any

import numpy as np

from minidrop.experiments.experiment import Experiment, Findings, Job, Plan, Result, Table
from minidrop.experiments.initialization_draws import probe
from minidrop.experiments.initialization_figures import drawings
from minidrop.experiments.network_theory import expected_variances
from minidrop.experiments.tutorial_network import HIDDEN, SETTINGS, Setting
from minidrop.experiments.verdicts import Claim, Quantity

#: (c d)² for c = 0.005 and d = 512, 256, 256, 128 inputs: the published ratios to all their digits
RATIOS = (6.5536, 1.6384, 1.6384, 0.4096)
#: how many standard deviations a published draw may be from the mean of ours
SPREAD = 3.5
ONE_DRAW = (
    "within the 95 % interval of our mean, widened, as it is of one draw, by "
    f"{SPREAD:g} standard deviations of our single draws on a logarithmic scale"
)
#: how many standard errors the mean of our draws may be from the law
ERRORS = 6.0
#: float64: rounding of a ratio or of a sum that should be 0; of a derivative by differences
ROUNDING, DIFFERENCE = 1e-10, 1e-7


def jobs(plan: Plan) -> Sequence[Job]:
    """One for each initialization, with all its draws of batch and weights."""
    arguments = {
        "dataset": plan.pick("fashion-mnist", "digits"),
        "batch": plan.pick(1024, 256),
        "draws": plan.seeds or plan.pick(40, 3),
        "backend": plan.backend,
        "data_dir": plan.data_dir,
    }
    return [Job(name, probe, {"name": name, **arguments}) for name in SETTINGS]


def analyse(plan: Plan, results: Mapping[str, Result]) -> Findings:
    """The exact ratios, the laws, and the published variances among our draws."""
    findings = Findings()
    sizes = [plan.pick(784, 64), *HIDDEN, 10]
    laws: dict[str, list[float]] = {}
    rows: list[Sequence[Any]] = []
    for name, result in results.items():
        setting, means = SETTINGS[name], np.mean(result["activations"], axis=0)
        if name == "constant":
            laws[name] = [float(means[0] * np.prod(RATIOS[:i])) for i in range(len(means))]
            findings.quantities += _ratios(result)
            findings.claims.append(_constant_gradients(result))
        else:
            laws[name] = expected_variances(sizes, setting, float(np.mean(result["input"])))
            findings.claims.append(_law(setting, result))
        findings.quantities += _published(setting, result)
        rows += _rows(setting, result, laws[name])
    findings.claims += _layers(results)
    columns = ("initialization", "of", "layer", "ours", "standard deviation", "law", "published")
    findings.tables = [Table("Variances by layer, over our draws of batch and weights", columns, rows)]
    findings.drawings = drawings(results, SETTINGS, laws, sizes)
    findings.notes = [
        "The law is v_l = d σ² E f(z)² + σ_b² with z normal of the variance of the layer before; for the "
        "constant initialization it is v_l = (c d)² v_(l-1), from our mean of the first layer on.",
        "Each published variance is one draw of a batch and of weights. It agrees if it is within "
        f"{SPREAD} standard deviations of the logarithm of our draws.",
    ]
    return findings


def _ratios(result: Result) -> list[Quantity]:
    """The ratio of each layer's variance to that of the layer before."""
    draws = np.array(result["activations"])
    names = [
        f"{SETTINGS['constant'].title}: variance of layer {2 * i + 2} / layer {2 * i}"
        for i in range(len(RATIOS))
    ]
    ours = (draws[:, 1:] / draws[:, :-1]).T.tolist()
    return [
        Quantity(name, values, ratio, "exact", ROUNDING)
        for name, values, ratio in zip(names, ours, RATIOS, strict=True)
    ]


def _constant_gradients(result: Result) -> Claim:
    """With equal weights above it, each hidden unit's gradient is c Σ_k (p_k - t_k) = 0."""
    largest = max(result["hidden_gradient"])
    text = "constant 0.005: equal weights leave the hidden layers without gradient, since Σ_k (p_k - t_k) = 0"
    return Claim(text, largest < ROUNDING, f"at most {largest:.0e} of the output layer's", exact=True)


def _law(setting: Setting, result: Result) -> Claim:
    """Whether the mean variance of each layer is that of the law, given the layer's inputs."""
    means, variances = np.moveaxis(np.array(result["law"]), -1, 0)
    difference = np.sum(np.array(result["activations"]) - means, axis=0)
    errors = abs(difference) / np.sqrt(variances.sum(axis=0))
    text = f"{setting.title}: each layer's variance is d σ² E h² + σ_b², given its inputs h"
    detail = f"the worst of {errors.size} layers is {errors.max():.1f} standard errors off"
    return Claim(text, bool(errors.max() < ERRORS), detail, exact=True)


def _layers(results: Mapping[str, Result]) -> list[Claim]:
    """Whether forward and backward passes are right, in the worst of the nets."""
    unit, unit_of = max((result["unit_error"], SETTINGS[name].title) for name, result in results.items())
    slope, slope_of = max((result["slope_error"], SETTINGS[name].title) for name, result in results.items())
    return [
        Claim(
            "in every net the unit is applied to each hidden Linear's output",
            unit < ROUNDING,
            f"at most {unit:.0e} off, {unit_of}",
            exact=True,
        ),
        Claim(
            "in every net the loss changes as its gradient says when all parameters θ grow together",
            slope < DIFFERENCE,
            f"at most {slope:.0e} of Σ |θ g| off, {slope_of}",
            exact=True,
        ),
    ]


def _published(setting: Setting, result: Result) -> list[Quantity]:
    """The published variances, with our spread on their side of our mean as tolerance."""
    found = []
    for part, word in (("activations", "variance of layer"), ("gradients", "gradient variance of layer")):
        for i, published in enumerate(getattr(setting, part)):
            ours = [draw[i] for draw in result[part]]
            logs = np.log(np.maximum(ours, np.finfo(float).tiny))
            spread = float(logs.std(ddof=1)) if len(ours) > 1 else 0.0
            mean = float(np.mean(ours))
            bound = exp(float(logs.mean()) + copysign(SPREAD * spread, published - mean))
            digits = max(0, 3 - floor(log10(published)))
            name = f"{setting.title}: {word} {2 * i}"
            tolerance = abs(bound - mean)
            found.append(
                Quantity(name, ours, published, tolerance=tolerance, digits=digits, because=ONE_DRAW)
            )
    return found


def _rows(setting: Setting, result: Result, law: Sequence[float]) -> list[Sequence[Any]]:
    rows: list[Sequence[Any]] = []
    for part in ("activations", "gradients"):
        draws = np.array(result[part])
        spreads = draws.std(axis=0, ddof=1).tolist() if len(draws) > 1 else [None] * draws.shape[1]
        published = getattr(setting, part) or [None] * draws.shape[1]
        expected = law if part == "activations" else [None] * draws.shape[1]
        numbers = zip(draws.mean(axis=0).tolist(), spreads, expected, published, strict=True)
        rows += [(setting.title, part, 2 * i, *each) for i, each in enumerate(numbers)]
    return rows


EXPERIMENT = Experiment(
    name="initializations",
    ids=("004-1", "004-2", "004-3", "004-4", "004-5", "004-6", "004-7"),
    question="What do seven initializations do to the variances of activations and gradients by layer?",
    data="fashion-mnist",
    duration="6 min",
    jobs=jobs,
    analyse=analyse,
)
