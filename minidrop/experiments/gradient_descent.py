"""002-2: gradient descent on a quadratic: too slow, then fast, then divergent; momentum; Adam.

The document shows paths for η = 1, 2, 4, 5 and 5.3 · 10⁻², for momentum 0 and 0.5 (classical form) at
η = 5 · 10⁻², and for Adam at η = 10⁻¹, as figures without numbers: it gives neither its quadratic nor its
start. We take its last two rates to lie on either side of the stability limit: λ_max = 38.5, which makes
2 / λ_max = 5.19 · 10⁻². The other eigenvalue is 2, and the axes are turned by 20°.

What can be exact is: each path follows its closed form, (I - η H)ᵗ w₀ or that of the companion matrix with
momentum, and the stability limit 2 (1 + γ) / λ_max is where bisection over η finds it. A step multiplies the
distance along each eigenvector by |1 - η λ|; the largest of these is least at η = 2 / (λ_min + λ_max), the
fastest rate, which is near the limit only because λ_min is small beside λ_max.
"""

from collections.abc import Mapping, Sequence
from math import cos, radians, sin
from pathlib import Path
from typing import Any

import numpy as np

from minidrop.experiments.descents import factory, gallery, points, walk
from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result, Table
from minidrop.experiments.figures import COLOURS, label, panels
from minidrop.experiments.verdicts import Claim, Quantity
from minidrop.surfaces import Host, Quadratic, descend

EIGENVALUES = (2.0, 38.5)
#: the eigenvectors, as columns
TURN = np.array([[cos(radians(20)), -sin(radians(20))], [sin(radians(20)), cos(radians(20))]])
CURVATURE = TURN @ np.diag(EIGENVALUES) @ TURN.T
CURVATURE = (CURVATURE + CURVATURE.T) / 2
START = TURN @ [-2.0, 0.45]
STEPS = 30
#: of document 002
RATES = (0.01, 0.02, 0.04, 0.05, 0.053)
MOMENTA = (0.0, 0.5)
#: steps of a run that is asked whether it converges, and by how many cuts η is found
LONG, HALVINGS = 200, 24
#: what is left of the other eigenvector after that many steps moves the fastest η by a hundredth of this
BEST = 1e-3
#: contours of the figures
LEVELS = (0, 0.5, 1, 2, 4, 8, 16, 32, 64, 128)


def optimizer(momentum: float) -> str:
    """Document 002's: u ← γ u + η g, w ← w - u."""
    return f"momentum:form=classical,momentum={momentum}" if momentum else "sgd"


def jobs(plan: Plan) -> Sequence[Job]:
    """A path for each figure, and for each momentum the limit and what is around it."""
    runs = {f"eta={rate}": f"sgd:lr={rate}" for rate in RATES}
    runs |= {"momentum=0.5": f"{optimizer(0.5)},lr=0.05", "adam": "adam:lr=0.1"}
    common: dict[str, Any] = {"backend": plan.backend}
    on: dict[str, Any] = {
        "surface": ["Quadratic", CURVATURE.tolist()],
        "start": START.tolist(),
        "steps": STEPS,
    }
    walks = [Job(key, walk, common | on | {"optimizer": spec}) for key, spec in runs.items()]
    limits = [Job(f"limit-{gamma}", limit, common | {"momentum": gamma}) for gamma in MOMENTA]
    return [*walks, *limits, Job("fastest", fastest, common)]


def limit(folder: Path, momentum: float, backend: str | None) -> Result:
    """The learning rate between convergence and divergence by bisection, and growth a step around it."""
    low, high = 0.03, 0.1
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if growth(middle, momentum, backend) < 1 else (low, middle)
    rates = (np.linspace(0.1, 1.15, 11) * low).tolist()
    around = [growth(rate, momentum, backend) for rate in rates]
    return {"limit": (low + high) / 2, "rates": rates, "growth": around}


def fastest(folder: Path, backend: str | None) -> Result:
    """The learning rate without momentum that comes nearer fastest, by cutting off the worse third."""
    low, high = 0.01, 0.1
    for _ in range(HALVINGS):
        third = (high - low) / 3
        left, right = (growth(rate, 0.0, backend) for rate in (low + third, high - third))
        low, high = (low, high - third) if left < right else (low + third, high)
    rate = (low + high) / 2
    return {"rate": rate, "growth": growth(rate, 0.0, backend)}


