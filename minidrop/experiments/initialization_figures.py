"""The figures of `initializations`: variances by layer beside the published ones, and distributions."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from minidrop.experiments.experiment import Drawing, Result
from minidrop.experiments.figures import COLOURS, panels, plain_ticks
from minidrop.experiments.tutorial_network import Setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: the bins of the distributions, in standard deviations from the mean
EDGES = np.linspace(-4, 4, 41)
#: how far the distributions of two layers are apart in a row
APART = 9.5
#: a standard deviation below this part of the largest one of its net is rounding alone
NOTHING = 1e-12
#: what the band is beside which a published number stands
BAND = "A published number is one draw; the band is of single draws, too, not of our mean."


def draw_variances(
    results: Mapping[str, Result],
    settings: Mapping[str, Setting],
    part: str,
    laws: Mapping[str, Sequence[float]],
) -> "Figure":
    """A panel for each initialization: our draws, the law where there is one, the published numbers."""
    columns = 4 if len(settings) > 3 else len(settings)
    rows = -(-(len(settings) + (columns == 4)) // columns)
    figure, axes = panels(rows, columns, height=2.7)
    for one, (name, setting) in zip(axes.flat, settings.items(), strict=False):
        draws = np.array(results[name][part])
        x = 2 * np.arange(draws.shape[1])
        low, high = np.percentile(draws, [2.5, 97.5], axis=0)
        one.plot(x, draws.mean(axis=0), color=COLOURS[0], marker="o", label="ours, mean of draws")
        one.fill_between(x, low, high, color=COLOURS[0], alpha=0.25, linewidth=0, label="95 % of our draws")
        if name in laws:
            one.plot(x, laws[name], color=COLOURS[6], linestyle="--", label="law, in expectation")
        published = getattr(setting, part)
        label = "published,\nFashion-MNIST"
        one.plot(x, published, "x", color=COLOURS[1], markersize=8, mew=2, label=label)
        one.set_yscale("log")
        one.set_xticks(x)
        one.set_title(setting.title, fontsize="medium")
        _readable(one, draws, published)
    for one in axes[-1]:
        one.set_xlabel("layer")
    for one in axes[:, 0]:
        one.set_ylabel("variance")
    handles, labels = axes[0, -1].get_legend_handles_labels()
    if columns == 4:
        for one in axes.flat[len(settings) :]:
            one.axis("off")
        axes.flat[-1].legend(handles, labels, loc="center", fontsize="small")
    else:
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize="small")
    return figure


def _readable(axes: Any, *values: Any) -> None:
    """At least a decade on the axis; within two decades, ticks at plain numbers and not at powers alone."""
    everything = np.concatenate([np.ravel(v) for v in values])
    low, high = everything[everything > 0].min(), everything.max()
    centre = np.sqrt(low * high)
    axes.set_ylim(min(low / 1.5, centre / 3.5), max(high * 1.5, centre * 3.5))
    axes.minorticks_off()
    if high / low < 50 and low > 1e-3:
        plain_ticks(axes.yaxis)


def draw_histograms(
    results: Mapping[str, Result], settings: Mapping[str, Setting], part: str, names: Sequence[str]
) -> "Figure":
    """A row for each net: the distribution in each layer, in units of its standard deviation σ."""
    figure, axes = panels(1, 1, height=1.2 * len(settings) + 0.6)
    one = axes[0, 0]
    for row, name in enumerate(settings):
        layers = results[name]["histograms"][part]
        largest = max(layer["std"] for layer in layers)
        one.axhline(-row, color="black", linewidth=0.5)
        for centre, layer in zip(APART * np.arange(len(layers)), layers, strict=True):
            nothing = layer["std"] <= NOTHING * largest
            text = "all 0, to rounding" if nothing else f"σ = {layer['std']:.2g}"
            one.text(centre, 0.9 - row, text, ha="center", va="top", fontsize="x-small")
            if not nothing:
                density = np.array(layer["density"])
                heights = -row + 0.7 * density / density.max()
                one.stairs(heights, EDGES + centre, baseline=-row, fill=True, color=COLOURS[0])
    one.grid(False)
    one.set_ylim(-len(settings) + 0.9, 1)
    titles = [setting.title.replace(", ", ",\n") for setting in settings.values()]
    one.set_yticks([0.35 - row for row in range(len(settings))], titles, fontsize="small")
    one.tick_params(left=False)
    ticks = [APART * i + z for i in range(len(names)) for z in (-3, 0, 3)]
    below = [f"{z}\n{name}" if z == "0" else z for name in names for z in ("-3", "0", "3")]
    one.set_xticks(ticks, below, fontsize="small")
    one.set_xlabel("distance from the mean in standard deviations σ, for each layer")
    return figure


def drawings(
    results: Mapping[str, Result],
    settings: Mapping[str, Setting],
    laws: Mapping[str, Sequence[float]],
    sizes: Sequence[int],
) -> list[Drawing]:
    """All figures; only of the initializations that have results."""
    there = {name: setting for name, setting in settings.items() if name in results}
    with_gradients = {name: setting for name, setting in there.items() if setting.gradients}
    names = [f"layer {2 * i}: {d} → {n}" for i, (d, n) in enumerate(pairwise(sizes))]
    found = [
        Drawing(
            "activation-variances",
            f"Variance over all elements of each Linear's output, by layer. {BAND}",
            draw_variances(results, there, "activations", laws),
        ),
        Drawing(
            "activations",
            "How the outputs of each Linear are distributed over batch and units; one draw.",
            draw_histograms(results, there, "activations", names),
        ),
        Drawing(
            "gradients",
            "How the gradients of each weight matrix are distributed; one draw.",
            draw_histograms(results, there, "gradients", names),
        ),
    ]
    if with_gradients:
        figure = draw_variances(results, with_gradients, "gradients", {})
        caption = f"Variance over all elements of each weight's gradient, by layer. {BAND}"
        found.insert(1, Drawing("gradient-variances", caption, figure))
    return found
