"""004-9: SGD, momentum and Adam in a ravine, tanh² w₁ + 0.01 |w₁| + σ(w₂), from (5, 5).

Document 004 publishes a figure. Its paths, run by its own code, end at w₂ = -6.723, -13.071 and -12.627; the
last of its 100 points comes after 99 steps, since each is taken before its update. Across the ravine SGD is
chaotic: its last w₁ is +6.26 in float32 and -3.96 in float64 there, and another rounding, as of another
build of tanh, gives another number, which starts that differ by units in the last place show here. So w₁ is
shown, and w₂ is judged.

The document's prose formula of Adam divides by √v where its code divides by √v̂; this is its code's.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from minidrop.experiments.descents import factory, landscape, points, trace, walk
from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result, Table
from minidrop.experiments.figures import COLOURS, label, panels
from minidrop.experiments.verdicts import Claim, Quantity
from minidrop.surfaces import Host, Ravine, descend

START = (5.0, 5.0)
#: the document's hundred points are the start and those after 99 steps
STEPS = 99
OPTIMIZERS = {
    "SGD": "sgd:lr=10",
    "momentum": "momentum:form=ema,momentum=0.9,lr=10",
    "Adam": "adam:lr=1",
}
DTYPES = ("float32", "float64")
#: from running document 004's code, which shows a figure; the last w₁ of SGD is that of one machine
EXPECTED_W2 = {"SGD": -6.723, "momentum": -13.071, "Adam": -12.627}
EXPECTED_SGD_W1 = {"float32": 6.26, "float64": -3.96}
#: starts that differ from the document's by this many units in the last place of float64
NEIGHBOURS = range(-60, 61, 4)


def jobs(plan: Plan) -> Sequence[Job]:
    """Each optimizer in each dtype, and the optimizers from neighbouring starts."""
    on = {"surface": ["Ravine"], "start": list(START), "steps": STEPS, "backend": plan.backend}
    walks = [
        Job(f"{name}-{dtype}", walk, on | {"optimizer": spec, "dtype": dtype})
        for name, spec in OPTIMIZERS.items()
        for dtype in DTYPES
    ]
    return [*walks, Job("neighbours", neighbours, {"backend": plan.backend})]


def neighbours(folder: Path, backend: str | None) -> Result:
    """The last points of paths whose starts differ in the last places of w₁, in float64."""
    starts = [(START[0] + k * float(np.spacing(START[0])), START[1]) for k in NEIGHBOURS]
    return {
        name: [descend(Ravine(), s, factory(spec), STEPS, backend=backend)[-1].tolist() for s in starts]
        for name, spec in OPTIMIZERS.items()
    }


def analyse(plan: Plan, results: Mapping[str, Result]) -> Findings:
    """The last points beside those of the document's code, how far neighbours part, and the paths."""
    findings = Findings()
    runs = {key: points(result) for key, result in results.items() if key != "neighbours"}
    for name, expected in EXPECTED_W2.items():
        ours = [float(runs[f"{name}-{t}"][-1, 1]) for t in DTYPES if f"{name}-{t}" in runs]
        if ours:
            what = f"{name}: w₂ at the last point, in float32 and float64, as by the document's code"
            findings.quantities.append(Quantity(what, ours, expected, "exact", 5e-4, digits=3))
    for dtype in DTYPES:
        ends = {name: runs[f"{name}-{dtype}"][-20:, 0] for name in OPTIMIZERS if f"{name}-{dtype}" in runs}
        if len(ends) == len(OPTIMIZERS):
            off = {name: float(abs(w1).max()) for name, w1 in ends.items()}
            holds = off["SGD"] > 2 and off["momentum"] < 0.5 and off["Adam"] < 0.5
            detail = ", ".join(f"{name} {number:.2g}" for name, number in off.items())
            text = f"momentum and Adam find the bed of the ravine, SGD does not ({dtype})"
            detail = f"largest |w₁| of the last 20 points: {detail}"
            findings.claims.append(Claim(text, holds, detail, exact=True, stated=True))
    findings.drawings.append(_draw_paths(runs))
    if "neighbours" in results:
        ends = {name: np.array(found) for name, found in results["neighbours"].items()}
        apart = {name: float(np.ptp(found[:, 0])) for name, found in ends.items()}
        holds = apart["SGD"] > 0.1 and apart["momentum"] < 1e-9 and apart["Adam"] < 1e-9
        text = "starts that differ by units in the last place end far apart in w₁ with SGD, and with it alone"
        detail = ", ".join(f"{name} {number:.2g}" for name, number in apart.items())
        findings.claims.append(Claim(text, holds, f"range of the last w₁: {detail}", exact=True))
        findings.drawings.append(_draw_neighbours(ends))
    rows = [[key, *map(float, runs[key][-1]), results[key]["losses"][-1]] for key in runs]
    findings.tables.append(Table("Last points", ("run", "w₁", "w₂", "loss"), rows))
    return findings


def _draw_paths(runs: Mapping[str, Host]) -> Drawing:
    """The float32 paths, as the document's, over the surface and over the steps."""
    figure, axes = panels(1, 2, height=4.2)
    left, right = axes[0]
    landscape(figure, [left], Ravine(), (-7.5, 7.5), (-14.0, 6.0), np.linspace(0, 2.2, 12), "auto")
    for name, colour in zip(OPTIMIZERS, COLOURS, strict=False):
        path = runs.get(f"{name}-float32")
        if path is not None:
            trace(left, path, name, colour, linewidth=0.7)
            right.plot(path[:, 0], label=name, color=colour, linewidth=0.8, marker="o", markersize=2)
    label(left, "w₁", "w₂", "paths from (5, 5)")
    label(right, "step", "w₁", "across the ravine", epochs=True)
    caption = (
        "SGD (η = 10), momentum (ema form, η = 10, μ = 0.9) and Adam (η = 1) in float32, from the square to "
        "the stars. SGD jumps from wall to wall; the others come to rest on the bed."
    )
    return Drawing("paths", caption, figure)


def _draw_neighbours(ends: Mapping[str, Host]) -> Drawing:
    """The last w₁ against the start's distance from the document's."""
    figure, axes = panels()
    for (name, found), colour in zip(ends.items(), COLOURS, strict=False):
        axes[0, 0].plot(list(NEIGHBOURS), found[:, 0], "o-", color=colour, label=name, markersize=4)
    for (dtype, w1), marker in zip(EXPECTED_SGD_W1.items(), "x+", strict=True):
        axes[0, 0].plot(
            0, w1, marker, color="black", markersize=9, label=f"document's code, SGD,\n{dtype}, one machine"
        )
    label(axes[0, 0], "start's w₁ - 5 (units in the last place)", f"w₁ after {STEPS} steps", legend=False)
    axes[0, 0].legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    caption = (
        "Where paths end whose starts differ by roundings, in float64, and those of the document's code."
    )
    return Drawing("neighbours", caption, figure)


EXPERIMENT = Experiment(
    name="ravine",
    ids=("004-9",),
    question="Which optimizers find the bed of a ravine, and where are they after 99 steps?",
    data="none",
    duration="5 s",
    jobs=jobs,
    analyse=analyse,
)
