"""000-2: the other three nets of figure 1 in Hinton et al. 2012, with dropout.

784-1200-1200-10, 784-2000-2000-10 and 784-1200-1200-1200-10, each with half of the hidden units dropped, and
with a fifth of the inputs as well. The figure has every curve of the first kind end near 130 errors and every
one of the second near 110 after 3000 epochs, below the line of 160 without dropout. A full run here has 10
epochs of ReLU units at learning rate 1, since the largest net takes four times as long as 784-800-800-10.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from minidrop.experiments.experiment import Drawing, Experiment, Findings, Job, Plan, Result
from minidrop.experiments.figures import COLOURS, label, legend_below, panels
from minidrop.experiments.hinton import PAPER, RELU, Runs, Study, Variant, log_errors
from minidrop.experiments.hinton_exact import beginning_of, of_the_beginning

#: hidden layers by a short name
NETS = {"1200x2": "1200-1200", "2000x2": "2000-2000", "1200x3": "1200-1200-1200"}
#: drop probability of the inputs, and about how many errors of 10,000 figure 1 has after 3000 epochs
INPUTS = {"hidden": ("hidden", "0", 130), "both": ("hidden + input", "0.2", 110)}


def changes(net: str, inputs: str) -> dict[str, Any]:
    """What one of the six trainings changes in the paper's."""
    hidden = NETS[net]
    dropout = ",".join([INPUTS[inputs][1], *["0.5"] * (hidden.count("-") + 1)])
    return RELU | {"layers": f"784-{hidden}-10", "dropout": dropout}


STUDY = Study(
    {
        f"{net}-{inputs}": Variant(f"784-{NETS[net]}-10, {INPUTS[inputs][0]}", changes(net, inputs))
        for net in NETS
        for inputs in INPUTS
    },
    epochs=10,
)


def jobs(plan: Plan) -> Sequence[Job]:
    """The nets before their first step, then the trainings."""
    nets = plan.pick(list(NETS), ["1200x2"])  # at their full size, noise being enough for them
    begin = [beginning_of(net, PAPER | changes(net, "both")) for net in nets]
    return [*begin, *STUDY.jobs(plan)]


def analyse(plan: Plan, results: Mapping[str, Result]) -> Findings:
    """Errors beside those of figure 1, and its ordering."""
    runs = STUDY.runs(plan, results)
    exact = [
        quantity
        for net in NETS
        if (found := results.get(f"beginning-{net}"))
        for quantity in of_the_beginning(f"784-{NETS[net]}-10", found)
    ]
    published = {f"{net}-{inputs}": INPUTS[inputs][2] for net in NETS for inputs in INPUTS}
    orders = [
        runs.fewer(
            f"784-{hidden}-10: after {runs.epochs} epochs already, input dropout lowers the errors",
            (f"{net}-hidden", f"{net}-both"),
        )
        for net, hidden in NETS.items()
    ]
    caption = (
        f"Test errors of {runs.size} against the epoch, mean over seeds with its 95 % interval, with 50 % "
        "dropout of hidden units (left) and 20 % of inputs as well (right). Dashed: about where the curves "
        "of figure 1 end, of 10,000 after 3000 epochs."
    )
    return Findings(
        [*exact, *runs.quantities(published)],
        [runs.within_limit(list(STUDY.variants), 15**0.5), *orders],
        [runs.table()],
        [Drawing("errors", caption, draw(plan, runs))],
        runs.notes(
            "Published: about 130 errors of 10,000 with hidden dropout and 110 with input dropout, for all "
            f"nets, after 3000 epochs; here {runs.epochs}, which cannot be judged by them."
        ),
    )


def draw(plan: Plan, runs: Runs) -> Any:
    """Errors against the epoch, without and with input dropout."""
    figure, axes = panels(1, 2, sharey=True)
    for axis, (inputs, (title, _, errors)) in zip(axes.flat, INPUTS.items(), strict=True):
        names = [f"{net}-{inputs}" for net in NETS]
        runs.draw(axis, "test_errors", names, [f"784-{hidden}-10" for hidden in NETS.values()])
        if not plan.quick:
            text = "published: about 130 (left) and 110"
            axis.axhline(errors, color=COLOURS[-2], linestyle="--", linewidth=1, label=text)
        label(axis, "epoch", "", f"dropout: {title}", legend=False, epochs=True)
    axes[0, 0].set_ylabel(f"test errors of {runs.size}")
    log_errors(axes[0, 0], plan)
    legend_below(figure, 2)
    return figure


EXPERIMENT = Experiment(
    name="hinton-nets",
    ids=("000-2",),
    question="Does input dropout lower the errors of the paper's wider and deeper nets on MNIST too?",
    data="mnist",
    duration="1 h",
    jobs=jobs,
    analyse=analyse,
)
