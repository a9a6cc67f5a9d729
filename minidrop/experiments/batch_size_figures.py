"""The figures of the experiment batch-size."""

from collections.abc import Mapping, Sequence

import numpy as np

from minidrop.experiments.experiment import Drawing, Result
from minidrop.experiments.figures import COLOURS, band, geometric, label, panels, plain_ticks
from minidrop.experiments.training_job import curve

#: the trainings by reading and size, and by seed
Runs = dict[tuple[str, int], dict[int, Result]]


def losses_of(runs: Sequence[Result]) -> tuple[list[float], list[float]]:
    """The test losses after the first and after the last epoch, of each seed."""
    curves = [curve(run, "test_loss") for run in runs]
    return [losses[0] for losses in curves], [losses[-1] for losses in curves]


def draw_curves(runs: Runs, examples: int, titles: Mapping[str, str]) -> Drawing:
    """A row for each reading: the loss against epochs and samples seen, and against updates."""
    figure, axes = panels(2, 2, height=3.4, sharey=True)
    for row, reading in zip(axes, titles, strict=True):
        found = [(size, list(run.values())) for (which, size), run in runs.items() if which == reading]
        for (size, seeds), colour in zip(found, COLOURS, strict=False):
            length = min(len(run["history"]) for run in seeds)
            losses = [curve(run, "test_loss")[:length] for run in seeds]
            steps = curve(seeds[0], "step")[:length]
            band(row[0], range(1, length + 1), losses, f"B = {size}", colour, log=True)
            band(row[1], steps, losses, f"B = {size}", colour, log=True)
        label(row[0], "epoch", "test loss (nats)", titles[reading], legend=False, epochs=True)
        thousands = row[0].secondary_xaxis(
            "top", functions=(lambda e: e * examples / 1000, lambda k: k * 1000 / examples)
        )
        thousands.set_xlabel("thousand samples seen", fontsize="small")
        thousands.tick_params(labelsize="small")
        label(row[1], "updates", "", titles[reading])
        row[0].set_yscale("log")
        plain_ticks(row[0].yaxis)
        row[1].set_xscale("log")
    caption = (
        "The test loss after each epoch, geometric mean over the seeds with its 95 % interval; left by what "
        "was seen, right by how often it stepped."
    )
    return Drawing("curves", caption, figure)


def draw_sizes(runs: Runs) -> Drawing:
    """The losses of the first and of the last epoch against the size."""
    figure, axes = panels()
    for reading, colour in zip(dict.fromkeys(which for which, _ in runs), COLOURS, strict=False):
        chosen = {
            size: losses_of(list(found.values())) for (which, size), found in runs.items() if which == reading
        }
        for i, (epoch, style) in enumerate({"first": "--", "last": "-"}.items()):
            means, low, high = np.array([geometric(losses[i]) for losses in chosen.values()]).T
            spread = np.nan_to_num([means - low, high - means], posinf=0.0)  # of one seed there is none
            text = f"{reading}, {epoch} epoch"
            axes[0, 0].errorbar(
                list(chosen), means, spread, label=text, color=colour, linestyle=style, marker="o", capsize=2
            )
    axes[0, 0].set_xscale("log")
    axes[0, 0].set_yscale("log")
    plain_ticks(axes[0, 0].yaxis)
    sizes = sorted({size for _, size in runs})
    axes[0, 0].set_xticks(sizes, map(str, sizes))
    axes[0, 0].minorticks_off()
    label(axes[0, 0], "size of the mini-batch B (examples)", "test loss (nats)")
    caption = "Geometric means over the seeds after one epoch and in the end, with their 95 % intervals."
    return Drawing("sizes", caption, figure)
