"""Figures that several benchmarks share."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from benchmarks.harness import ratio

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
