"""000-Q1: can one "just use dampening = momentum in normal PyTorch SGD and get a similar output"?

Nearly, and by how much not is known. With μ the momentum, η the learning rate, g the gradients:

    paper     v ← μ v - (1 - μ) η g      w ← w + v
    dampened  v ← μ v + (1 - μ) g        w ← w - η v,    but v ← g at the first step

1. With constant η and μ and the same gradients the weights differ by the first step alone:
   dampened - paper = -η μ (1 - μᵗ) / (1 - μ) g_1 after t steps: in the end 9 η g_1 at μ = 0.9, η g_1 at 0.5.
2. With the paper's schedules the dampened form prices the gradients in its buffer at today's η, the paper's
   at that of their day: 0.2 % less with each epoch.
3. PyTorch's form is the paper's update exactly if its learning rate is a = (1 - μ) η and its momentum
   μ_t a_(t-1) / a_t.

On a net the gradients follow the weights, so the trainings part; their errors are compared with the same
masks, weights and shuffles. So is dampening 0, PyTorch's default today, which steps 1 / (1 - μ) as far.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import minidrop as md
from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result, Table
from minidrop.experiments.figures import COLOURS, label, panels
from minidrop.experiments.hinton import RELU, Runs, Study, Variant, log_errors
from minidrop.experiments.hinton_exact import path, small_net
from minidrop.experiments.row_norms import ASKED, histograms, lengths_table
from minidrop.experiments.verdicts import Claim, Quantity, alike, signed

STUDY = Study(
    {
        "paper": Variant("the paper's update", RELU),
        "dampened": Variant("dampening = momentum", RELU | {"optimizer": "momentum:dampening=momentum"}),
        "undamped": Variant("dampening 0", RELU | {"optimizer": "momentum"}),
    },
    epochs=20,
    asked=ASKED,
)
#: momentum, and the multiple of η g_1 that theory has the trajectories end apart: μ / (1 - μ)
MULTIPLES = {0.5: 1.0, 0.9: 9.0}
STEPS, PER_EPOCH = 400, 10


def trajectories(folder: Path) -> Result:
    """How far apart the same given gradients take both optimizers, in units of η_1 g_1, and from theory."""
    found: dict[str, Any] = {"constant": {}}
    t = np.arange(1, STEPS + 1)
    for mu in MULTIPLES:
        g, paper = _along("hinton", np.full(STEPS, 0.1), np.full(STEPS, mu))
        _, dampened = _along("torch", np.full(STEPS, 0.1), np.full(STEPS, mu), dampening="momentum")
        gap = (dampened - paper) / (-0.1 * g[0])
        theory = mu * (1 - mu**t) / (1 - mu)
        found["constant"][str(mu)] = {
            "gap": gap.mean(axis=1).tolist(),
            "theory": theory.tolist(),
            "difference": float(np.abs(gap - theory[:, None]).max()),
        }
    epochs = np.arange(STEPS) // PER_EPOCH
    rates, momenta = 0.1 * 0.998**epochs, 0.5 + 0.49 * epochs / 500  # the paper's, with 10 steps an epoch
    g, paper = _along("hinton", rates, momenta)
    _, ema = _along("ema", rates, momenta)
    _, dampened = _along("torch", rates, momenta, dampening="momentum")
    first, repriced = scheduled_gap(g, rates, momenta)
    a = (1 - momenta) * rates
    corrected = momenta * np.concatenate([[1.0], a[:-1] / a[1:]])
    _, emulated = _along("torch", a, corrected)
    unit = rates[0] * np.linalg.norm(g[0])
    found["scheduled"] = {
        "first": (np.linalg.norm(dampened - ema, axis=1) / unit).tolist(),
        "repriced": (np.linalg.norm(ema - paper, axis=1) / unit).tolist(),
        "first difference": float(np.abs(dampened - ema - first).max()),
        "repriced difference": float(np.abs(ema - paper - repriced).max()),
        "emulated difference": float(np.abs(emulated - paper).max()),
    }
    return found


def _along(form: str, rates: Any, momenta: Any, **options: Any) -> tuple[Any, Any]:
    """The given gradients, and the weights along them."""
    arena = small_net().parameters()
    g = np.random.default_rng(0).standard_normal((len(rates), arena.size))
    return g, path(md.Momentum(arena, form=form, **options), g, rates, momenta)


def scheduled_gap(g: Any, rates: Any, momenta: Any) -> tuple[Any, Any]:
    """The two terms of dampened - paper with schedules: the first step's, and the prices of the buffer.

    With P_(j,s) = μ_(j+1) ... μ_s the weight that step s still gives to the gradient of step j:
    first = -μ_1 Σ_s η_s P_(1,s) g_1,    repriced = -Σ_s Σ_(j<s) (η_s - η_j) (1 - μ_j) P_(j,s) g_j.
    """
    first, repriced = np.zeros_like(g), np.zeros_like(g)
    weights = np.zeros(len(g))  # P_(j,s)
    for s in range(len(g)):
        weights *= momenta[s]
        weights[s] = 1.0
        first[s] = -momenta[0] * rates[s] * weights[0] * g[0]
        repriced[s] = -((rates[s] - rates) * (1 - momenta) * weights) @ g
    return first.cumsum(axis=0), repriced.cumsum(axis=0)


def jobs(plan: Plan) -> Sequence[Job]:
    """The trajectories, then the trainings."""
    return [Job("trajectories", trajectories), *STUDY.jobs(plan)]


def analyse(plan: Plan, results: Mapping[str, Result]) -> Findings:
    """The exact distance, and the errors of the trainings."""
    runs, found = STUDY.runs(plan, results), results.get("trajectories")
    exact = [] if found is None else distances(found)
    drawings = [] if found is None else [Drawing("distance", DISTANCE, draw_distance(found))]
    caption = "Mean over seeds with its 95 % interval; all three have the same masks, weights and shuffles."
    drawings.append(Drawing("errors", caption, draw_errors(plan, runs)))
    drawings.append(histograms(runs, {"ReLU": STUDY.labels}, {"dampened": "--"}))
    pairs = [
        (f"{seed}", runs.last("paper", seed), runs.last("dampened", seed), runs.last("undamped", seed))
        for seed in plan.seeds_of(STUDY.seeds)
    ]
    return Findings(
        [*exact, *runs.quantities()],
        [similar(runs), runs.within_limit(list(STUDY.variants), 15**0.5)],
        [
            runs.table(),
            Table("Final test errors, seed by seed", ("seed", *STUDY.variants), pairs),
            lengths_table(runs),
        ],
        drawings,
        runs.notes(),
    )


def distances(found: Result) -> list[Quantity]:
    """Both terms of the distance beside theory."""
    shown = []
    for mu, multiple in MULTIPLES.items():
        one = found["constant"][str(mu)]
        what = f"μ = {mu}: dampened - paper after {STEPS} steps"
        shown.append(Quantity(f"{what} [-η g_1]", [one["gap"][-1]], multiple, "exact", 1e-9))
        text = f"μ = {mu}: largest difference from μ (1 - μᵗ) / (1 - μ), all steps [-η g_1]"
        shown.append(Quantity(text, [one["difference"]], 0.0, "exact", 1e-9, 12))
    for key, text in (
        ("first", "schedules: first-step term, largest difference from theory"),
        ("repriced", "schedules: re-priced buffer, largest difference from theory"),
        ("emulated", "torch's form with momentum μ_t a_(t-1)/a_t, largest difference from the paper's"),
    ):
        shown.append(Quantity(text, [found["scheduled"][f"{key} difference"]], 0.0, "exact", 1e-9, 12))
    return shown


def similar(runs: Runs) -> Claim:
    """The claim that the errors of both are the same within the 95 % interval of their paired differences."""
    text = "dampening = momentum gives a similar output: its errors are the paper's"
    gaps = runs.gaps("dampened", "paper")
    return alike(text, gaps, f"{signed(gaps, 1)} errors, seed by seed")


DISTANCE = (
    "How far dampened SGD is from the paper's update along the same given gradients. Left: constant learning "
    "rate and momentum; the lines are theory, the marks a run. Right: the lengths of the two terms of the "
    "distance with the paper's schedules, at 10 steps an epoch."
)


def draw_distance(found: Result) -> Any:
    """The distance against the step: constant, and with schedules."""
    figure, axes = panels(1, 2)
    left, right = axes.flat
    marks = np.unique(np.round(np.geomspace(1, 100, 14)).astype(int))
    for (mu, one), colour in zip(found["constant"].items(), COLOURS, strict=False):
        left.plot(range(1, 101), one["theory"][:100], color=colour, label=f"μ = {mu}, theory")
        left.plot(
            marks,
            [one["gap"][step - 1] for step in marks],
            "o",
            color=colour,
            markersize=4,
            label=f"μ = {mu}, run",
        )
    label(left, "step", "(dampened - paper) / (-η g$_1$)", "constant η and μ")
    for (key, text), colour in zip(
        (("first", "first step"), ("repriced", "re-priced buffer")), COLOURS[2:], strict=False
    ):
        right.plot(range(1, STEPS + 1), found["scheduled"][key], color=colour, label=text)
    right.set_yscale("log")
    right.set_ylim(bottom=1e-4)  # in the first epoch nothing is re-priced: what is there is rounding
    label(right, "step", "|term| / (η$_1$ |g$_1$|)", "the paper's schedules")
    return figure


def draw_errors(plan: Plan, runs: Runs) -> Any:
    """Test errors and training loss against the epoch."""
    figure, axes = panels(1, 2)
    for axis, key in zip(axes.flat, ("test_errors", "train_loss"), strict=True):
        runs.draw(axis, key, list(STUDY.variants), styles={"dampened": "--"})  # it lies on the paper's
    label(axes[0, 0], "epoch", f"test errors of {runs.size}", epochs=True)
    log_errors(axes[0, 0], plan)
    label(axes[0, 1], "epoch", "training loss [nats]", epochs=True, legend=False)
    return figure


EXPERIMENT = Experiment(
    name="dampened-sgd",
    ids=("000-Q1",),
    question="Is PyTorch's SGD with dampening = momentum the paper's update?",
    data="mnist",
    duration="15 min",
    jobs=jobs,
    analyse=analyse,
)
