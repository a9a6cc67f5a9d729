"""001-1: what dropout and its scaling do to the mean of a million numbers, and to their variance.

Document 001 draws x uniform on [0, 1), keeps .7 of it, and prints the means of x, of .7 x (evaluation) and
of the masked x (training): 0.50, 0.35, 0.35. It says that the variance is not preserved, and stops there.
For both readings, with k the keep rate and c the factor in training:

    training    mean c k E[x]    variance c² (k E[x²] - k² E[x]²)       c = 1 (paper), 1/k (inverted)
    evaluation  mean c k E[x]    variance c² k² Var[x]

Its Dropout1D shares a mask of shape (features,) among the whole batch. That is unbiased too, but the noise
of a unit's mean over a batch of B is then k (1-k) E[x]² about, instead of a B-th of the variance above.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minidrop.experiments.dropout_moments import BATCH, KEEP, UNITS, noise_theory, standard_errors, theory
from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result, Table
from minidrop.experiments.figures import COLOURS, label, panels
from minidrop.experiments.verdicts import Claim, Quantity
from minidrop.layers import Dropout
from minidrop.streams import Purpose, Stream

#: the means that the document prints of x, in evaluation and in training, to two decimals
PUBLISHED = {"x": 0.50, "paper evaluation": 0.35, "paper training": 0.35}
KEEPS = (0.1, 0.3, 0.5, KEEP, 0.9)
SIGMAS = 3
#: what is a multiple of another: of which, and by which factor
MULTIPLES = {
    "paper evaluation": ("x", KEEP),
    "inverted training": ("paper training", 1 / KEEP),
    "inverted evaluation": ("x", 1.0),
}


def jobs(plan: Plan) -> Sequence[Job]:
    """One for each seed."""
    return [
        Job(f"seed-{seed}", measure, {"seed": seed, "backend": plan.backend}) for seed in plan.seeds_of(1)
    ]


def measure(folder: Path, seed: int, backend: str | None) -> Result:
    """Mean and variance of what both readings give, and of a unit's mean over the batch."""
    host = Stream(seed, Purpose.NOISE).generator(0).random((BATCH, UNITS), np.float32)
    moments: dict[str, dict[str, Any]] = {}
    furthest = 0.0
    for keep in KEEPS:
        outputs = {}
        for mode in ("paper", "inverted"):
            layer = Dropout(1 - keep, mode=mode, seed=seed, backend=backend)
            x = layer.backend.asarray(host)
            outputs[mode] = y = layer.forward(x)
            layer.eval()
            found = {"x": x, f"{mode} training": y, f"{mode} evaluation": layer.forward(x)}
            moments.setdefault(str(keep), {}).update({name: mean_variance(a) for name, a in found.items()})
        # one mask for both, so that one reading is the other over k
        away = abs(outputs["inverted"] * layer.rate.keep - outputs["paper"]).max()
        furthest = max(furthest, float(away))
    shared = Dropout(1 - KEEP, mode="paper", per="feature", seed=seed, backend=backend)
    own = Dropout(1 - KEEP, mode="paper", seed=seed, backend=backend)
    noise = {layer.per: mean_variance(layer.forward(x).mean(axis=0)) for layer in (own, shared)}
    return {"moments": moments, "noise": noise, "apart": furthest}


def mean_variance(a: Any) -> list[float]:
    """Mean and variance of an array's elements, summed in float64."""
    wide = a.astype(np.float64)
    return [float(wide.mean()), float(wide.var())]


