"""The curves of a training run as a figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minidrop.checkpoint import Row
from minidrop.files import replacing

#: colour-blind safe (Okabe & Ito 2008)
COLOURS = {"train": "#0072B2", "validation": "#E69F00", "test": "#D55E00", "other": "#009E73"}


def plot_history(
    history: Sequence[Row], path: str | Path, *, title: str = "", limit: float | None = None
) -> None:
    """Write loss, error, learning rate with momentum, and the largest row norm by epoch to a PNG at `path`.

    Of several seeds, the mean with a band of one standard deviation to either side.

    Args:
        history: the rows of `TrainingState.history`, or `mean_row`s of several, at least one.
        path: where to write.
        title: above the figure.
        limit: the largest row norm allowed, drawn as a line.

    Raises:
        CheckpointError: if the file cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(10, 6.5), layout="constrained")
    loss, error, rates, norms = figure.subplots(2, 2).flat
    epochs = [row["epoch"] for row in history]

    def curve(axes: Any, key: str, label: str, colour: str, **style: Any) -> Any:
        values = [row[key] for row in history]
        if all(value is None for value in values):
            return None
        marker = "o" if len(values) < 3 else None
        if f"{key}_std" in history[0]:
            mean, std = np.array(values), np.array([row[f"{key}_std"] for row in history])
            axes.fill_between(epochs, mean - std, mean + std, color=COLOURS[colour], alpha=0.2, linewidth=0)
        return axes.plot(epochs, values, label=label, color=COLOURS[colour], marker=marker, **style)[0]

    curve(loss, "train_loss", "train (with its noise)", "train")
    for name in ("validation", "test"):
        curve(loss, f"{name}_loss", name, name)
    for name in ("validation", "test"):
        curve(error, f"{name}_error", name, name)
    for axes, label in ((loss, "cross-entropy [nats]"), (error, "error [%]")):
        axes.set_ylabel(label)
        if axes.lines:  # nothing has an error where nothing was evaluated
            axes.legend()
    loss.set_yscale("log")

    lines = [curve(rates, "learning_rate", "learning rate", "train")]
    rates.set_ylabel("learning rate")
    rates.set_ylim(0, 1.1 * max(row["learning_rate"] or 0 for row in history) or 1)
    twin = rates.twinx()
    lines.append(curve(twin, "momentum", "momentum", "test", linestyle="--"))
    twin.set_ylabel("momentum")
    twin.set_ylim(0, 1)
    if lines[1] is None:
        twin.set_visible(False)
    rates.legend(handles=[line for line in lines if line is not None], loc="lower center")

    curve(norms, "largest_row_norm", "largest row norm", "other")
    if limit is not None:
        norms.axhline(limit, color="0.4", linestyle=":", label=f"limit {limit:.4g}")
    norms.set_ylabel("length of incoming weights")
    norms.set_ylim(bottom=0)
    norms.legend(loc="lower right")

    for axes in (loss, error, rates, norms):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
    figure.suptitle(title)
    with replacing(Path(path)) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
