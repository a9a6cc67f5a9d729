"""What the experiments on loss surfaces share: a job that walks down one, and drawings of such walks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minidrop import surfaces
from minidrop.experiments.experiment import Result
from minidrop.experiments.figures import COLOURS, label, panels
from minidrop.optim import OPTIMIZERS
from minidrop.parameters import ParameterArena
from minidrop.specs import build
from minidrop.surfaces import Factory, Host, Surface, descend


def surface_of(spec: Sequence[Any]) -> Surface:
    """The surface of a class's name and its arguments.

    >>> surface_of(["Quadratic", [[4.0]]]).stability_limit()
    0.5
    """
    name, *arguments = spec
    surface: Surface = getattr(surfaces, name)(*arguments)
    return surface


def factory(spec: str, **given: Any) -> Factory:
    """What makes the optimizer of a spec such as "momentum:form=ema,momentum=0.9,lr=10"."""

    def make(parameters: ParameterArena) -> Any:
        return build("optimizer", spec, OPTIMIZERS, parameters, **given)

    return make


def walk(
    folder: Path,
    surface: Sequence[Any],
    start: Sequence[float],
    optimizer: str,
    steps: int,
    dtype: str = "float64",
    backend: str | None = None,
) -> Result:
    """The points that an optimizer visits, the start first, and the loss at each."""
    loss = surface_of(surface)
    path = descend(loss, start, factory(optimizer), steps, dtype, backend=backend)
    with np.errstate(over="ignore", invalid="ignore"):  # of a path that diverges
        return {"points": path.tolist(), "losses": loss.value(path).tolist()}


def points(result: Result) -> Host:
    """The path of a walk, (steps + 1, n)."""
    return np.array(result["points"])


def landscape(
    figure: Any,
    axes: Sequence[Any],
    surface: Surface,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    levels: Sequence[float] | Host,
    aspect: str = "equal",
) -> None:
    """Colour the axes by the loss, darker where it is lower, with one colour bar for all of them."""
    from matplotlib.colors import BoundaryNorm

    x, y = np.linspace(*x_range, 101), np.linspace(*y_range, 101)
    loss = surface.value(np.stack(np.meshgrid(x, y), axis=-1))
    colours = {"levels": levels, "cmap": "Greys_r", "norm": BoundaryNorm(levels, 256), "alpha": 0.6}
    filled = None
    for one in axes:
        filled = one.contourf(x, y, loss, **colours)
        one.contour(x, y, loss, levels=levels, colors="0.4", linewidths=0.4, linestyles="solid")
        one.set_xlim(*x_range)
        one.set_ylim(*y_range)
        one.set_aspect(aspect)
        one.grid(visible=False)
    figure.colorbar(filled, ax=list(axes), label="loss", shrink=0.9, pad=0.02, format="%g")


def trace(axes: Any, path: Host, label: str, colour: str, **style: Any) -> None:
    """Draw a path in w₁ and w₂: a dot for each point, a square where it starts, a star where it ends."""
    options = {"linewidth": 1.0, "markersize": 2.5, "marker": "o"} | style
    axes.plot(path[:, 0], path[:, 1], color=colour, label=label, **options)
    axes.plot(*path[0, :2], "s", color="black", markersize=5, zorder=5)
    axes.plot(*path[-1, :2], "*", color=colour, markersize=11, markeredgecolor="black", zorder=6)


def gallery(
    paths: Mapping[str, Host],
    surface: Surface,
    columns: int,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    levels: Sequence[float],
) -> Any:
    """Two rows: a panel for each path by its title, and in the last one distances from the origin by step."""
    figure, axes = panels(2, columns, height=2.3 if columns == 3 else 3.0)
    *maps, graph = axes.flat
    for one, (title, path), colour in zip(maps, paths.items(), COLOURS, strict=False):
        trace(one, path, title, colour)
        graph.semilogy(np.hypot(*path.T), label=title, color=colour)
        label(one, "w₁", "w₂", title, legend=False)
    landscape(figure, maps, surface, x_range, y_range, levels)
    if paths:
        graph.set_ylim(bottom=graph.get_ylim()[0] / 30)  # room for the legend
    label(graph, "step", "distance from optimum")
    return figure
