"""000-Q2: "what happens if I ignore the L2 threshold or use a weight decay instead?"

784-800-800-10 with dropout of hidden units and inputs, by the paper's update, with the incoming weights of
each hidden unit

    - not limited at all,
    - no longer than 15: what document 000's code compares with, where the paper means the squared length,
    - no longer than √15 = 3.873: the paper's limit,
    - not limited, but with weight decay 1e-6, 1e-5 or 1e-4,

for ReLU units at learning rate 1 and logistic ones at 10, the paper's. Rows begin at a length of about 0.28,
so a limit of 15 does not bind; the paper says that its own makes the large learning rate possible.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import minidrop as md
from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result
from minidrop.experiments.figures import label, legend_below, panels
from minidrop.experiments.hinton import LOGISTIC, RELU, Runs, Study, Variant, log_errors
from minidrop.experiments.hinton_exact import small_net
from minidrop.experiments.row_norms import ASKED, LIMIT, histograms, lengths_table
from minidrop.experiments.training_job import curve
from minidrop.experiments.verdicts import Claim, Quantity

UNITS = {"relu": ("ReLU", RELU), "logistic": ("logistic", LOGISTIC)}
DECAYS = (1e-6, 1e-5, 1e-4)
LIMITS: dict[str, tuple[str, dict[str, Any]]] = {
    "none": ("no limit", {"limit": 0.0}),
    "15": ("length ≤ 15", {"limit": 15.0, "limit_kind": "length"}),
    "root15": ("length ≤ √15", {"limit": LIMIT, "limit_kind": "length"}),
    **{f"decay-{rate:g}": (f"decay {rate:g}", {"limit": 0.0, "weight_decay": rate}) for rate in DECAYS},
}


STUDY = Study(
    {
        f"{unit}-{limit}": Variant(f"{title}, {what}", {**units, **changes})
        for unit, (title, units) in UNITS.items()
        for limit, (what, changes) in LIMITS.items()
    },
    epochs=20,
    quick={"init": "normal:0.6", "epochs": 3},  # rows of length 4.8, so that √15 binds and 15 does not
    asked=ASKED,
)
CAPTION = (
    "Test errors and the longest row by epoch, mean over seeds with its 95 % interval. Limits that do not "
    "bind, 15 and with ReLU units √15, lie on the curve without one."
)
#: dashes and dots let a curve be seen that others lie on
STYLES = {f"{unit}-{limit}": style for unit in UNITS for limit, style in (("15", "--"), ("root15", ":"))}
#: the options of `SGDHinton` for each reading of "15", and the longest row that it leaves
READINGS: dict[str, tuple[dict[str, Any], float]] = {
    "paper": ({}, LIMIT),
    "published": ({"slips": ["limit-norm"]}, 15.0),
    "none": ({"limit": 0}, 30.0),
}


def projected(folder: Path) -> Result:
    """What a step without a gradient leaves of hidden rows of the lengths 1, 3, 10, 20 and 30."""
    found: dict[str, Any] = {}
    for reading, (options, longest) in READINGS.items():
        arena = small_net().parameters()
        weight = arena["0.weight"].value
        weight *= np.array([[1.0], [3.0], [10.0], [20.0], [30.0]]) / np.linalg.norm(
            weight, axis=1, keepdims=True
        )
        output = arena["2.weight"].value
        output *= 30.0  # in the paper the output has no limit
        start, beyond = weight.copy(), output.copy()
        md.SGDHinton(arena, **options).step()
        lengths = np.linalg.norm(weight, axis=1)
        within = np.linalg.norm(start, axis=1) <= longest
        same = bool((weight[within] == start[within]).all() and (output == beyond).all())
        found[reading] = {"longest": float(lengths.max()), "others the same": same}
    return found


def jobs(plan: Plan) -> Sequence[Job]:
    """The projection, then the trainings."""
    return [Job("projected", projected), *STUDY.jobs(plan)]


def analyse(plan: Plan, results: Mapping[str, Result]) -> Findings:
    """The projection's numbers; errors, and how long rows become."""
    runs = STUDY.runs(plan, results)
    quantities, claims = [], []
    if found := results.get("projected"):
        for reading, (_, longest) in READINGS.items():
            text = f"longest row after a step from 30, limit 15 as {reading} has it"
            text = text if reading != "none" else "longest row after a step from 30, without a limit"
            quantities.append(Quantity(text, [found[reading]["longest"]], longest, "exact", 1e-9))
        same = all(one["others the same"] for one in found.values())
        claims.append(Claim("rows within the limit, and the output layer, keep their bits", same, exact=True))
    claims.append(runs.within_limit([f"{unit}-root15" for unit in UNITS], LIMIT))
    claims += [does_not_bind(plan, runs, unit) for unit in UNITS]
    large = "at the paper's learning rate of 10 its limit gives fewer errors than"
    claims.append(runs.fewer(f"{large} none", ("logistic-none", "logistic-root15")))
    best = runs.best([f"logistic-decay-{rate:g}" for rate in DECAYS])
    claims.append(runs.fewer(f"{large} the best weight decay", (best, "logistic-root15"), len(DECAYS)))
    decayed = "without a limit the best weight decay gives fewer errors than no decay"
    claims.append(runs.fewer(decayed, ("logistic-none", best), len(DECAYS)))
    groups = {
        title: {f"{unit}-{limit}": what for limit, (what, _) in LIMITS.items()}
        for unit, (title, _) in UNITS.items()
    }
    return Findings(
        [*quantities, *runs.quantities()],
        claims,
        [runs.table(), lengths_table(runs)],
        [
            Drawing("errors", CAPTION, draw_curves(plan, runs)),
            histograms(runs, groups, STYLES),
        ],
        runs.notes("The best weight decay is chosen by the test errors themselves, in its favour."),
    )


