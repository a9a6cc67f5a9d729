"""Figures that several benchmarks share."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from benchmarks.harness import ratio, typical
from benchmarks.results import duration

#: colour-blind safe (Okabe & Ito 2008); the reference is the first
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000")


def ratios(result: Mapping[str, Any]) -> Figure:
    """Bars: each contestant's time as a multiple of the reference's, a group for each case."""
    cases = result["cases"]
    rows = sum(len(case["contestants"]) + 1 for case in cases)
    figure = Figure(figsize=(8, 0.24 * rows + 1), layout="constrained")
    axes = figure.subplots()
    y, ticks, names = 0.0, [], []
    for case in cases:
        reference = case["contestants"][0]
        axes.text(0, y, case["name"], va="center", fontweight="bold", fontsize=8)
        y += 1
        for i, one in enumerate(case["contestants"]):
            value = ratio(one, reference)
            axes.barh(y, value, color=COLOURS[0] if i == 0 else "0.65")
            axes.text(value, y, f" {value:.2f}", va="center", fontsize=8)
            ticks.append(y)
            names.append(one["label"])
            y += 1
    axes.set_yticks(ticks, names, fontsize=8)
    axes.set_ylim(y - 0.4, -0.6)
    axes.set_xlabel(f"time as a multiple of {cases[0]['contestants'][0]['label']}'s")
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def panels(result: Mapping[str, Any], columns: int = 3, floor: str = "") -> Figure:
    """Bars as `ratios` has them, one panel a case; a dotted line is at the contestant labelled `floor`.

    The cases have the same contestants; the reference's bar says what its 1 is.
    """
    cases = result["cases"]
    reference = cases[0]["contestants"][0]["label"]
    labels = list(dict.fromkeys(one["label"] for case in cases for one in case["contestants"]))
    columns, rows = min(columns, len(cases)), -(-len(cases) // columns)
    figure = Figure(figsize=(8, rows * (0.19 * len(labels) + 0.4) + 0.3), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes in grid.flat[len(cases) :]:
        axes.set_visible(False)
    for axes, case in zip(grid.flat, cases, strict=False):
        first = case["contestants"][0]
        for one in case["contestants"]:
            value, y = ratio(one, first), labels.index(one["label"])
            axes.barh(y, value, color=COLOURS[0] if one is first else "0.75")
            text = f"1 = {duration(typical(one))}" if one is first else f"{value:.2f}"
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            axes.annotate(
                text, (value, y), (4, 0), textcoords="offset points", va="center", fontsize=8, bbox=box
            )
            if one["label"] == floor:
                axes.axvline(value, color="black", linestyle=":", linewidth=1)
        axes.set_title(case["name"], fontsize=9, fontweight="bold", loc="left")
        axes.margins(x=0.22 if columns > 1 else 0.1)
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.set_yticks(range(len(labels)), labels, fontsize=8)
        axes.tick_params(axis="x", labelsize=8, labelbottom=True)
        axes.tick_params(axis="y", length=0)
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel(f"time as a multiple of {reference}'s", fontsize=9)
    return figure
