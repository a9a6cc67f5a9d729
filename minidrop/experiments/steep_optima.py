"""004-10: SGD, momentum and Adam on a plain with three steep pits, from (0, 0).

Document 004 tells in prose, beside a figure, that SGD touches a pit's border and is thrown out, momentum too,
and that only Adam converges. Its code ends Adam's path at (-0.499, -0.799) with the loss -3.979; the last of
its 100 points comes after 99 steps.

The prose says that SGD reaches "around (-0.75,-0.5)" and is pushed to "(0.8,0.5)". Those are (w₂, w₁): the
nearest pit from (0, 0) is at w₁ = -0.5, w₂ = -0.8. They are compared in that order.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from minidrop.experiments.descents import landscape, points, trace, walk
from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result, Table
from minidrop.experiments.figures import COLOURS, label, panels
from minidrop.experiments.verdicts import Claim, Quantity
from minidrop.surfaces import Host, SteepOptima

START = (0.0, 0.0)
#: the document's hundred points are the start and those after 99 steps
STEPS = 99
OPTIMIZERS = {
    "SGD": "sgd:lr=0.5",
    "momentum": "momentum:form=ema,momentum=0.9,lr=1",
    "Adam": "adam:lr=0.2",
}
DTYPES = ("float32", "float64")
#: from running document 004's code: Adam's last point, and its loss
EXPECTED_ADAM = {"w₁": -0.499, "w₂": -0.799, "loss": -3.979}
#: document 004's prose on SGD, to one or two digits, put right into (w₁, w₂): it has "around (-0.75,-0.5)"
#: and "(0.8,0.5)", and the pit's bottom is at (-0.5, -0.8)
PUBLISHED_SGD = {"in the pit": (-0.5, -0.75), "thrown out": (0.5, 0.8)}
AROUND = 0.1
NEAR = f"within {AROUND:g} of ours, its pair read as (w₂, w₁), since the pit is at (-0.5, -0.8)"


def jobs(plan: Plan) -> Sequence[Job]:
    """Each optimizer in each dtype."""
    on = {"surface": ["SteepOptima"], "start": list(START), "steps": STEPS, "backend": plan.backend}
    return [
        Job(f"{name}-{dtype}", walk, on | {"optimizer": spec, "dtype": dtype})
        for name, spec in OPTIMIZERS.items()
        for dtype in DTYPES
    ]


def analyse(plan: Plan, results: Mapping[str, Result]) -> Findings:
    """Where each ends, beside what is published, and the paths."""
    findings = Findings()
    rows = [[key, *r["points"][-1], r["losses"][-1], min(r["losses"])] for key, r in results.items()]
    columns = ("run", "w₁", "w₂", "loss at the last point", "lowest loss on the way")
    findings.tables.append(Table("Last points", columns, rows))
    last = {row[0]: dict(zip(EXPECTED_ADAM, row[1:4], strict=True)) for row in rows}
    for what, expected in EXPECTED_ADAM.items():
        ours = [last[f"Adam-{dtype}"][what] for dtype in DTYPES if f"Adam-{dtype}" in last]
        if ours:
            name = f"Adam: {what} at the last point, in float32 and float64, as by the document's code"
            findings.quantities.append(Quantity(name, ours, expected, "exact", 5e-4, 3))
    if "SGD-float32" in results:
        path = points(results["SGD-float32"])
        deepest = int(np.argmin(results["SGD-float32"]["losses"]))
        for (where, published_point), ours_point in zip(
            PUBLISHED_SGD.items(), (path[deepest], path[deepest + 1 :][:1].ravel()), strict=True
        ):
            for i, (one, published) in enumerate(zip(ours_point.tolist(), published_point, strict=False)):
                name = f"SGD {where}: {('w₁', 'w₂')[i]}, {('second', 'first')[i]} of the published pair"
                findings.quantities.append(
                    Quantity(name, [one], published, "exact", AROUND, 2, stated=True, because=NEAR)
                )
    for dtype in DTYPES:
        losses = {name: last[f"{name}-{dtype}"]["loss"] for name in OPTIMIZERS if f"{name}-{dtype}" in last}
        if len(losses) == len(OPTIMIZERS):
            holds = losses["Adam"] < -3.9 and min(losses["SGD"], losses["momentum"]) > -0.01
            detail = ", ".join(f"{name} {loss:.3g}" for name, loss in losses.items())
            text = f"only Adam converges to an optimum ({dtype})"
            findings.claims.append(
                Claim(text, holds, f"loss at the last point: {detail}", exact=True, stated=True)
            )
    findings.drawings.append(
        _draw({name: results[f"{name}-float32"] for name in OPTIMIZERS if f"{name}-float32" in results})
    )
    findings.notes.append(
        "The prose of document 004 gives SGD's points as (w₂, w₁); here they are compared as (w₁, w₂)."
    )
    return findings


def _draw(runs: Mapping[str, Result]) -> Drawing:
    """The float32 paths, as the document's, over the surface, and the losses over the steps."""
    figure, axes = panels(1, 2, height=3.8)
    left, right = axes[0]
    landscape(figure, [left], SteepOptima(), (-2.0, 2.0), (-2.0, 2.0), np.linspace(-4, 0, 11))
    for i, ((name, result), colour) in enumerate(zip(runs.items(), COLOURS, strict=False)):
        path: Host = points(result)
        trace(left, path, name, colour, zorder=3 - 0.1 * i)
        right.plot(result["losses"], label=name, color=colour)
    right.axhline(EXPECTED_ADAM["loss"], color="black", linestyle=":", label="the document's Adam")
    label(left, "w₁", "w₂", "paths from (0, 0)")
    label(
        right, "step", "", "loss on the way", legend=False, epochs=True
    )  # the colour bar beside it says loss
    right.set_ylim(-5.2, 0.2)
    right.legend(fontsize="small", loc="lower center", ncols=2)
    caption = (
        "SGD (η = 0.5), momentum (ema form, η = 1, μ = 0.9) and Adam (η = 0.2) in float32, from the square "
        "to the stars; momentum leaves the figure and ends near (-4.2, -6.7)."
    )
    return Drawing("paths", caption, figure)


EXPERIMENT = Experiment(
    name="steep-optima",
    ids=("004-10",),
    question="Which optimizers come from a plain into a steep pit and stay there?",
    data="none",
    duration="5 s",
    jobs=jobs,
    analyse=analyse,
)