def growth(rate: float, momentum: float, backend: str | None) -> float:
    """The factor by which a step changes the distance to the optimum, in the second half of a long run."""
    made = factory(optimizer(momentum), lr=rate)
    path = descend(Quadratic(CURVATURE), START.tolist(), made, LONG, backend=backend)
    early, late = np.hypot(*path[[LONG // 2, LONG]].T)
    return float((late / early) ** (2 / LONG)) if np.isfinite(late) else float("inf")


def companion(rate: float, momentum: float) -> Host:
    """M of (w_(t+1), w_t) = M (w_t, w_(t-1)) for gradient descent with momentum."""
    one, zero = np.eye(2), np.zeros((2, 2))
    return np.block([[(1 + momentum) * one - rate * CURVATURE, -momentum * one], [one, zero]])


def from_closed_form(path: Host, rate: float, momentum: float) -> float:
    """The largest distance of a path from powers of the companion matrix."""
    state = np.concatenate([path[0], path[0]])
    step = companion(rate, momentum)
    right = [(np.linalg.matrix_power(step, t) @ state)[:2] for t in range(len(path))]
    return float(abs(path - right).max())


def analyse(plan: Plan, results: Mapping[str, Result]) -> Findings:
    """Paths against closed forms, the limit against 2 (1 + γ) / λ_max, and the figures."""
    paths = {key: points(result) for key, result in results.items() if "points" in result}
    away = {key: np.linalg.norm(path, axis=1) for key, path in paths.items()}
    findings = Findings()
    for gamma in MOMENTA:
        if f"limit-{gamma}" in results:
            theory = Quadratic(CURVATURE).stability_limit(gamma)
            name = f"largest stable η with momentum {gamma:g}, by bisection; theory 2 (1 + γ) / λ_max"
            found = results[f"limit-{gamma}"]["limit"]
            findings.quantities.append(Quantity(name, [found], theory, "exact", 1e-8, digits=8))
    if "fastest" in results:
        theory, name = (
            2 / sum(EIGENVALUES),
            "fastest η without momentum, by search; theory 2 / (λ_min + λ_max)",
        )
        ours = [results["fastest"]["rate"]]
        findings.quantities.append(Quantity(name, ours, theory, "exact", BEST * theory, digits=5))
    settings = {f"eta={rate}": (rate, 0.0) for rate in RATES} | {"momentum=0.5": (0.05, 0.5)}
    for key in filter(paths.__contains__, settings):
        name = f"distance of the path {key.replace('=', ' ')} from its closed form"
        gap = from_closed_form(paths[key], *settings[key])
        findings.quantities.append(Quantity(name, [gap], 0.0, "exact", 1e-12, digits=13))
    if "adam" in paths:
        first = abs(paths["adam"][1] - paths["adam"][0]).tolist()
        name = "Adam's first step in each weight; theory η"
        findings.quantities.append(Quantity(name, first, 0.1, "exact", 1e-7))
    if {"eta=0.05", "eta=0.053"} <= away.keys():
        steep = [abs(paths[key] @ TURN[:, 1]) for key in ("eta=0.05", "eta=0.053")]
        ends = [float(along[-1] / along[0]) for along in steep]
        text = (
            f"η = 0.05 converges and η = 0.053 diverges: over {STEPS} steps, the steepest direction's factor"
        )
        findings.claims.append(_claim(text, ends[0] < 1 < ends[1], ends))
    if {"eta=0.05", "momentum=0.5"} <= away.keys():
        ends = [float(away[key][-1]) for key in ("momentum=0.5", "eta=0.05")]
        text = f"at η = 0.05, momentum 0.5 is nearer to the optimum after {STEPS} steps than none"
        findings.claims.append(_claim(text, ends[0] < ends[1], ends, stated=True))
    rows = [[key.replace("=", " "), *map(float, d[[0, STEPS // 3, STEPS]])] for key, d in away.items()]
    columns = ("run", "start", f"after {STEPS // 3} steps", f"after {STEPS} steps")
    findings.tables.append(Table("Distance from the optimum", columns, rows))
    findings.drawings += draw(paths, results)
    findings.notes.append(
        "Document 002 gives neither its quadratic nor its start. Ours has the eigenvalues 2 and 38.5, which "
        "puts the stability limit between its last two learning rates, 0.05 and 0.053."
    )
    return findings


def _claim(text: str, holds: bool, numbers: Sequence[float], *, stated: bool = False) -> Claim:
    return Claim(text, holds, " and ".join(f"{number:.3g}" for number in numbers), exact=True, stated=stated)


def draw(paths: Mapping[str, Host], results: Mapping[str, Result]) -> list[Drawing]:
    """The document's two groups of paths, and growth against η."""
    rates = {f"eta={rate}": f"η = {rate:g}" for rate in RATES}
    others = {"eta=0.05": "momentum 0", "momentum=0.5": "momentum 0.5", "adam": "Adam, η = 0.1"}
    drawings = []
    for name, titles, columns in (("learning-rates", rates, 3), ("momentum-and-adam", others, 2)):
        chosen = {title: paths[key] for key, title in titles.items() if key in paths}
        figure = gallery(chosen, Quadratic(CURVATURE), columns, (-2.4, 1.2), (-1.6, 1.6), LEVELS)
        caption = (
            f"{STEPS} steps of gradient descent from the square to the star, on ½ wᵀ H w with eigenvalues 2 "
            f"and 38.5{'' if columns == 3 else '; η = 0.05 where no other is given'}."
        )
        drawings.append(Drawing(name, caption, figure))
    figure, axes = panels()
    for gamma, colour in zip(MOMENTA, COLOURS, strict=False):
        found = results.get(f"limit-{gamma}")
        if found is None:
            continue
        grid = np.linspace(0, max(found["rates"]), 200)
        radius = [abs(np.linalg.eigvals(companion(rate, gamma))).max() for rate in grid]
        axes[0, 0].plot(grid, radius, color=colour, label=f"momentum {gamma:g}: spectral radius")
        axes[0, 0].plot(found["rates"], found["growth"], "o", color=colour, label=f"momentum {gamma:g}: runs")
        axes[0, 0].axvline(found["limit"], color=colour, linestyle=":", label=f"limit {found['limit']:.5f}")
    axes[0, 0].axhline(1, color="black", linewidth=0.8)
    label(axes[0, 0], "learning rate η", "distance after a step / before it")
    caption = (
        "The factor by which a step changes the distance to the optimum, over the second half of "
        f"{LONG} steps; above 1 it diverges."
    )
    return [*drawings, Drawing("stability", caption, figure)]


EXPERIMENT = Experiment(
    name="gradient-descent",
    ids=("002-2",),
    question="Where does gradient descent on a quadratic become slow, fast or unstable, and what do momentum "
    "and Adam change?",
    data="none",
    duration="5 s",
    jobs=jobs,
    analyse=analyse,
)
