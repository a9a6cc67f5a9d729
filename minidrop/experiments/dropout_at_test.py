"""003-Q4: why dropout is not used at test time, measured.

The framework's network of 003-2, trained once for each seed, is given the test set with all units, as is
usual, and T times with masks as in training, each time with others. The mean of the T softmax outputs is
Monte Carlo model averaging, of which all units at once are an approximation (Srivastava et al. 2014, section
7.5, where about 50 passes are as good as it, and more of them slightly better).

The document gives five reasons and runs nothing. Three can be measured: that predictions with masks are not
the same twice; that at test time the scale of dropout is missing, "leading to different magnitudes of neuron
outputs", which is not so for the inverted dropout of its own network; and that averaging sub-networks costs
much and "might not provide a clear advantage".
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from minidrop.data.batches import Batches
from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result, Table
from minidrop.experiments.fashion import diverged, fashion_job, variant
from minidrop.experiments.figures import COLOURS, band, label, legend_below, panels
from minidrop.experiments.verdicts import Claim, Quantity, gaps, ordered
from minidrop.intervals import interval
from minidrop.layers import Dropout, Sequential
from minidrop.runs import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: of how many passes with masks the mean is taken
PASSES = (1, 2, 3, 5, 10, 20, 50, 100)
#: the step of the first pass's masks, which no training has
FAR_STEP = 1 << 40
#: by how many standard errors a mean may be off
SIGMAS = 6.0


def with_masks(run: Run) -> dict[str, Any]:
    """What the test set gets with all units, and from passes with masks.

    `all` has accuracy and loss with all units, `mean` those of the mean of T passes, for T in `PASSES`, and
    `single` the accuracy of a single pass, by all of them; `changed` is the share of the test set that two
    passes put into different classes; `ratio` the mean of the first hidden layer behind its dropout, with
    masks over without, and `error` its standard error.

    >>> from minidrop.config import TrainConfig
    >>> found = with_masks(Run(TrainConfig(layers="64-16-16-10", dropout="0,0.5,0.5", mode="inverted")))
    >>> len(found["mean"]), abs(found["ratio"] - 1) < 6 * found["error"]
    (8, True)
    """
    batches = run.evaluation("test")
    assert batches is not None  # every data set has a test set
    labels = run.dataset.test.labels  # a batch lies in memory that the next one takes
    run.model.train()
    passes = [outputs(run.model, batches, t) for t in range(PASSES[-1])]
    run.model.eval()
    p, plain = outputs(run.model, batches)
    masked = np.stack([one for one, _ in passes])
    first = np.array([mean for _, mean in passes]) / plain
    classes = masked.argmax(axis=2)
    return {
        "all": scores(p, labels),
        "mean": [scores(masked[:t].mean(axis=0), labels) for t in PASSES],
        "single": float((classes == labels).mean()),
        "changed": float((classes[0] != classes[1]).mean()),
        "ratio": float(first.mean()),
        "error": float(first.std(ddof=1)) / sqrt(len(first)),
    }


def outputs(model: Sequential, batches: Batches, t: int = 0) -> tuple[np.ndarray[Any, Any], float]:
    """The softmax of the logits (examples, classes), and the first hidden layer's mean behind its dropout.

    Args:
        model: in training, which draws masks, or in evaluation.
        batches: in their order.
        t: which masks: each batch of each pass has a step of its own.
    """
    found, means = [], []
    for i, (x, _) in enumerate(batches.epoch(0)):
        model.set_step(FAR_STEP + t * len(batches) + i)
        hidden = []
        for position, layer in enumerate(model.layers):
            x = layer.forward(x)
            if isinstance(layer, Dropout) and position > 0:
                hidden.append(float(x.mean(dtype="float64")) * len(x))
        z = np.asarray(model.backend.to_host(x), np.float64)
        e = np.exp(z - z.max(axis=1, keepdims=True))
        found.append(e / e.sum(axis=1, keepdims=True))
        means.append(hidden[0])
    p = np.concatenate(found)
    return p, sum(means) / len(p)


def scores(p: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> dict[str, float]:
    """Accuracy and mean cross-entropy of probabilities (examples, classes).

    >>> scores(np.array([[0.5, 0.5], [0.25, 0.75]]), np.array([0, 0]))
    {'accuracy': 0.5, 'loss': 1.0397207708399179}
    """
    of_label = p[np.arange(len(labels)), labels]
    return {
        "accuracy": float((p.argmax(axis=1) == labels).mean()),
        "loss": float(-np.log(of_label).mean()),
    }


def jobs(plan: Plan) -> Sequence[Job]:
    """A training for each seed."""
    return [
        fashion_job(plan, f"dropout-seed-{seed}", {"seed": seed}, probe=f"{__name__}:with_masks", follow=None)
        for seed in plan.seeds_of(5)
    ]


def analyse(plan: Plan, results: Mapping[str, Result]) -> Findings:
    """All units beside a single pass and beside the mean of many, and whether masks change the mean."""
    runs = variant(results, plan.seeds_of(5), "dropout", "dropout 0.5").runs
    found = {seed: run["probe"] for seed, run in runs.items()}
    most = PASSES[-1]
    ways: dict[str, dict[int, dict[str, float]]] = {
        "all units": {seed: one["all"] for seed, one in found.items()},
        f"mean of {most} passes with masks": {seed: one["mean"][-1] for seed, one in found.items()},
    }
    single = {seed: one["single"] for seed, one in found.items()}
    quantities = []
    if found:
        quantities = [
            Quantity(f"a single pass with masks, of {most}: test accuracy", list(single.values())),
            *(
                Quantity(f"{name}: test {what}", [one[what] for one in way.values()])
                for what in ("accuracy", "loss")
                for name, way in ways.items()
            ),
            Quantity(
                "share of the test set that two passes with masks put into different classes",
                [one["changed"] for one in found.values()],
            ),
        ]
    accuracy, losses = (
        [{seed: one[what] for seed, one in way.items()} for way in ways.values()]
        for what in ("accuracy", "loss")
    )
    claims = [
        ordered("all units have a higher accuracy than a single pass", gaps(accuracy[0], single)),
        ordered(f"the mean of {most} passes has a higher accuracy than all units", gaps(*accuracy[::-1])),
        ordered(f"the mean of {most} passes has a lower loss than all units", gaps(*losses)),
        *same_magnitude(found),
    ]
    rows = [
        (
            t,
            *(
                float(np.mean([one["mean"][i][what] for one in found.values()]))
                for what in ("accuracy", "loss")
            ),
        )
        for i, t in enumerate(PASSES)
        if found
    ]
    caption = (
        "Accuracy and loss of the mean of T passes with masks, beside all units at once: mean over seeds "
        "with its 95 % interval."
    )
    return Findings(
        quantities,
        claims,
        [Table("The mean of T passes", ("passes", "test accuracy", "test loss"), rows)],
        [Drawing("passes", caption, drawn(list(found.values())))],
        diverged(results),
    )


def same_magnitude(found: Mapping[int, Mapping[str, Any]]) -> list[Claim]:
    """That inverted dropout leaves the mean of the first hidden layer as it is."""
    if not found:
        return []
    sigmas = max(abs(one["ratio"] - 1) / one["error"] for one in found.values())
    ratio = interval([one["ratio"] for one in found.values()])[0]
    text = "the first hidden layer has the same mean with masks and without"
    return [
        Claim(
            text,
            sigmas <= SIGMAS,
            f"{ratio:.5f} times that without, at most {sigmas:.1f} standard errors off",
            True,
        )
    ]


def drawn(found: Sequence[Mapping[str, Any]]) -> "Figure":
    """Accuracy and loss against the number of passes, and a line for all units."""
    figure, axes = panels(1, 2)
    for axis, what in zip(axes.flat, ("accuracy", "loss"), strict=True):
        if found:
            band(
                axis,
                PASSES,
                [[m[what] for m in one["mean"]] for one in found],
                "mean of T passes with masks",
                COLOURS[0],
            )
            band(
                axis,
                PASSES,
                [[one["all"][what]] * len(PASSES) for one in found],
                "all units, no masks",
                COLOURS[1],
            )
        axis.set_xscale("log")
        axis.set_xticks(PASSES, [str(t) for t in PASSES], minor=False)
        axis.minorticks_off()
        label(axis, "passes T", f"test {what}", legend=False)
    legend_below(figure)
    return figure


EXPERIMENT = Experiment(
    name="dropout-at-test",
    ids=("003-Q4",),
    question="Why is dropout not used at test time?",
    data="fashion-mnist",
    duration="4 min",
    jobs=jobs,
    analyse=analyse,
)