def does_not_bind(plan: Plan, runs: Runs, unit: str) -> Claim:
    """The claim that a limit of 15 on the length changes nothing so soon, to the last bit of every loss.

    Exact in quick runs alone: a long one may be stopped, and go on with other threads and roundings.
    """
    free, limited = (runs.found[f"{unit}-{limit}"] for limit in ("none", "15"))
    same = [curve(free[s], "train_loss") == curve(limited[s], "train_loss") for s in free if s in limited]
    within = f"does not bind within {runs.epochs} epochs: every loss is that without a limit"
    text = f"{UNITS[unit][0]}: a limit of 15 on the length {within}"
    return Claim(text, all(same) if same else None, f"{sum(same)} of {len(same)} runs", exact=plan.quick)


def draw_curves(plan: Plan, runs: Runs) -> Any:
    """Test errors and the longest row against the epoch, a row of panels for each unit."""
    figure, axes = panels(2, 2, height=3.0)
    for (left, right), (unit, (title, changes)) in zip(axes, UNITS.items(), strict=True):
        names, labels = [f"{unit}-{limit}" for limit in LIMITS], [what for what, _ in LIMITS.values()]
        runs.draw(left, "test_errors", names, labels, STYLES)
        runs.draw(right, "largest_row_norm", names, labels, STYLES)
        right.axhline(LIMIT, color="black", linestyle="-.", linewidth=1, label="√15")
        shown = f"{title}, learning rate {changes['lr']:g}"
        label(left, "epoch", f"test errors of {runs.size}", shown, epochs=True, legend=False)
        label(right, "epoch", "longest hidden row", shown, epochs=True, legend=False)
        log_errors(left, plan)
    legend_below(figure, 4)
    return figure


EXPERIMENT = Experiment(
    name="norm-limits",
    ids=("000-Q2",),
    question="What does the limit on a unit's weights do, beside none, one of 15, and weight decay?",
    data="mnist",
    duration="1 h",
    jobs=jobs,
    analyse=analyse,
)
