"""What the figures of the experiments share: a size for the width of a page, colours, bands over seeds."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minidrop.intervals import interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: colour-blind safe (Okabe & Ito 2008)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
#: inches, for a page's width at a readable size
WIDTH = 8.0


def panels(rows: int = 1, columns: int = 1, height: float = 3.6, **options: Any) -> "tuple[Figure, Any]":
    """A figure of the width of a page with rows x columns axes, an array of that shape.

    >>> figure, axes = panels(1, 2)
    >>> axes.shape
    (1, 2)
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for one in axes.flat:
        one.grid(alpha=0.25)
    return figure, axes


def band(
    axes: Any,
    x: Sequence[float],
    curves: Sequence[Sequence[float]],
    label: str,
    colour: str,
    *,
    log: bool = False,
    **style: Any,
) -> None:
    """Draw the mean over seeds of curves of one length, with its 95 % interval as a band.

    Args:
        axes: where.
        x: of every curve.
        curves: one for each seed.
        label: what the legend calls them.
        colour: of line and band.
        log: take mean and interval of the logarithms, as in `geometric`.
        style: of the line.
    """
    columns = list(zip(*curves, strict=True))
    found = np.array([geometric(column) if log else ends(column) for column in columns])
    means, low, high = found.T
    marker = "o" if len(means) < 3 else None
    axes.plot(x, means, label=label, color=colour, marker=marker, **style)
    if len(curves) > 1:
        axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)


def longest(curves: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    """The curves as long as the longest: one that stopped before has no part in means over seeds.

    >>> longest([[1, 2], [3], [4, 5]]), longest([])
    ([[1, 2], [4, 5]], [])
    """
    length = max(map(len, curves), default=0)
    return [curve for curve in curves if len(curve) == length]


def ends(values: Sequence[float]) -> tuple[float, float, float]:
    """The mean, and the ends of its 95 % interval."""
    mean, half = interval(values)
    return mean, mean - half, mean + half


def geometric(values: Sequence[float]) -> tuple[float, float, float]:
    """The geometric mean of positive numbers, and the ends of its 95 % interval, which are positive as well.

    exp(m), exp(m - h), exp(m + h)    with m ± h the interval of the mean of the logarithms

    >>> [round(value, 3) for value in geometric([1.0, 10.0, 100.0])]
    [10.0, 0.033, 3049.053]
    """
    return tuple(np.exp(ends(np.log(values).tolist())).tolist())


def label(axes: Any, x: str, y: str, title: str = "", *, legend: bool = True, epochs: bool = False) -> None:
    """Name the axes, with units; few ticks, at whole numbers, where x counts epochs."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title, fontsize="medium")
    if epochs:
        from matplotlib.ticker import MaxNLocator

        axes.xaxis.set_major_locator(MaxNLocator(6, steps=(1, 2, 5, 10), integer=True))
    if legend and axes.get_legend_handles_labels()[0]:  # there is nothing to name where all jobs failed
        axes.legend(fontsize="small")


def plain_ticks(axis: Any) -> None:
    """Ticks of a logarithmic axis at 1, 2, 5, 10, ..., written as plain numbers.

    >>> figure, axes = panels()
    >>> axes[0, 0].set_yscale("log")
    >>> plain_ticks(axes[0, 0].yaxis)
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def legend_below(figure: "Figure", columns: int = 4, **others: Any) -> None:
    """One legend for all panels, under them, that names each label once, and what else is given by name."""
    named: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(name, handle)
    named |= others
    if named:
        place: dict[str, Any] = {"loc": "outside lower center", "ncols": min(columns, len(named))}
        figure.legend(list(named.values()), list(named), fontsize="small", **place)