def analyse(plan: Plan, results: Mapping[str, Result]) -> Findings:
    """The three published means, and theory for the rest: within three standard errors over all seeds."""
    runs = list(results.values())
    readings = [f"{mode} {phase}" for mode in ("paper", "inverted") for phase in ("training", "evaluation")]
    cases = [
        (name, theory(name), BATCH * UNITS, [run["moments"][str(KEEP)][name] for run in runs])
        for name in ("x", *readings)
    ]
    cases += [
        (f"a unit's batch mean, {title}", noise_theory(per), UNITS, [run["noise"][per] for run in runs])
        for per, title in (("element", "a mask an example"), ("feature", "one mask a batch"))
    ]
    findings, rows = Findings(), []
    for name, moments, n, found in cases:
        errors = standard_errors(moments, n * len(runs))
        ours = np.mean(found, axis=0).tolist()
        if name in PUBLISHED:
            mean = Quantity(
                f"mean of {name}",
                ours[:1],
                PUBLISHED[name],
                "exact",
                SIGMAS * errors[0],
                stated=True,
                because=f"within {SIGMAS} standard errors of ours",
            )
            findings.quantities.append(mean)
        if name not in MULTIPLES:
            off = [abs(ours[i] - moments[i]) / errors[i] for i in (0, 1)]
            findings.claims.append(
                Claim(
                    f"Mean and variance of {name} are within {SIGMAS} standard errors of theory",
                    max(off) <= SIGMAS,
                    f"{off[0]:.1f} and {off[1]:.1f} standard errors off",
                    exact=True,
                )
            )
        rows.append((name, moments[0], ours[0], errors[0], moments[1], ours[1], errors[1]))
    findings.claims.append(multiples(runs))
    apart = max(run["apart"] for run in runs)
    findings.claims.append(
        Claim(
            "With the same mask the inverted reading is the paper's over k, element by element",
            apart <= 2.0**-22,  # numbers below 1, two products of them rounded to float32
            f"at most {apart:.1e} apart",
            exact=True,
        )
    )
    columns = ["numbers", "mean by theory", "mean", "its standard error"]
    columns += ["variance by theory", "variance", "its standard error"]
    findings.tables.append(Table(f"Keep {KEEP}, a million inputs uniform on [0, 1)", columns, rows))
    findings.drawings.append(draw(runs[0]))
    findings.notes.append(
        "The mean is the same in training and evaluation; the variance is not: in the inverted reading it is "
        "larger in training by (1-k)/k E[x²], without bound as k goes to 0, and in the paper's by k² times "
        "that. With a mask that the whole batch shares, a unit's mean over the batch is nearly as noisy as a "
        "single number."
    )
    return findings


def multiples(runs: Sequence[Result]) -> Claim:
    """That the other readings are the same sample times a constant: theory need not judge them again."""
    worst = 0.0
    for run in runs:
        moments = run["moments"][str(KEEP)]
        for name, (of, c) in MULTIPLES.items():
            for i in (0, 1):
                worst = max(worst, abs(moments[name][i] / (c ** (i + 1) * moments[of][i]) - 1))
    text = (
        "Evaluation and inverted training are x and paper training times a constant: so are mean and variance"
    )
    # a keep rate is a multiple of 2⁻¹⁶, and its square is off by twice as much, relatively
    return Claim(text, worst <= 2.0**-15, f"at most {worst:.0e} off, relatively", exact=True)


def draw(run: Result) -> Drawing:
    """Mean and variance by the keep rate."""
    figure, axes = panels(1, 2)
    keeps = np.linspace(0.08, 1, 100)
    styles = zip(
        ("paper training", "paper evaluation", "inverted training", "inverted evaluation"),
        ("-", "--", "-", "--"),
        ("o", "s", "^", "D"),
        COLOURS,
        strict=False,
    )
    for name, line, marker, colour in styles:
        for i, one in enumerate(axes[0]):
            curve = [theory(name, keep)[i] for keep in keeps]
            one.plot(keeps, curve, line, color=colour, label=f"{name}, theory" if i else None)
            found = [run["moments"][str(keep)][name][i] for keep in KEEPS]
            one.plot(
                KEEPS, found, marker, color=colour, markersize=5, label=f"{name}, run" if not i else None
            )
    axes[0, 0].plot(KEEP, 0.35, "*", color="black", markersize=13, zorder=1.9, label="published, keep 0.7")
    axes[0, 0].set_ylim(0, 0.9)
    axes[0, 1].set_yscale("log")
    label(axes[0, 0], "keep rate k", "mean of the output", "Mean: the same in training and evaluation")
    label(axes[0, 1], "keep rate k", "variance of the output", "Variance: larger in training")
    return Drawing("moments", "Mean and variance of dropout's output for inputs uniform on [0, 1).", figure)


EXPERIMENT = Experiment(
    name="dropout-scaling",
    ids=("001-1",),
    question="Does scaling by the keep rate preserve the mean of a million activations, and the variance?",
    data="none",
    duration="2 s",
    jobs=jobs,
    analyse=analyse,
)
