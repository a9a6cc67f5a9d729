"""The figure of the training runs: both loss curves, and below them their difference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minidrop.files import replacing
from minidrop.plots import COLOURS

if TYPE_CHECKING:
    from reference.parity import Result

COLUMNS = 4


def draw(results: Sequence[Result], path: Path) -> None:
    """Write a PNG with two panels for each result to `path`."""
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(results))
    lines = -(-len(results) // columns)
    figure = Figure(figsize=(3.6 * columns + 0.6, 4.6 * lines + 0.9), layout="constrained")
    panels = figure.subplots(2 * lines, columns, squeeze=False, height_ratios=[3, 2] * lines)
    for axes in panels.flat[:]:
        axes.set_visible(False)
    for i, result in enumerate(results):
        line, column = divmod(i, columns)
        _losses(panels[2 * line, column], result, legend=i == 0, label=column == 0)
        _difference(panels[2 * line + 1, column], result, legend=i == 0, label=column == 0)
    dataset = results[0].case.dataset
    figure.suptitle(f"{dataset}: the same training in minidrop and in PyTorch")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def _losses(axes: Any, result: Result, legend: bool, label: bool) -> None:
    axes.set_visible(True)
    steps = np.arange(1, len(result.double.losses) + 1)
    axes.plot(steps, result.double.losses, color=COLOURS["train"], lw=1.8, label="minidrop")
    axes.plot(
        steps, result.double.torch_losses, color=COLOURS["validation"], lw=0.8, ls="--", label="PyTorch"
    )
    axes.set_title(result.case.name, fontsize=10)
    axes.tick_params(labelbottom=False)
    axes.grid(alpha=0.25)
    if label:
        axes.set_ylabel("loss [nats]\n(float64, ReLU)")
    if legend:
        axes.legend(fontsize=8)


def _difference(axes: Any, result: Result, legend: bool, label: bool) -> None:
    axes.set_visible(True)
    for pair, colour, name in (
        (result.double, "train", "float64"),
        (result.single, "test", "float32 (tanh)"),
    ):
        gap = np.abs(pair.losses - pair.torch_losses)
        steps = np.arange(1, len(gap) + 1)
        shown = np.where(gap > 0, gap, np.nan)  # equal losses have no place on a logarithmic axis
        axes.plot(steps, shown, ".", ms=2, color=COLOURS[colour], label=name)
    axes.plot(steps, result.bound, color="0.4", lw=1, ls=":", label="bound, float32")
    axes.set_yscale("log")
    axes.set_ylim(1e-17, 1e-2)
    axes.set_xlabel("step")
    axes.grid(alpha=0.25)
    if label:
        axes.set_ylabel("|difference|")
    if legend:
        axes.legend(fontsize=7, markerscale=3, loc="upper right", ncols=2)
