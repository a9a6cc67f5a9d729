"""How long hidden units' incoming weights are at the end of a training: a probe, a table and histograms."""

from collections.abc import Mapping
from math import sqrt
from typing import Any

import numpy as np

from minidrop.experiments.experiment import Drawing, Table
from minidrop.experiments.figures import COLOURS, label, legend_below, panels
from minidrop.experiments.hinton import Runs
from minidrop.optim.max_norm import weight_matrices
from minidrop.runs import Run

#: the paper's: the squared length is 15 at most
LIMIT = sqrt(15)
#: what lets the trainings of a `Study` keep them
ASKED = {"probe": "minidrop.experiments.row_norms:row_norms"}
#: percent of the units: where limited rows are many, the others are still to be seen
CUT = 30
CAPTION = (
    "Lengths of the hidden units' incoming weights after the last epoch, all seeds together; bars beyond "
    f"{CUT} % are cut off. Dotted: √15, the paper's limit."
)


def row_norms(run: Run) -> list[list[float]]:
    """The lengths of the hidden units' incoming weights at the end of a run, a list for each hidden layer.

    Of float32 with its own digits, which are half of those of the same number in float64.
    """
    parameters = run.model.parameters()
    backend = parameters.backend
    squared = [
        backend.squared_row_norms(parameters[name].value) for name in weight_matrices(parameters, "hidden")
    ]
    found = [np.sqrt(backend.to_host(rows)) for rows in squared]
    return [[float(str(length)) for length in lengths] for lengths in found]


def lengths(runs: Runs, name: str, layer: int) -> Any:
    """The final row lengths of one hidden layer, all seeds together."""
    return np.array([length for run in runs.of(name) for length in (run["probe"] or [[], []])[layer]])


def lengths_table(runs: Runs) -> Table:
    """Shortest, median and longest, and how many are at the paper's limit or above."""
    rows = []
    for name, variant in runs.study.variants.items():
        for layer in (0, 1):
            if (found := lengths(runs, name, layer)).size:
                share = 100 * float((found >= LIMIT * (1 - 1e-6)).mean())
                rows.append((variant.label, layer + 1, *np.quantile(found, [0, 0.5, 1]).tolist(), share))
    columns = ("training", "hidden layer", "shortest", "median", "longest", "at √15 or above [%]")
    return Table("Lengths of hidden units' incoming weights at the end", columns, rows)


def histograms(runs: Runs, groups: Mapping[str, Mapping[str, str]], styles: Mapping[str, str]) -> Drawing:
    """How the lengths are distributed.

    Args:
        runs: trainings of a study with `ASKED`.
        groups: a row of panels for each title, a panel for each layer: names of variants, with their labels.
        styles: of the lines of variants that others lie on; by default solid.
    """
    figure, axes = panels(len(groups), 2, height=2.8)
    for row, (title, labels) in zip(axes, groups.items(), strict=True):
        for layer, axis in enumerate(row):
            found = {name: lengths(runs, name, layer) for name in labels}
            bins = _bins(np.concatenate([np.full(1, LIMIT), *found.values()]))
            for (name, values), colour in zip(found.items(), COLOURS, strict=False):
                if values.size:
                    axis.hist(
                        values,
                        bins,
                        weights=np.full(values.size, 100 / values.size),
                        histtype="step",
                        color=colour,
                        label=labels[name],
                        linestyle=styles.get(name, "-"),
                    )
            axis.axvline(LIMIT, color="black", linestyle=":", linewidth=1)
            axis.set_ylim(top=min(axis.get_ylim()[1], CUT))
            shown = f"{title}, hidden layer {layer + 1}"
            label(axis, "length of a row of weights", "units [%]", shown, legend=False)
    legend_below(figure, 3)
    return Drawing("row-norms", CAPTION, figure)


def _bins(pooled: Any) -> Any:
    """Of one width, over all values, with what lies at the paper's limit in one of them."""
    width = max(pooled.max() - pooled.min(), 0.1) / min(60, 10 + pooled.size // 100)
    edge = LIMIT * (1 + 1e-6)
    return edge + width * np.arange(
        np.floor((pooled.min() - edge) / width), (pooled.max() - edge) / width + 2
    )
